package main

import (
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	physicalNICs     = 6 // vmnic0 … vmnic5: two each for management, guests and storage
	managementSwitch = "vSwitch0"
	managementGroup  = "Management Network"
	guestGroup       = "VM Network"
	defaultMTU       = 1500
	defaultNetstack  = "defaultTcpipStack"
	vnicKeyPrefix    = "key-vim.host.VirtualNic-"
)

// networkSystem is an ESXi host's network: switches, port groups, VMkernel adapters. Its network information and that of
// the host's configuration are one.
type networkSystem struct {
	mo.HostNetworkSystem
	vcenter *VCenter
	host    *simulator.HostSystem
}

// newNetworkSystem gives the host the network of a fresh installation, managed at its container's first address.
func newNetworkSystem(v *VCenter, host *simulator.HostSystem, machine Machine) *networkSystem {
	network := &types.HostNetworkInfo{
		NetStackInstance: []types.HostNetStackInstance{
			{Key: defaultNetstack, Name: defaultNetstack}, {Key: "vmotion"}, {Key: "vSphereProvisioning"},
		},
		DnsConfig:     host.Config.Network.DnsConfig,
		IpRouteConfig: host.Config.Network.IpRouteConfig,
	}
	for i := range physicalNICs {
		device := fmt.Sprintf("vmnic%d", i)
		network.Pnic = append(network.Pnic, types.PhysicalNic{
			Key: "key-vim.host.PhysicalNic-" + device, Device: device, Driver: "nvmxnet3",
			Pci: fmt.Sprintf("0000:%02x:00.0", 3+i), Mac: macAddress(host.Name, device),
			LinkSpeed: &types.PhysicalNicLinkInfo{SpeedMb: 10000, Duplex: true},
			Spec:      types.PhysicalNicSpec{LinkSpeed: &types.PhysicalNicLinkInfo{SpeedMb: 10000, Duplex: true}},
		})
	}
	system := &networkSystem{vcenter: v, host: host}
	system.NetworkInfo = network
	host.Config.Network = network

	system.putSwitch(managementSwitch, &types.HostVirtualSwitchSpec{
		NumPorts: 128, Mtu: defaultMTU, Policy: defaultPolicy("vmnic0"),
		Bridge: &types.HostVirtualSwitchBondBridge{NicDevice: []string{"vmnic0"}},
	})
	for _, name := range []string{guestGroup, managementGroup} {
		system.putPortGroup(types.HostPortGroupSpec{Name: name, VswitchName: managementSwitch})
	}
	ip := &types.HostIpConfig{}
	if len(machine.Addresses) > 0 {
		ip.IpAddress = machine.Addresses[0].String()
		ip.SubnetMask = net.IP(net.CIDRMask(machine.Prefix, 32)).String()
	}
	system.putVNIC(types.HostVirtualNic{
		Device: "vmk0", Portgroup: managementGroup, Spec: types.HostVirtualNicSpec{Ip: ip},
	})
	return system
}

// defaultPolicy is the policy of a new standard switch (vSphere Networking, "vSphere Standard Switch").
func defaultPolicy(uplinks ...string) *types.HostNetworkPolicy {
	yes, no := types.NewBool(true), types.NewBool(false)
	return &types.HostNetworkPolicy{
		Security: &types.HostNetworkSecurityPolicy{AllowPromiscuous: no, MacChanges: no, ForgedTransmits: no},
		NicTeaming: &types.HostNicTeamingPolicy{
			Policy: "loadbalance_srcid", ReversePolicy: yes, NotifySwitches: yes, RollingOrder: no,
			FailureCriteria: &types.HostNicFailureCriteria{CheckBeacon: no},
			NicOrder:        &types.HostNicOrderPolicy{ActiveNic: uplinks},
		},
		ShapingPolicy: &types.HostNetworkTrafficShapingPolicy{Enabled: no},
	}
}

// macAddress is a stable address in VMware's range for a device of a host.
func macAddress(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x60|sum[0]&0x0f, sum[1], sum[2])
}

