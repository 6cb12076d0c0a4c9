package main

import (
	"log"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// powerTimeout is how long a power task waits for the guest's container before it gives up.
const powerTimeout = 60 * time.Second

// vmState is what the lab needs to know of a VM, read at one moment.
type vmState struct {
	reference  types.ManagedObjectReference
	name       string
	host       types.ManagedObjectReference
	memory     int64 // bytes
	cpus       int
	datastores []types.ManagedObjectReference
	poweredOn  bool
	connected  bool // its host answers
	template   bool
	guestinfo  map[string]string // extra configuration guestinfo.*, by whole key
}

// vms reads every VM of the inventory.
func (v *VCenter) vms(ctx *simulator.Context) []vmState {
	var states []vmState
	for _, entity := range ctx.Map.All("VirtualMachine") {
		if state, ok := v.vm(ctx, entity.Reference()); ok {
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b vmState) int { return strings.Compare(a.name, b.name) })
	return states
}

// vm reads one VM; false if it is gone, or not complete yet.
func (v *VCenter) vm(ctx *simulator.Context, reference types.ManagedObjectReference) (vmState, bool) {
	vm, ok := ctx.Map.Get(reference).(*simulator.VirtualMachine)
	v.mu.Lock()
	complete := ok && v.created[reference.Value]
	v.mu.Unlock()
	if !complete {
		return vmState{}, false
	}
	state := vmState{reference: reference, guestinfo: map[string]string{}}
	ctx.WithLock(vm, func() {
		state.name, state.host = vm.Name, *vm.Runtime.Host
		state.datastores = slices.Clone(vm.Datastore)
		state.memory, state.cpus = int64(vm.Config.Hardware.MemoryMB)<<20, int(vm.Config.Hardware.NumCPU)
		state.poweredOn = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		state.connected = vm.Runtime.ConnectionState == types.VirtualMachineConnectionStateConnected
		state.template = vm.Config.Template
		for _, option := range vm.Config.ExtraConfig {
			value := option.GetOptionValue()
			if text, ok := value.Value.(string); ok && strings.HasPrefix(value.Key, "guestinfo.") {
				state.guestinfo[value.Key] = text
			}
		}
	})
	return state, true
}

// vmMethods are the methods of VirtualMachine that the lab adds or replaces.
type vmMethods struct {
	stub
	vcenter *VCenter
}

func virtualMachine(ctx *simulator.Context, reference types.ManagedObjectReference) *simulator.VirtualMachine {
	return ctx.Map.Get(reference).(*simulator.VirtualMachine)
}

// PowerOnVMTask powers a VM on: the task ends when its guest's container runs, or fails with the reason why it can't.
func (m *vmMethods) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	task := runTask(ctx, req.This, "powerOn", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		vm := virtualMachine(ctx, req.This)
		if state, ok := m.vcenter.vm(ctx, req.This); !ok || !state.connected {
			return nil, &types.HostNotConnected{}
		}
		m.vcenter.guests.forgive(req.This)
		if fault := m.powerOn(ctx, vm); fault != nil {
			return nil, fault
		}
		if err := m.vcenter.guests.await(req.This, stateRunning, powerTimeout); err != nil {
			m.powerOff(ctx, vm)
			return nil, systemFault("the guest of " + vm.Name + " can't start: " + err.Error())
		}
		return nil, nil
	})
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task}}
}

// PowerOffVMTask pulls the plug: the task ends when the guest's container is dead.
func (m *vmMethods) PowerOffVMTask(ctx *simulator.Context, req *types.PowerOffVM_Task) soap.HasFault {
	task := runTask(ctx, req.This, "powerOff", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		if state, ok := m.vcenter.vm(ctx, req.This); !ok || !state.connected {
			return nil, &types.HostNotConnected{} // nobody there could pull the plug
		}
		m.vcenter.guests.forgive(req.This)
		vm := virtualMachine(ctx, req.This)
		return nil, m.vcenter.guests.pullPlug(req.This, func() types.BaseMethodFault { return m.powerOff(ctx, vm) })
	})
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: task}}
}

