package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What a host does that runs and can reach nobody, counted from the loss of its management network: it starts an election,
// wins it after 25 s as the only voter, finds its isolation addresses silent, and declares itself isolated (Duncan Epping,
// "vSphere 5.0: das.failuredetectiontime, what happened?", "Isolation of a slave"). Its response follows after a further
// delay (vSphere API, ClusterDasVmSettingsIsolationResponse: 30 s, which fdm.isolationPolicyDelaySec can only raise). A
// master that is isolated declares it after 5 s; the host that is cut off here is always taken for a slave.
const (
	isolationDeclared    = 30 * time.Second
	isolationPolicyDelay = 30 * time.Second
)

// probeInterval and probeTimeout are how hosts' management addresses are asked: agents send a heartbeat every second
// ("Failure Detection and Host Network Isolation", vSphere Availability).
const (
	probeInterval = time.Second
	probeTimeout  = time.Second
)

// isolation is a host that runs, with its guests, where nobody can reach it.
type isolation struct {
	stopped map[types.ManagedObjectReference]bool // VMs that the isolation response has stopped
	over    bool                                  // the host can be reached again, or is dead
}

// probe asks every host that runs whether it answers on its management address, until ctx ends. Where none does, vCenter
// itself is cut off: hosts hear each other, and none of them is isolated.
func (h *ha) probe(ctx context.Context) {
	ticker := time.NewTicker(h.scaled(probeInterval))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		machines, err := h.vcenter.engine.Machines(ctx, kindESXi)
		if err != nil {
			continue // the reconciler tells of it
		}
		sim := h.vcenter.context()
		answered, any := map[*simulator.HostSystem]bool{}, false
		for _, machine := range machines {
			if host := h.vcenter.host(sim, machine.Name); host != nil && machine.State == stateRunning {
				answered[host] = h.vcenter.engine.Reaches(ctx, machine)
				any = any || answered[host]
			}
		}
		if !any {
			continue
		}
		for host, answered := range answered {
			h.heard(sim, host, answered)
		}
	}
}

// heard takes note of whether a host that runs answered.
func (h *ha) heard(ctx *simulator.Context, host *simulator.HostSystem, answered bool) {
	h.mu.Lock()
	since, silent := h.silent[host.Self]
	switch {
	case answered:
		delete(h.silent, host.Self)
	case !silent:
		since = time.Now()
		h.silent[host.Self] = since
	}
	isolated := h.isolated[host.Self] != nil
	h.mu.Unlock()
	switch {
	case answered && isolated:
		h.reached(ctx, host)
	case !answered && !isolated && time.Since(since) >= h.scaled(heartbeatsMissed):
		h.cutOff(ctx, host)
	}
}

// cutOff marks a host that runs as not responding. Its guests go on: nobody but the host itself can stop them.
func (h *ha) cutOff(ctx *simulator.Context, host *simulator.HostSystem) {
	current := &isolation{stopped: map[types.ManagedObjectReference]bool{}}
	h.mu.Lock()
	h.isolated[host.Self] = current
	h.mu.Unlock()
	if !setConnection(ctx, host,
		types.HostSystemConnectionStateConnected, types.HostSystemConnectionStateNotResponding) {
		h.mu.Lock()
		delete(h.isolated, host.Self) // it is lost already
		h.mu.Unlock()
		return
	}
	h.record(host.Name, "", "host not responding", "no heartbeats; it still writes datastore heartbeats")
	h.vcenter.post(ctx, &types.HostConnectionLostEvent{HostEvent: hostEvent(host)})
	lost := h.disconnect(ctx, host)
	if cluster, ok := ctx.Map.Get(*host.Parent).(*simulator.ClusterComputeResource); ok {
		go h.respond(cluster, host, current, lost)
	}
}

// reached connects a host again that was cut off: the guests that it still runs were there all the time.
func (h *ha) reached(ctx *simulator.Context, host *simulator.HostSystem) {
	h.mu.Lock()
	ended := h.isolated[host.Self]
	if ended != nil {
		ended.over = true
	}
	h.mu.Unlock()
	if ended == nil || !setConnection(ctx, host,
		types.HostSystemConnectionStateNotResponding, types.HostSystemConnectionStateConnected) {
		return
	}
	h.record(host.Name, "", "host connected again", "it was cut off, and went on")
	h.vcenter.post(ctx, &types.HostConnectedEvent{HostEvent: hostEvent(host)})
	for _, vm := range h.vcenter.vms(ctx) {
		if vm.host == host.Self && !ended.stopped[vm.reference] {
			h.mu.Lock()
			delete(h.handled, vm.reference)
			h.mu.Unlock()
			setVMConnection(ctx, vm.reference, types.VirtualMachineConnectionStateConnected)
		}
	}
	h.mu.Lock()
	delete(h.isolated, host.Self) // not before its VMs are connected: until then only this keeps their guests
	h.mu.Unlock()
	h.vcenter.guests.wake()
}