// edit runs a change under the host's lock: its configuration shares the network information.
func (s *networkSystem) edit(ctx *simulator.Context, change func() *soap.Fault) (fault *soap.Fault) {
	ctx.WithLock(s.host, func() { fault = change() })
	return fault
}

// AddVirtualSwitch adds a standard switch.
func (s *networkSystem) AddVirtualSwitch(ctx *simulator.Context, req *types.AddVirtualSwitch) soap.HasFault {
	body := &methods.AddVirtualSwitchBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		if s.switchIndex(req.VswitchName) >= 0 {
			return simulator.Fault("virtual switch "+req.VswitchName+" exists already",
				&types.AlreadyExists{Name: req.VswitchName})
		}
		if fault := s.checkUplinks(req.VswitchName, req.Spec); fault != nil {
			return fault
		}
		s.putSwitch(req.VswitchName, req.Spec)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.AddVirtualSwitchResponse)
	}
	return body
}

// UpdateVirtualSwitch replaces a standard switch's settings.
func (s *networkSystem) UpdateVirtualSwitch(ctx *simulator.Context, req *types.UpdateVirtualSwitch) soap.HasFault {
	body := &methods.UpdateVirtualSwitchBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		if s.switchIndex(req.VswitchName) < 0 {
			return notFound("virtual switch", req.VswitchName)
		}
		if fault := s.checkUplinks(req.VswitchName, &req.Spec); fault != nil {
			return fault
		}
		s.putSwitch(req.VswitchName, &req.Spec)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.UpdateVirtualSwitchResponse)
	}
	return body
}

// RemoveVirtualSwitch removes a standard switch without VMkernel adapters on it, with its port groups.
func (s *networkSystem) RemoveVirtualSwitch(ctx *simulator.Context, req *types.RemoveVirtualSwitch) soap.HasFault {
	body := &methods.RemoveVirtualSwitchBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		i := s.switchIndex(req.VswitchName)
		if i < 0 {
			return notFound("virtual switch", req.VswitchName)
		}
		var groups []string
		for _, group := range s.NetworkInfo.Portgroup {
			if group.Spec.VswitchName == req.VswitchName {
				groups = append(groups, group.Spec.Name)
			}
		}
		for _, group := range groups {
			if fault := s.removePortGroup(ctx, group); fault != nil {
				return fault
			}
		}
		s.NetworkInfo.Vswitch = slices.Delete(s.NetworkInfo.Vswitch, i, i+1)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.RemoveVirtualSwitchResponse)
	}
	return body
}

// checkUplinks refuses uplinks that don't exist or belong to another switch.
func (s *networkSystem) checkUplinks(name string, spec *types.HostVirtualSwitchSpec) *soap.Fault {
	for _, uplink := range uplinks(spec) {
		if !slices.ContainsFunc(s.NetworkInfo.Pnic, func(n types.PhysicalNic) bool { return n.Device == uplink }) {
			return notFound("physical adapter", uplink)
		}
		for _, other := range s.NetworkInfo.Vswitch {
			if other.Name != name && slices.Contains(uplinks(&other.Spec), uplink) {
				return simulator.Fault(uplink+" is an uplink of "+other.Name+" already",
					&types.ResourceInUse{Type: "PhysicalNic", Name: uplink})
			}
		}
	}
	return nil
}

func uplinks(spec *types.HostVirtualSwitchSpec) []string {
	if spec == nil {
		return nil
	}
	switch bridge := spec.Bridge.(type) {
	case *types.HostVirtualSwitchBondBridge:
		return bridge.NicDevice
	case *types.HostVirtualSwitchSimpleBridge:
		return []string{bridge.NicDevice}
	}
	return nil
}

func (s *networkSystem) switchIndex(name string) int {
	return slices.IndexFunc(s.NetworkInfo.Vswitch, func(v types.HostVirtualSwitch) bool { return v.Name == name })
}

