package main

import (
	"log"
	"reflect"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// clusterMethods are the methods of ClusterComputeResource that the lab adds or replaces.
type clusterMethods struct {
	stub
	vcenter *VCenter
}

// completeCluster gives a new cluster the settings that a real one always has: clients dereference them.
func completeCluster(cluster *simulator.ClusterComputeResource) {
	config := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
	config.DasConfig = types.ClusterDasConfigInfo{
		Enabled:                    types.NewBool(false),
		HostMonitoring:             string(types.ClusterDasConfigInfoServiceStateEnabled),
		VmMonitoring:               string(types.ClusterDasConfigInfoVmMonitoringStateVmMonitoringDisabled),
		VmComponentProtecting:      string(types.ClusterDasConfigInfoServiceStateDisabled),
		AdmissionControlEnabled:    types.NewBool(true),
		HBDatastoreCandidatePolicy: string(types.ClusterDasConfigInfoHBDatastoreCandidateAllFeasibleDsWithUserPreference),
		DefaultVmSettings: &types.ClusterDasVmSettings{
			RestartPriority:               string(types.ClusterDasVmSettingsRestartPriorityMedium),
			RestartPriorityTimeout:        600,
			IsolationResponse:             string(types.ClusterDasVmSettingsIsolationResponseNone),
			VmToolsMonitoringSettings:     &types.ClusterVmToolsMonitoringSettings{},
			VmComponentProtectionSettings: &types.ClusterVmComponentProtectionSettings{},
		},
	}
	config.DpmConfigInfo = &types.ClusterDpmConfigInfo{Enabled: types.NewBool(false)}
	config.ProactiveDrsConfig = &types.ClusterProactiveDrsConfigInfo{Enabled: types.NewBool(false)}
	config.InfraUpdateHaConfig = &types.ClusterInfraUpdateHaConfigInfo{Enabled: types.NewBool(false)}
	config.Orchestration = &types.ClusterOrchestrationInfo{DefaultVmReadiness: &types.ClusterVmReadiness{
		ReadyCondition: string(types.ClusterVmReadinessReadyConditionNone),
	}}
}

// ReconfigureComputeResourceTask keeps all of the new configuration; the simulator itself keeps a handful of fields.
func (m *clusterMethods) ReconfigureComputeResourceTask(
	ctx *simulator.Context, req *types.ReconfigureComputeResource_Task,
) soap.HasFault {
	cluster := ctx.Map.Get(req.This).(*simulator.ClusterComputeResource)
	var result soap.HasFault
	ctx.WithLock(cluster, func() {
		if spec, ok := req.Spec.(*types.ClusterConfigSpecEx); ok {
			reconfigureCluster(cluster.ConfigurationEx.(*types.ClusterConfigInfoEx), spec)
		}
		result = cluster.ReconfigureComputeResourceTask(ctx, req)
	})
	return result
}

// reconfigureCluster stores what the specification sets; what it leaves out stays as it was.
func reconfigureCluster(config *types.ClusterConfigInfoEx, spec *types.ClusterConfigSpecEx) {
	if das := spec.DasConfig; das != nil {
		// Lists are sent whole: an option that is no longer there is meant to go.
		fillUnset(das, &config.DasConfig, "Option", "HeartbeatDatastore")
		config.DasConfig = *das
	}
	if drs := spec.DrsConfig; drs != nil {
		fillUnset(drs, &config.DrsConfig, "Option")
		config.DrsConfig = *drs
	}
	if dpm := spec.DpmConfig; dpm != nil {
		fillUnset(dpm, config.DpmConfigInfo, "Option")
		config.DpmConfigInfo = dpm
	}
	if proactive := spec.ProactiveDrsConfig; proactive != nil {
		config.ProactiveDrsConfig = proactive
	}
	if infra := spec.InfraUpdateHaConfig; infra != nil {
		fillUnset(infra, config.InfraUpdateHaConfig, "Providers")
		config.InfraUpdateHaConfig = infra
	}
	if orchestration := spec.Orchestration; orchestration != nil {
		config.Orchestration = orchestration
	}
	for _, change := range spec.DasVmConfigSpec {
		if change.Operation != types.ArrayUpdateOperationEdit || change.Info == nil {
			continue // the simulator adds and removes whole entries, but edits two fields only
		}
		for i := range config.DasVmConfig {
			if config.DasVmConfig[i].Key == change.Info.Key {
				config.DasVmConfig[i] = *change.Info
			}
		}
	}
	for _, change := range spec.VmOrchestrationSpec {
		if change.Operation != types.ArrayUpdateOperationEdit || change.Info == nil {
			continue
		}
		for i := range config.VmOrchestration {
			if config.VmOrchestration[i].Vm == change.Info.Vm {
				config.VmOrchestration[i] = *change.Info
			}
		}
	}
}

// fillUnset copies fields of old to those of updated that are unset. Both are pointers to one struct type.
func fillUnset(updated, old any, except ...string) {
	dst, src := reflect.ValueOf(updated).Elem(), reflect.ValueOf(old).Elem()
	for i := range dst.NumField() {
		if dst.Field(i).IsZero() && !slices.Contains(except, dst.Type().Field(i).Name) {
			dst.Field(i).Set(src.Field(i))
		}
	}
}

// AddHostTask adds an ESXi host whose container runs and whose root password is right.
func (m *clusterMethods) AddHostTask(ctx *simulator.Context, req *types.AddHost_Task) soap.HasFault {
	if fault := m.vcenter.admitHost(ctx, req.Spec); fault != nil {
		return &methods.AddHost_TaskBody{Fault_: fault}
	}
	cluster := ctx.Map.Get(req.This).(*simulator.ClusterComputeResource)
	var result soap.HasFault
	ctx.WithLock(cluster, func() { result = cluster.AddHostTask(ctx, req) })
	task := result.(*methods.AddHost_TaskBody).Res.Returnval
	if added, fault := waitTask(ctx, task); fault == nil {
		host := ctx.Map.Get(added.(types.ManagedObjectReference)).(*simulator.HostSystem)
		if err := m.vcenter.putLocalDatastore(ctx, host); err != nil {
			return &methods.AddHost_TaskBody{Fault_: simulator.Fault(err.Error(), &types.HostConfigFault{})}
		}
	}
	log.Printf("host %s added to cluster %s", req.Spec.HostName, cluster.Name)
	return result
}

// DestroyTask removes an empty cluster with its resource pools.
func (m *clusterMethods) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	task := runTask(ctx, req.This, "destroy", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		cluster := ctx.Map.Get(req.This).(*simulator.ClusterComputeResource)
		if len(cluster.Host) > 0 {
			return nil, &types.ResourceInUse{Type: req.This.Type, Name: cluster.Name}
		}
		removeCompute(ctx, cluster.Self, *cluster.ResourcePool, *cluster.Parent)
		return nil, nil
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task}}
}

