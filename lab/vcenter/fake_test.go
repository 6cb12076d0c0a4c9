package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// fakeEngine is an Engine in memory: what it holds is what a Docker daemon would show.
type fakeEngine struct {
	mu       sync.Mutex
	machines map[string]*fakeMachine // by kind/name
	changed  func()
	ended    func(kind, name string, at time.Time)
	serial   int
	killing  func() // is called before a machine is killed
}

type fakeMachine struct {
	Machine
	kind     string
	spec     GuestSpec
	started  time.Time
	exitCode int
	starts   int
	hangs    bool // it does not shut down when it is asked to
	cut      bool // it does not answer
}

func newFakeEngine(hosts ...string) *fakeEngine {
	e := &fakeEngine{machines: map[string]*fakeMachine{}}
	for i, host := range hosts {
		e.machines[kindESXi+"/"+host] = &fakeMachine{kind: kindESXi, started: time.Now(), Machine: Machine{
			ID: "esxi-" + host, Name: host, State: stateRunning, Prefix: 24,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 19, 3, byte(10 + i)})},
		}}
	}
	return e
}

// notify tells the watcher, outside the lock, as the daemon's event stream would.
func (e *fakeEngine) notify(kind, name string, died bool) {
	e.mu.Lock()
	changed, ended := e.changed, e.ended
	e.mu.Unlock()
	if died && ended != nil {
		ended(kind, name, time.Now())
	}
	if changed != nil {
		changed()
	}
}

func (e *fakeEngine) byID(id string) (*fakeMachine, error) {
	for _, machine := range e.machines {
		if machine.ID == id {
			return machine, nil
		}
	}
	return nil, fmt.Errorf("no container %s", id)
}

// crash ends a container with an exit code.
func (e *fakeEngine) crash(kind, name string, code int) {
	e.mu.Lock()
	machine := e.machines[kind+"/"+name]
	machine.State, machine.exitCode = stateExited, code
	e.mu.Unlock()
	e.notify(kind, name, true)
}

// set puts a container into a state (paused, running) without ending it.
func (e *fakeEngine) set(kind, name, state string) {
	e.mu.Lock()
	machine := e.machines[kind+"/"+name]
	if machine.State == stateExited && state == stateRunning {
		machine.started = time.Now()
	}
	machine.State = state
	e.mu.Unlock()
	e.notify(kind, name, false)
}

func (e *fakeEngine) guest(name string) (fakeMachine, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine, ok := e.machines[kindGuest+"/"+name]
	if !ok {
		return fakeMachine{}, false
	}
	return *machine, true
}

func (e *fakeEngine) Machines(_ context.Context, kind string) ([]Machine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []Machine
	for _, machine := range e.machines {
		if machine.kind == kind {
			found = append(found, machine.Machine)
		}
	}
	return found, nil
}

func (e *fakeEngine) ExitCode(_ context.Context, id string) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine, err := e.byID(id)
	if err != nil {
		return 0, err
	}
	return machine.exitCode, nil
}

func (e *fakeEngine) Reaches(_ context.Context, machine Machine) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := e.machines[kindESXi+"/"+machine.Name]
	return known.State == stateRunning && !known.cut
}

// cut takes an ESXi host from its management network, or puts it back.
func (e *fakeEngine) cut(host string, cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.machines[kindESXi+"/"+host].cut = cut
}

func (e *fakeEngine) StartedAt(_ context.Context, id string) (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine, err := e.byID(id)
	if err != nil {
		return time.Time{}, err
	}
	return machine.started, nil
}

func (e *fakeEngine) CreateGuest(_ context.Context, spec GuestSpec) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if spec.Image == "broken" {
		return "", fmt.Errorf("no such image: %s", spec.Image)
	}
	e.serial++
	id := fmt.Sprintf("guest-%d", e.serial)
	e.machines[kindGuest+"/"+spec.Name] = &fakeMachine{kind: kindGuest, spec: spec, Machine: Machine{
		ID: id, Name: spec.Name, VM: spec.VM, State: "created", Addresses: spec.Addresses,
	}}
	return id, nil
}

func (e *fakeEngine) Resize(_ context.Context, id string, memory int64, cpus int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine, err := e.byID(id)
	if err == nil {
		machine.spec.Memory, machine.spec.CPUs = memory, cpus
	}
	return err
}

func (e *fakeEngine) change(id string, f func(*fakeMachine)) error {
	e.mu.Lock()
	machine, err := e.byID(id)
	if err == nil {
		f(machine)
	}
	e.mu.Unlock()
	e.notify("", "", false)
	return err
}

func (e *fakeEngine) Start(_ context.Context, id string) error {
	return e.change(id, func(m *fakeMachine) { m.State, m.started, m.starts = stateRunning, time.Now(), m.starts+1 })
}

