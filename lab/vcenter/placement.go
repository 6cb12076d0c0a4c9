package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// site is a cluster as placement sees it: hosts with their free memory, where each running VM is, and the rules.
type site struct {
	config types.ClusterConfigInfoEx
	hosts  []placementHost
	stores map[types.ManagedObjectReference][]types.ManagedObjectReference // VM → its datastores
	where  map[types.ManagedObjectReference]types.ManagedObjectReference   // running VM → host
}

type placementHost struct {
	reference types.ManagedObjectReference
	free      int64 // bytes of memory
	mounts    []types.ManagedObjectReference
}

// site reads the hosts that take VMs now: connected and not in maintenance mode.
func (v *VCenter) site(ctx *simulator.Context, cluster *simulator.ClusterComputeResource) *site {
	s := &site{
		stores: map[types.ManagedObjectReference][]types.ManagedObjectReference{},
		where:  map[types.ManagedObjectReference]types.ManagedObjectReference{},
	}
	var members []types.ManagedObjectReference
	ctx.WithLock(cluster, func() {
		s.config = *cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
		s.config.Rule, s.config.Group = slices.Clone(s.config.Rule), slices.Clone(s.config.Group)
		s.config.DasVmConfig = slices.Clone(s.config.DasVmConfig)
		s.config.VmOrchestration = slices.Clone(s.config.VmOrchestration)
		members = slices.Clone(cluster.Host)
	})
	for _, reference := range members {
		host, ok := ctx.Map.Get(reference).(*simulator.HostSystem)
		if !ok {
			continue
		}
		ctx.WithLock(host, func() {
			if host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected && !host.Runtime.InMaintenanceMode {
				s.hosts = append(s.hosts, placementHost{reference, host.Hardware.MemorySize, slices.Clone(host.Datastore)})
			}
		})
	}
	for _, vm := range v.vms(ctx) {
		s.stores[vm.reference] = vm.datastores
		if vm.poweredOn && vm.connected {
			s.put(vm.reference, vm.host, vm.memory, true)
		}
	}
	return s
}

// exclude takes a host out of consideration.
func (s *site) exclude(host types.ManagedObjectReference) {
	s.hosts = slices.DeleteFunc(s.hosts, func(h placementHost) bool { return h.reference == host })
}

// put counts a VM in where it now is.
func (s *site) put(vm, host types.ManagedObjectReference, memory int64, running bool) {
	if !running {
		return
	}
	s.where[vm] = host
	for i := range s.hosts {
		if s.hosts[i].reference == host {
			s.hosts[i].free -= memory
		}
	}
}

// place finds the host for a VM: the one with most free memory of those that the rules allow and, where there are such,
// prefer. The reason says why there is none.
//
// Anti-affinity between VMs binds by default, also without DRS, as das.respectVmVmAntiAffinityRules does; rules that say
// "should" give way (vSphere Availability, "vSphere HA Advanced Options").
func (s *site) place(vm types.ManagedObjectReference, memory int64) (*types.ManagedObjectReference, string) {
	if len(s.hosts) == 0 {
		return nil, "no host of the cluster takes VMs"
	}
	reaching := slices.DeleteFunc(slices.Clone(s.hosts), func(h placementHost) bool {
		return slices.ContainsFunc(s.stores[vm], func(store types.ManagedObjectReference) bool {
			return !slices.Contains(h.mounts, store)
		})
	})
	if len(reaching) == 0 {
		return nil, "no host that is left has its datastore"
	}
	fitting := slices.DeleteFunc(reaching, func(h placementHost) bool { return h.free < memory })
	if len(fitting) == 0 {
		return nil, fmt.Sprintf("no host has %d MiB of memory free", memory>>20)
	}
	allowed := slices.DeleteFunc(slices.Clone(fitting), func(h placementHost) bool {
		return s.violates(vm, h.reference, true)
	})
	if len(allowed) == 0 {
		return nil, "rules forbid every host with enough memory"
	}
	preferred := slices.DeleteFunc(slices.Clone(allowed), func(h placementHost) bool {
		return s.violates(vm, h.reference, false)
	})
	if len(preferred) == 0 {
		preferred = allowed
	}
	best := slices.MaxFunc(preferred, func(a, b placementHost) int {
		if a.free != b.free {
			return int(min(max(a.free-b.free, -1), 1))
		}
		return strings.Compare(b.reference.Value, a.reference.Value) // ties go to the host that was added first
	})
	return &best.reference, ""
}