// putSwitch adds a switch or replaces its settings; its port groups stay.
func (s *networkSystem) putSwitch(name string, spec *types.HostVirtualSwitchSpec) {
	if spec == nil {
		spec = &types.HostVirtualSwitchSpec{NumPorts: 128}
	}
	if spec.Mtu == 0 {
		spec.Mtu = defaultMTU
	}
	if spec.Policy == nil {
		spec.Policy = &types.HostNetworkPolicy{}
	}
	fillPolicy(spec.Policy, defaultPolicy(uplinks(spec)...))
	vswitch := types.HostVirtualSwitch{
		Name: name, Key: "key-vim.host.VirtualSwitch-" + name,
		NumPorts: spec.NumPorts, NumPortsAvailable: spec.NumPorts, Mtu: spec.Mtu, Spec: *spec,
	}
	for _, uplink := range uplinks(spec) {
		vswitch.Pnic = append(vswitch.Pnic, "key-vim.host.PhysicalNic-"+uplink)
	}
	if i := s.switchIndex(name); i >= 0 {
		vswitch.Portgroup = s.NetworkInfo.Vswitch[i].Portgroup
		s.NetworkInfo.Vswitch[i] = vswitch
	} else {
		s.NetworkInfo.Vswitch = append(s.NetworkInfo.Vswitch, vswitch)
	}
	for i := range s.NetworkInfo.Portgroup {
		if s.NetworkInfo.Portgroup[i].Spec.VswitchName == name {
			s.computePolicy(&s.NetworkInfo.Portgroup[i])
		}
	}
}

// fillPolicy completes a policy, part by part, with what is inherited.
func fillPolicy(policy, inherited *types.HostNetworkPolicy) {
	if policy.Security == nil {
		policy.Security = inherited.Security
	}
	if policy.ShapingPolicy == nil {
		policy.ShapingPolicy = inherited.ShapingPolicy
	}
	if policy.NicTeaming == nil {
		policy.NicTeaming = inherited.NicTeaming
	}
}

// AddPortGroup adds a port group. Groups of one name on several hosts are one network of the datacenter.
func (s *networkSystem) AddPortGroup(ctx *simulator.Context, req *types.AddPortGroup) soap.HasFault {
	body := &methods.AddPortGroupBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		if req.Portgrp.Name == "" {
			return simulator.Fault("a port group needs a name", &types.InvalidArgument{InvalidProperty: "portgrp.name"})
		}
		if s.portGroupIndex(req.Portgrp.Name) >= 0 {
			return simulator.Fault("port group "+req.Portgrp.Name+" exists already",
				&types.AlreadyExists{Name: req.Portgrp.Name})
		}
		if s.switchIndex(req.Portgrp.VswitchName) < 0 {
			return notFound("virtual switch", req.Portgrp.VswitchName)
		}
		s.putPortGroup(req.Portgrp)
		s.joinNetwork(ctx, req.Portgrp.Name)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.AddPortGroupResponse)
	}
	return body
}

// UpdatePortGroup replaces a port group's settings; its name can't change.
func (s *networkSystem) UpdatePortGroup(ctx *simulator.Context, req *types.UpdatePortGroup) soap.HasFault {
	body := &methods.UpdatePortGroupBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		if s.portGroupIndex(req.PgName) < 0 || req.Portgrp.Name != req.PgName {
			return notFound("port group", req.PgName)
		}
		if s.switchIndex(req.Portgrp.VswitchName) < 0 {
			return notFound("virtual switch", req.Portgrp.VswitchName)
		}
		s.putPortGroup(req.Portgrp)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.UpdatePortGroupResponse)
	}
	return body
}

// RemovePortGroup removes a port group that nothing is attached to.
func (s *networkSystem) RemovePortGroup(ctx *simulator.Context, req *types.RemovePortGroup) soap.HasFault {
	body := &methods.RemovePortGroupBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault { return s.removePortGroup(ctx, req.PgName) })
	if body.Fault_ == nil {
		body.Res = new(types.RemovePortGroupResponse)
	}
	return body
}

