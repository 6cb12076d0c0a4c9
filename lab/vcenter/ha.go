package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What vSphere HA does, and when, after a host that is not the master fails: counted from its last heartbeat (Duncan
// Epping, "vSphere HA Deepdive", chapter "Restarting Virtual Machines", "The failure of a slave"). A lab figure is a lab
// figure: a real failover adds elections, storage locks and the boot of the hosts' agents.
const (
	heartbeatsMissed = 3 * time.Second  // the master begins to watch datastore heartbeats
	hostUnreachable  = 10 * time.Second // the master pings the host's management address
	deadNoDatastore  = 15 * time.Second // declared dead where no heartbeat datastores exist
	deadByDatastore  = 18 * time.Second // declared dead where they do
)

// restartDelay passes between a guest's sudden end and its VM's restart. No source gives a figure: an agent learns of it
// from its host and restarts the VM in its next pass, for which ten seconds is this lab's assumption.
const restartDelay = 10 * time.Second

// VM monitoring's settings where a cluster leaves them open ("VM Monitoring Settings" in vSphere Availability: high
// sensitivity), and the time without any disk or network activity that must have passed too (das.iostatsInterval).
const (
	monitoringFailureInterval = 30 * time.Second
	monitoringMinUptime       = 120 * time.Second
	monitoringMaxFailures     = 3
	monitoringIOInterval      = 120 * time.Second
)

// readyPoll is how often a started VM is looked at while the next restart priority waits for it.
const readyPoll = 100 * time.Millisecond

// HAEvent is something that vSphere HA noticed or did.
type HAEvent struct {
	Time   time.Time `json:"time"`
	Host   string    `json:"host"`
	VM     string    `json:"vm"`
	Event  string    `json:"event"`
	Detail string    `json:"detail"`
}

// ha is vSphere HA: it notices that hosts and guests fail, and restarts VMs.
type ha struct {
	vcenter *VCenter
	mu      sync.Mutex
	events  []HAEvent
	waiting map[types.ManagedObjectReference]string // VM that fits nowhere yet → why
	resets  map[types.ManagedObjectReference][]time.Time
	handled map[types.ManagedObjectReference]bool      // VMs of a lost host that a failover has taken on
	lost    map[types.ManagedObjectReference]time.Time // host → when its container ended; zero if it hangs

	silent   map[types.ManagedObjectReference]time.Time  // host that runs → since when it does not answer
	isolated map[types.ManagedObjectReference]*isolation // host that runs and can't be reached
}

func newHA(v *VCenter) *ha {
	return &ha{
		vcenter: v,
		waiting: map[types.ManagedObjectReference]string{},
		resets:  map[types.ManagedObjectReference][]time.Time{},
		handled: map[types.ManagedObjectReference]bool{},
		lost:    map[types.ManagedObjectReference]time.Time{},

		silent:   map[types.ManagedObjectReference]time.Time{},
		isolated: map[types.ManagedObjectReference]*isolation{},
	}
}

// record keeps an event and logs it.
func (h *ha) record(host, vm, event, detail string) {
	h.mu.Lock()
	h.events = append(h.events, HAEvent{time.Now().UTC(), shortName(host), vm, event, detail})
	h.mu.Unlock()
	log.Printf("HA: %s", strings.Join(slices.DeleteFunc([]string{shortName(host), vm, event, detail},
		func(s string) bool { return s == "" }), ": "))
}

// history lists every event so far.
func (h *ha) history() []HAEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]HAEvent{}, h.events...)
}

// pause waits for one of HA's delays, divided by the lab's speed.
func (h *ha) pause(delay time.Duration) { time.Sleep(h.scaled(delay)) }

func (h *ha) scaled(delay time.Duration) time.Duration {
	return time.Duration(float64(delay) / h.vcenter.config.HASpeed)
}

// observeHosts compares the inventory's hosts with their containers as they were at the given time.
func (h *ha) observeHosts(ctx context.Context, machines []Machine, looked time.Time) {
	byName := map[string]Machine{}
	for _, machine := range machines {
		byName[machine.Name] = machine
	}
	sim := h.vcenter.context()
	for _, entity := range sim.Map.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		switch machine := byName[shortName(host.Name)]; machine.State {
		case stateRunning:
			if h.startedAgain(ctx, host, machine) {
				h.hostBack(sim, host)
			}
		case statePaused:
			h.hostLost(sim, host, time.Time{})
		default:
			h.hostLost(sim, host, looked)
		}
	}
	h.retry(sim)
}

