package main

import (
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// protected is a bench with vSphere HA on, and a datastore.
func protected(t *testing.T, das types.ClusterDasConfigInfo, hosts ...string) *bench {
	t.Helper()
	b := newBench(t, hosts...)
	b.addCluster(hosts...)
	b.addDatastore("san")
	das.Enabled = types.NewBool(true)
	b.reconfigure(&types.ClusterConfigSpecEx{DasConfig: &das})
	return b
}

func (b *bench) running(name, host string) func() bool {
	return func() bool {
		vm := b.status(name)
		return vm.Host == host && vm.ContainerState == stateRunning && vm.ConnectionState == "connected"
	}
}

func (b *bench) restarts() []string {
	var names []string
	for _, event := range b.vcenter.ha.history() {
		if event.Event == "restarted" {
			names = append(names, event.VM)
		}
	}
	return names
}

func TestLostHostsVMsRestartElsewhere(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02", "psexi03")
	vm := b.addVM("db01", "psexi03", 1024)
	b.powerOn(vm)
	before, _ := b.engine.guest("db01")
	lost := time.Now()
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("the guest of a lost host is dead", func() bool {
		guest, _ := b.engine.guest("db01")
		return guest.State == stateExited || guest.starts > before.starts
	})
	b.eventually("the VM runs on the other host", b.running("db01", "psexi02"))
	if took := time.Since(lost); took < deadByDatastore/100 {
		t.Errorf("restarted after %v, before the host can be declared dead", took)
	}
	after, _ := b.engine.guest("db01")
	if after.ID != before.ID || after.starts != before.starts+1 {
		t.Errorf("not the same disks, started once: %+v", after)
	}
	if state := b.vcenter.Status().Hosts[1]; state.ConnectionState != "notResponding" {
		t.Errorf("the lost host is %+v", state)
	}
	b.engine.set(kindESXi, "psexi03", stateRunning)
	b.eventually("the host is back", func() bool {
		return b.vcenter.Status().Hosts[1].ConnectionState == "connected"
	})
	if !b.running("db01", "psexi02")() {
		t.Errorf("the VM did not stay: %+v", b.status("db01"))
	}
}

func TestWithoutHANothingRestarts(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster("psexi02", "psexi03")
	b.addDatastore("san")
	vm := b.addVM("db01", "psexi03", 1024)
	b.powerOn(vm)
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("the guest is dead", func() bool {
		guest, _ := b.engine.guest("db01")
		return guest.State == stateExited
	})
	b.engine.set(kindESXi, "psexi03", stateRunning)
	b.eventually("the VM is off on its own host", func() bool {
		vm := b.status("db01")
		return vm.PowerState == "poweredOff" && vm.Host == "psexi03" && vm.ConnectionState == "connected"
	})
	if restarts := b.restarts(); len(restarts) != 0 {
		t.Errorf("restarted: %v", restarts)
	}
}

func TestRestartsGoByPriorityAndDependency(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02", "psexi03")
	vms := map[string]*object.VirtualMachine{}
	for _, name := range []string{"app", "db", "lb", "off"} {
		vms[name] = b.addVM(name, "psexi03", 256)
		b.powerOn(vms[name])
	}
	override := func(name, priority string) types.ClusterDasVmConfigSpec {
		return types.ClusterDasVmConfigSpec{
			ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
			Info: &types.ClusterDasVmConfigInfo{
				Key: vms[name].Reference(), DasSettings: &types.ClusterDasVmSettings{RestartPriority: priority},
			},
		}
	}
	group := func(name string) types.ClusterGroupSpec {
		return types.ClusterGroupSpec{
			ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
			Info: &types.ClusterVmGroup{
				ClusterGroupInfo: types.ClusterGroupInfo{Name: name},
				Vm:               []types.ManagedObjectReference{vms[name].Reference()},
			},
		}
	}
	b.reconfigure(&types.ClusterConfigSpecEx{
		DasVmConfigSpec: []types.ClusterDasVmConfigSpec{
			override("app", "highest"), override("db", "low"), override("lb", "medium"), override("off", "disabled"),
		},
		GroupSpec: []types.ClusterGroupSpec{group("app"), group("db")},
	})
	b.reconfigure(&types.ClusterConfigSpecEx{RulesSpec: []types.ClusterRuleSpec{{
		ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
		Info: &types.ClusterDependencyRuleInfo{
			ClusterRuleInfo: types.ClusterRuleInfo{Name: "app-after-db", Enabled: types.NewBool(true)},
			VmGroup:         "app", DependsOnVmGroup: "db",
		},
	}}})
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("three VMs are restarted", func() bool { return len(b.restarts()) == 3 })
	if order := b.restarts(); !slices.Equal(order, []string{"lb", "db", "app"}) {
		t.Errorf("order %v", order)
	}
	if vm := b.status("off"); vm.Host != "psexi03" {
		t.Errorf("a VM whose restart is disabled is on %s", vm.Host)
	}
}

func TestVMThatFitsNowhereWaitsForAHost(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02", "psexi03")
	for name, host := range map[string]string{"big1": "psexi02", "big2": "psexi03"} {
		b.powerOn(b.addVM(name, host, 6<<10)) // of 8 GiB
	}
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("HA says that there is no room", func() bool {
		return slices.ContainsFunc(b.vcenter.ha.history(), func(e HAEvent) bool {
			return e.VM == "big2" && e.Event == "not restarted"
		})
	})
	b.engine.set(kindESXi, "psexi03", stateRunning)
	b.eventually("it runs where it was, when the host is back", b.running("big2", "psexi03"))
}

func TestRulesBindRestarts(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02", "psexi03", "psexi04")
	db01, db02 := b.addVM("db01", "psexi03", 256), b.addVM("db02", "psexi02", 256)
	filler := b.addVM("filler", "psexi04", 4096) // so that memory alone would choose psexi02
	for _, vm := range []*object.VirtualMachine{db01, db02, filler} {
		b.powerOn(vm)
	}
	b.reconfigure(&types.ClusterConfigSpecEx{RulesSpec: []types.ClusterRuleSpec{{
		ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
		Info: &types.ClusterAntiAffinityRuleSpec{
			ClusterRuleInfo: types.ClusterRuleInfo{Name: "apart", Enabled: types.NewBool(true)},
			Vm:              []types.ManagedObjectReference{db01.Reference(), db02.Reference()},
		},
	}}})
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("db01 keeps away from db02", b.running("db01", "psexi04"))
}

func TestGuestThatDiesIsRestarted(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02")
	vm := b.addVM("web01", "psexi02", 256)
	b.powerOn(vm)
	b.engine.crash(kindGuest, "web01", 137)
	b.eventually("it is noticed", func() bool { return len(b.vcenter.ha.history()) > 0 })
	b.eventually("it runs again", func() bool {
		guest, _ := b.engine.guest("web01")
		return guest.starts == 2 && b.vm(vm).Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
	})
}

func TestGuestThatShutsDownStaysDown(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02")
	vm := b.addVM("web01", "psexi02", 256)
	b.powerOn(vm)
	b.engine.crash(kindGuest, "web01", 130)
	b.eventually("the VM is off", func() bool {
		return b.vm(vm).Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff
	})
	if events := b.vcenter.ha.history(); len(events) != 0 {
		t.Errorf("HA took it for a failure: %v", events)
	}
}

func TestGuestThatRebootsRunsOn(t *testing.T) {
	b := protected(t, types.ClusterDasConfigInfo{}, "psexi02")
	vm := b.addVM("web01", "psexi02", 256)
	b.powerOn(vm)
	b.engine.crash(kindGuest, "web01", 129)
	b.eventually("it runs again", func() bool {
		guest, _ := b.engine.guest("web01")
		return guest.starts == 2
	})
	if state := b.vm(vm).Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOn {
		t.Errorf("the VM is %s", state)
	}
}

func TestFrozenGuestIsResetByVMMonitoringOnly(t *testing.T) {
	for name, test := range map[string]struct {
		monitoring string
		starts     int
	}{
		"monitored":     {"vmMonitoringOnly", 2},
		"not monitored": {"vmMonitoringDisabled", 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := protected(t, types.ClusterDasConfigInfo{
				VmMonitoring: test.monitoring,
				DefaultVmSettings: &types.ClusterDasVmSettings{
					VmToolsMonitoringSettings: &types.ClusterVmToolsMonitoringSettings{FailureInterval: 5, MinUpTime: 1, MaxFailures: 3},
				},
				Option: []types.BaseOptionValue{&types.OptionValue{Key: "das.iostatsInterval", Value: "5"}},
			}, "psexi02")
			vm := b.addVM("web01", "psexi02", 256)
			b.powerOn(vm)
			started := time.Now()
			b.eventually("it is up for the least time", func() bool { return time.Since(started) > 20*time.Millisecond })
			b.engine.set(kindGuest, "web01", statePaused)
			frozen := time.Now()
			b.eventually("its heartbeat is red, or it was reset", func() bool {
				return b.vm(vm).GuestHeartbeatStatus == types.ManagedEntityStatusRed || test.starts > 1
			})
			b.eventually("several reconcilers have looked", func() bool {
				guest, _ := b.engine.guest("web01")
				return guest.starts >= 2 || test.starts == 1 && time.Since(frozen) > 2*reconcileInterval
			})
			if guest, _ := b.engine.guest("web01"); guest.starts != test.starts {
				t.Errorf("started %d times", guest.starts)
			}
		})
	}
}