func (s *networkSystem) removePortGroup(ctx *simulator.Context, name string) *soap.Fault {
	i := s.portGroupIndex(name)
	if i < 0 {
		return notFound("port group", name)
	}
	for _, vnic := range s.NetworkInfo.Vnic {
		if vnic.Portgroup == name {
			return simulator.Fault("VMkernel adapter "+vnic.Device+" is on port group "+name,
				&types.ResourceInUse{Type: "HostPortGroup", Name: name})
		}
	}
	vswitch := s.NetworkInfo.Portgroup[i].Spec.VswitchName
	s.NetworkInfo.Portgroup = slices.Delete(s.NetworkInfo.Portgroup, i, i+1)
	if j := s.switchIndex(vswitch); j >= 0 {
		groups := &s.NetworkInfo.Vswitch[j].Portgroup
		*groups = slices.DeleteFunc(*groups, func(key string) bool { return key == portGroupKey(name) })
	}
	s.leaveNetwork(ctx, name)
	return nil
}

func portGroupKey(name string) string { return "key-vim.host.PortGroup-" + name }

func (s *networkSystem) portGroupIndex(name string) int {
	return slices.IndexFunc(s.NetworkInfo.Portgroup, func(g types.HostPortGroup) bool { return g.Spec.Name == name })
}

// putPortGroup adds a port group or replaces its settings.
func (s *networkSystem) putPortGroup(spec types.HostPortGroupSpec) {
	group := types.HostPortGroup{
		Key: portGroupKey(spec.Name), Spec: spec, Vswitch: "key-vim.host.VirtualSwitch-" + spec.VswitchName,
	}
	s.computePolicy(&group)
	if i := s.portGroupIndex(spec.Name); i >= 0 {
		s.NetworkInfo.Portgroup[i] = group
		return
	}
	s.NetworkInfo.Portgroup = append(s.NetworkInfo.Portgroup, group)
	vswitch := &s.NetworkInfo.Vswitch[s.switchIndex(spec.VswitchName)]
	vswitch.Portgroup = append(vswitch.Portgroup, group.Key)
}

// computePolicy works out the policy in force: the group's own, and for what that leaves open, its switch's.
func (s *networkSystem) computePolicy(group *types.HostPortGroup) {
	group.ComputedPolicy = group.Spec.Policy
	fillPolicy(&group.ComputedPolicy, s.NetworkInfo.Vswitch[s.switchIndex(group.Spec.VswitchName)].Spec.Policy)
	teaming, inherited := group.ComputedPolicy.NicTeaming, s.NetworkInfo.Vswitch[s.switchIndex(group.Spec.VswitchName)].
		Spec.Policy.NicTeaming
	if inherited == nil || teaming == inherited {
		return
	}
	computed := *teaming
	if computed.NicOrder == nil {
		computed.NicOrder = inherited.NicOrder
	}
	if computed.Policy == "" {
		computed.Policy = inherited.Policy
	}
	group.ComputedPolicy.NicTeaming = &computed
}

// joinNetwork makes the host a member of the datacenter's network of that name, which may be new.
func (s *networkSystem) joinNetwork(ctx *simulator.Context, name string) {
	datacenter := s.vcenter.datacenterOf(ctx, s.host)
	if datacenter == nil {
		return
	}
	var network *mo.Network
	if found, ok := ctx.Map.FindByName(name, datacenter.Network).(*mo.Network); ok {
		network = found
	} else {
		network = &mo.Network{Name: name}
		network.Entity().Name = name
		folder := ctx.Map.Get(datacenter.NetworkFolder).(*simulator.Folder)
		ctx.Map.PutEntity(folder, ctx.Map.NewEntity(network))
		network.Summary = &types.NetworkSummary{Network: &network.Self, Name: name, Accessible: true}
		ctx.Map.AppendReference(ctx, folder, &folder.ChildEntity, network.Self)
		ctx.Map.AppendReference(ctx, datacenter, &datacenter.Network, network.Self)
	}
	ctx.Map.AddReference(ctx, network, &network.Host, s.host.Self)
	ctx.Map.AddReference(ctx, s.host, &s.host.Network, network.Self)
	if cluster, ok := ctx.Map.Get(*s.host.Parent).(*simulator.ClusterComputeResource); ok {
		ctx.Map.AddReference(ctx, cluster, &cluster.Network, network.Self)
	}
}

