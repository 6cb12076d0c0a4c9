package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestLoginNeedsTheRightPassword(t *testing.T) {
	b := newBench(t)
	if _, err := govmomi.NewClient(b.ctx, b.url("wrong"), true); err == nil {
		t.Fatal("a wrong password was let in")
	}
}

func TestHostsAddedAtOnceAreAllThere(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03", "psexi04")
	b.addCluster("psexi02", "psexi03", "psexi04")
	var cluster mo.ClusterComputeResource
	b.must(b.cluster.Properties(b.ctx, b.cluster.Reference(), []string{"host", "summary"}, &cluster))
	if len(cluster.Host) != 3 {
		t.Fatalf("the cluster has %d hosts", len(cluster.Host))
	}
	if memory := cluster.Summary.GetComputeResourceSummary().TotalMemory; memory != 3*8<<30 {
		t.Errorf("the cluster has %d bytes of memory", memory)
	}
}

func TestHostIsRefused(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster()
	b.engine.crash(kindESXi, "psexi03", 137)
	for name, test := range map[string]struct {
		spec  types.HostConnectSpec
		fault any
	}{
		"unknown":        {hostSpec("psexi09"), types.NoHost{}},
		"not running":    {hostSpec("psexi03"), types.NoHost{}},
		"wrong password": {types.HostConnectSpec{HostName: "psexi02", UserName: "root", Password: "x"}, types.InvalidLogin{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.cluster.AddHost(b.ctx, test.spec, true, nil, nil)
			if !soap.IsSoapFault(err) {
				t.Fatalf("no fault but %v", err)
			}
			switch fault := soap.ToSoapFault(err).VimFault(); test.fault.(type) {
			case types.NoHost:
				if _, ok := fault.(types.NoHost); !ok {
					t.Errorf("fault %T", fault)
				}
			case types.InvalidLogin:
				if _, ok := fault.(types.InvalidLogin); !ok {
					t.Errorf("fault %T", fault)
				}
			}
		})
	}
}

func TestClusterKeepsItsConfiguration(t *testing.T) {
	b := newBench(t)
	b.addCluster()
	spec := &types.ClusterConfigSpecEx{
		DasConfig: &types.ClusterDasConfigInfo{
			Enabled: types.NewBool(true), HostMonitoring: "enabled", VmComponentProtecting: "enabled",
			AdmissionControlPolicy: &types.ClusterFailoverResourcesAdmissionControlPolicy{
				CpuFailoverResourcesPercent: 34, MemoryFailoverResourcesPercent: 35,
			},
			DefaultVmSettings: &types.ClusterDasVmSettings{
				RestartPriority: "high", IsolationResponse: "powerOff",
				VmComponentProtectionSettings: &types.ClusterVmComponentProtectionSettings{
					VmStorageProtectionForPDL: "restartAggressive", VmTerminateDelayForAPDSec: 99,
				},
			},
			Option: []types.BaseOptionValue{&types.OptionValue{Key: "das.isolationaddress0", Value: "198.19.3.1"}},
		},
		DrsConfig:     &types.ClusterDrsConfigInfo{Enabled: types.NewBool(true), VmotionRate: 2},
		DpmConfig:     &types.ClusterDpmConfigInfo{Enabled: types.NewBool(true), HostPowerActionRate: 4},
		Orchestration: &types.ClusterOrchestrationInfo{DefaultVmReadiness: &types.ClusterVmReadiness{PostReadyDelay: 7}},
	}
	b.reconfigure(spec)
	b.reconfigure(&types.ClusterConfigSpecEx{DasConfig: &types.ClusterDasConfigInfo{VmMonitoring: "vmMonitoringOnly"}})
	config, err := b.cluster.Configuration(b.ctx)
	b.must(err)
	das := config.DasConfig
	if das.VmMonitoring != "vmMonitoringOnly" || das.DefaultVmSettings.RestartPriority != "high" {
		t.Errorf("a second change lost what it did not name: %+v", das)
	}
	if len(das.Option) != 0 {
		t.Errorf("options that a later change leaves out stay: %v", das.Option)
	}
	policy, ok := das.AdmissionControlPolicy.(*types.ClusterFailoverResourcesAdmissionControlPolicy)
	if !ok || policy.MemoryFailoverResourcesPercent != 35 {
		t.Errorf("admission control %+v", das.AdmissionControlPolicy)
	}
	if das.DefaultVmSettings.VmComponentProtectionSettings.VmTerminateDelayForAPDSec != 99 {
		t.Errorf("APD delay %+v", das.DefaultVmSettings.VmComponentProtectionSettings)
	}
	if config.DrsConfig.VmotionRate != 2 || config.DpmConfigInfo.HostPowerActionRate != 4 ||
		config.Orchestration.DefaultVmReadiness.PostReadyDelay != 7 {
		t.Errorf("DRS, DPM or orchestration lost: %+v", config)
	}
}