// startedAgain says whether a lost host's container runs again. Just after it ended, Docker may still call it running.
func (h *ha) startedAgain(ctx context.Context, host *simulator.HostSystem, machine Machine) bool {
	h.mu.Lock()
	ended, lost := h.lost[host.Self]
	h.mu.Unlock()
	if !lost || ended.IsZero() { // never lost, or hung and not ended
		return lost
	}
	started, err := h.vcenter.engine.StartedAt(ctx, machine.ID)
	return err == nil && started.After(ended)
}

// hostEnded is told by the engine that a host's container ended, even if it runs again by now.
func (h *ha) hostEnded(name string, at time.Time) {
	ctx := h.vcenter.context()
	if host := h.vcenter.host(ctx, name); host != nil {
		h.hostLost(ctx, host, at)
	}
}

// setConnection changes a host's connection state; false if it was not in the state expected.
func setConnection(ctx *simulator.Context, host *simulator.HostSystem, from, to types.HostSystemConnectionState) bool {
	changed := false
	ctx.AutoUpdate(host, func() {
		if changed = host.Runtime.ConnectionState == from; changed {
			host.Runtime.ConnectionState = to
			host.OverallStatus = types.ManagedEntityStatusGreen
			if to == types.HostSystemConnectionStateNotResponding {
				host.OverallStatus = types.ManagedEntityStatusRed
			}
			host.Summary.OverallStatus = host.OverallStatus
		}
	})
	return changed
}

// hostLost marks a host as not responding: the guests that ran on it stop, and HA begins. The time is when its container
// ended; zero if it hangs.
func (h *ha) hostLost(ctx *simulator.Context, host *simulator.HostSystem, ended time.Time) {
	if !setConnection(ctx, host,
		types.HostSystemConnectionStateConnected, types.HostSystemConnectionStateNotResponding) &&
		!h.endIsolation(host) {
		return
	}
	h.mu.Lock()
	h.lost[host.Self] = ended
	h.mu.Unlock()
	h.record(host.Name, "", "host not responding", "")
	h.vcenter.post(ctx, &types.HostConnectionLostEvent{HostEvent: hostEvent(host)})
	lost := h.disconnect(ctx, host)
	h.vcenter.guests.wake()
	if cluster, ok := ctx.Map.Get(*host.Parent).(*simulator.ClusterComputeResource); ok && len(lost) > 0 {
		go h.failOver(cluster, host, lost)
	}
}

// disconnect marks all VMs of a host as out of reach, and returns those that HA protects and now looks after.
func (h *ha) disconnect(ctx *simulator.Context, host *simulator.HostSystem) []vmState {
	var lost, others []vmState
	cluster, clustered := ctx.Map.Get(*host.Parent).(*simulator.ClusterComputeResource)
	for _, vm := range h.vcenter.vms(ctx) {
		if vm.host != host.Self {
			continue
		}
		if clustered && vm.poweredOn && h.protects(ctx, cluster, vm.reference) {
			lost = append(lost, vm)
		} else {
			others = append(others, vm)
		}
	}
	h.mu.Lock()
	for _, vm := range lost {
		h.handled[vm.reference] = true
	}
	h.mu.Unlock()
	for _, vm := range slices.Concat(lost, others) {
		setVMConnection(ctx, vm.reference, types.VirtualMachineConnectionStateDisconnected)
	}
	return lost
}