func (*vmMethods) powerOn(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	var started soap.HasFault
	ctx.WithLock(vm, func() { started = vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: vm.Self}) })
	body := started.(*methods.PowerOnVM_TaskBody)
	if body.Fault_ != nil {
		return body.Fault_.Detail.Fault.(types.BaseMethodFault)
	}
	_, fault := waitTask(ctx, body.Res.Returnval)
	return fault
}

func (*vmMethods) powerOff(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	var started soap.HasFault
	ctx.WithLock(vm, func() { started = vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self}) })
	_, fault := waitTask(ctx, started.(*methods.PowerOffVM_TaskBody).Res.Returnval)
	return fault
}

// systemFault is the fault that carries a message of the lab's own.
func systemFault(reason string) types.BaseMethodFault {
	return &types.SystemError{
		RuntimeFault: types.RuntimeFault{MethodFault: types.MethodFault{
			FaultCause: &types.LocalizedMethodFault{
				Fault: &types.SystemErrorFault{Reason: reason}, LocalizedMessage: reason,
			},
		}},
		Reason: reason,
	}
}

// ResetVMTask is the reset button: the guest's container is killed and started again.
func (m *vmMethods) ResetVMTask(ctx *simulator.Context, req *types.ResetVM_Task) soap.HasFault {
	task := runTask(ctx, req.This, "reset", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		if state, ok := m.vcenter.vm(ctx, req.This); !ok || !state.poweredOn {
			return nil, &types.InvalidPowerState{
				RequestedState: types.VirtualMachinePowerStatePoweredOn,
				ExistingState:  types.VirtualMachinePowerStatePoweredOff,
			}
		}
		if err := m.vcenter.guests.reset(req.This, powerTimeout); err != nil {
			return nil, systemFault(err.Error())
		}
		return nil, nil
	})
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: task}}
}

// ShutdownGuest asks the guest to shut down; the VM is powered off when it has.
func (m *vmMethods) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	fault := m.vcenter.guests.shutDown(ctx, req.This, false)
	return &methods.ShutdownGuestBody{Fault_: fault, Res: new(types.ShutdownGuestResponse)}
}

// RebootGuest asks the guest to reboot.
func (m *vmMethods) RebootGuest(ctx *simulator.Context, req *types.RebootGuest) soap.HasFault {
	fault := m.vcenter.guests.shutDown(ctx, req.This, true)
	return &methods.RebootGuestBody{Fault_: fault, Res: new(types.RebootGuestResponse)}
}

// SuspendVMTask is not supported: the lab has nowhere to keep a guest's memory.
func (m *vmMethods) SuspendVMTask(*simulator.Context, *types.SuspendVM_Task) soap.HasFault {
	return &methods.SuspendVM_TaskBody{
		Fault_: simulator.Fault("this lab can't suspend a VM", &types.NotSupported{}),
	}
}

// ReconfigVMTask keeps the settings that the simulator drops.
func (m *vmMethods) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	vm := virtualMachine(ctx, req.This)
	var result soap.HasFault
	ctx.WithLock(vm, func() {
		if req.Spec.SwapPlacement != "" {
			vm.Config.SwapPlacement = req.Spec.SwapPlacement
		}
		if req.Spec.VPMCEnabled != nil {
			vm.Config.VPMCEnabled = req.Spec.VPMCEnabled
		}
		result = vm.ReconfigVMTask(ctx, req)
	})
	return result
}

// UpgradeVMTask sets a VM's hardware version. Asked for the one that the VM has, it does nothing: clients compare with the
// environment's newest, which the simulator's environment browser gives for every VM.
func (m *vmMethods) UpgradeVMTask(ctx *simulator.Context, req *types.UpgradeVM_Task) soap.HasFault {
	vm := virtualMachine(ctx, req.This)
	var result soap.HasFault
	ctx.WithLock(vm, func() {
		if req.Version == vm.Config.Version {
			task := simulator.CreateTask(vm, "upgradeVm",
				func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return nil, nil })
			result = &methods.UpgradeVM_TaskBody{Res: &types.UpgradeVM_TaskResponse{Returnval: task.Run(ctx)}}
			return
		}
		result = vm.UpgradeVMTask(ctx, req)
	})
	return result
}

