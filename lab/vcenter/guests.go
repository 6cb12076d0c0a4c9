package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"gopkg.in/yaml.v3"
)

// reconcileInterval is how often guests are compared with the inventory when no event asks for it.
const reconcileInterval = 2 * time.Second

// guests makes the containers follow the inventory: a VM that is powered on, on a host that answers, is one that runs.
// A container is made at the first power-on and kept until its VM is destroyed: its file system stands for the VM's disks
// on the SAN, which outlive the host that the VM runs on. guestinfo.* reaches it as environment once, when it is made.
type guests struct {
	vcenter *VCenter
	kick    chan struct{}
	run     string // of this process: references to VMs repeat from one to the next

	mu      sync.Mutex
	changed *sync.Cond // any guest's state
	byVM    map[types.ManagedObjectReference]*guest
}

// guest is what the reconciler remembers of one VM's container.
type guest struct {
	name      string
	id        string    // of the container
	state     string    // as last seen; "" before there is a container
	busy      bool      // an operation on the container is under way
	started   bool      // by us, since the VM was powered on: if it has ended, it did so by itself
	shutdown  bool      // the VM is shutting down in an orderly way
	stopping  bool      // the operation under way waits for the guest to shut down
	unplugged bool      // its plug is being pulled: how the guest ends is nobody else's affair
	since     time.Time // when the guest was started last
	acted     time.Time // when the last operation ended: what was seen of the container before is stale
	frozen    time.Time // when the guest was first seen paused; zero while it runs
	failure   string    // why the last operation failed
	facts     string    // what the inventory shows of the guest, in short
	addresses []netip.Addr
}

func newGuests(v *VCenter) *guests {
	g := &guests{vcenter: v, kick: make(chan struct{}, 1), run: uuid.NewString(), byVM: map[types.ManagedObjectReference]*guest{}}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// label tells a VM's container from those of other VMs of that name, in this or an earlier run.
func (g *guests) label(vm types.ManagedObjectReference) string { return g.run + "/" + vm.Value }

// wake asks for a comparison soon. It never blocks.
func (g *guests) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// follow reconciles until ctx ends.
func (g *guests) follow(ctx context.Context) {
	go g.vcenter.engine.Watch(ctx, g.wake, func(kind, name string, at time.Time) {
		if kind == kindESXi {
			g.vcenter.ha.hostEnded(name, at)
		}
	})
	ticker := time.NewTicker(reconcileInterval)
	defer ticker.Stop()
	go g.vcenter.ha.probe(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.kick:
		case <-ticker.C:
		}
		if err := g.reconcile(ctx); err != nil && ctx.Err() == nil {
			log.Printf("containers can't be listed: %v", err)
		}
	}
}