// hostBack connects a host again. Its VMs did not survive: those that HA does not look after are off now.
func (h *ha) hostBack(ctx *simulator.Context, host *simulator.HostSystem) {
	if !setConnection(ctx, host,
		types.HostSystemConnectionStateNotResponding, types.HostSystemConnectionStateConnected) {
		return
	}
	h.mu.Lock()
	delete(h.lost, host.Self)
	h.mu.Unlock()
	h.record(host.Name, "", "host connected again", "")
	h.vcenter.post(ctx, &types.HostConnectedEvent{HostEvent: hostEvent(host)})
	for _, vm := range h.vcenter.vms(ctx) {
		h.mu.Lock()
		handled := h.handled[vm.reference]
		h.mu.Unlock()
		if vm.host != host.Self || handled {
			continue
		}
		if vm.poweredOn {
			machine := virtualMachine(ctx, vm.reference)
			ctx.AutoUpdate(machine, func() {
				machine.Runtime.PowerState = types.VirtualMachinePowerStatePoweredOff
				machine.Summary.Runtime.PowerState = machine.Runtime.PowerState
			})
			h.record(host.Name, vm.name, "powered off", "its host was lost, and HA does not protect it")
		}
		setVMConnection(ctx, vm.reference, types.VirtualMachineConnectionStateConnected)
	}
}

func setVMConnection(
	ctx *simulator.Context, reference types.ManagedObjectReference, state types.VirtualMachineConnectionState,
) {
	if vm, ok := ctx.Map.Get(reference).(*simulator.VirtualMachine); ok {
		ctx.AutoUpdate(vm, func() {
			vm.Runtime.ConnectionState = state
			vm.Summary.Runtime.ConnectionState = state
		})
	}
}

func hostEvent(host *simulator.HostSystem) types.HostEvent {
	return types.HostEvent{Event: types.Event{Host: &types.HostEventArgument{
		EntityEventArgument: types.EntityEventArgument{Name: host.Name}, Host: host.Self,
	}}}
}

// protects says whether HA restarts a VM of a cluster when its host fails.
func (h *ha) protects(
	ctx *simulator.Context, cluster *simulator.ClusterComputeResource, vm types.ManagedObjectReference,
) bool {
	site := h.vcenter.site(ctx, cluster)
	das := site.config.DasConfig
	return das.Enabled != nil && *das.Enabled &&
		das.HostMonitoring != string(types.ClusterDasConfigInfoServiceStateDisabled) && site.priority(vm) > 0
}

// priorities are vSphere HA's restart priorities; VMs with 0 are not restarted.
var priorities = map[string]int{"disabled": 0, "lowest": 1, "low": 2, "medium": 3, "high": 4, "highest": 5}

// dasSettings are a VM's own HA settings, if it has any.
func (s *site) dasSettings(vm types.ManagedObjectReference) *types.ClusterDasVmSettings {
	for _, own := range s.config.DasVmConfig {
		if own.Key == vm {
			return own.DasSettings
		}
	}
	return nil
}

// priority is a VM's restart priority: its own, else the cluster's.
func (s *site) priority(vm types.ManagedObjectReference) int {
	if own := s.dasSettings(vm); own != nil {
		if priority, ok := priorities[own.RestartPriority]; ok {
			return priority
		}
	}
	if standard := s.config.DasConfig.DefaultVmSettings; standard != nil {
		if priority, ok := priorities[standard.RestartPriority]; ok {
			return priority
		}
	}
	return priorities["medium"]
}

// failOver goes through the stages of a host's failure and restarts its VMs.
func (h *ha) failOver(
	cluster *simulator.ClusterComputeResource, host *simulator.HostSystem, lost []vmState,
) {
	ctx := h.vcenter.context()
	dead := deadNoDatastore
	if h.heartbeatDatastores(ctx, cluster) > 0 {
		dead = deadByDatastore
	}
	h.pause(heartbeatsMissed)
	h.record(host.Name, "", "no heartbeats", "datastore heartbeats are watched")
	h.pause(hostUnreachable - heartbeatsMissed)
	h.record(host.Name, "", "host unreachable", "its management address is pinged")
	h.pause(dead - hostUnreachable)
	h.record(host.Name, "", "host declared dead", fmt.Sprintf("%d VMs to restart", len(lost)))
	h.vcenter.post(ctx, &types.DasHostFailedEvent{
		ClusterEvent: types.ClusterEvent{Event: types.Event{
			ComputeResource: &types.ComputeResourceEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: cluster.Name}, ComputeResource: cluster.Self,
			},
		}},
		FailedHost: *hostEvent(host).Host,
	})
	h.restartInOrder(ctx, cluster, lost)
}