// leaveNetwork ends the host's membership; a network without hosts goes.
func (s *networkSystem) leaveNetwork(ctx *simulator.Context, name string) {
	datacenter := s.vcenter.datacenterOf(ctx, s.host)
	if datacenter == nil {
		return
	}
	network, ok := ctx.Map.FindByName(name, datacenter.Network).(*mo.Network)
	if !ok {
		return
	}
	ctx.Map.RemoveReference(ctx, network, &network.Host, s.host.Self)
	ctx.Map.RemoveReference(ctx, s.host, &s.host.Network, network.Self)
	if len(network.Host) > 0 || name == guestGroup {
		return
	}
	if cluster, ok := ctx.Map.Get(*s.host.Parent).(*simulator.ClusterComputeResource); ok {
		ctx.Map.RemoveReference(ctx, cluster, &cluster.Network, network.Self)
	}
	folder := ctx.Map.Get(datacenter.NetworkFolder).(*simulator.Folder)
	ctx.Map.RemoveReference(ctx, folder, &folder.ChildEntity, network.Self)
	ctx.Map.RemoveReference(ctx, datacenter, &datacenter.Network, network.Self)
	ctx.Map.Remove(ctx, network.Self)
}

// AddVirtualNic adds a VMkernel adapter: the host's container gets its address, on the lab network that contains it.
func (s *networkSystem) AddVirtualNic(ctx *simulator.Context, req *types.AddVirtualNic) soap.HasFault {
	body := &methods.AddVirtualNicBody{}
	group := req.Portgroup
	if group == "" {
		group = req.Nic.Portgroup
	}
	var device string
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		if s.portGroupIndex(group) < 0 {
			return notFound("port group", group)
		}
		if fault := s.connect(ctx, req.Nic.Ip); fault != nil {
			return fault
		}
		device = s.freeDevice()
		s.putVNIC(types.HostVirtualNic{Device: device, Portgroup: group, Spec: req.Nic})
		return nil
	})
	if body.Fault_ == nil {
		body.Res = &types.AddVirtualNicResponse{Returnval: device}
	}
	return body
}

// UpdateVirtualNic changes a VMkernel adapter; with a new address its container moves.
func (s *networkSystem) UpdateVirtualNic(ctx *simulator.Context, req *types.UpdateVirtualNic) soap.HasFault {
	body := &methods.UpdateVirtualNicBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		i := s.vnicIndex(req.Device)
		if i < 0 {
			return notFound("VMkernel adapter", req.Device)
		}
		vnic := s.NetworkInfo.Vnic[i]
		if req.Nic.Portgroup != "" {
			if s.portGroupIndex(req.Nic.Portgroup) < 0 {
				return notFound("port group", req.Nic.Portgroup)
			}
			vnic.Portgroup = req.Nic.Portgroup
		}
		before, after := address(vnic.Spec.Ip), address(req.Nic.Ip)
		if req.Nic.Ip != nil && before != after {
			if fault := s.disconnect(ctx, vnic.Spec.Ip); fault != nil {
				return fault
			}
			if fault := s.connect(ctx, req.Nic.Ip); fault != nil {
				return fault
			}
		}
		fillUnset(&req.Nic, &vnic.Spec)
		vnic.Spec = req.Nic
		s.putVNIC(vnic)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.UpdateVirtualNicResponse)
	}
	return body
}