// reconcile compares every host and VM of the inventory with its container once.
func (g *guests) reconcile(ctx context.Context) error {
	looked := time.Now()
	hosts, err := g.vcenter.engine.Machines(ctx, kindESXi)
	if err != nil {
		return err
	}
	g.vcenter.ha.observeHosts(ctx, hosts, looked)
	looked = time.Now()
	machines, err := g.vcenter.engine.Machines(ctx, kindGuest)
	if err != nil {
		return err
	}
	containers := map[string]Machine{}
	for _, machine := range machines {
		containers[machine.VM] = machine
	}
	inventory := map[types.ManagedObjectReference]bool{}
	for _, vm := range g.vcenter.vms(g.vcenter.context()) {
		inventory[vm.reference] = true
		if !vm.template {
			container, exists := containers[g.label(vm.reference)]
			g.settle(ctx, vm, container, exists, looked)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for reference, known := range g.byVM {
		if !inventory[reference] && !known.busy {
			g.discard(ctx, reference, known)
		}
	}
	g.changed.Broadcast()
	return nil
}

// settle takes the next step, if any, that brings one guest to where its VM wants it.
func (g *guests) settle(ctx context.Context, vm vmState, container Machine, exists bool, looked time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.byVM[vm.reference]
	if known == nil {
		known = &guest{name: vm.name}
		g.byVM[vm.reference] = known
	}
	wanted := vm.poweredOn && (vm.connected || g.vcenter.ha.runsIsolated(vm))
	if known.busy && known.stopping && !wanted { // the plug was pulled while it shuts down
		known.stopping = false
		go func() { _ = g.vcenter.engine.Kill(ctx, container.ID, nil) }() // whether it worked shows when the shutdown returns
	}
	if known.busy || known.unplugged || known.acted.After(looked) {
		return
	}
	known.id, known.state, known.addresses = container.ID, container.State, container.Addresses
	alive := container.State == stateRunning || container.State == statePaused
	switch {
	case wanted && alive:
		known.started = true
		g.watchHeartbeat(vm, known)
		g.show(vm, known, container)
	case wanted && !known.started:
		g.act(known, func() error { return g.start(ctx, vm, known, container, exists) })
	case wanted: // it ended by itself
		g.act(known, func() error { return g.ended(ctx, vm, known) })
	case alive:
		g.act(known, func() error {
			log.Printf("guest %s: off", vm.name)
			return g.vcenter.engine.Kill(ctx, container.ID, nil)
		})
	default:
		known.started, known.shutdown, known.frozen = false, false, time.Time{}
		g.show(vm, known, container)
	}
}

// act runs one operation on a container without holding up the others. The caller holds mu.
func (g *guests) act(known *guest, operation func() error) {
	known.busy = true
	go func() {
		err := operation()
		g.mu.Lock()
		failure := ""
		if err != nil {
			failure = err.Error()
		}
		if failure != "" && failure != known.failure {
			log.Printf("guest %s: %s", known.name, failure)
		}
		known.busy, known.failure, known.acted = false, failure, time.Now()
		g.changed.Broadcast()
		g.mu.Unlock()
		if err == nil {
			g.wake()
		}
	}()
}

// start runs a guest's container, making it first if there is none.
func (g *guests) start(ctx context.Context, vm vmState, known *guest, container Machine, exists bool) error {
	id := container.ID
	if !exists {
		spec, err := g.spec(vm)
		if err != nil {
			return err
		}
		if id, err = g.vcenter.engine.CreateGuest(ctx, spec); err != nil {
			return err
		}
		log.Printf("guest %s: container made from %s, addresses %v", vm.name, spec.Image, spec.Addresses)
	} else if err := g.vcenter.engine.Resize(ctx, id, vm.memory, vm.cpus); err != nil {
		return err
	}
	if err := g.vcenter.engine.Start(ctx, id); err != nil {
		return err
	}
	log.Printf("guest %s: started on %s", vm.name, g.vcenter.hostName(g.vcenter.context(), vm.host))
	g.mu.Lock()
	known.id, known.started, known.shutdown, known.since = id, true, false, time.Now()
	g.mu.Unlock()
	return nil
}

// ended deals with a guest that stopped while its VM was powered on.
func (g *guests) ended(ctx context.Context, vm vmState, known *guest) error {
	code, err := g.vcenter.engine.ExitCode(ctx, known.id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	orderly := known.shutdown
	g.mu.Unlock()
	sim := g.vcenter.context()
	machine, ok := sim.Map.Get(vm.reference).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	if current, ok := g.vcenter.vm(sim, vm.reference); !ok || !current.poweredOn || !current.connected {
		return nil // powered off, or its host was lost, meanwhile
	}
	if how := exitReason(code); how == exitReboot && !orderly {
		log.Printf("guest %s: reboots", vm.name)
		return g.vcenter.engine.Start(ctx, known.id)
	} else if how == exitPowerOff {
		orderly = true
	}
	log.Printf("guest %s: ended by itself, exit code %d, in an orderly way: %v", vm.name, code, orderly)
	sim.AutoUpdate(machine, func() {
		machine.Runtime.PowerState = types.VirtualMachinePowerStatePoweredOff
		machine.Runtime.CleanPowerOff = types.NewBool(orderly)
		machine.Summary.Runtime.PowerState = machine.Runtime.PowerState
		machine.Summary.Runtime.CleanPowerOff = machine.Runtime.CleanPowerOff
	})
	if !orderly {
		g.vcenter.ha.guestFailed(vm)
	}
	return nil
}

// Ways in which a guest ends.
const (
	exitFault = iota
	exitPowerOff
	exitReboot
)

// exitReason tells them apart by the code of the container's init. Inside a PID namespace the kernel turns a power-off
// into SIGINT and a reboot into SIGHUP to init (reboot(2)); without CAP_SYS_BOOT systemd exits with 0, and with 133
// after a reboot.
func exitReason(code int) int {
	switch code {
	case 0, 128 + 2:
		return exitPowerOff
	case 128 + 1, 133:
		return exitReboot
	}
	return exitFault
}

// discard removes the container of a VM that has been destroyed. The caller holds mu.
func (g *guests) discard(ctx context.Context, reference types.ManagedObjectReference, known *guest) {
	if known.id == "" {
		delete(g.byVM, reference)
		return
	}
	g.act(known, func() error {
		if err := g.vcenter.engine.Remove(ctx, known.id); err != nil {
			return err
		}
		log.Printf("guest %s: container removed", known.name)
		g.mu.Lock()
		delete(g.byVM, reference)
		g.mu.Unlock()
		return nil
	})
}

// spec works out what a VM's container is made from.
func (g *guests) spec(vm vmState) (GuestSpec, error) {
	lineage := g.vcenter.lineageOf(vm.reference)
	image := g.vcenter.config.Images.of(lineage)
	if image == "" {
		return GuestSpec{}, fmt.Errorf("no -image for a VM made from %q", lineage)
	}
	metadata, err := parseMetadata(vm.guestinfo)
	if err != nil {
		return GuestSpec{}, fmt.Errorf("guestinfo.metadata: %w", err)
	}
	spec := GuestSpec{
		Name: vm.name, VM: g.label(vm.reference), Image: image, Hostname: metadata.Hostname,
		Memory: vm.memory, CPUs: vm.cpus, Addresses: metadata.addresses(),
		Environment: []string{"VMX_GUESTINFO=true"}, // cloud-init's VMware datasource looks for this one first
	}
	if spec.Hostname == "" {
		spec.Hostname = vm.name
	}
	for key, value := range vm.guestinfo {
		name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		spec.Environment = append(spec.Environment, "VMX_"+name+"="+value)
	}
	slices.Sort(spec.Environment)
	return spec, nil
}

// metadata is the part of cloud-init's VMware metadata that the lab needs.
type metadata struct {
	Hostname string  `yaml:"local-hostname"`
	Network  netplan `yaml:"network"`
}

// netplan is a network configuration, version 2, either whole or under "config".
type netplan struct {
	Ethernets map[string]struct {
		Addresses []string `yaml:"addresses"`
	} `yaml:"ethernets"`
	Config *netplan `yaml:"config"`
}

// parseMetadata reads guestinfo.metadata: YAML or JSON, in clear, base64 or gzip+base64.
func parseMetadata(guestinfo map[string]string) (metadata, error) {
	var parsed metadata
	text, err := decode(guestinfo["guestinfo.metadata"], guestinfo["guestinfo.metadata.encoding"])
	if err != nil {
		return parsed, err
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return parsed, err
	}
	if embedded, ok := raw["network"].(string); ok { // the network configuration may be encoded by itself
		encoding, _ := raw["network.encoding"].(string)
		inner, err := decode(embedded, encoding)
		if err != nil {
			return parsed, err
		}
		parsed.Hostname, _ = raw["local-hostname"].(string)
		return parsed, yaml.Unmarshal(inner, &parsed.Network)
	}
	return parsed, yaml.Unmarshal(text, &parsed)
}

func decode(text, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(text), nil
	case "base64", "b64":
		return base64.StdEncoding.DecodeString(text)
	case "gzip+base64", "gz+b64":
		zipped, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		reader, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(reader)
	}
	return nil, fmt.Errorf("encoding %q is not known", encoding)
}

// addresses lists the IPv4 addresses, interface by interface in the order of their names.
func (m metadata) addresses() []netip.Addr {
	plan := m.Network
	if plan.Config != nil {
		plan = *plan.Config
	}
	names := make([]string, 0, len(plan.Ethernets))
	for name := range plan.Ethernets {
		names = append(names, name)
	}
	slices.Sort(names)
	var addresses []netip.Addr
	for _, name := range names {
		for _, text := range plan.Ethernets[name].Addresses {
			if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr().Is4() {
				addresses = append(addresses, prefix.Addr())
			}
		}
	}
	return addresses
}

// watchHeartbeat notices that a guest is frozen, and tells VM monitoring.
func (g *guests) watchHeartbeat(vm vmState, known *guest) {
	if known.state != statePaused {
		known.frozen = time.Time{}
		return
	}
	if known.frozen.IsZero() {
		known.frozen = time.Now()
	}
	if g.vcenter.ha.shouldReset(vm, known.since, known.frozen) {
		g.act(known, func() error {
			log.Printf("guest %s: no heartbeats: VM monitoring resets it", vm.name)
			return g.restart(known)
		})
	}
}

// restart kills a container and starts it again.
func (g *guests) restart(known *guest) error {
	ctx := context.Background()
	if err := g.vcenter.engine.Kill(ctx, known.id, nil); err != nil {
		return err
	}
	if err := g.vcenter.engine.Start(ctx, known.id); err != nil {
		return err
	}
	g.mu.Lock()
	known.since, known.frozen = time.Now(), time.Time{}
	g.mu.Unlock()
	return nil
}

// show brings what the inventory says of the guest (tools, heartbeat, addresses) up to date. The caller holds mu.
func (g *guests) show(vm vmState, known *guest, container Machine) {
	facts := fmt.Sprint(container.State, container.Addresses)
	if facts == known.facts {
		return
	}
	known.facts = facts
	sim := g.vcenter.context()
	machine, ok := sim.Map.Get(vm.reference).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	sim.AutoUpdate(machine, func() { describeGuest(machine, container) })
}

// describeGuest writes VMware Tools' facts into a VM.
func describeGuest(vm *simulator.VirtualMachine, container Machine) {
	heartbeat := types.ManagedEntityStatusGray
	running := types.VirtualMachineToolsRunningStatusGuestToolsNotRunning
	status, state := types.VirtualMachineToolsStatusToolsNotRunning, types.VirtualMachineGuestStateNotRunning
	switch container.State {
	case stateRunning:
		heartbeat, running = types.ManagedEntityStatusGreen, types.VirtualMachineToolsRunningStatusGuestToolsRunning
		status, state = types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineGuestStateRunning
	case statePaused:
		heartbeat = types.ManagedEntityStatusRed
	}
	guest := &types.GuestInfo{
		ToolsStatus: status, ToolsRunningStatus: string(running), ToolsVersion: "12352",
		ToolsVersionStatus2: string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged),
		GuestState:          string(state), GuestId: vm.Config.GuestId, GuestFullName: vm.Config.GuestFullName,
	}
	if container.State == stateRunning && len(container.Addresses) > 0 {
		guest.IpAddress = container.Addresses[0].String()
		guest.HostName = vm.Name
		guest.Net = []types.GuestNicInfo{guestNIC(vm, container)}
		if container.Gateway.IsValid() {
			guest.IpStack = []types.GuestStackInfo{{IpRouteConfig: &types.NetIpRouteConfigInfo{
				IpRoute: []types.NetIpRouteConfigInfoIpRoute{{
					Network: "0.0.0.0",
					Gateway: types.NetIpRouteConfigInfoGateway{IpAddress: container.Gateway.String(), Device: "0"},
				}},
			}}}
		}
	}
	vm.Guest = guest
	vm.GuestHeartbeatStatus = heartbeat
	vm.Summary.QuickStats.GuestHeartbeatStatus = heartbeat
	vm.Summary.Guest = &types.VirtualMachineGuestSummary{
		GuestId: guest.GuestId, GuestFullName: guest.GuestFullName, ToolsStatus: status,
		ToolsRunningStatus: string(running), ToolsVersionStatus2: guest.ToolsVersionStatus2,
		HostName: guest.HostName, IpAddress: guest.IpAddress,
	}
}

// guestNIC is the guest's view of its first adapter, with every address of the container.
func guestNIC(vm *simulator.VirtualMachine, container Machine) types.GuestNicInfo {
	nic := types.GuestNicInfo{
		Connected: true, MacAddress: container.MAC, DeviceConfigId: -1, IpConfig: &types.NetIpConfigInfo{},
	}
	for _, device := range vm.Config.Hardware.Device {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			adapter := card.GetVirtualEthernetCard()
			nic.DeviceConfigId, nic.MacAddress = adapter.Key, adapter.MacAddress
			if backing, ok := adapter.Backing.(*types.VirtualEthernetCardNetworkBackingInfo); ok {
				nic.Network = backing.DeviceName
			}
			break
		}
	}
	for _, address := range container.Addresses {
		nic.IpAddress = append(nic.IpAddress, address.String())
		nic.IpConfig.IpAddress = append(nic.IpConfig.IpAddress, types.NetIpConfigInfoIpAddress{
			IpAddress: address.String(), PrefixLength: int32(container.Prefix),
			State: string(types.NetIpConfigInfoIpAddressStatusPreferred),
		})
	}
	return nic
}