// heartbeatDatastores counts the datastores that at least two hosts of the cluster share.
func (h *ha) heartbeatDatastores(ctx *simulator.Context, cluster *simulator.ClusterComputeResource) int {
	shared := 0
	for _, reference := range cluster.Datastore {
		if datastore, ok := ctx.Map.Get(reference).(*simulator.Datastore); ok && len(datastore.Host) > 1 {
			shared++
		}
	}
	return shared
}

// restartInOrder restarts VMs by priority and by dependencies. The next ones wait until those before are ready, or their
// time is over.
func (h *ha) restartInOrder(ctx *simulator.Context, cluster *simulator.ClusterComputeResource, lost []vmState) {
	for len(lost) > 0 {
		site := h.vcenter.site(ctx, cluster)
		wave, rest := nextWave(site, lost)
		lost = rest
		for _, vm := range wave {
			h.restart(ctx, site, vm)
		}
		if len(lost) > 0 {
			h.awaitReady(ctx, site, wave)
		}
	}
}

// nextWave splits off the VMs to restart next: of those that wait for no other, the ones with the highest priority.
func nextWave(s *site, lost []vmState) (wave, rest []vmState) {
	open := map[types.ManagedObjectReference]bool{}
	for _, vm := range lost {
		open[vm.reference] = true
	}
	free := slices.DeleteFunc(slices.Clone(lost), func(vm vmState) bool {
		return slices.ContainsFunc(s.dependencies(vm.reference),
			func(other types.ManagedObjectReference) bool { return other != vm.reference && open[other] })
	})
	if len(free) == 0 { // the rules go in a circle: none of them can be kept
		free = lost
	}
	highest := s.priority(slices.MaxFunc(free, func(a, b vmState) int {
		return cmp.Compare(s.priority(a.reference), s.priority(b.reference))
	}).reference)
	chosen := map[types.ManagedObjectReference]bool{}
	for _, vm := range free {
		if s.priority(vm.reference) == highest {
			wave = append(wave, vm)
			chosen[vm.reference] = true
		}
	}
	for _, vm := range lost {
		if !chosen[vm.reference] {
			rest = append(rest, vm)
		}
	}
	return wave, rest
}

// restart registers a VM on a host with room for it, where its guest then starts. A VM that fits nowhere waits.
func (h *ha) restart(ctx *simulator.Context, site *site, vm vmState) {
	current, exists := h.vcenter.vm(ctx, vm.reference)
	if !exists || !current.poweredOn || current.connected {
		h.mu.Lock()
		delete(h.waiting, vm.reference)
		delete(h.handled, vm.reference)
		h.mu.Unlock()
		return // destroyed, or looked after by somebody else
	}
	target, reason := site.place(vm.reference, vm.memory)
	if target == nil {
		h.mu.Lock()
		news := h.waiting[vm.reference] != reason
		h.waiting[vm.reference] = reason
		h.mu.Unlock()
		if news {
			h.record(h.vcenter.hostName(ctx, vm.host), vm.name, "not restarted", reason)
		}
		return
	}
	site.put(vm.reference, *target, vm.memory, true)
	h.mu.Lock()
	delete(h.waiting, vm.reference)
	delete(h.handled, vm.reference)
	h.mu.Unlock()
	h.vcenter.moveVM(ctx, vm.reference, *target)
	name := h.vcenter.hostName(ctx, *target)
	h.record(name, vm.name, "restarted", "from "+shortName(h.vcenter.hostName(ctx, vm.host)))
	if host, ok := ctx.Map.Get(*target).(*simulator.HostSystem); ok {
		event := types.VmEvent{Event: hostEvent(host).Event}
		event.Vm = &types.VmEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: vm.name}, Vm: vm.reference,
		}
		h.vcenter.post(ctx, &types.VmRestartedOnAlternateHostEvent{VmPoweredOnEvent: types.VmPoweredOnEvent{VmEvent: event}})
	}
	h.vcenter.guests.wake()
}