func (e *fakeEngine) ShutDown(_ context.Context, id string) error {
	e.mu.Lock()
	machine, err := e.byID(id)
	for err == nil && machine.hangs && machine.State == stateRunning {
		e.mu.Unlock()
		time.Sleep(time.Millisecond)
		e.mu.Lock()
	}
	killed := err == nil && machine.State == stateExited
	e.mu.Unlock()
	if killed {
		return nil
	}
	return e.change(id, func(m *fakeMachine) { m.State, m.exitCode = stateExited, 0 })
}

func (e *fakeEngine) Kill(_ context.Context, id string, dead func()) error {
	e.mu.Lock()
	killing := e.killing
	e.mu.Unlock()
	if killing != nil {
		killing()
	}
	err := e.change(id, func(m *fakeMachine) { m.State, m.exitCode = stateExited, 137 })
	if err == nil && dead != nil {
		dead()
	}
	return err
}

func (e *fakeEngine) Remove(_ context.Context, id string) error {
	e.mu.Lock()
	for key, machine := range e.machines {
		if machine.ID == id {
			delete(e.machines, key)
		}
	}
	e.mu.Unlock()
	e.notify("", "", false)
	return nil
}

func (e *fakeEngine) Connect(_ context.Context, kind, name string, address netip.Addr) error {
	if !netip.MustParsePrefix("198.19.3.0/24").Contains(address) {
		return fmt.Errorf("no network of the lab contains %s", address)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	machine := e.machines[kind+"/"+name]
	machine.Addresses = append(machine.Addresses, address)
	return nil
}

func (e *fakeEngine) Disconnect(_ context.Context, kind, name string, address netip.Addr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine := e.machines[kind+"/"+name]
	machine.Addresses = slices.DeleteFunc(machine.Addresses, func(a netip.Addr) bool { return a == address })
	return nil
}

func (e *fakeEngine) addresses(host string) []netip.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.machines[kindESXi+"/"+host].Addresses)
}

func (e *fakeEngine) Watch(ctx context.Context, changed func(), ended func(kind, name string, at time.Time)) {
	e.mu.Lock()
	e.changed, e.ended = changed, ended
	e.mu.Unlock()
	<-ctx.Done()
}

const testPassword = "correct horse"