// MigrateVMTask moves a VM to another host (vMotion): its guest does not notice.
func (m *vmMethods) MigrateVMTask(ctx *simulator.Context, req *types.MigrateVM_Task) soap.HasFault {
	task := runTask(ctx, req.This, "migrate", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		if req.Host == nil {
			return nil, &types.InvalidArgument{InvalidProperty: "host"}
		}
		return nil, m.vcenter.vMotion(ctx, req.This, *req.Host)
	})
	return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: task}}
}

// RelocateVMTask moves a VM to another host, datastore, pool or folder. The simulator does the rest of it, but loses
// track of who has which VM.
func (m *vmMethods) RelocateVMTask(ctx *simulator.Context, req *types.RelocateVM_Task) soap.HasFault {
	task := runTask(ctx, req.This, "relocate", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		vm := virtualMachine(ctx, req.This)
		if req.Spec.Host != nil {
			if fault := m.vcenter.vMotion(ctx, req.This, *req.Spec.Host); fault != nil {
				return nil, fault
			}
			req.Spec.Host = nil
		}
		if req.Spec.Datastore != nil {
			m.vcenter.moveDatastore(ctx, vm, *req.Spec.Datastore)
		}
		if req.Spec.Pool != nil && vm.ResourcePool != nil {
			if old, ok := ctx.Map.Get(*vm.ResourcePool).(*simulator.ResourcePool); ok {
				ctx.Map.RemoveReference(ctx, old, &old.Vm, vm.Self)
			}
			if pool, ok := ctx.Map.Get(*req.Spec.Pool).(*simulator.ResourcePool); ok {
				ctx.Map.AddReference(ctx, pool, &pool.Vm, vm.Self)
			}
		}
		var started soap.HasFault
		ctx.WithLock(vm, func() { started = vm.RelocateVMTask(ctx, req) })
		return waitTask(ctx, started.(*methods.RelocateVM_TaskBody).Res.Returnval)
	})
	return &methods.RelocateVM_TaskBody{Res: &types.RelocateVM_TaskResponse{Returnval: task}}
}

// vMotion moves a VM to a host that is connected and takes VMs.
func (v *VCenter) vMotion(ctx *simulator.Context, vm, target types.ManagedObjectReference) types.BaseMethodFault {
	host, ok := ctx.Map.Get(target).(*simulator.HostSystem)
	switch {
	case !ok:
		return &types.ManagedObjectNotFound{Obj: target}
	case host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected:
		return &types.HostNotConnected{}
	case host.Runtime.InMaintenanceMode:
		return &types.InvalidState{}
	}
	v.moveVM(ctx, vm, target)
	log.Printf("VM %s moved to host %s", virtualMachine(ctx, vm).Name, host.Name)
	return nil
}

// moveVM registers a VM on another host.
func (v *VCenter) moveVM(ctx *simulator.Context, reference, target types.ManagedObjectReference) {
	vm := virtualMachine(ctx, reference)
	var source types.ManagedObjectReference
	ctx.AutoUpdate(vm, func() {
		source = *vm.Runtime.Host
		vm.Runtime.Host = &target
		vm.Summary.Runtime.Host = &target
		vm.Runtime.ConnectionState = types.VirtualMachineConnectionStateConnected
		vm.Summary.Runtime.ConnectionState = types.VirtualMachineConnectionStateConnected
	})
	if host, ok := ctx.Map.Get(source).(*simulator.HostSystem); ok {
		ctx.Map.RemoveReference(ctx, host, &host.Vm, reference)
	}
	if host, ok := ctx.Map.Get(target).(*simulator.HostSystem); ok {
		ctx.Map.AddReference(ctx, host, &host.Vm, reference)
	}
}