// retry tries once more to place the VMs that fit nowhere before.
func (h *ha) retry(ctx *simulator.Context) {
	h.mu.Lock()
	waiting := make([]types.ManagedObjectReference, 0, len(h.waiting))
	for reference := range h.waiting {
		waiting = append(waiting, reference)
	}
	h.mu.Unlock()
	for _, reference := range waiting {
		vm, exists := h.vcenter.vm(ctx, reference)
		cluster := h.vcenter.clusterOf(ctx, vm.host)
		if !exists || cluster == nil {
			h.mu.Lock()
			delete(h.waiting, reference)
			delete(h.handled, reference)
			h.mu.Unlock()
			continue
		}
		h.restart(ctx, h.vcenter.site(ctx, cluster), vm)
	}
}

// clusterOf is the cluster of a host; nil if it has none.
func (v *VCenter) clusterOf(
	ctx *simulator.Context, host types.ManagedObjectReference,
) *simulator.ClusterComputeResource {
	member, ok := ctx.Map.Get(host).(*simulator.HostSystem)
	if !ok {
		return nil
	}
	cluster, _ := ctx.Map.Get(*member.Parent).(*simulator.ClusterComputeResource)
	return cluster
}

// awaitReady waits until every VM of a wave meets its ready condition, for its restart timeout at most.
func (h *ha) awaitReady(ctx *simulator.Context, site *site, wave []vmState) {
	for _, vm := range wave {
		condition, delay, limit := site.readiness(vm.reference)
		deadline := time.Now().Add(h.scaled(limit))
		for !h.ready(ctx, vm.reference, condition) && time.Now().Before(deadline) {
			time.Sleep(readyPoll)
		}
		h.pause(delay)
	}
}

// readiness says when a VM counts as restarted: its condition, a delay after that, and how long to wait for it at most.
func (s *site) readiness(vm types.ManagedObjectReference) (condition string, delay, limit time.Duration) {
	const useCluster = string(types.ClusterVmReadinessReadyConditionUseClusterDefault)
	condition, limit = string(types.ClusterVmReadinessReadyConditionNone), 600*time.Second
	if s.config.Orchestration != nil && s.config.Orchestration.DefaultVmReadiness != nil {
		standard := s.config.Orchestration.DefaultVmReadiness
		condition, delay = standard.ReadyCondition, time.Duration(standard.PostReadyDelay)*time.Second
	}
	for _, own := range s.config.VmOrchestration {
		if own.Vm == vm && own.VmReadiness.ReadyCondition != "" && own.VmReadiness.ReadyCondition != useCluster {
			condition = own.VmReadiness.ReadyCondition
			delay = max(0, time.Duration(own.VmReadiness.PostReadyDelay)*time.Second)
		}
	}
	if standard := s.config.DasConfig.DefaultVmSettings; standard != nil && standard.RestartPriorityTimeout > 0 {
		limit = time.Duration(standard.RestartPriorityTimeout) * time.Second
	}
	if own := s.dasSettings(vm); own != nil && own.RestartPriorityTimeout > 0 {
		limit = time.Duration(own.RestartPriorityTimeout) * time.Second
	}
	return condition, delay, limit
}

// ready says whether a VM meets a ready condition. There are no heartbeats of applications here: the guest's stand for
// them.
func (h *ha) ready(ctx *simulator.Context, reference types.ManagedObjectReference, condition string) bool {
	vm, ok := ctx.Map.Get(reference).(*simulator.VirtualMachine)
	if !ok {
		return true
	}
	ready := true
	ctx.WithLock(vm, func() {
		switch types.ClusterVmReadinessReadyCondition(condition) {
		case types.ClusterVmReadinessReadyConditionPoweredOn:
			ready = vm.Runtime.ConnectionState == types.VirtualMachineConnectionStateConnected
		case types.ClusterVmReadinessReadyConditionGuestHbStatusGreen,
			types.ClusterVmReadinessReadyConditionAppHbStatusGreen:
			ready = vm.GuestHeartbeatStatus == types.ManagedEntityStatusGreen
		}
	})
	return ready
}

