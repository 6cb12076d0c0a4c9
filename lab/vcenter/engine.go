package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// Labels of the lab's containers.
const (
	labelLab  = "perenne.lab"
	labelKind = "perenne.kind"
	labelName = "perenne.name"
	labelVM   = "perenne.vm" // of a guest: the VM that it is, unique over all runs of vCenter
)

// Kinds of containers that vCenter deals with.
const (
	kindESXi  = "esxi"
	kindGuest = "guest"
)

// States of a container, in Docker's words.
const (
	stateRunning = "running"
	statePaused  = "paused"
	stateExited  = "exited"
)

// Machine is a container of the lab: an ESXi host or a guest.
type Machine struct {
	ID        string
	Name      string // label perenne.name
	VM        string // label perenne.vm; empty for hosts
	State     string
	Addresses []netip.Addr
	Gateway   netip.Addr // of the first address's network
	Prefix    int        // length of the first address's network prefix
	MAC       string     // of the first address's interface
}

// GuestSpec is what a guest's container is made from.
type GuestSpec struct {
	Name        string // of the VM
	VM          string // label perenne.vm
	Image       string
	Hostname    string
	Environment []string
	Memory      int64 // bytes
	CPUs        int
	Addresses   []netip.Addr
}

// Engine is the container engine as this lab uses it. Every call concerns this lab's containers only.
type Engine interface {
	// Machines lists containers of one kind, running or not.
	Machines(ctx context.Context, kind string) ([]Machine, error)
	// ExitCode is that of a container which has ended.
	ExitCode(ctx context.Context, id string) (int, error)
	// CreateGuest makes a guest's container, not started yet, in place of one of that name that is a leftover.
	CreateGuest(ctx context.Context, spec GuestSpec) (id string, err error)
	// Resize sets a guest's memory (bytes) and CPUs.
	Resize(ctx context.Context, id string, memory int64, cpus int) error
	Start(ctx context.Context, id string) error
	// ShutDown asks the container's init to shut down and waits until it has, or kills it when shutdownTimeout is over.
	ShutDown(ctx context.Context, id string) error
	// Kill ends a container, which may have ended already, and waits until it has, and is taken down. It calls dead, if
	// there is one, as soon as nothing runs in it any more.
	Kill(ctx context.Context, id string, dead func()) error
	Remove(ctx context.Context, id string) error
	// Connect gives a container an address on the lab's network that contains it; it may have it already.
	Connect(ctx context.Context, kind, name string, address netip.Addr) error
	// Disconnect takes the address away again, if the container still exists.
	Disconnect(ctx context.Context, kind, name string, address netip.Addr) error
	// Reaches says whether a machine answers on one of this program's own networks, within probeTimeout.
	Reaches(ctx context.Context, machine Machine) bool
	// StartedAt is when a container was started last.
	StartedAt(ctx context.Context, id string) (time.Time, error)
	// Watch calls changed whenever a container may have changed its state, until ctx ends; ended tells of those that have
	// ended, and when.
	Watch(ctx context.Context, changed func(), ended func(kind, name string, at time.Time))
}

// reconnectDelay is the pause before events are asked for again after the daemon went away.
const reconnectDelay = time.Second

// sshPort is where an ESXi host answers.
const sshPort = 22

// shutdownTimeout is how long a guest may take to shut down, in seconds: systemd gives each of its services 90.
const shutdownTimeout = 100

// docker is the Engine on a Docker daemon.
type docker struct {
	api  *client.Client
	lab  string
	cpus int // of the machine: Docker refuses limits above it
}

// newDocker connects to the daemon that the environment names, by default /var/run/docker.sock.
func newDocker(ctx context.Context, lab string) (*docker, error) {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, err
	}
	info, err := api.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("Docker: %w", err)
	}
	return &docker{api: api, lab: lab, cpus: info.NCPU}, nil
}

func (d *docker) filter(kind string) filters.Args {
	return filters.NewArgs(filters.Arg("label", labelLab+"="+d.lab), filters.Arg("label", labelKind+"="+kind))
}

// Machines implements Engine.
func (d *docker) Machines(ctx context.Context, kind string) ([]Machine, error) {
	found, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: d.filter(kind)})
	if err != nil {
		return nil, err
	}
	machines := make([]Machine, 0, len(found))
	for _, c := range found {
		machine := Machine{ID: c.ID, Name: c.Labels[labelName], VM: c.Labels[labelVM], State: string(c.State)}
		if c.NetworkSettings != nil {
			names := make([]string, 0, len(c.NetworkSettings.Networks))
			for name := range c.NetworkSettings.Networks {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				machine.addEndpoint(c.NetworkSettings.Networks[name])
			}
		}
		machines = append(machines, machine)
	}
	return machines, nil
}