func TestClusterIsFoundByItsBaseType(t *testing.T) {
	b := newBench(t)
	b.addCluster()
	reference := types.ManagedObjectReference{Type: "ComputeResource", Value: b.cluster.Reference().Value}
	var resource mo.ComputeResource
	b.must(b.client.RetrieveOne(b.ctx, reference, []string{"name"}, &resource))
	if resource.Name != "ha" {
		t.Errorf("name %q", resource.Name)
	}
}

func TestNetworkOfAHost(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster("psexi02", "psexi03")
	var vnics []string
	for _, name := range []string{"psexi02", "psexi03"} {
		system, err := b.hosts[name].ConfigManager().NetworkSystem(b.ctx)
		b.must(err)
		b.must(system.AddVirtualSwitch(b.ctx, "storage", &types.HostVirtualSwitchSpec{
			NumPorts: 128, Mtu: 9000, Bridge: &types.HostVirtualSwitchBondBridge{NicDevice: []string{"vmnic2", "vmnic3"}},
		}))
		if err := system.AddVirtualSwitch(b.ctx, "other", &types.HostVirtualSwitchSpec{
			Bridge: &types.HostVirtualSwitchBondBridge{NicDevice: []string{"vmnic3"}},
		}); err == nil {
			t.Error("one uplink was given to two switches")
		}
		b.must(system.AddPortGroup(b.ctx, types.HostPortGroupSpec{Name: "iSCSI-A", VswitchName: "storage", VlanId: 30}))
		device, err := system.AddVirtualNic(b.ctx, "iSCSI-A", types.HostVirtualNicSpec{
			Ip: &types.HostIpConfig{IpAddress: "198.19.3.150", SubnetMask: "255.255.255.0"},
		})
		b.must(err)
		vnics = append(vnics, device)
	}
	if !slices.Equal(vnics, []string{"vmk1", "vmk1"}) {
		t.Errorf("VMkernel adapters %v", vnics)
	}
	address := netip.MustParseAddr("198.19.3.150")
	if !slices.Contains(b.engine.addresses("psexi02"), address) {
		t.Error("the host's container did not get the adapter's address")
	}
	network, err := find.NewFinder(b.client.Client).SetDatacenter(b.dc).Network(b.ctx, "iSCSI-A")
	b.must(err)
	var properties mo.Network
	b.must(b.client.RetrieveOne(b.ctx, network.Reference(), []string{"host"}, &properties))
	if len(properties.Host) != 2 {
		t.Errorf("one network for two hosts has %d", len(properties.Host))
	}
	system, err := b.hosts["psexi02"].ConfigManager().NetworkSystem(b.ctx)
	b.must(err)
	if err := system.RemovePortGroup(b.ctx, "iSCSI-A"); err == nil {
		t.Error("a port group with an adapter on it was removed")
	}
	b.must(system.RemoveVirtualNic(b.ctx, "vmk1"))
	if slices.Contains(b.engine.addresses("psexi02"), address) {
		t.Error("the address of a removed adapter stayed")
	}
	b.must(system.RemovePortGroup(b.ctx, "iSCSI-A"))
	b.must(system.RemoveVirtualSwitch(b.ctx, "storage"))
}

func TestVMkernelAdapterNeedsANetworkOfTheLab(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	system, err := b.hosts["psexi02"].ConfigManager().NetworkSystem(b.ctx)
	b.must(err)
	_, err = system.AddVirtualNic(b.ctx, managementGroup, types.HostVirtualNicSpec{
		Ip: &types.HostIpConfig{IpAddress: "203.0.113.9", SubnetMask: "255.255.255.0"},
	})
	if err == nil || !strings.Contains(err.Error(), "203.0.113.9") {
		t.Errorf("the error does not name the address: %v", err)
	}
}

