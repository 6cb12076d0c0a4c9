package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// poolMethods are the methods of ResourcePool that the lab adds or replaces.
type poolMethods struct {
	stub
	vcenter *VCenter
}

// ImportVApp makes a VM from an OVF.
func (m *poolMethods) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	if spec, ok := req.Spec.(*types.VirtualMachineImportSpec); ok {
		if fault := m.vcenter.checkVMFiles(ctx, spec.ConfigSpec, req.This, req.Host); fault != nil {
			return &methods.ImportVAppBody{Fault_: fault}
		}
	}
	pool := ctx.Map.Get(req.This).(*simulator.ResourcePool)
	var result soap.HasFault
	ctx.WithLock(pool, func() { result = pool.ImportVApp(ctx, req) })
	return result
}

// CreateResourcePool makes a pool and keeps how it scales its descendants' shares, which the simulator drops.
func (m *poolMethods) CreateResourcePool(ctx *simulator.Context, req *types.CreateResourcePool) soap.HasFault {
	parent := ctx.Map.Get(req.This).(*simulator.ResourcePool)
	var result soap.HasFault
	ctx.WithLock(parent, func() { result = parent.CreateResourcePool(ctx, req) })
	if created := result.(*methods.CreateResourcePoolBody); created.Res != nil {
		pool := ctx.Map.Get(created.Res.Returnval).(*simulator.ResourcePool)
		ctx.WithLock(pool, func() { pool.Config.ScaleDescendantsShares = req.Spec.ScaleDescendantsShares })
	}
	return result
}

// UpdateConfig changes a pool likewise.
func (m *poolMethods) UpdateConfig(ctx *simulator.Context, req *types.UpdateConfig) soap.HasFault {
	pool := ctx.Map.Get(req.This).(*simulator.ResourcePool)
	var result soap.HasFault
	ctx.WithLock(pool, func() {
		if req.Config != nil && req.Config.ScaleDescendantsShares != "" {
			pool.Config.ScaleDescendantsShares = req.Config.ScaleDescendantsShares
		}
		result = pool.UpdateConfig(ctx, req)
	})
	return result
}