// removeCompute takes a cluster, or a standalone host's compute resource, and its pools out of the inventory.
func removeCompute(ctx *simulator.Context, self, pool, parent types.ManagedObjectReference) {
	removePool(ctx, pool)
	ctx.Map.Remove(ctx, self)
	if folder, ok := ctx.Map.Get(parent).(*simulator.Folder); ok {
		ctx.Map.RemoveReference(ctx, folder, &folder.ChildEntity, self)
	}
}

func removePool(ctx *simulator.Context, reference types.ManagedObjectReference) {
	if pool, ok := ctx.Map.Get(reference).(*simulator.ResourcePool); ok {
		for _, child := range pool.ResourcePool.ResourcePool {
			removePool(ctx, child)
		}
		ctx.Map.Remove(ctx, reference)
	}
}

// folderMethods are the methods of Folder that the lab adds or replaces.
type folderMethods struct {
	stub
	vcenter *VCenter
}

// AddStandaloneHostTask adds a host outside of any cluster, under the same conditions as within one.
func (m *folderMethods) AddStandaloneHostTask(
	ctx *simulator.Context, req *types.AddStandaloneHost_Task,
) soap.HasFault {
	if fault := m.vcenter.admitHost(ctx, req.Spec); fault != nil {
		return &methods.AddStandaloneHost_TaskBody{Fault_: fault}
	}
	folder := ctx.Map.Get(req.This).(*simulator.Folder)
	var result soap.HasFault
	ctx.WithLock(folder, func() { result = folder.AddStandaloneHostTask(ctx, req) })
	return result
}
