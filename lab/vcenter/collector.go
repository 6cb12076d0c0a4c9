package main

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// collectorPoll is how often a waiting collector looks at its objects: the simulator changes many of them without
// telling anybody.
const collectorPoll = 50 * time.Millisecond

// collectorVersions is how many states a collector remembers for clients that have not caught up yet.
const collectorVersions = 256

// collector is a property collector whose versions are states, as in a real vCenter: an update set is the difference
// between the state that the client saw last and the present one. The simulator's own hands each change to whichever
// client asks first, so that two tasks awaited at once on the session's collector (newer providers do) wait for ever.
type collector struct {
	simulator.PropertyCollector

	mu       sync.Mutex
	filters  []types.ManagedObjectReference
	versions map[string]collected
	version  int
	canceled chan struct{}
}

// collected is the state of everything that a collector's filters select: filter → object → property → value.
type collected map[types.ManagedObjectReference]map[types.ManagedObjectReference]map[string]types.AnyType

// putCollector replaces the collector of which every session gets its own copy.
func putCollector(ctx *simulator.Context) {
	c := &collector{}
	c.Self = ctx.Map.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}).(interface {
		ServiceContent() types.ServiceContent
	}).ServiceContent().PropertyCollector
	ctx.Map.Put(c)
}

// CreatePropertyCollector makes a collector of one client's own.
func (c *collector) CreatePropertyCollector(
	ctx *simulator.Context, _ *types.CreatePropertyCollector,
) soap.HasFault {
	created := &collector{}
	created.Self.Type = "PropertyCollector"
	return &methods.CreatePropertyCollectorBody{
		Res: &types.CreatePropertyCollectorResponse{Returnval: ctx.Session.Put(created).Reference()},
	}
}

// CreateFilter adds a filter to the collector.
func (c *collector) CreateFilter(ctx *simulator.Context, req *types.CreateFilter) soap.HasFault {
	filter := &propertyFilter{collector: c}
	filter.Self.Type = "PropertyFilter"
	specs := []types.PropertyFilterSpec{req.Spec}
	specsAsCluster(ctx.Map, specs)
	filter.Spec, filter.PartialUpdates = specs[0], req.PartialUpdates
	reference := ctx.Session.Put(filter).Reference()
	c.mu.Lock()
	c.filters = append(c.filters, reference)
	c.mu.Unlock()
	return &methods.CreateFilterBody{Res: &types.CreateFilterResponse{Returnval: reference}}
}

// propertyFilter is one filter of a collector.
type propertyFilter struct {
	mo.PropertyFilter
	collector *collector
}

// DestroyPropertyFilter takes the filter out of its collector.
func (f *propertyFilter) DestroyPropertyFilter(
	ctx *simulator.Context, req *types.DestroyPropertyFilter,
) soap.HasFault {
	f.collector.mu.Lock()
	simulator.RemoveReference(&f.collector.filters, req.This)
	f.collector.mu.Unlock()
	ctx.Session.Remove(ctx, req.This)
	return &methods.DestroyPropertyFilterBody{Res: new(types.DestroyPropertyFilterResponse)}
}

// CancelWaitForUpdates ends the waits that are under way.
func (c *collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	c.mu.Lock()
	if c.canceled != nil {
		close(c.canceled)
		c.canceled = nil
	}
	c.mu.Unlock()
	return &methods.CancelWaitForUpdatesBody{Res: new(types.CancelWaitForUpdatesResponse)}
}