// violates says whether a VM on a host would break a binding rule, or any rule.
func (s *site) violates(vm, host types.ManagedObjectReference, binding bool) bool {
	for _, rule := range s.config.Rule {
		info := rule.GetClusterRuleInfo()
		if info.Enabled == nil || !*info.Enabled {
			continue
		}
		mandatory := info.Mandatory != nil && *info.Mandatory
		switch rule := rule.(type) {
		case *types.ClusterAntiAffinityRuleSpec:
			if binding && !s.option("das.respectVmVmAntiAffinityRules", true) {
				continue
			}
			if slices.Contains(rule.Vm, vm) && slices.ContainsFunc(rule.Vm, s.runs(vm, host)) {
				return true
			}
		case *types.ClusterAffinityRuleSpec:
			elsewhere := func(other types.ManagedObjectReference) bool {
				at, running := s.where[other]
				return other != vm && running && at != host
			}
			if !binding && slices.Contains(rule.Vm, vm) && slices.ContainsFunc(rule.Vm, elsewhere) {
				return true
			}
		case *types.ClusterVmHostRuleInfo:
			if binding && !mandatory || !slices.Contains(s.vmGroup(rule.VmGroupName), vm) {
				continue
			}
			if rule.AffineHostGroupName != "" && !slices.Contains(s.hostGroup(rule.AffineHostGroupName), host) {
				return true
			}
			if rule.AntiAffineHostGroupName != "" && slices.Contains(s.hostGroup(rule.AntiAffineHostGroupName), host) {
				return true
			}
		}
	}
	return false
}

// runs tells of another VM whether it is on the host.
func (s *site) runs(vm, host types.ManagedObjectReference) func(types.ManagedObjectReference) bool {
	return func(other types.ManagedObjectReference) bool {
		at, running := s.where[other]
		return other != vm && running && at == host
	}
}

func (s *site) vmGroup(name string) []types.ManagedObjectReference {
	for _, group := range s.config.Group {
		if group, ok := group.(*types.ClusterVmGroup); ok && group.Name == name {
			return group.Vm
		}
	}
	return nil
}

func (s *site) hostGroup(name string) []types.ManagedObjectReference {
	for _, group := range s.config.Group {
		if group, ok := group.(*types.ClusterHostGroup); ok && group.Name == name {
			return group.Host
		}
	}
	return nil
}

// option reads a boolean advanced option of vSphere HA.
func (s *site) option(name string, standard bool) bool {
	for _, option := range s.config.DasConfig.Option {
		value := option.GetOptionValue()
		if strings.EqualFold(value.Key, name) {
			return strings.EqualFold(fmt.Sprint(value.Value), "true")
		}
	}
	return standard
}

// dependencies lists the VMs that must be up before this one, by rules between VM groups.
func (s *site) dependencies(vm types.ManagedObjectReference) []types.ManagedObjectReference {
	var needed []types.ManagedObjectReference
	for _, rule := range s.config.Rule {
		rule, ok := rule.(*types.ClusterDependencyRuleInfo)
		if ok && rule.Enabled != nil && *rule.Enabled && slices.Contains(s.vmGroup(rule.VmGroup), vm) {
			needed = append(needed, s.vmGroup(rule.DependsOnVmGroup)...)
		}
	}
	return needed
}