// RemoveVirtualNic removes a VMkernel adapter, and its address from the host's container.
func (s *networkSystem) RemoveVirtualNic(ctx *simulator.Context, req *types.RemoveVirtualNic) soap.HasFault {
	body := &methods.RemoveVirtualNicBody{}
	body.Fault_ = s.edit(ctx, func() *soap.Fault {
		i := s.vnicIndex(req.Device)
		if i < 0 {
			return notFound("VMkernel adapter", req.Device)
		}
		if fault := s.disconnect(ctx, s.NetworkInfo.Vnic[i].Spec.Ip); fault != nil {
			return fault
		}
		s.NetworkInfo.Vnic = slices.Delete(s.NetworkInfo.Vnic, i, i+1)
		s.vnicManager(ctx).forget(req.Device)
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.RemoveVirtualNicResponse)
	}
	return body
}

func (s *networkSystem) connect(ctx *simulator.Context, config *types.HostIpConfig) *soap.Fault {
	ip := address(config)
	if !ip.IsValid() {
		return nil
	}
	if err := s.vcenter.engine.Connect(ctx, kindESXi, shortName(s.host.Name), ip); err != nil {
		log.Printf("host %s: VMkernel adapter %s: %v", s.host.Name, ip, err)
		return simulator.Fault(fmt.Sprintf("%s: %v", s.host.Name, err), &types.HostConfigFault{})
	}
	log.Printf("host %s: VMkernel adapter at %s", s.host.Name, ip)
	return nil
}

func (s *networkSystem) disconnect(ctx *simulator.Context, config *types.HostIpConfig) *soap.Fault {
	ip := address(config)
	if !ip.IsValid() {
		return nil
	}
	if err := s.vcenter.engine.Disconnect(ctx, kindESXi, shortName(s.host.Name), ip); err != nil {
		return simulator.Fault(fmt.Sprintf("%s: %v", s.host.Name, err), &types.HostConfigFault{})
	}
	log.Printf("host %s: no VMkernel adapter at %s any more", s.host.Name, ip)
	return nil
}

