package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	_ "github.com/vmware/govmomi/pbm/simulator" // each of these registers one more endpoint of a vCenter
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/cis/tasks/simulator"
	_ "github.com/vmware/govmomi/vapi/esx/settings/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Config is what a lab's vCenter is started with.
type Config struct {
	Listen, LabListen string
	Lab               string
	NoEngine          bool // no container engine is asked: there are no hosts and no guests
	User, Password    string
	Fencing           Account // may log in, too; none where it has no name
	HostPassword      string  // of root on every ESXi host; empty: not checked
	Certificate       tls.Certificate
	State             string // directory under which datastores keep their files
	Images            images
	HASpeed           float64 // divides the delays of vSphere HA
	HostMemory        int64   // bytes, of every ESXi host
	HostCPUs          int
	LocalDatastores   map[string]string // by ESXi host's short name: what is on the host's own disk
}

// Account is a further user who may log in.
type Account struct{ User, Password string }

// VCenter is one running vCenter Server with its lab.
type VCenter struct {
	config   Config
	engine   Engine
	model    *simulator.Model
	server   *simulator.Server
	labAPI   *http.Server
	redirect redirections
	guests   *guests
	ha       *ha

	mu      sync.Mutex
	storage map[string]StorageReport // by ESXi host's short name
	volumes map[string]*volume       // VMFS volumes by the canonical name of their first extent, or their host's name
	lineage map[string][]string      // VM reference value → templates and library items it came from, nearest first
	awaited map[string][]string      // the same by VM name, for VMs that a running request is about to create
	created map[string]bool          // reference values of the VMs that are complete
}

// Start builds the empty inventory, serves the APIs and begins to reconcile guests until ctx ends.
func Start(ctx context.Context, config Config, engine Engine) (*VCenter, error) {
	v := &VCenter{
		config:  config,
		engine:  engine,
		storage: map[string]StorageReport{},
		volumes: map[string]*volume{},
		lineage: map[string][]string{},
		awaited: map[string][]string{},
		created: map[string]bool{},
	}
	for _, directory := range []string{config.State, os.TempDir()} { // the simulator needs the latter, bare images have none
		if err := os.MkdirAll(directory, 0o700); err != nil {
			return nil, err
		}
	}
	v.guests = newGuests(v)
	v.ha = newHA(v)

	model := simulator.VPX()
	model.Datacenter, model.Cluster, model.Host, model.Machine, model.Datastore = 0, 0, 0, 0, 0
	about := &model.ServiceContent.About // clients use what a version has: this is vCenter Server 8.0 Update 3
	about.Version, about.ApiVersion, about.Build = "8.0.3", "8.0.3.0", "24022515"
	about.FullName = "VMware vCenter Server 8.0.3 build-24022515"
	if err := model.Create(); err != nil {
		return nil, err
	}
	v.model = model
	service := model.Service
	service.TLS = &tls.Config{Certificates: []tls.Certificate{config.Certificate}, MinVersion: tls.VersionTLS12}
	service.RegisterEndpoints = true
	service.Listen = &url.URL{Scheme: "https", Host: config.Listen, User: url.UserPassword(config.User, config.Password)}

	registry := model.Map()
	registry.SessionManager().ValidLogin = func(login *types.Login) bool {
		given := Account{login.UserName, login.Password}
		return given == Account{config.User, config.Password} || (config.Fencing.User != "" && given == config.Fencing)
	}
	v.redirect = newRedirections(v, registry)
	registry.Handler = v.redirect.handle
	registry.AddHandler(&watcher{vcenter: v})
	putCollector(service.Context)

	service.ServeMux = http.NewServeMux()
	service.ServeMux.HandleFunc("/vsanHealth", v.serveVSAN)
	v.serveTagCategories(service.ServeMux)
	v.serveLibraryUploads(service.ServeMux)
	v.serveLibraryDeployments(service.ServeMux)
	listener, err := net.Listen("tcp", config.LabListen)
	if err != nil {
		return nil, fmt.Errorf("lab API: %w", err)
	}
	if err := checkFree(config.Listen); err != nil { // the library would panic
		_ = listener.Close()
		return nil, fmt.Errorf("vSphere API: %w", err)
	}
	v.server = service.NewServer()
	v.labAPI = &http.Server{Handler: v.labHandler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := v.labAPI.Serve(listener); err != nil && err != http.ErrServerClosed {
			log.Printf("lab API: %v", err)
		}
	}()
	go v.guests.follow(ctx)
	return v, nil
}

// checkFree says why an address can't be listened on.
func checkFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}

// Close stops serving and removes the datastores' files. Containers are left as they are.
func (v *VCenter) Close() {
	_ = v.labAPI.Close()
	v.server.CloseClientConnections()
	v.server.Close()
	v.model.Remove()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, volume := range v.volumes {
		_ = os.RemoveAll(volume.directory)
	}
}

// context returns a fresh simulator context. Locks in the simulator belong to a context: one that two goroutines share
// would let both in at once.
func (v *VCenter) context() *simulator.Context {
	ctx := *v.model.Service.Context
	return &ctx
}

// watcher is told of every change to the inventory. It runs inside the simulator's own locks, so it only fills new
// objects and wakes the reconciler.
type watcher struct{ vcenter *VCenter }

// Reference implements mo.Reference.
func (*watcher) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabWatcher", Value: "lab"}
}

// PutObject completes what the simulator leaves out of new objects.
func (w *watcher) PutObject(_ *simulator.Context, object mo.Reference) {
	switch o := object.(type) {
	case *simulator.ClusterComputeResource:
		completeCluster(o)
	case *simulator.HostSystem:
		w.vcenter.equipHost(w.vcenter.context(), o)
	case *simulator.VirtualMachine:
		o.Config.SwapPlacement = string(types.VirtualMachineConfigInfoSwapPlacementTypeInherit)
		// An empty value is none of the enumeration: strict clients (pyVmomi) can't read the VM's runtime with it.
		o.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		o.Summary.Runtime.FaultToleranceState = o.Runtime.FaultToleranceState
	}
}

// UpdateObject wakes the reconciler when a VM's power state or host may have changed. A new VM gets its name last: until
// then the simulator works on it without a lock, and nobody else may look at it.
func (w *watcher) UpdateObject(_ *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	if object.Reference().Type != "VirtualMachine" {
		return
	}
	for _, change := range changes {
		if name, ok := change.Val.(string); ok && change.Name == "name" {
			w.vcenter.completeVM(object.Reference().Value, name)
		}
	}
	w.vcenter.guests.wake()
}

// RemoveObject wakes the reconciler when a VM is gone.
func (w *watcher) RemoveObject(_ *simulator.Context, reference types.ManagedObjectReference) {
	if reference.Type == "VirtualMachine" {
		w.vcenter.forgetVM(reference.Value)
		w.vcenter.guests.wake()
	}
}

// post records an event in vCenter's own event manager.
func (v *VCenter) post(ctx *simulator.Context, event types.BaseEvent) {
	manager := ctx.Map.EventManager()
	ctx.WithLock(manager, func() { manager.PostEvent(ctx, &types.PostEvent{EventToPost: event}) })
}

// shortName is a host's name without its domain: the label perenne.name of its container.
func shortName(name string) string {
	short, _, _ := strings.Cut(name, ".")
	return short
}
