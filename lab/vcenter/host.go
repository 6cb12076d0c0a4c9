package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// admitHost checks a host that is about to be added, or connected again: its container must run, and the password must
// be root's.
func (v *VCenter) admitHost(ctx context.Context, spec types.HostConnectSpec) *soap.Fault {
	machine, err := v.esxi(ctx, spec.HostName)
	if err != nil || machine.State != stateRunning {
		reason := "it does not run"
		if err != nil {
			reason = err.Error()
		}
		log.Printf("host %s refused: %s", spec.HostName, reason)
		return simulator.Fault(fmt.Sprintf("Cannot contact the specified host (%s): %s.", spec.HostName, reason),
			&types.NoHost{Name: spec.HostName})
	}
	if v.config.HostPassword != "" && (spec.UserName != "root" || spec.Password != v.config.HostPassword) {
		log.Printf("host %s refused: wrong user or password", spec.HostName)
		return simulator.Fault(
			"Cannot complete login to "+spec.HostName+" due to an incorrect user name or password.", &types.InvalidLogin{})
	}
	return nil
}

// esxi finds the container of an ESXi host.
func (v *VCenter) esxi(ctx context.Context, hostname string) (Machine, error) {
	machines, err := v.engine.Machines(ctx, kindESXi)
	if err != nil {
		return Machine{}, err
	}
	for _, machine := range machines {
		if machine.Name == shortName(hostname) {
			return machine, nil
		}
	}
	return Machine{}, fmt.Errorf("lab %s has no ESXi host %s", v.config.Lab, shortName(hostname))
}

// equipHost turns the simulator's template of a host into one of this site. Nobody else sees the host yet.
func (v *VCenter) equipHost(ctx *simulator.Context, host *simulator.HostSystem) {
	machine, err := v.esxi(ctx, host.Name)
	if err != nil {
		log.Printf("host %s: %v", host.Name, err) // it ended just now: HA notices
	}
	host.Hardware.MemorySize = v.config.HostMemory
	host.Summary.Hardware.MemorySize = v.config.HostMemory
	host.Hardware.CpuInfo.NumCpuCores = int16(v.config.HostCPUs)
	host.Hardware.CpuInfo.NumCpuThreads = int16(v.config.HostCPUs)
	host.Summary.Hardware.NumCpuCores = int16(v.config.HostCPUs)
	host.Summary.Hardware.NumCpuThreads = int16(v.config.HostCPUs)
	host.Summary.Hardware.Uuid = hostUUID(host.Name)
	host.Hardware.SystemInfo.Uuid = hostUUID(host.Name)
	host.Runtime.PowerState = types.HostSystemPowerStatePoweredOn
	host.Config.LockdownMode = types.HostLockdownModeLockdownDisabled
	host.Config.DateTimeInfo = &types.HostDateTimeInfo{NtpConfig: &types.HostNtpConfig{}}
	host.Datastore, host.Vm = nil, nil

	manager := &host.ConfigManager
	put := func(slot **types.ManagedObjectReference, kind string, object mo.Reference, self *types.ManagedObjectReference) {
		self.Type = kind // the registry would name it after our own type
		reference := ctx.Map.Put(object).Reference()
		*slot = &reference
	}
	network := newNetworkSystem(v, host, machine)
	put(&manager.NetworkSystem, "HostNetworkSystem", network, &network.Self)
	vnics := newVNICManager(host)
	put(&manager.VirtualNicManager, "HostVirtualNicManager", vnics, &vnics.Self)
	storage := newStorageSystem(v, host)
	put(&manager.StorageSystem, "HostStorageSystem", storage, &storage.Self)
	datastores := newDatastoreSystem(v, host)
	put(&manager.DatastoreSystem, "HostDatastoreSystem", datastores, &datastores.Self)
	access := &accessManager{host: host}
	put(&manager.HostAccessManager, "HostAccessManager", access, &access.Self)
	clock := &dateTimeSystem{host: host}
	put(&manager.DateTimeSystem, "HostDateTimeSystem", clock, &clock.Self)
	services := &serviceSystem{host: host}
	put(&manager.ServiceSystem, "HostServiceSystem", services, &services.Self)
	vsan := &vsanSystem{}
	vsan.Config = types.VsanHostConfigInfo{Enabled: types.NewBool(false)}
	put(&manager.VsanSystem, "HostVsanSystem", vsan, &vsan.Self)
}

// accessManager sets a host's lockdown mode.
type accessManager struct {
	mo.HostAccessManager
	host *simulator.HostSystem
}

// ChangeLockdownMode sets the mode.
func (a *accessManager) ChangeLockdownMode(ctx *simulator.Context, req *types.ChangeLockdownMode) soap.HasFault {
	a.LockdownMode = req.Mode
	ctx.WithLock(a.host, func() { a.host.Config.LockdownMode = req.Mode })
	return &methods.ChangeLockdownModeBody{Res: new(types.ChangeLockdownModeResponse)}
}