// endIsolation says whether a host was cut off, which it no longer is: it has died since.
func (h *ha) endIsolation(host *simulator.HostSystem) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := h.isolated[host.Self]
	if ended == nil || ended.over {
		return false
	}
	ended.over = true
	delete(h.isolated, host.Self)
	return true
}

// runsIsolated says whether a VM runs on a host that is cut off.
func (h *ha) runsIsolated(vm vmState) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	current := h.isolated[vm.host]
	return current != nil && !current.stopped[vm.reference]
}

// respond is what the isolated host does, and then the master: declare, wait, stop VMs as the cluster says, restart them.
func (h *ha) respond(
	cluster *simulator.ClusterComputeResource, host *simulator.HostSystem, current *isolation, lost []vmState,
) {
	ctx := h.vcenter.context()
	h.pause(isolationDeclared - heartbeatsMissed)
	if !h.stillIsolated(host, current) {
		return
	}
	h.record(host.Name, "", "host isolated", "it declares so itself; its isolation addresses don't answer")
	h.pause(h.policyDelay(ctx, cluster))
	site := h.vcenter.site(ctx, cluster)
	var stopped []vmState
	for _, vm := range lost {
		response := site.isolationResponse(vm.reference)
		if response == string(types.ClusterDasVmSettingsIsolationResponseNone) || !h.stillIsolated(host, current) {
			continue
		}
		h.record(host.Name, vm.name, "isolation response", response)
		if response == string(types.ClusterDasVmSettingsIsolationResponseShutdown) {
			// As its VM is started nowhere else before this returns, waiting is safe.
			if err := h.vcenter.guests.halt(vm.reference); err != nil {
				h.record(host.Name, vm.name, "did not shut down", err.Error())
			}
		}
		if h.stop(host, current, vm.reference) {
			stopped = append(stopped, vm)
		}
	}
	for _, vm := range stopped { // until then the host holds the locks on its files
		if err := h.vcenter.guests.await(vm.reference, stateExited, shutdownTimeout*time.Second); err != nil {
			h.record(host.Name, vm.name, "did not stop", err.Error())
		}
	}
	h.restartInOrder(ctx, cluster, stopped)
}

// stillIsolated says whether the very isolation goes on.
func (h *ha) stillIsolated(host *simulator.HostSystem, current *isolation) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isolated[host.Self] == current && !current.over
}

// stop takes a VM off an isolated host; false if the isolation is over.
func (h *ha) stop(host *simulator.HostSystem, current *isolation, vm types.ManagedObjectReference) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isolated[host.Self] != current || current.over {
		return false
	}
	current.stopped[vm] = true
	return true
}

// policyDelay is how long a host that has declared itself isolated waits before it stops VMs.
func (h *ha) policyDelay(ctx *simulator.Context, cluster *simulator.ClusterComputeResource) time.Duration {
	delay := isolationPolicyDelay
	for _, option := range h.vcenter.site(ctx, cluster).config.DasConfig.Option {
		value, seconds := option.GetOptionValue(), 0
		if strings.EqualFold(value.Key, "das.config.fdm.isolationPolicyDelaySec") {
			if _, err := fmt.Sscan(fmt.Sprint(value.Value), &seconds); err == nil {
				delay = max(delay, time.Duration(seconds)*time.Second)
			}
		}
	}
	return delay
}

// isolationResponse is what happens to a VM on an isolated host: its own setting, else the cluster's, else nothing.
func (s *site) isolationResponse(vm types.ManagedObjectReference) string {
	if own := s.dasSettings(vm); own != nil && own.IsolationResponse != "" &&
		own.IsolationResponse != string(types.ClusterDasVmSettingsIsolationResponseClusterIsolationResponse) {
		return own.IsolationResponse
	}
	if standard := s.config.DasConfig.DefaultVmSettings; standard != nil && standard.IsolationResponse != "" {
		return standard.IsolationResponse
	}
	return string(types.ClusterDasVmSettingsIsolationResponseNone)
}
