package main

import (
	"reflect"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// redirections sends methods of the simulator's own managed object types to objects of ours.
//
// The simulator asserts concrete types everywhere, so its hosts, clusters, VMs and datastores can't be replaced by
// wrappers. But it lets a handler see every call before it looks the target up: pointing the call at another registered
// object is enough. That object's methods find the real target in the request's This.
type redirections map[string]mo.Reference

// newRedirections registers one object of ours for each managed object type with methods to add or to replace.
func newRedirections(v *VCenter, registry *simulator.Registry) redirections {
	redirect := redirections{
		"ClusterComputeResource": &clusterMethods{stub: newStub("ClusterComputeResource"), vcenter: v},
		"HostSystem":             &hostMethods{stub: newStub("HostSystem"), vcenter: v},
		"VirtualMachine":         &vmMethods{stub: newStub("VirtualMachine"), vcenter: v},
		"Datastore":              &datastoreMethods{stub: newStub("Datastore"), vcenter: v},
		"OvfManager":             &ovfMethods{stub: newStub("OvfManager"), vcenter: v},
		"ResourcePool":           &poolMethods{stub: newStub("ResourcePool"), vcenter: v},
		"Folder":                 &folderMethods{stub: newStub("Folder"), vcenter: v},
	}
	for _, object := range redirect {
		registry.Put(object)
	}
	return redirect
}

// sessionCollectors is held while a session gets its property collector.
var sessionCollectors sync.Mutex

// handle is the simulator's hook: it sees each call first and may change its target.
func (r redirections) handle(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	asCluster(ctx.Map, &method.This)
	if ctx.Session != nil && method.This.Type == "PropertyCollector" {
		sessionCollectors.Lock() // two first calls at once would give the session two collectors, and lose one
		ctx.Session.Get(method.This)
		sessionCollectors.Unlock()
	}
	switch body := method.Body.(type) {
	case *types.RetrieveProperties:
		specsAsCluster(ctx.Map, body.SpecSet)
	case *types.RetrievePropertiesEx:
		specsAsCluster(ctx.Map, body.SpecSet)
	}
	if object, ok := r[method.This.Type]; ok && ctx.Session != nil {
		name := strings.Replace(method.Name, "_Task", "Task", 1)
		if reflect.ValueOf(object).MethodByName(name).IsValid() {
			method.This = object.Reference()
		}
	}
	return nil, nil
}

// asCluster corrects references to a cluster as its base type: real vCenter goes by the identifier alone, and the
// Terraform provider counts on it.
func asCluster(registry *simulator.Registry, reference *types.ManagedObjectReference) {
	cluster := types.ManagedObjectReference{Type: "ClusterComputeResource", Value: reference.Value}
	if reference.Type == "ComputeResource" && registry.Get(*reference) == nil && registry.Get(cluster) != nil {
		*reference = cluster
	}
}

func specsAsCluster(registry *simulator.Registry, specs []types.PropertyFilterSpec) {
	for i := range specs {
		for j := range specs[i].ObjectSet {
			asCluster(registry, &specs[i].ObjectSet[j].Obj)
		}
	}
}

// stub is the identity of an object of ours in the simulator's registry. It is a managed object, since searches look into
// every object that is registered.
type stub struct{ mo.ExtensibleManagedObject }

func newStub(kind string) stub {
	return stub{mo.ExtensibleManagedObject{Self: types.ManagedObjectReference{Type: "Lab" + kind, Value: "lab"}}}
}

// Lock opts out of the simulator's locking: one object answers for many targets, and locks those itself.
func (*stub) Lock() {}

// Unlock is the other half of Lock.
func (*stub) Unlock() {}

// runTask runs a task on target that may take long. The simulator would hold the target's lock while it runs, and
// nobody could read the target's properties: so the task starts out on a reference of its own.
func runTask(
	ctx *simulator.Context,
	target types.ManagedObjectReference,
	name string,
	run func(*simulator.Context) (types.AnyType, types.BaseMethodFault),
) types.ManagedObjectReference {
	own := types.ManagedObjectReference{Type: target.Type, Value: "task-of-" + uuid.NewString()}
	task := simulator.CreateTask(own, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		inside := *ctx // the caller's request may be over: its context, and the locks it owns, are not ours
		return run(&inside)
	})
	reference := task.Run(ctx)
	ctx.Map.AtomicUpdate(ctx, task, []types.PropertyChange{{Name: "info.entity", Val: target}})
	return reference
}

// waitTask waits for another task and returns its fault, if any.
func waitTask(ctx *simulator.Context, reference types.ManagedObjectReference) (types.AnyType, types.BaseMethodFault) {
	task, ok := ctx.Map.Get(reference).(*simulator.Task)
	if !ok {
		return nil, &types.ManagedObjectNotFound{Obj: reference}
	}
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}