// await waits until a VM's container is in a state, and the inventory shows it.
func (g *guests) await(vm types.ManagedObjectReference, state string, limit time.Duration) error {
	ctx, enough := context.WithTimeout(context.Background(), limit)
	defer enough()
	g.wake()
	g.mu.Lock()
	defer g.mu.Unlock()
	failure := error(nil)
	reached := g.waitUntil(ctx, func() bool {
		known := g.byVM[vm]
		if known == nil || known.busy {
			return false
		}
		if known.failure != "" {
			failure = errors.New(known.failure)
			return true
		}
		dead := known.state != stateRunning && known.state != statePaused
		return (state == stateRunning && known.state == stateRunning) || (state == stateExited && dead)
	})
	if !reached {
		return fmt.Errorf("its container is not %s after %v", state, limit)
	}
	return failure
}

// waitUntil waits for something that changes with any guest's state, until ctx ends; false if it has not come by then. The
// caller holds mu.
func (g *guests) waitUntil(ctx context.Context, reached func() bool) bool {
	enough := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		g.changed.Broadcast()
		g.mu.Unlock()
	})
	defer enough()
	for !reached() {
		if ctx.Err() != nil {
			return false
		}
		g.changed.Wait()
	}
	return true
}

// pullPlug ends a VM's guest, and then calls off, which shows the VM as off: whoever sees that may rely on it that nothing
// of the guest runs any more. What something else is doing to the guest comes first, but for a shutdown, which is cut short.
func (g *guests) pullPlug(vm types.ManagedObjectReference, off func() types.BaseMethodFault) types.BaseMethodFault {
	ctx, enough := context.WithTimeout(context.Background(), powerTimeout)
	defer enough()
	g.mu.Lock()
	known := g.byVM[vm]
	if known == nil {
		g.mu.Unlock()
		return off()
	}
	known.unplugged = true
	if known.busy && known.stopping {
		known.stopping = false
		id := known.id
		go func() { _ = g.vcenter.engine.Kill(ctx, id, nil) }() // whether it worked shows when the shutdown returns
	}
	if !g.waitUntil(ctx, func() bool { return !known.busy }) {
		known.unplugged = false
		g.mu.Unlock()
		return systemFault("something else is being done to its guest")
	}
	if known.id == "" {
		known.unplugged = false
		g.mu.Unlock()
		return off()
	}
	log.Printf("guest %s: off", known.name)
	isOff := make(chan types.BaseMethodFault, 1)
	g.act(known, func() error {
		ctx, enough := context.WithTimeout(context.Background(), powerTimeout)
		defer enough()
		err := g.vcenter.engine.Kill(ctx, known.id, func() { isOff <- off() })
		g.mu.Lock()
		defer g.mu.Unlock()
		known.unplugged = false
		if err != nil {
			isOff <- systemFault(err.Error())
			return err
		}
		known.state, known.started, known.shutdown, known.frozen = stateExited, false, false, time.Time{}
		return nil
	})
	g.mu.Unlock()
	return <-isOff
}