// addEndpoint adds the address of an interface, the one with the lowest first: the order is then the lab's own.
func (m *Machine) addEndpoint(endpoint *network.EndpointSettings) {
	text := endpoint.IPAddress
	if text == "" && endpoint.IPAMConfig != nil {
		text = endpoint.IPAMConfig.IPv4Address
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return
	}
	i, _ := slices.BinarySearchFunc(m.Addresses, address, netip.Addr.Compare)
	m.Addresses = slices.Insert(m.Addresses, i, address)
	if i == 0 {
		m.Gateway, _ = netip.ParseAddr(endpoint.Gateway)
		m.Prefix, m.MAC = endpoint.IPPrefixLen, endpoint.MacAddress
	}
}

// ExitCode implements Engine.
func (d *docker) ExitCode(ctx context.Context, id string) (int, error) {
	inspected, err := d.api.ContainerInspect(ctx, id)
	if err != nil {
		return 0, err
	}
	return inspected.State.ExitCode, nil
}

// CreateGuest implements Engine.
//
// The capabilities are those that systemd needs in a container: SYS_ADMIN for its mounts, NET_ADMIN for addresses and
// keepalived, SYS_BOOT so that a reboot inside is one (the kernel ends the container's init with SIGHUP, and with SIGINT
// after a power-off: reboot(2)).
func (d *docker) CreateGuest(ctx context.Context, spec GuestSpec) (string, error) {
	name := d.lab + "-" + spec.Name
	if leftover, err := d.api.ContainerInspect(ctx, name); err == nil {
		if leftover.Config.Labels[labelLab] != d.lab || leftover.Config.Labels[labelKind] != kindGuest {
			return "", fmt.Errorf("container %s exists and is not a guest of lab %s", name, d.lab)
		}
		if err := d.Remove(ctx, leftover.ID); err != nil {
			return "", err
		}
	}
	timeout := shutdownTimeout
	config := &container.Config{
		Image: spec.Image, Hostname: spec.Hostname, Env: spec.Environment, StopTimeout: &timeout,
		Labels: map[string]string{labelLab: d.lab, labelKind: kindGuest, labelName: spec.Name, labelVM: spec.VM},
	}
	host := &container.HostConfig{
		CapAdd:      []string{"SYS_ADMIN", "NET_ADMIN", "SYS_BOOT"},
		SecurityOpt: []string{"seccomp=unconfined", "apparmor=unconfined"},
		Tmpfs:       map[string]string{"/run": "", "/run/lock": ""},
		NetworkMode: network.NetworkNone,
		Resources:   d.limits(spec.Memory, spec.CPUs),
	}
	var networking *network.NetworkingConfig
	if len(spec.Addresses) > 0 {
		net, err := d.networkOf(ctx, spec.Addresses[0])
		if err != nil {
			return "", err
		}
		host.NetworkMode = container.NetworkMode(net.Name)
		networking = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			net.Name: endpoint(spec.Addresses[0]),
		}}
	}
	created, err := d.api.ContainerCreate(ctx, config, host, networking, nil, name)
	if err != nil {
		return "", err
	}
	for _, address := range spec.Addresses[min(1, len(spec.Addresses)):] {
		if err := d.Connect(ctx, kindGuest, spec.Name, address); err != nil {
			return "", err
		}
	}
	return created.ID, nil
}

func endpoint(address netip.Addr) *network.EndpointSettings {
	return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: address.String()}}
}

func (d *docker) limits(memory int64, cpus int) container.Resources {
	return container.Resources{Memory: memory, MemorySwap: memory, NanoCPUs: int64(min(cpus, d.cpus)) * 1e9}
}

// networkOf finds the lab's network that contains an address.
func (d *docker) networkOf(ctx context.Context, address netip.Addr) (network.Summary, error) {
	networks, err := d.api.NetworkList(ctx, network.ListOptions{
		Filters: filters.NewArgs(filters.Arg("label", labelLab+"="+d.lab)),
	})
	if err != nil {
		return network.Summary{}, err
	}
	for _, candidate := range networks {
		for _, pool := range candidate.IPAM.Config {
			if subnet, err := netip.ParsePrefix(pool.Subnet); err == nil && subnet.Contains(address) {
				return candidate, nil
			}
		}
	}
	return network.Summary{}, fmt.Errorf("no network of lab %s contains %s", d.lab, address)
}

// Resize implements Engine.
func (d *docker) Resize(ctx context.Context, id string, memory int64, cpus int) error {
	_, err := d.api.ContainerUpdate(ctx, id, container.UpdateConfig{Resources: d.limits(memory, cpus)})
	return err
}