// moveDatastore keeps both datastores' lists of VMs right.
func (v *VCenter) moveDatastore(
	ctx *simulator.Context, vm *simulator.VirtualMachine, target types.ManagedObjectReference,
) {
	for _, reference := range vm.Datastore {
		if old, ok := ctx.Map.Get(reference).(*simulator.Datastore); ok {
			ctx.Map.RemoveReference(ctx, old, &old.Vm, vm.Self)
		}
	}
	if datastore, ok := ctx.Map.Get(target).(*simulator.Datastore); ok {
		ctx.Map.AddReference(ctx, datastore, &datastore.Vm, vm.Self)
	}
}

// CloneVMTask remembers which template the clone comes from: its guest's image goes by that.
func (m *vmMethods) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	source := virtualMachine(ctx, req.This)
	host, datastores := source.Runtime.Host, source.Datastore
	if req.Spec.Location.Host != nil {
		host = req.Spec.Location.Host
	}
	if req.Spec.Location.Datastore != nil {
		datastores = []types.ManagedObjectReference{*req.Spec.Location.Datastore}
	}
	if fault := checkMounted(ctx, *host, datastores); fault != nil {
		return &methods.CloneVM_TaskBody{Fault_: fault}
	}
	m.vcenter.expectLineage(req.Name, append([]string{source.Name}, m.vcenter.lineageOf(source.Self)...))
	var result soap.HasFault
	ctx.WithLock(source, func() { result = source.CloneVMTask(ctx, req) })
	return result
}

// checkMounted refuses a host that has not mounted one of the datastores: the simulator would end the whole process.
func checkMounted(
	ctx *simulator.Context, reference types.ManagedObjectReference, datastores []types.ManagedObjectReference,
) *soap.Fault {
	host, ok := ctx.Map.Get(reference).(*simulator.HostSystem)
	if !ok {
		return simulator.Fault("", &types.ManagedObjectNotFound{Obj: reference})
	}
	for _, datastore := range datastores {
		if !slices.Contains(host.Datastore, datastore) {
			name := datastore.Value
			if known, ok := ctx.Map.Get(datastore).(*simulator.Datastore); ok {
				name = known.Name
			}
			return simulator.Fault("host "+host.Name+" has not mounted datastore "+name,
				&types.InvalidDatastore{Datastore: &datastore, Name: name})
		}
	}
	return nil
}

// checkVMFiles refuses a VM on a datastore that its host, or every host of its pool if none is named, has not mounted.
func (v *VCenter) checkVMFiles(
	ctx *simulator.Context, config types.VirtualMachineConfigSpec, pool types.ManagedObjectReference,
	host *types.ManagedObjectReference,
) *soap.Fault {
	var path object.DatastorePath
	if config.Files == nil || !path.FromString(config.Files.VmPathName) {
		return simulator.Fault("the VM needs a datastore", &types.InvalidVmConfig{Property: "configSpec.files.vmPathName"})
	}
	var candidates []types.ManagedObjectReference
	if host != nil {
		candidates = append(candidates, *host)
	} else if owner, ok := ctx.Map.Get(pool).(*simulator.ResourcePool); ok {
		if cluster, ok := ctx.Map.Get(owner.Owner).(*simulator.ClusterComputeResource); ok {
			candidates = cluster.Host
		} else if standalone, ok := ctx.Map.Get(owner.Owner).(*mo.ComputeResource); ok {
			candidates = standalone.Host
		}
	}
	for _, candidate := range candidates {
		if known, ok := ctx.Map.Get(candidate).(*simulator.HostSystem); ok &&
			ctx.Map.FindByName(path.Datastore, known.Datastore) != nil {
			return nil
		}
	}
	return simulator.Fault("no host for the VM has mounted datastore "+path.Datastore,
		&types.InvalidDatastorePath{DatastorePath: config.Files.VmPathName})
}

// CreateVMTask makes a VM from nothing.
func (m *folderMethods) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	if fault := m.vcenter.checkVMFiles(ctx, req.Config, req.Pool, req.Host); fault != nil {
		return &methods.CreateVM_TaskBody{Fault_: fault}
	}
	folder := ctx.Map.Get(req.This).(*simulator.Folder)
	var result soap.HasFault
	ctx.WithLock(folder, func() { result = folder.CreateVMTask(ctx, req) })
	return result
}