func TestVMFSIsMountedWhereItsLUNIsSeen(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster("psexi02", "psexi03")
	b.vcenter.ReportStorage("psexi02", report(testLUN))
	system, err := b.hosts["psexi02"].ConfigManager().DatastoreSystem(b.ctx)
	b.must(err)
	disks, err := system.QueryAvailableDisksForVmfs(b.ctx)
	b.must(err)
	if len(disks) != 1 || disks[0].CanonicalName != testLUN || disks[0].Capacity.Block*sectorSize != 10<<30 {
		t.Fatalf("available: %+v", disks)
	}
	options, err := system.QueryVmfsDatastoreCreateOptions(b.ctx, disks[0].DevicePath)
	b.must(err)
	spec := *options[0].Spec.(*types.VmfsDatastoreCreateSpec)
	spec.Vmfs.VolumeName = "san"
	datastore, err := system.CreateVmfsDatastore(b.ctx, spec)
	b.must(err)
	mounts := func() map[string]bool {
		var properties mo.Datastore
		b.must(datastore.Properties(b.ctx, datastore.Reference(), []string{"host"}, &properties))
		accessible := map[string]bool{}
		for _, mount := range properties.Host {
			accessible[b.vcenter.hostName(b.vcenter.context(), mount.Key)] = *mount.MountInfo.Accessible
		}
		return accessible
	}
	if got := mounts(); len(got) != 1 || !got["psexi02.vmlabs.int"] {
		t.Errorf("after its creation the datastore is on %v", got)
	}
	b.vcenter.ReportStorage("psexi03.vmlabs.int", report(testLUN))
	if got := mounts(); len(got) != 2 || !got["psexi03.vmlabs.int"] {
		t.Errorf("after the other host's rescan the datastore is on %v", got)
	}
	b.vcenter.ReportStorage("psexi03", StorageReport{})
	if got := mounts(); got["psexi03.vmlabs.int"] {
		t.Error("a host that lost the LUN still reaches the datastore")
	}
	if disks, err = system.QueryAvailableDisksForVmfs(b.ctx); err != nil || len(disks) != 0 {
		t.Errorf("a LUN in use is offered: %v %v", disks, err)
	}
	b.must(system.Remove(b.ctx, datastore))
	if disks, err = system.QueryAvailableDisksForVmfs(b.ctx); err != nil || len(disks) != 1 {
		t.Errorf("a LUN whose datastore was removed is not offered: %v %v", disks, err)
	}
}

func TestGuestFollowsItsVM(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	b.addDatastore("san")
	vm := b.addVM("web01", "psexi02", 1024)
	if _, exists := b.engine.guest("web01"); exists {
		t.Fatal("a VM that was never powered on has a container")
	}
	b.powerOn(vm)
	guest, _ := b.engine.guest("web01")
	if guest.State != stateRunning || guest.spec.Memory != 1024<<20 || guest.spec.CPUs != 2 || guest.spec.Hostname != "web01" {
		t.Errorf("guest %+v", guest)
	}
	if !slices.ContainsFunc(guest.spec.Environment, func(e string) bool {
		return strings.HasPrefix(e, "VMX_GUESTINFO_METADATA={")
	}) {
		t.Errorf("environment %v", guest.spec.Environment)
	}
	properties := b.vm(vm)
	if properties.Guest.IpAddress != "198.19.3.80" || properties.GuestHeartbeatStatus != types.ManagedEntityStatusGreen {
		t.Errorf("guest facts %+v %s", properties.Guest, properties.GuestHeartbeatStatus)
	}
	task, err := vm.PowerOff(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	if guest, _ = b.engine.guest("web01"); guest.State != stateExited || guest.exitCode != 137 {
		t.Errorf("after pulling the plug: %+v", guest)
	}
	id := guest.ID
	b.powerOn(vm)
	if guest, _ = b.engine.guest("web01"); guest.ID != id {
		t.Error("the container, and with it the VM's disks, was replaced at power-on")
	}
	b.must(vm.ShutdownGuest(b.ctx))
	b.eventually("the VM is off after its guest shut down", func() bool {
		return b.vm(vm).Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff
	})
	if guest, _ = b.engine.guest("web01"); guest.exitCode != 0 {
		t.Errorf("the guest was not asked to shut down: %+v", guest)
	}
	destroy, err := vm.Destroy(b.ctx)
	b.must(err)
	b.must(destroy.WaitEx(b.ctx))
	b.eventually("the container of a destroyed VM is gone", func() bool {
		_, exists := b.engine.guest("web01")
		return !exists
	})
}

// shownAtKill has vCenter asked about a VM whenever a machine is about to be killed; what it returns tells the answers.
func (b *bench) shownAtKill(vm *object.VirtualMachine) func() []types.VirtualMachinePowerState {
	var mu sync.Mutex
	var shown []types.VirtualMachinePowerState
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.engine.killing = func() {
		state := b.vm(vm).Runtime.PowerState
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, state)
	}
	return func() []types.VirtualMachinePowerState {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(shown)
	}
}