// guestFailed restarts a VM whose guest ended suddenly.
func (h *ha) guestFailed(vm vmState) {
	ctx := h.vcenter.context()
	host := h.vcenter.hostName(ctx, vm.host)
	h.record(host, vm.name, "guest failed", "it ended without shutting down")
	cluster := h.vcenter.clusterOf(ctx, vm.host)
	if cluster == nil || !h.protects(ctx, cluster, vm.reference) {
		return
	}
	go func() {
		h.pause(restartDelay)
		machine, ok := ctx.Map.Get(vm.reference).(*simulator.VirtualMachine)
		if !ok {
			return
		}
		failed := false
		ctx.WithLock(machine, func() {
			failed = machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff &&
				machine.Runtime.CleanPowerOff != nil && !*machine.Runtime.CleanPowerOff
			machine.Runtime.CleanPowerOff = nil
		})
		if !failed {
			return // somebody else has looked after it
		}
		if fault := (&vmMethods{vcenter: h.vcenter}).powerOn(ctx, machine); fault != nil {
			h.record(host, vm.name, "not restarted", fmt.Sprintf("%T", fault))
			return
		}
		h.record(host, vm.name, "restarted", "on its own host")
	}()
}

// shouldReset says whether VM monitoring resets a VM now whose guest was started and then froze at these times.
func (h *ha) shouldReset(vm vmState, started, frozen time.Time) bool {
	ctx := h.vcenter.context()
	cluster := h.vcenter.clusterOf(ctx, vm.host)
	if cluster == nil {
		return false
	}
	site := h.vcenter.site(ctx, cluster)
	settings := site.monitoring(vm.reference)
	silent := time.Since(frozen)
	if !settings.on || frozen.Sub(started) < h.scaled(settings.minUptime) ||
		silent < h.scaled(max(settings.interval, settings.ioInterval)) {
		return false
	}
	h.mu.Lock()
	recent := slices.DeleteFunc(h.resets[vm.reference], func(t time.Time) bool {
		return settings.window > 0 && time.Since(t) > h.scaled(settings.window)
	})
	within := len(recent) < settings.maxFailures
	if within {
		recent = append(recent, time.Now())
	}
	h.resets[vm.reference] = recent
	h.mu.Unlock()
	if within {
		h.record(h.vcenter.hostName(ctx, vm.host), vm.name, "reset", "no heartbeats for "+silent.Round(time.Second).String())
	}
	return within
}

// monitoring is what VM monitoring goes by for one VM.
type monitoring struct {
	on                                      bool
	interval, minUptime, ioInterval, window time.Duration // a window of 0 is none: resets count for ever
	maxFailures                             int
}

func (s *site) monitoring(vm types.ManagedObjectReference) monitoring {
	const off = string(types.ClusterDasConfigInfoVmMonitoringStateVmMonitoringDisabled)
	das := s.config.DasConfig
	m := monitoring{
		on:       das.Enabled != nil && *das.Enabled && das.VmMonitoring != "" && das.VmMonitoring != off,
		interval: monitoringFailureInterval, minUptime: monitoringMinUptime, maxFailures: monitoringMaxFailures,
		ioInterval: monitoringIOInterval,
	}
	for _, option := range das.Option {
		value := option.GetOptionValue()
		if seconds := 0; strings.EqualFold(value.Key, "das.iostatsInterval") {
			if _, err := fmt.Sscan(fmt.Sprint(value.Value), &seconds); err == nil {
				m.ioInterval = time.Duration(seconds) * time.Second
			}
		}
	}
	var settings *types.ClusterVmToolsMonitoringSettings
	if das.DefaultVmSettings != nil {
		settings = das.DefaultVmSettings.VmToolsMonitoringSettings
	}
	if own := s.dasSettings(vm); own != nil && own.VmToolsMonitoringSettings != nil &&
		own.VmToolsMonitoringSettings.ClusterSettings != nil && !*own.VmToolsMonitoringSettings.ClusterSettings {
		settings = own.VmToolsMonitoringSettings
		if settings.VmMonitoring != "" {
			m.on = das.Enabled != nil && *das.Enabled && settings.VmMonitoring != off
		}
	}
	if settings == nil {
		return m
	}
	if settings.FailureInterval > 0 {
		m.interval = time.Duration(settings.FailureInterval) * time.Second
	}
	if settings.MinUpTime > 0 {
		m.minUptime = time.Duration(settings.MinUpTime) * time.Second
	}
	if settings.MaxFailures > 0 {
		m.maxFailures = int(settings.MaxFailures)
	}
	if settings.MaxFailureWindow > 0 {
		m.window = time.Duration(settings.MaxFailureWindow) * time.Second
	}
	return m
}