// WaitForUpdatesEx returns what changed since the request's version, waiting for a change if there is none yet.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, req *types.WaitForUpdatesEx) soap.HasFault {
	body := &methods.WaitForUpdatesExBody{}
	fail := func(fault types.BaseMethodFault) soap.HasFault {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	c.mu.Lock()
	seen, known := c.versions[req.Version]
	if c.canceled == nil {
		c.canceled = make(chan struct{})
	}
	canceled := c.canceled
	c.mu.Unlock()
	if req.Version != "" && !known {
		return fail(&types.InvalidCollectorVersion{})
	}

	wait, stop := context.WithCancel(ctx)
	defer stop()
	if req.Options != nil && req.Options.MaxWaitSeconds != nil {
		wait, stop = context.WithTimeout(ctx, time.Duration(*req.Options.MaxWaitSeconds)*time.Second)
		defer stop()
	}
	poll := time.NewTicker(collectorPoll)
	defer poll.Stop()
	for {
		now, fault := c.collect(ctx, req.Version == "")
		if fault != nil {
			return fail(fault)
		}
		if changes := difference(seen, now); len(changes) > 0 || req.Version == "" {
			body.Res = &types.WaitForUpdatesExResponse{
				Returnval: &types.UpdateSet{Version: c.remember(now), FilterSet: changes},
			}
			return body
		}
		select {
		case <-canceled:
			return fail(&types.RequestCanceled{})
		case <-wait.Done():
			body.Res = &types.WaitForUpdatesExResponse{}
			return body
		case <-poll.C:
		}
	}
}

// remember stores a state and returns its version.
func (c *collector) remember(state collected) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.versions == nil {
		c.versions = map[string]collected{}
	}
	c.version++
	delete(c.versions, fmt.Sprint(c.version-collectorVersions))
	version := fmt.Sprint(c.version)
	c.versions[version] = state
	return version
}

// collect reads everything that the filters select. At first an object that isn't there is the client's mistake; later
// on it has gone.
func (c *collector) collect(ctx *simulator.Context, first bool) (collected, types.BaseMethodFault) {
	c.mu.Lock()
	filters := append([]types.ManagedObjectReference(nil), c.filters...)
	c.mu.Unlock()
	state := collected{}
	for _, reference := range filters {
		filter, ok := ctx.Session.Get(reference).(*propertyFilter)
		if !ok {
			continue
		}
		spec := filter.Spec
		spec.ReportMissingObjectsInResults = types.NewBool(!first)
		res := c.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{
			This:    c.Self,
			SpecSet: []types.PropertyFilterSpec{spec},
		}).(*methods.RetrievePropertiesExBody)
		if res.Fault_ != nil {
			if first && len(filters) > 1 {
				continue // another client's filter, whose object has gone meanwhile
			}
			return nil, res.Fault_.Detail.Fault.(types.BaseMethodFault)
		}
		objects := map[types.ManagedObjectReference]map[string]types.AnyType{}
		for _, object := range res.Res.Returnval.Objects {
			properties := map[string]types.AnyType{}
			for _, property := range object.PropSet {
				properties[property.Name] = property.Val
			}
			objects[object.Obj] = properties
		}
		state[reference] = objects
	}
	return state, nil
}

// difference lists how each filter's objects changed from one state to the next.
func difference(before, after collected) []types.PropertyFilterUpdate {
	var updates []types.PropertyFilterUpdate
	for filter, objects := range after {
		update := types.PropertyFilterUpdate{Filter: filter}
		for reference, properties := range objects {
			old, existed := before[filter][reference]
			change := types.ObjectUpdate{Obj: reference, Kind: types.ObjectUpdateKindModify}
			if !existed {
				change.Kind = types.ObjectUpdateKindEnter
			}
			for name, value := range properties {
				if previous, had := old[name]; !had || !reflect.DeepEqual(previous, value) {
					change.ChangeSet = append(change.ChangeSet,
						types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign, Val: value})
				}
			}
			for name := range old {
				if _, has := properties[name]; !has {
					change.ChangeSet = append(change.ChangeSet,
						types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign})
				}
			}
			if !existed || len(change.ChangeSet) > 0 {
				update.ObjectSet = append(update.ObjectSet, change)
			}
		}
		for reference := range before[filter] {
			if _, exists := objects[reference]; !exists {
				update.ObjectSet = append(update.ObjectSet,
					types.ObjectUpdate{Obj: reference, Kind: types.ObjectUpdateKindLeave})
			}
		}
		if len(update.ObjectSet) > 0 {
			updates = append(updates, update)
		}
	}
	return updates
}