// Fencing gives a primary's place away once vCenter shows it off.
func TestVMIsNotOffWhileItsGuestRuns(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	b.addDatastore("san")
	vm := b.addVM("web01", "psexi02", 256)
	b.powerOn(vm)
	shown := b.shownAtKill(vm)
	task, err := vm.PowerOff(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	if states := shown(); !slices.Equal(states, []types.VirtualMachinePowerState{types.VirtualMachinePowerStatePoweredOn}) {
		t.Errorf("while its guest was being ended, vCenter showed the VM as %v", states)
	}
	if state := b.vm(vm).Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOff {
		t.Errorf("afterwards as %s", state)
	}
	b.powerOn(vm)
	if guest, _ := b.engine.guest("web01"); guest.State != stateRunning || guest.starts != 2 {
		t.Errorf("powered on again: %+v", guest)
	}
}

func TestPowerOffEndsAGuestThatDoesNotShutDown(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	b.addDatastore("san")
	vm := b.addVM("web01", "psexi02", 256)
	b.powerOn(vm)
	b.engine.mu.Lock()
	b.engine.machines[kindGuest+"/web01"].hangs = true
	b.engine.mu.Unlock()
	b.must(vm.ShutdownGuest(b.ctx))
	shown := b.shownAtKill(vm)
	task, err := vm.PowerOff(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	if states := shown(); len(states) == 0 || slices.Contains(states, types.VirtualMachinePowerStatePoweredOff) {
		t.Errorf("while its guest was being ended, vCenter showed the VM as %v", states)
	}
	if state := b.vm(vm).Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOff {
		t.Errorf("afterwards as %s", state)
	}
	if guest, _ := b.engine.guest("web01"); guest.State != stateExited || guest.exitCode != 137 {
		t.Errorf("guest %+v", guest)
	}
}

func TestPowerOnSaysWhyAGuestCantStart(t *testing.T) {
	b := newBench(t, "psexi02")
	b.vcenter.config.Images["*"] = "broken"
	b.addCluster("psexi02")
	b.addDatastore("san")
	vm := b.addVM("web01", "psexi02", 1024)
	task, err := vm.PowerOn(b.ctx)
	b.must(err)
	if err = task.WaitEx(b.ctx); err == nil {
		t.Fatal("a VM without an image was powered on")
	}
	if state := b.vm(vm).Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOff {
		t.Errorf("the VM is %s", state)
	}
}

func TestImageFollowsTheTemplate(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	b.addDatastore("san")
	golden := b.addVM("golden", "psexi02", 512)
	b.must(golden.MarkAsTemplate(b.ctx))
	pool, err := b.cluster.ResourcePool(b.ctx)
	b.must(err)
	folders, err := b.dc.Folders(b.ctx)
	b.must(err)
	clone := func(source *object.VirtualMachine, name string) *object.VirtualMachine {
		reference, host := pool.Reference(), b.hosts["psexi02"].Reference()
		task, err := source.Clone(b.ctx, folders.VmFolder, name, types.VirtualMachineCloneSpec{
			Location: types.VirtualMachineRelocateSpec{Pool: &reference, Host: &host},
		})
		b.must(err)
		result, err := task.WaitForResultEx(b.ctx)
		b.must(err)
		return object.NewVirtualMachine(b.client.Client, result.Result.(types.ManagedObjectReference))
	}
	first := clone(golden, "app01")
	second := clone(first, "app02")
	for _, vm := range []*object.VirtualMachine{first, second} {
		b.powerOn(vm)
	}
	for _, name := range []string{"app01", "app02"} {
		if guest, _ := b.engine.guest(name); guest.spec.Image != "golden:1" {
			t.Errorf("%s is made from %q; lineage %v", name, guest.spec.Image, b.status(name).Lineage)
		}
	}
}

func TestVMOnAnUnmountedDatastoreIsRefused(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster("psexi02", "psexi03")
	b.vcenter.ReportStorage("psexi02", report(testLUN))
	system, err := b.hosts["psexi02"].ConfigManager().DatastoreSystem(b.ctx)
	b.must(err)
	_, err = system.CreateVmfsDatastore(b.ctx, types.VmfsDatastoreCreateSpec{
		Vmfs: types.HostVmfsSpec{VolumeName: "san", Extent: types.HostScsiDiskPartition{DiskName: testLUN}},
	})
	b.must(err)
	folders, err := b.dc.Folders(b.ctx)
	b.must(err)
	pool, err := b.cluster.ResourcePool(b.ctx)
	b.must(err)
	_, err = folders.VmFolder.CreateVM(b.ctx, types.VirtualMachineConfigSpec{
		Name: "web01", Files: &types.VirtualMachineFileInfo{VmPathName: "[san]"},
	}, pool, b.hosts["psexi03"])
	if err == nil || !strings.Contains(err.Error(), "san") {
		t.Errorf("the error does not name the datastore: %v", err)
	}
}

func TestMaintenanceModeMovesRunningVMs(t *testing.T) {
	b := newBench(t, "psexi02", "psexi03")
	b.addCluster("psexi02", "psexi03")
	b.addDatastore("san")
	b.reconfigure(&types.ClusterConfigSpecEx{DrsConfig: &types.ClusterDrsConfigInfo{
		Enabled: types.NewBool(true), DefaultVmBehavior: types.DrsBehaviorFullyAutomated,
	}})
	vm := b.addVM("web01", "psexi02", 1024)
	b.powerOn(vm)
	before, _ := b.engine.guest("web01")
	task, err := b.hosts["psexi02"].EnterMaintenanceMode(b.ctx, 30, true, nil)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	if host := b.status("web01").Host; host != "psexi03" {
		t.Errorf("the VM is on %s", host)
	}
	if after, _ := b.engine.guest("web01"); after.starts != before.starts || after.State != stateRunning {
		t.Errorf("the guest noticed: %+v", after)
	}
}

func TestHostAndClusterCanBeDestroyed(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	task, err := b.cluster.Destroy(b.ctx)
	b.must(err)
	if err = task.WaitEx(b.ctx); err == nil {
		t.Fatal("a cluster with a host in it was destroyed")
	}
	task, err = b.hosts["psexi02"].Destroy(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
	task, err = b.cluster.Destroy(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
}

func TestLabAPI(t *testing.T) {
	b := newBench(t, "psexi02")
	api := "http://" + b.vcenter.config.LabListen
	get := func(path string, into any) {
		t.Helper()
		response, err := http.Get(api + path)
		b.must(err)
		defer response.Body.Close()
		b.must(json.NewDecoder(response.Body).Decode(into))
	}
	put := func(report StorageReport) int {
		body, err := json.Marshal(report)
		b.must(err)
		request, err := http.NewRequest(http.MethodPut, api+"/lab/hosts/psexi02/storage", bytes.NewReader(body))
		b.must(err)
		response, err := http.DefaultClient.Do(request)
		b.must(err)
		defer response.Body.Close()
		return response.StatusCode
	}
	if code := put(report(testLUN)); code != http.StatusNoContent { // before the host is in the inventory
		t.Fatalf("PUT storage: %d", code)
	}
	b.addCluster("psexi02")
	b.addDatastore("san")
	var network struct {
		VMkernel []vmkernelAdapter `json:"vmkernel"`
	}
	get("/lab/hosts/psexi02/network", &network)
	if len(network.VMkernel) != 1 || network.VMkernel[0].IP != "198.19.3.10" ||
		network.VMkernel[0].Mask != "255.255.255.0" ||
		!slices.Equal(network.VMkernel[0].Services, []string{"management"}) {
		t.Errorf("network %+v", network)
	}
	var storage struct {
		VMFS []vmfsVolume `json:"vmfs"`
	}
	get("/lab/hosts/psexi02.vmlabs.int/storage", &storage)
	if len(storage.VMFS) != 1 || storage.VMFS[0].NAA != testLUN || !storage.VMFS[0].Mounted {
		t.Errorf("storage %+v", storage)
	}
	var status Status
	get("/lab/status", &status)
	if len(status.Hosts) != 1 || status.Hosts[0].ConnectionState != "connected" {
		t.Errorf("status %+v", status)
	}
}

func TestMetadataInEveryForm(t *testing.T) {
	yaml := "local-hostname: db01\nnetwork:\n  config:\n    ethernets:\n      id0:\n        addresses: [198.19.3.31/24, 'fd00::1/64']\n"
	inner := base64.StdEncoding.EncodeToString([]byte("ethernets: {id0: {addresses: [198.19.3.31/24]}}"))
	for name, guestinfo := range map[string]map[string]string{
		"clear": {"guestinfo.metadata": yaml},
		"base64": {
			"guestinfo.metadata":          base64.StdEncoding.EncodeToString([]byte(yaml)),
			"guestinfo.metadata.encoding": "base64",
		},
		"network encoded": {
			"guestinfo.metadata": `{"local-hostname": "db01", "network": "` + inner + `", "network.encoding": "base64"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := parseMetadata(guestinfo)
			if err != nil {
				t.Fatal(err)
			}
			want := []netip.Addr{netip.MustParseAddr("198.19.3.31")}
			if parsed.Hostname != "db01" || !slices.Equal(parsed.addresses(), want) {
				t.Errorf("%+v, addresses %v", parsed, parsed.addresses())
			}
		})
	}
	if _, err := parseMetadata(map[string]string{"guestinfo.metadata": "x", "guestinfo.metadata.encoding": "rot13"}); err == nil {
		t.Error("an unknown encoding was taken")
	}
}

func TestTwoClientsOfOneCollectorBothHear(t *testing.T) {
	b := newBench(t, "psexi02")
	b.addCluster("psexi02")
	b.addDatastore("san")
	done := make(chan error, 8)
	for i := range cap(done) {
		vm := b.addVM("vm"+string(rune('a'+i)), "psexi02", 64)
		go func() {
			task, err := vm.PowerOn(b.ctx)
			if err == nil {
				err = task.WaitEx(b.ctx)
			}
			done <- err
		}()
	}
	for range cap(done) {
		select {
		case err := <-done:
			b.must(err)
		case <-time.After(20 * time.Second):
			t.Fatal("a client waits for ever")
		}
	}
}

func TestPreviewNeedsNoContainerEngine(t *testing.T) {
	config, err := parseFlags([]string{"-engine=podman"})
	if err == nil {
		t.Fatalf("an engine that there is not was taken: %+v", config)
	}
	engine, err := newEngine(t.Context(), Config{NoEngine: true})
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchOn(t, engine)
	b.addCluster()
	if _, err := b.cluster.AddHost(b.ctx, hostSpec("psexi02"), true, nil, nil); !soap.IsSoapFault(err) {
		t.Errorf("a host that there is not was added: %v", err)
	}
}

func TestTheFencingAccountLogsInWithItsOwnPassword(t *testing.T) {
	b := newBench(t)
	for _, login := range []struct {
		user, password string
		allowed        bool
	}{
		{"fencing@vsphere.local", "power", true},
		{"fencing@vsphere.local", testPassword, false},
		{"administrator@vsphere.local", "power", false},
		{"", "", false},
	} {
		address := b.url(testPassword)
		address.User = url.UserPassword(login.user, login.password)
		_, err := govmomi.NewClient(b.ctx, address, true)
		if (err == nil) != login.allowed {
			t.Errorf("%s with %q: %v", login.user, login.password, err)
		}
	}
}