func TestPowerOffIsRefusedWhileTheHostIsLost(t *testing.T) {
	b := newBench(t, "psexi03", "psexi04")
	b.addCluster("psexi03", "psexi04")
	b.addDatastore("san")
	vm := b.addVM("db01", "psexi04", 512)
	b.powerOn(vm)
	b.engine.crash(kindESXi, "psexi04", 137)
	b.eventually("the host is lost", func() bool { return b.status("db01").ConnectionState == "disconnected" })
	task, err := vm.PowerOff(b.ctx)
	b.must(err)
	if err := task.WaitEx(b.ctx); err == nil {
		t.Error("vCenter says that it has powered off what it can't reach")
	}
}

func TestWhatWasPoweredOffOnPurposeStaysOffWhenItsHostIsLost(t *testing.T) {
	b := newBench(t, "psexi03", "psexi04")
	b.addCluster("psexi03", "psexi04")
	b.addDatastore("san")
	fenced, lost := b.addVM("db01", "psexi04", 512), b.addVM("app02", "psexi04", 512)
	enabled := true
	b.reconfigure(&types.ClusterConfigSpecEx{DasConfig: &types.ClusterDasConfigInfo{Enabled: &enabled}})
	b.powerOn(fenced)
	b.powerOn(lost)
	task, err := fenced.PowerOff(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	b.engine.crash(kindESXi, "psexi04", 137)
	b.eventually("the other VM runs elsewhere", func() bool {
		status := b.status("app02")
		return status.Host == "psexi03" && status.ContainerState == stateRunning
	})
	if status := b.status("db01"); status.PowerState != "poweredOff" || status.ContainerState == stateRunning {
		t.Errorf("db01: %+v", status)
	}
}

func TestVMOnALocalDatastoreWaitsForItsOwnHost(t *testing.T) {
	hosts := []string{"psexi02", "psexi03"}
	b := newBench(t, hosts...)
	b.vcenter.config.LocalDatastores = map[string]string{"psexi03": "psexi03-local"}
	b.addCluster(hosts...)
	b.addDatastore("san")
	b.reconfigure(&types.ClusterConfigSpecEx{DasConfig: &types.ClusterDasConfigInfo{Enabled: types.NewBool(true)}})
	vote := b.addVMOn("psexi03-local", "wit01", "psexi03", 256)
	b.powerOn(vote)
	b.engine.crash(kindESXi, "psexi03", 137)
	b.eventually("HA finds no host for it", func() bool {
		return slices.ContainsFunc(b.vcenter.ha.history(), func(e HAEvent) bool {
			return e.VM == "wit01" && e.Event == "not restarted" && e.Detail == "no host that is left has its datastore"
		})
	})
	b.engine.set(kindESXi, "psexi03", stateRunning)
	b.eventually("it runs again where its disk is", b.running("wit01", "psexi03"))
}

func TestLocalDatastoreIsOneHostsAlone(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.vcenter.config.LocalDatastores = map[string]string{"psexi03": "psexi03-local"}
	b.addCluster("psexi02", "psexi03")
	finder := find.NewFinder(b.client.Client).SetDatacenter(b.dc)
	local, err := finder.Datastore(b.ctx, "psexi03-local")
	b.must(err)
	var found mo.Datastore
	b.must(local.Properties(b.ctx, local.Reference(), []string{"host", "summary"}, &found))
	if len(found.Host) != 1 || found.Host[0].Key != b.hosts["psexi03"].Reference() {
		t.Errorf("mounted on %+v", found.Host)
	}
	if *found.Summary.MultipleHostAccess || !found.Summary.Accessible {
		t.Errorf("%+v", found.Summary)
	}
	b.vcenter.ReportStorage("psexi03", report())
	b.must(local.Properties(b.ctx, local.Reference(), []string{"summary"}, &found))
	if !found.Summary.Accessible {
		t.Error("what a host sees of the arrays decides about its own disk")
	}
	task, err := b.hosts["psexi03"].Destroy(b.ctx)
	b.must(err)
	b.must(task.Wait(b.ctx))
	if _, err := finder.Datastore(b.ctx, "psexi03-local"); err == nil {
		t.Error("the datastore stays without its host")
	}
}