// dateTimeSystem sets a host's time sources.
type dateTimeSystem struct {
	mo.HostDateTimeSystem
	host *simulator.HostSystem
}

// UpdateDateTimeConfig sets the NTP servers.
func (d *dateTimeSystem) UpdateDateTimeConfig(ctx *simulator.Context, req *types.UpdateDateTimeConfig) soap.HasFault {
	if req.Config.NtpConfig != nil {
		ctx.WithLock(d.host, func() { d.host.Config.DateTimeInfo.NtpConfig = req.Config.NtpConfig })
	}
	return &methods.UpdateDateTimeConfigBody{Res: new(types.UpdateDateTimeConfigResponse)}
}

// serviceSystem runs a host's services (ntpd, SSH, …).
type serviceSystem struct {
	mo.HostServiceSystem
	host *simulator.HostSystem
}

// change applies f to a service of the host.
func (s *serviceSystem) change(ctx *simulator.Context, id string, f func(*types.HostService)) (fault *soap.Fault) {
	ctx.WithLock(s.host, func() {
		services := s.host.Config.Service.Service
		i := slices.IndexFunc(services, func(service types.HostService) bool { return service.Key == id })
		if i < 0 {
			fault = notFound("service", id)
			return
		}
		f(&services[i])
		s.ServiceInfo = *s.host.Config.Service
	})
	return fault
}

// StartService starts a service.
func (s *serviceSystem) StartService(ctx *simulator.Context, req *types.StartService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(service *types.HostService) { service.Running = true })
	return &methods.StartServiceBody{Fault_: fault, Res: new(types.StartServiceResponse)}
}

// StopService stops a service.
func (s *serviceSystem) StopService(ctx *simulator.Context, req *types.StopService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(service *types.HostService) { service.Running = false })
	return &methods.StopServiceBody{Fault_: fault, Res: new(types.StopServiceResponse)}
}

// RestartService starts a service anew.
func (s *serviceSystem) RestartService(ctx *simulator.Context, req *types.RestartService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(service *types.HostService) { service.Running = true })
	return &methods.RestartServiceBody{Fault_: fault, Res: new(types.RestartServiceResponse)}
}

// UpdateServicePolicy says when a service starts by itself.
func (s *serviceSystem) UpdateServicePolicy(ctx *simulator.Context, req *types.UpdateServicePolicy) soap.HasFault {
	fault := s.change(ctx, req.Id, func(service *types.HostService) { service.Policy = req.Policy })
	return &methods.UpdateServicePolicyBody{Fault_: fault, Res: new(types.UpdateServicePolicyResponse)}
}

// vsanSystem says that a host takes no part in vSAN.
type vsanSystem struct{ mo.HostVsanSystem }

// hostMethods are the methods of HostSystem that the lab adds or replaces.
type hostMethods struct {
	stub
	vcenter *VCenter
}

// DestroyTask takes a host, its mounts and its membership out of the inventory. Its container stays.
func (m *hostMethods) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	task := runTask(ctx, req.This, "destroy", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		host := ctx.Map.Get(req.This).(*simulator.HostSystem)
		parent := *host.Parent
		m.vcenter.unmountAll(ctx, host)
		networks := ctx.Map.Get(*host.ConfigManager.NetworkSystem).(*networkSystem)
		for _, group := range networks.NetworkInfo.Portgroup {
			networks.leaveNetwork(ctx, group.Spec.Name)
		}
		var started soap.HasFault
		ctx.WithLock(host, func() { started = host.DestroyTask(ctx, req) })
		if _, fault := waitTask(ctx, started.(*methods.Destroy_TaskBody).Res.Returnval); fault != nil {
			return nil, fault
		}
		if cluster, ok := ctx.Map.Get(parent).(*simulator.ClusterComputeResource); ok {
			ctx.WithLock(cluster, func() {
				simulator.RemoveReference(&cluster.Host, host.Self)
				summary := cluster.Summary.GetComputeResourceSummary()
				summary.NumHosts--
				summary.NumEffectiveHosts--
				summary.TotalMemory -= host.Summary.Hardware.MemorySize
				summary.EffectiveMemory -= host.Summary.Hardware.MemorySize
				summary.TotalCpu -= host.Summary.Hardware.CpuMhz
				summary.EffectiveCpu -= host.Summary.Hardware.CpuMhz
				summary.NumCpuCores -= host.Summary.Hardware.NumCpuCores
				summary.NumCpuThreads -= host.Summary.Hardware.NumCpuThreads
			})
		}
		log.Printf("host %s removed from the inventory", host.Name)
		return nil, nil
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task}}
}