// address is the static IPv4 address of a configuration; not valid if there is none.
func address(config *types.HostIpConfig) netip.Addr {
	if config == nil || config.Dhcp {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(config.IpAddress)
	if err != nil {
		return netip.Addr{}
	}
	return ip
}

func (s *networkSystem) vnicIndex(device string) int {
	return slices.IndexFunc(s.NetworkInfo.Vnic, func(v types.HostVirtualNic) bool { return v.Device == device })
}

func (s *networkSystem) freeDevice() string {
	for i := 0; ; i++ {
		if device := fmt.Sprintf("vmk%d", i); s.vnicIndex(device) < 0 {
			return device
		}
	}
}

// putVNIC adds a VMkernel adapter or replaces it.
func (s *networkSystem) putVNIC(vnic types.HostVirtualNic) {
	vnic.Key = vnicKeyPrefix + vnic.Device
	vnic.Spec.Portgroup = vnic.Portgroup
	if vnic.Spec.Mac == "" {
		vnic.Spec.Mac = macAddress(s.host.Name, vnic.Device)
	}
	if vnic.Spec.Mtu == 0 {
		vnic.Spec.Mtu = defaultMTU
	}
	if vnic.Spec.NetStackInstanceKey == "" {
		vnic.Spec.NetStackInstanceKey = defaultNetstack
	}
	if vnic.Spec.Ip == nil {
		vnic.Spec.Ip = &types.HostIpConfig{}
	}
	if i := s.vnicIndex(vnic.Device); i >= 0 {
		s.NetworkInfo.Vnic[i] = vnic
	} else {
		s.NetworkInfo.Vnic = append(s.NetworkInfo.Vnic, vnic)
	}
}

func (s *networkSystem) vnicManager(ctx *simulator.Context) *vnicManager {
	return ctx.Map.Get(*s.host.ConfigManager.VirtualNicManager).(*vnicManager)
}

// vnicManager says which VMkernel adapters carry which services.
type vnicManager struct {
	mo.HostVirtualNicManager
	host *simulator.HostSystem
}

// newVNICManager starts with management traffic on vmk0.
func newVNICManager(host *simulator.HostSystem) *vnicManager {
	m := &vnicManager{host: host}
	for _, kind := range []types.HostVirtualNicManagerNicType{
		types.HostVirtualNicManagerNicTypeManagement, types.HostVirtualNicManagerNicTypeVmotion,
		types.HostVirtualNicManagerNicTypeVsan, types.HostVirtualNicManagerNicTypeFaultToleranceLogging,
		types.HostVirtualNicManagerNicTypeVSphereProvisioning,
	} {
		m.Info.NetConfig = append(m.Info.NetConfig, types.VirtualNicManagerNetConfig{
			NicType: string(kind), MultiSelectAllowed: true,
		})
	}
	m.selectVNIC(string(types.HostVirtualNicManagerNicTypeManagement), "vmk0")
	host.Config.VirtualNicManagerInfo = &m.Info
	return m
}

// QueryNetConfig returns the adapters that carry one service, and those that could.
func (m *vnicManager) QueryNetConfig(ctx *simulator.Context, req *types.QueryNetConfig) soap.HasFault {
	body := &methods.QueryNetConfigBody{}
	ctx.WithLock(m.host, func() {
		config := m.config(req.NicType)
		if config == nil {
			body.Fault_ = notFound("service", req.NicType)
			return
		}
		answer := *config
		answer.CandidateVnic = m.host.Config.Network.Vnic
		body.Res = &types.QueryNetConfigResponse{Returnval: &answer}
	})
	return body
}

// SelectVnicForNicType lets an adapter carry a service.
func (m *vnicManager) SelectVnicForNicType(ctx *simulator.Context, req *types.SelectVnicForNicType) soap.HasFault {
	body := &methods.SelectVnicForNicTypeBody{}
	ctx.WithLock(m.host, func() {
		if m.config(req.NicType) == nil {
			body.Fault_ = notFound("service", req.NicType)
			return
		}
		m.selectVNIC(req.NicType, req.Device)
		body.Res = new(types.SelectVnicForNicTypeResponse)
	})
	return body
}

// DeselectVnicForNicType takes a service off an adapter.
func (m *vnicManager) DeselectVnicForNicType(ctx *simulator.Context, req *types.DeselectVnicForNicType) soap.HasFault {
	body := &methods.DeselectVnicForNicTypeBody{}
	ctx.WithLock(m.host, func() {
		config := m.config(req.NicType)
		if config == nil {
			body.Fault_ = notFound("service", req.NicType)
			return
		}
		config.SelectedVnic = slices.DeleteFunc(config.SelectedVnic,
			func(key string) bool { return key == selectionKey(req.NicType, req.Device) })
		body.Res = new(types.DeselectVnicForNicTypeResponse)
	})
	return body
}

func (m *vnicManager) config(kind string) *types.VirtualNicManagerNetConfig {
	for i := range m.Info.NetConfig {
		if m.Info.NetConfig[i].NicType == kind {
			return &m.Info.NetConfig[i]
		}
	}
	return nil
}

func (m *vnicManager) selectVNIC(kind, device string) {
	config := m.config(kind)
	if key := selectionKey(kind, device); !slices.Contains(config.SelectedVnic, key) {
		config.SelectedVnic = append(config.SelectedVnic, key)
	}
}

// forget takes every service off an adapter that is being removed.
func (m *vnicManager) forget(device string) {
	for i := range m.Info.NetConfig {
		config := &m.Info.NetConfig[i]
		config.SelectedVnic = slices.DeleteFunc(config.SelectedVnic,
			func(key string) bool { return key == selectionKey(config.NicType, device) })
	}
}

// services lists what an adapter carries.
func (m *vnicManager) services(device string) []string {
	services := []string{}
	for _, config := range m.Info.NetConfig {
		if slices.Contains(config.SelectedVnic, selectionKey(config.NicType, device)) {
			services = append(services, config.NicType)
		}
	}
	return services
}

func selectionKey(kind, device string) string { return kind + "." + vnicKeyPrefix + device }

// notFound is the fault for something that a host does not have.
func notFound(kind, name string) *soap.Fault {
	return simulator.Fault(fmt.Sprintf("no %s %q", kind, name), &types.NotFound{})
}