// Start implements Engine.
func (d *docker) Start(ctx context.Context, id string) error {
	return d.api.ContainerStart(ctx, id, container.StartOptions{})
}

// ShutDown implements Engine.
func (d *docker) ShutDown(ctx context.Context, id string) error {
	timeout := shutdownTimeout
	return d.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &timeout})
}

// Kill implements Engine. Docker tells by an event that a container is dead; its answer comes some 0.3 s later, once the
// container's network and mounts are gone.
func (d *docker) Kill(ctx context.Context, id string, dead func()) error {
	if dead == nil {
		return d.end(ctx, id)
	}
	listening, enough := context.WithCancel(ctx)
	defer enough()
	died, _ := d.api.Events(listening, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("container", id), filters.Arg("event", string(events.ActionDie)),
	)})
	ended := make(chan error, 1)
	go func() { ended <- d.end(ctx, id) }()
	select {
	case <-died:
		dead()
		return <-ended
	case err := <-ended: // it had ended before, or nobody told
		if err == nil {
			dead()
		}
		return err
	}
}

func (d *docker) end(ctx context.Context, id string) error {
	err := d.api.ContainerKill(ctx, id, "SIGKILL")
	if err != nil && !strings.Contains(err.Error(), "is not running") {
		return err
	}
	stopped, failed := d.api.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case <-stopped:
		return nil
	case err := <-failed:
		return err
	}
}

// Reaches implements Engine: every machine of the lab that answers has SSH.
func (d *docker) Reaches(ctx context.Context, machine Machine) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true // what can't be asked is not taken for silence
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, address := range machine.Addresses {
		if !onOneOf(own, address) {
			continue
		}
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(address, sshPort).String())
		if err != nil {
			return false
		}
		_ = connection.Close()
	}
	return true
}

// onOneOf says whether an address lies in the network of one of these interfaces.
func onOneOf(interfaces []net.Addr, address netip.Addr) bool {
	return slices.ContainsFunc(interfaces, func(one net.Addr) bool {
		network, ok := one.(*net.IPNet)
		return ok && network.Contains(address.AsSlice())
	})
}

// StartedAt implements Engine.
func (d *docker) StartedAt(ctx context.Context, id string) (time.Time, error) {
	inspected, err := d.api.ContainerInspect(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, inspected.State.StartedAt)
}

// Remove implements Engine.
func (d *docker) Remove(ctx context.Context, id string) error {
	err := d.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && strings.Contains(err.Error(), "already in progress") { // by somebody else: wait until it is done
		removed, failed := d.api.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-removed:
			return nil
		case err = <-failed:
		}
	}
	if client.IsErrNotFound(err) {
		return nil
	}
	return err
}

func (d *docker) machine(ctx context.Context, kind, name string) (Machine, bool, error) {
	machines, err := d.Machines(ctx, kind)
	if err != nil {
		return Machine{}, false, err
	}
	i := slices.IndexFunc(machines, func(m Machine) bool { return m.Name == name })
	if i < 0 {
		return Machine{}, false, nil
	}
	return machines[i], true, nil
}

// Connect implements Engine.
func (d *docker) Connect(ctx context.Context, kind, name string, address netip.Addr) error {
	machine, found, err := d.machine(ctx, kind, name)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("lab %s has no %s %s", d.lab, kind, name)
	}
	if slices.Contains(machine.Addresses, address) {
		return nil
	}
	net, err := d.networkOf(ctx, address)
	if err != nil {
		return err
	}
	return d.api.NetworkConnect(ctx, net.ID, machine.ID, endpoint(address))
}

// Disconnect implements Engine.
func (d *docker) Disconnect(ctx context.Context, kind, name string, address netip.Addr) error {
	machine, found, err := d.machine(ctx, kind, name)
	if err != nil || !found || !slices.Contains(machine.Addresses, address) {
		return err
	}
	net, err := d.networkOf(ctx, address)
	if err != nil {
		return err
	}
	return d.api.NetworkDisconnect(ctx, net.ID, machine.ID, true)
}

// Watch implements Engine.
func (d *docker) Watch(ctx context.Context, changed func(), ended func(kind, name string, at time.Time)) {
	for ctx.Err() == nil {
		messages, failures := d.api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
			filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", labelLab+"="+d.lab),
		)})
		changed() // whatever happened while nobody listened
		for listening := true; listening; {
			select {
			case message := <-messages:
				if message.Action == events.ActionDie {
					ended(message.Actor.Attributes[labelKind], message.Actor.Attributes[labelName],
						time.Unix(0, message.TimeNano))
				}
				changed()
			case <-failures: // the daemon restarted, or ctx ended
				listening = false
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(reconnectDelay):
		}
	}
}