// forgive forgets why the last operation failed: it is about to be tried again.
func (g *guests) forgive(vm types.ManagedObjectReference) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.byVM[vm]; known != nil {
		known.failure = ""
	}
}

// reset is the reset button.
func (g *guests) reset(vm types.ManagedObjectReference, limit time.Duration) error {
	g.mu.Lock()
	known := g.byVM[vm]
	if known == nil || known.busy || known.id == "" {
		g.mu.Unlock()
		return errors.New("the guest is not running")
	}
	g.act(known, func() error {
		log.Printf("guest %s: reset", known.name)
		return g.restart(known)
	})
	g.mu.Unlock()
	return g.await(vm, stateRunning, limit)
}

// shutDown asks a guest to shut down, or to reboot, and returns at once.
func (g *guests) shutDown(ctx *simulator.Context, vm types.ManagedObjectReference, reboot bool) *soap.Fault {
	state, ok := g.vcenter.vm(ctx, vm)
	if !ok || !state.poweredOn {
		return simulator.Fault("the VM is not powered on", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  types.VirtualMachinePowerStatePoweredOff,
		})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.byVM[vm]
	if known == nil || known.busy || known.state != stateRunning {
		return simulator.Fault("VMware Tools is not running in the guest", &types.ToolsUnavailable{})
	}
	known.shutdown, known.stopping = !reboot, true
	g.act(known, func() error {
		log.Printf("guest %s: shuts down (to reboot: %v)", known.name, reboot)
		err := g.vcenter.engine.ShutDown(context.Background(), known.id)
		g.mu.Lock()
		interrupted := !known.stopping
		known.stopping = false
		g.mu.Unlock()
		if err != nil || !reboot || interrupted {
			return err
		}
		return g.vcenter.engine.Start(context.Background(), known.id)
	})
	return nil
}

// halt shuts a guest down in an orderly way and waits until it has ended, whatever vCenter can reach.
func (g *guests) halt(vm types.ManagedObjectReference) error {
	g.mu.Lock()
	known := g.byVM[vm]
	if known == nil || known.id == "" {
		g.mu.Unlock()
		return nil
	}
	known.busy = true
	g.mu.Unlock()
	err := g.vcenter.engine.ShutDown(context.Background(), known.id)
	g.mu.Lock()
	known.busy, known.acted = false, time.Now()
	g.changed.Broadcast()
	g.mu.Unlock()
	return err
}
