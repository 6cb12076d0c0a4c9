package main

import (
	"encoding/json"
	"log"
	"net/http"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// labHandler serves the lab API: what an ESXi host's container and its vCenter share, and the lab's state for its tools.
//
//	GET /lab/hosts/{name}/network   the host's VMkernel adapters
//	PUT /lab/hosts/{name}/storage   the host reports its adapter, targets and devices (StorageReport)
//	GET /lab/hosts/{name}/storage   the VMFS volumes that the host has mounted
//	GET /lab/status                 hosts, VMs and the events of vSphere HA
//
// Host names may be short or full. A host that is not in the inventory yet has no adapters and no volumes.
func (v *VCenter) labHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /lab/hosts/{name}/network", v.getHostNetwork)
	mux.HandleFunc("PUT /lab/hosts/{name}/storage", v.putHostStorage)
	mux.HandleFunc("GET /lab/hosts/{name}/storage", v.getHostStorage)
	mux.HandleFunc("GET /lab/status", v.getStatus)
	return mux
}

type vmkernelAdapter struct {
	Device    string   `json:"device"`
	PortGroup string   `json:"portgroup"`
	IP        string   `json:"ip"`
	Mask      string   `json:"mask"`
	MTU       int32    `json:"mtu"`
	Services  []string `json:"services"`
}

func (v *VCenter) getHostNetwork(w http.ResponseWriter, r *http.Request) {
	ctx := v.context()
	adapters := []vmkernelAdapter{}
	if host := v.host(ctx, r.PathValue("name")); host != nil {
		ctx.WithLock(host, func() {
			services := ctx.Map.Get(*host.ConfigManager.VirtualNicManager).(*vnicManager)
			for _, vnic := range host.Config.Network.Vnic {
				adapters = append(adapters, vmkernelAdapter{
					Device: vnic.Device, PortGroup: vnic.Portgroup, IP: vnic.Spec.Ip.IpAddress,
					Mask: vnic.Spec.Ip.SubnetMask, MTU: vnic.Spec.Mtu, Services: services.services(vnic.Device),
				})
			}
		})
	}
	respond(w, map[string]any{"vmkernel": adapters})
}

func (v *VCenter) putHostStorage(w http.ResponseWriter, r *http.Request) {
	var report StorageReport
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&report); err != nil {
		http.Error(w, "storage report: "+err.Error(), http.StatusBadRequest)
		return
	}
	v.ReportStorage(r.PathValue("name"), report)
	w.WriteHeader(http.StatusNoContent)
}

type vmfsVolume struct {
	Name    string `json:"name"`
	UUID    string `json:"uuid"`
	NAA     string `json:"naa"`
	Mounted bool   `json:"mounted"`
}

func (v *VCenter) getHostStorage(w http.ResponseWriter, r *http.Request) {
	ctx := v.context()
	volumes := []vmfsVolume{}
	if host := v.host(ctx, r.PathValue("name")); host != nil {
		v.mu.Lock()
		known := make([]*volume, 0, len(v.volumes))
		for _, volume := range v.volumes {
			known = append(known, volume)
		}
		v.mu.Unlock()
		for _, volume := range known {
			ctx.WithLock(volume.datastore, func() {
				for _, mount := range volume.datastore.Host {
					if mount.Key == host.Self {
						volumes = append(volumes, vmfsVolume{
							Name: volume.datastore.Name, UUID: volume.uuid, NAA: volume.extents[0].NAA,
							Mounted: mount.MountInfo.Accessible != nil && *mount.MountInfo.Accessible,
						})
					}
				}
			})
		}
	}
	slices.SortFunc(volumes, func(a, b vmfsVolume) int { return strings.Compare(a.Name, b.Name) })
	respond(w, map[string]any{"vmfs": volumes})
}

// Status is the lab's state.
type Status struct {
	Hosts    []HostStatus `json:"hosts"`
	VMs      []VMStatus   `json:"vms"`
	HAEvents []HAEvent    `json:"ha_events"`
}

// HostStatus is an ESXi host of the inventory.
type HostStatus struct {
	Name              string `json:"name"`
	ConnectionState   string `json:"connection_state"` // connected, notResponding, disconnected
	PowerState        string `json:"power_state"`
	InMaintenanceMode bool   `json:"in_maintenance_mode"`
}

// VMStatus is a VM of the inventory with its guest.
type VMStatus struct {
	Name            string   `json:"name"`
	Host            string   `json:"host"`
	PowerState      string   `json:"power_state"`
	ConnectionState string   `json:"connection_state"`
	Template        bool     `json:"template"`
	Lineage         []string `json:"lineage"`         // templates and library items it came from, nearest first
	Container       string   `json:"container"`       // name; empty before the first power-on
	ContainerState  string   `json:"container_state"` // running, paused, exited, …
	Addresses       []string `json:"addresses"`
	Failure         string   `json:"failure"` // why its container can't follow the VM; empty if it does
}

func (v *VCenter) getStatus(w http.ResponseWriter, _ *http.Request) { respond(w, v.Status()) }

// Status returns the lab's state, hosts and VMs by name, events of vSphere HA by time.
func (v *VCenter) Status() Status {
	ctx := v.context()
	status := Status{Hosts: []HostStatus{}, VMs: []VMStatus{}, HAEvents: v.ha.history()}
	names := map[string]string{}
	for _, entity := range ctx.Map.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		ctx.WithLock(host, func() {
			names[host.Self.Value] = shortName(host.Name)
			status.Hosts = append(status.Hosts, HostStatus{
				Name: shortName(host.Name), ConnectionState: string(host.Runtime.ConnectionState),
				PowerState: string(host.Runtime.PowerState), InMaintenanceMode: host.Runtime.InMaintenanceMode,
			})
		})
	}
	slices.SortFunc(status.Hosts, func(a, b HostStatus) int { return strings.Compare(a.Name, b.Name) })
	for _, vm := range v.vms(ctx) {
		shown := VMStatus{
			Name: vm.name, Host: names[vm.host.Value], PowerState: "poweredOff", ConnectionState: "connected",
			Template: vm.template, Lineage: append([]string{}, v.lineageOf(vm.reference)...), Addresses: []string{},
		}
		if vm.poweredOn {
			shown.PowerState = "poweredOn"
		}
		if !vm.connected {
			shown.ConnectionState = "disconnected"
		}
		v.guests.status(vm.reference, &shown)
		status.VMs = append(status.VMs, shown)
	}
	return status
}

// status fills in what the reconciler knows of a VM's container.
func (g *guests) status(vm types.ManagedObjectReference, shown *VMStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.byVM[vm]
	if known == nil {
		return
	}
	if known.id != "" {
		shown.Container = g.vcenter.config.Lab + "-" + known.name
	}
	shown.ContainerState, shown.Failure = known.state, known.failure
	for _, address := range known.addresses {
		shown.Addresses = append(shown.Addresses, address.String())
	}
}

func respond(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Printf("lab API: %v", err)
	}
}
