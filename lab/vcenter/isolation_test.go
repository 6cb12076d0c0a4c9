package main

import (
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// isolated is a protected bench with a VM on psexi03, which is cut off from now on.
func isolated(t *testing.T, response types.ClusterDasVmSettingsIsolationResponse) *bench {
	t.Helper()
	settings := &types.ClusterDasVmSettings{IsolationResponse: string(response)}
	b := protected(t, types.ClusterDasConfigInfo{DefaultVmSettings: settings}, "psexi02", "psexi03")
	b.powerOn(b.addVM("db01", "psexi03", 1024))
	b.engine.cut("psexi03", true)
	b.eventually("the host does not respond", b.connection("psexi03", "notResponding"))
	return b
}

func (b *bench) connection(host, state string) func() bool {
	return func() bool {
		for _, shown := range b.vcenter.Status().Hosts {
			if shown.Name == host {
				return shown.ConnectionState == state
			}
		}
		return false
	}
}

func (b *bench) happened(event string) func() bool {
	return func() bool {
		for _, known := range b.vcenter.ha.history() {
			if known.Event == event {
				return true
			}
		}
		return false
	}
}

func TestIsolatedHostStopsItsVMsAndOthersRestartThem(t *testing.T) {
	for _, response := range []types.ClusterDasVmSettingsIsolationResponse{
		types.ClusterDasVmSettingsIsolationResponsePowerOff, types.ClusterDasVmSettingsIsolationResponseShutdown,
	} {
		t.Run(string(response), func(t *testing.T) {
			began := time.Now()
			b := isolated(t, response)
			b.eventually("its VM can't be reached", func() bool { return b.status("db01").ConnectionState == "disconnected" })
			before, _ := b.engine.guest("db01")
			if before.State != stateRunning {
				t.Errorf("the guest of an isolated host is %s", before.State)
			}
			b.eventually("the VM runs on the other host", b.running("db01", "psexi02"))
			if took := time.Since(began); took < (isolationDeclared+isolationPolicyDelay-heartbeatsMissed)/100 {
				t.Errorf("restarted after %v, before the host stops its VMs", took)
			}
			after, _ := b.engine.guest("db01")
			if after.ID != before.ID || after.starts != before.starts+1 {
				t.Errorf("not the same disks, started once: %+v", after)
			}
			b.engine.cut("psexi03", false)
			b.eventually("the host is back", b.connection("psexi03", "connected"))
			if !b.running("db01", "psexi02")() {
				t.Errorf("the VM did not stay: %+v", b.status("db01"))
			}
		})
	}
}

func TestIsolatedHostLeavesItsVMsWhereItIsToldSo(t *testing.T) {
	b := isolated(t, types.ClusterDasVmSettingsIsolationResponseNone)
	b.eventually("the host has declared itself isolated", b.happened("host isolated"))
	b.engine.cut("psexi03", false)
	b.eventually("the VM is there again", b.running("db01", "psexi03"))
	if guest, _ := b.engine.guest("db01"); guest.starts != 1 {
		t.Errorf("the guest was started %d times", guest.starts)
	}
	if restarts := b.restarts(); len(restarts) != 0 {
		t.Errorf("restarted: %v", restarts)
	}
}

func TestHostThatIsCutOffShortlyLosesNothing(t *testing.T) {
	b := isolated(t, types.ClusterDasVmSettingsIsolationResponsePowerOff)
	b.engine.cut("psexi03", false)
	b.eventually("the VM is there again", b.running("db01", "psexi03"))
	time.Sleep(b.vcenter.ha.scaled(isolationDeclared + isolationPolicyDelay)) // nothing may happen in all that time
	if guest, _ := b.engine.guest("db01"); guest.starts != 1 || b.happened("host isolated")() {
		t.Errorf("the guest was started %d times", guest.starts)
	}
}

func TestIsolatedHostThatDiesIsFailedOver(t *testing.T) {
	b := isolated(t, types.ClusterDasVmSettingsIsolationResponseNone)
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("the VM runs on the other host", b.running("db01", "psexi02"))
}

func TestVCenterThatReachesNoHostTakesNoneForIsolated(t *testing.T) {
	settings := &types.ClusterDasVmSettings{IsolationResponse: string(types.ClusterDasVmSettingsIsolationResponsePowerOff)}
	b := protected(t, types.ClusterDasConfigInfo{DefaultVmSettings: settings}, "psexi02", "psexi03")
	b.powerOn(b.addVM("db01", "psexi03", 1024))
	b.engine.cut("psexi02", true)
	b.engine.cut("psexi03", true)
	time.Sleep(b.vcenter.ha.scaled(isolationDeclared + isolationPolicyDelay)) // nothing may happen in all that time
	for _, host := range []string{"psexi02", "psexi03"} {
		if !b.connection(host, "connected")() {
			t.Errorf("%s was given up", host)
		}
	}
	if guest, _ := b.engine.guest("db01"); guest.State != stateRunning || guest.starts != 1 {
		t.Errorf("the guest is %s, started %d times", guest.State, guest.starts)
	}
}