// ReconnectHostTask connects a host again, under the conditions of adding it.
func (m *hostMethods) ReconnectHostTask(ctx *simulator.Context, req *types.ReconnectHost_Task) soap.HasFault {
	host := ctx.Map.Get(req.This).(*simulator.HostSystem)
	spec := types.HostConnectSpec{HostName: host.Name, UserName: "root", Password: m.vcenter.config.HostPassword}
	if req.CnxSpec != nil && req.CnxSpec.Password != "" {
		spec.UserName, spec.Password = req.CnxSpec.UserName, req.CnxSpec.Password
	}
	if fault := m.vcenter.admitHost(ctx, spec); fault != nil {
		return &methods.ReconnectHost_TaskBody{Fault_: fault}
	}
	var result soap.HasFault
	ctx.WithLock(host, func() { result = host.ReconnectHostTask(ctx, req) })
	return result
}

// maintenancePoll is how often a host that is entering maintenance mode looks whether its last VM has gone.
const maintenancePoll = 100 * time.Millisecond

// EnterMaintenanceModeTask empties a host: where DRS is on its VMs move away at once; elsewhere the task waits until
// somebody has moved or stopped them, or its timeout (seconds; 0 is none) is over.
func (m *hostMethods) EnterMaintenanceModeTask(
	ctx *simulator.Context, req *types.EnterMaintenanceMode_Task,
) soap.HasFault {
	task := runTask(ctx, req.This, "enterMaintenanceMode",
		func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
			host := ctx.Map.Get(req.This).(*simulator.HostSystem)
			if host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
				return nil, &types.HostNotConnected{}
			}
			deadline := time.Now().Add(time.Duration(req.Timeout) * time.Second)
			for {
				m.vcenter.evacuate(ctx, host, req.EvacuatePoweredOffVms != nil && *req.EvacuatePoweredOffVms)
				if m.vcenter.poweredOn(ctx, host) == 0 {
					break
				}
				if req.Timeout > 0 && time.Now().After(deadline) {
					return nil, &types.Timedout{}
				}
				time.Sleep(maintenancePoll)
			}
			ctx.AutoUpdate(host, func() { host.Runtime.InMaintenanceMode = true })
			log.Printf("host %s is in maintenance mode", host.Name)
			return nil, nil
		})
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task}}
}

// poweredOn counts the VMs that run on a host.
func (v *VCenter) poweredOn(ctx *simulator.Context, host *simulator.HostSystem) int {
	running := 0
	for _, vm := range v.vms(ctx) {
		if vm.host == host.Self && vm.poweredOn {
			running++
		}
	}
	return running
}

// evacuate moves a host's VMs to others of its cluster, if DRS may do that by itself.
func (v *VCenter) evacuate(ctx *simulator.Context, host *simulator.HostSystem, poweredOff bool) {
	cluster, ok := ctx.Map.Get(*host.Parent).(*simulator.ClusterComputeResource)
	if !ok {
		return
	}
	drs := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig
	if drs.Enabled == nil || !*drs.Enabled || drs.DefaultVmBehavior != types.DrsBehaviorFullyAutomated {
		return
	}
	site := v.site(ctx, cluster)
	site.exclude(host.Self)
	for _, vm := range v.vms(ctx) {
		if vm.host != host.Self || (!vm.poweredOn && !poweredOff) {
			continue
		}
		target, reason := site.place(vm.reference, vm.memory)
		if target == nil {
			log.Printf("maintenance of %s: VM %s stays: %s", host.Name, vm.name, reason)
			continue
		}
		v.moveVM(ctx, vm.reference, *target)
		site.put(vm.reference, *target, vm.memory, vm.poweredOn)
		log.Printf("maintenance of %s: VM %s moved to %s", host.Name, vm.name, v.hostName(ctx, *target))
	}
}

// hostName is the name of a host in the inventory.
func (v *VCenter) hostName(ctx *simulator.Context, reference types.ManagedObjectReference) string {
	if host, ok := ctx.Map.Get(reference).(*simulator.HostSystem); ok {
		return host.Name
	}
	return reference.Value
}

// host finds a host in the inventory by its short or full name; nil if it has not been added.
func (v *VCenter) host(ctx *simulator.Context, name string) *simulator.HostSystem {
	for _, entity := range ctx.Map.All("HostSystem") {
		if host := entity.(*simulator.HostSystem); shortName(host.Name) == shortName(name) {
			return host
		}
	}
	return nil
}

// datacenterOf finds the datacenter that contains an entity; nil if it has been taken out of the inventory.
func (v *VCenter) datacenterOf(ctx *simulator.Context, entity mo.Entity) *simulator.Datacenter {
	for parent := entity.Entity().Parent; parent != nil; {
		object, ok := ctx.Map.Get(*parent).(mo.Entity)
		if !ok {
			return nil
		}
		if datacenter, ok := object.(*simulator.Datacenter); ok {
			return datacenter
		}
		parent = object.Entity().Parent
	}
	return nil
}