// bench is a running vCenter with a client and, as far as the test asks for them, a cluster, hosts and datastores.
type bench struct {
	*testing.T
	ctx     context.Context
	engine  *fakeEngine
	vcenter *VCenter
	client  *govmomi.Client
	dc      *object.Datacenter
	cluster *object.ClusterComputeResource
	hosts   map[string]*object.HostSystem
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// newBench starts a vCenter whose lab has these ESXi hosts.
func newBench(t *testing.T, hosts ...string) *bench {
	t.Helper()
	engine := newFakeEngine(hosts...)
	b := newBenchOn(t, engine)
	b.engine = engine
	return b
}

// newBenchOn is a vCenter on any engine, logged in, with an empty datacenter.
func newBenchOn(t *testing.T, engine Engine) *bench {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &bench{T: t, ctx: ctx, hosts: map[string]*object.HostSystem{}}
	vcenter, err := Start(ctx, Config{
		Listen: freeAddress(t), LabListen: freeAddress(t), Lab: "test", User: "administrator@vsphere.local",
		Password: testPassword, HostPassword: "rootpw", Fencing: Account{"fencing@vsphere.local", "power"}, Certificate: testCertificate(t), State: t.TempDir(),
		Images: images{"*": "guest:1", "golden": "golden:1"}, HASpeed: 100, HostMemory: 8 << 30, HostCPUs: 8,
	}, engine)
	if err != nil {
		t.Fatal(err)
	}
	b.vcenter = vcenter
	t.Cleanup(func() { cancel(); vcenter.Close() })
	b.client = b.login(testPassword)
	folder := object.NewRootFolder(b.client.Client)
	b.dc, err = folder.CreateDatacenter(ctx, "dc")
	b.must(err)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) url(password string) *url.URL {
	return &url.URL{
		Scheme: "https", Host: b.vcenter.config.Listen, Path: "/sdk",
		User: url.UserPassword(b.vcenter.config.User, password),
	}
}

func (b *bench) login(password string) *govmomi.Client {
	b.Helper()
	client, err := govmomi.NewClient(b.ctx, b.url(password), true)
	b.must(err)
	return client
}

// addCluster makes a cluster and adds every ESXi host of the lab to it, all at once.
func (b *bench) addCluster(hosts ...string) {
	b.Helper()
	folders, err := b.dc.Folders(b.ctx)
	b.must(err)
	b.cluster, err = folders.HostFolder.CreateCluster(b.ctx, "ha", types.ClusterConfigSpecEx{})
	b.must(err)
	var group sync.WaitGroup
	failures := make([]error, len(hosts))
	for i, name := range hosts {
		group.Go(func() {
			task, err := b.cluster.AddHost(b.ctx, hostSpec(name), true, nil, nil)
			if err == nil {
				_, err = task.WaitForResultEx(b.ctx)
			}
			failures[i] = err
		})
	}
	group.Wait()
	for _, err := range failures {
		b.must(err)
	}
	finder := find.NewFinder(b.client.Client).SetDatacenter(b.dc)
	for _, name := range hosts {
		b.hosts[name], err = finder.HostSystem(b.ctx, name+".vmlabs.int")
		b.must(err)
	}
}

func hostSpec(name string) types.HostConnectSpec {
	return types.HostConnectSpec{HostName: name + ".vmlabs.int", UserName: "root", Password: "rootpw"}
}

const testLUN = "naa.3000000000000001"

func report(naas ...string) StorageReport {
	r := StorageReport{Adapter: StorageAdapter{Name: "vmhba64", IQN: "iqn.test", Enabled: true}}
	for _, naa := range naas {
		r.Devices = append(r.Devices, StorageDevice{
			NAA: naa, SizeBytes: 10 << 30, PSP: "VMW_PSP_RR",
			Paths: []StoragePath{{VMK: "vmk1", Portal: "198.19.3.1:3260", State: "active"}},
		})
	}
	return r
}

// addDatastore makes a VMFS datastore on a LUN that every host sees.
func (b *bench) addDatastore(name string) *object.Datastore {
	b.Helper()
	var first *object.HostSystem
	for host := range b.hosts {
		b.vcenter.ReportStorage(host, report(testLUN))
		if first == nil || host < shortName(first.Name()) {
			first = b.hosts[host]
		}
	}
	system, err := first.ConfigManager().DatastoreSystem(b.ctx)
	b.must(err)
	datastore, err := system.CreateVmfsDatastore(b.ctx, types.VmfsDatastoreCreateSpec{
		Vmfs: types.HostVmfsSpec{VolumeName: name, Extent: types.HostScsiDiskPartition{DiskName: testLUN}},
	})
	b.must(err)
	for host := range b.hosts {
		b.vcenter.ReportStorage(host, report(testLUN))
	}
	return datastore
}

// addVM makes a VM on a host, without powering it on.
func (b *bench) addVM(name, host string, memoryMB int64) *object.VirtualMachine {
	b.Helper()
	return b.addVMOn("san", name, host, memoryMB)
}

func (b *bench) addVMOn(datastore, name, host string, memoryMB int64) *object.VirtualMachine {
	b.Helper()
	folders, err := b.dc.Folders(b.ctx)
	b.must(err)
	pool, err := b.cluster.ResourcePool(b.ctx)
	b.must(err)
	metadata := `{"local-hostname": "` + name + `", "network": {"ethernets": {"eth0": {"addresses": ["198.19.3.80/24"]}}}}`
	task, err := folders.VmFolder.CreateVM(b.ctx, types.VirtualMachineConfigSpec{
		Name: name, GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: memoryMB,
		Files:       &types.VirtualMachineFileInfo{VmPathName: "[" + datastore + "]"},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.metadata", Value: metadata}},
	}, pool, b.hosts[host])
	b.must(err)
	result, err := task.WaitForResultEx(b.ctx)
	b.must(err)
	return object.NewVirtualMachine(b.client.Client, result.Result.(types.ManagedObjectReference))
}

// powerOn powers a VM on and waits for its guest.
func (b *bench) powerOn(vm *object.VirtualMachine) {
	b.Helper()
	task, err := vm.PowerOn(b.ctx)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
}

// reconfigure changes the cluster.
func (b *bench) reconfigure(spec *types.ClusterConfigSpecEx) {
	b.Helper()
	task, err := b.cluster.Reconfigure(b.ctx, spec, true)
	b.must(err)
	b.must(task.WaitEx(b.ctx))
}

func (b *bench) vm(vm *object.VirtualMachine) mo.VirtualMachine {
	b.Helper()
	var properties mo.VirtualMachine
	b.must(vm.Properties(b.ctx, vm.Reference(), nil, &properties))
	return properties
}

// status is one VM's line of the lab's status.
func (b *bench) status(name string) VMStatus {
	for _, vm := range b.vcenter.Status().VMs {
		if vm.Name == name {
			return vm
		}
	}
	return VMStatus{}
}

// eventually waits until a condition holds.
func (b *bench) eventually(what string, condition func() bool) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	b.Fatalf("not in 20 s: %s; events: %v", what, b.vcenter.ha.history())
}
