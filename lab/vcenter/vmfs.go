package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// volume is a VMFS volume: a datastore on one LUN or more.
type volume struct {
	datastore *simulator.Datastore
	uuid      string
	extents   []StorageDevice // the first is the head: it names the volume
	directory string          // where the simulator keeps its files
	local     bool            // on the own disk of one host
}

// size is the volume's capacity in bytes.
func (v *volume) size() int64 {
	var total int64
	for _, extent := range v.extents {
		total += extent.SizeBytes
	}
	return total
}

// describe writes the volume's facts into its datastore. Free space is not modelled: VM disks are thin, and what is in
// them lives in the guests' containers.
func (v *volume) describe() {
	name := v.datastore.Name
	vmfs := &types.HostVmfsVolume{
		HostFileSystemVolume: types.HostFileSystemVolume{Type: "VMFS", Name: name, Capacity: v.size()},
		BlockSizeMb:          1, BlockSize: 1024, UnmapGranularity: 1024, UnmapPriority: "low", MaxBlocks: 63 << 20,
		MajorVersion: 6, Version: "6.82", Uuid: v.uuid, VmfsUpgradable: false,
		Ssd: types.NewBool(false), Local: types.NewBool(v.local),
	}
	for _, extent := range v.extents {
		vmfs.Extent = append(vmfs.Extent, types.HostScsiDiskPartition{DiskName: extent.NAA, Partition: 1})
	}
	v.datastore.Info = &types.VmfsDatastoreInfo{
		DatastoreInfo: types.DatastoreInfo{
			Name: name, Url: v.directory, FreeSpace: v.size(), MaxFileSize: 62 << 40, MaxVirtualDiskCapacity: 62 << 40,
		},
		MaxPhysicalRDMFileSize: 64 << 40, MaxVirtualRDMFileSize: 62 << 40,
		Vmfs: vmfs,
	}
	v.datastore.Summary.Name = name
	v.datastore.Summary.Capacity = v.size()
	v.datastore.Summary.FreeSpace = v.size()
}

// datastoreSystem creates and removes datastores through one host. Those on NFS or local disks are the simulator's.
type datastoreSystem struct {
	simulator.HostDatastoreSystem
	vcenter *VCenter
	host    *simulator.HostSystem
}

func newDatastoreSystem(v *VCenter, host *simulator.HostSystem) *datastoreSystem {
	s := &datastoreSystem{vcenter: v, host: host}
	s.HostDatastoreSystem.Host = &host.HostSystem
	return s
}

// available lists the LUNs that this host reaches and no volume uses.
func (s *datastoreSystem) available() []StorageDevice {
	report := s.vcenter.storageReport(s.host.Name)
	s.vcenter.mu.Lock()
	defer s.vcenter.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(report.Devices), func(device StorageDevice) bool {
		return !device.reachable() || s.vcenter.volumeOn(device.NAA) != nil
	})
}

// volumeOn finds the volume that uses a LUN. The caller holds mu.
func (v *VCenter) volumeOn(naa string) *volume {
	for _, volume := range v.volumes {
		if slices.ContainsFunc(volume.extents, func(d StorageDevice) bool { return d.NAA == naa }) {
			return volume
		}
	}
	return nil
}

// availableAt finds an unused LUN by its device path.
func (s *datastoreSystem) availableAt(path string) (StorageDevice, *soap.Fault) {
	for _, device := range s.available() {
		if devicePath(device.NAA) == path {
			return device, nil
		}
	}
	return StorageDevice{}, notFound("disk available for VMFS", path)
}

// QueryAvailableDisksForVmfs lists the LUNs that a datastore could be made on.
func (s *datastoreSystem) QueryAvailableDisksForVmfs(*types.QueryAvailableDisksForVmfs) soap.HasFault {
	res := new(types.QueryAvailableDisksForVmfsResponse)
	for _, device := range s.available() {
		res.Returnval = append(res.Returnval, *scsiDisk(device))
	}
	return &methods.QueryAvailableDisksForVmfsBody{Res: res}
}

// QueryVmfsDatastoreCreateOptions offers the whole LUN.
func (s *datastoreSystem) QueryVmfsDatastoreCreateOptions(
	req *types.QueryVmfsDatastoreCreateOptions,
) soap.HasFault {
	device, fault := s.availableAt(req.DevicePath)
	if fault != nil {
		return &methods.QueryVmfsDatastoreCreateOptionsBody{Fault_: fault}
	}
	layout, partition := wholeDisk(device)
	option := types.VmfsDatastoreOption{
		Info: &types.VmfsDatastoreAllExtentOption{
			VmfsDatastoreSingleExtentOption: types.VmfsDatastoreSingleExtentOption{
				VmfsDatastoreBaseOption: types.VmfsDatastoreBaseOption{Layout: layout},
				VmfsExtent:              layout.Partition[0],
			},
		},
		Spec: &types.VmfsDatastoreCreateSpec{
			VmfsDatastoreSpec: types.VmfsDatastoreSpec{DiskUuid: device.NAA},
			Partition:         partition,
			Vmfs: types.HostVmfsSpec{
				Extent: types.HostScsiDiskPartition{DiskName: device.NAA, Partition: 1}, BlockSizeMb: 1, MajorVersion: 6,
			},
		},
	}
	return &methods.QueryVmfsDatastoreCreateOptionsBody{
		Res: &types.QueryVmfsDatastoreCreateOptionsResponse{Returnval: []types.VmfsDatastoreOption{option}},
	}
}

// wholeDisk is a disk's layout with one partition over all of it.
func wholeDisk(device StorageDevice) (types.HostDiskPartitionLayout, types.HostDiskPartitionSpec) {
	blocks := device.SizeBytes / sectorSize
	layout := types.HostDiskPartitionLayout{
		Total: &types.HostDiskDimensionsLba{BlockSize: sectorSize, Block: blocks},
		Partition: []types.HostDiskPartitionBlockRange{{
			Partition: 1, Type: "vmfs",
			Start: types.HostDiskDimensionsLba{BlockSize: sectorSize, Block: 2048},
			End:   types.HostDiskDimensionsLba{BlockSize: sectorSize, Block: blocks - 34},
		}},
	}
	return layout, types.HostDiskPartitionSpec{
		PartitionFormat: "gpt", TotalSectors: blocks,
		Partition: []types.HostDiskPartitionAttributes{{
			Partition: 1, StartSector: 2048, EndSector: blocks - 34, Type: "vmfs",
		}},
	}
}

// CreateVmfsDatastore makes a datastore on an unused LUN. Other hosts mount it when they look for volumes next.
func (s *datastoreSystem) CreateVmfsDatastore(
	ctx *simulator.Context, req *types.CreateVmfsDatastore,
) soap.HasFault {
	body := &methods.CreateVmfsDatastoreBody{}
	device, fault := s.availableAt(devicePath(req.Spec.Vmfs.Extent.DiskName))
	if fault != nil {
		body.Fault_ = fault
		return body
	}
	datacenter := s.vcenter.datacenterOf(ctx, s.host)
	name := req.Spec.Vmfs.VolumeName
	if existing := ctx.Map.FindByName(name, datacenter.Datastore); existing != nil {
		body.Fault_ = simulator.Fault("a datastore "+name+" exists already",
			&types.DuplicateName{Name: name, Object: existing.Reference()})
		return body
	}
	created := &volume{datastore: &simulator.Datastore{}, uuid: uuid.NewString(), extents: []StorageDevice{device}}
	created.directory = path.Join(s.vcenter.config.State, created.uuid)
	if err := os.MkdirAll(created.directory, 0o700); err != nil {
		body.Fault_ = simulator.Fault(err.Error(), &types.HostConfigFault{})
		return body
	}
	s.vcenter.putDatastore(ctx, datacenter, created, name)
	s.vcenter.mu.Lock()
	s.vcenter.volumes[device.NAA] = created
	s.vcenter.mu.Unlock()
	s.vcenter.mountVisible(ctx, s.host, s.vcenter.storageReport(s.host.Name))
	log.Printf("VMFS datastore %s made on %s through %s", name, device.NAA, s.host.Name)
	body.Res = &types.CreateVmfsDatastoreResponse{Returnval: created.datastore.Self}
	return body
}

// localDiskSize is that of every host's own disk, in bytes: what is left of a small boot medium.
const localDiskSize = 240 << 30

// putLocalDatastore puts the datastore on a host's own disk into the inventory, with the host that brings it.
func (v *VCenter) putLocalDatastore(ctx *simulator.Context, host *simulator.HostSystem) error {
	name, wanted := v.config.LocalDatastores[shortName(host.Name)]
	if !wanted {
		return nil
	}
	disk := StorageDevice{NAA: "mpx.vmhba0:C0:T0:L0", SizeBytes: localDiskSize}
	created := &volume{
		datastore: &simulator.Datastore{}, uuid: uuid.NewString(), extents: []StorageDevice{disk}, local: true,
	}
	created.directory = path.Join(v.config.State, created.uuid)
	if err := os.MkdirAll(created.directory, 0o700); err != nil {
		return err
	}
	v.putDatastore(ctx, v.datacenterOf(ctx, host), created, name)
	v.mu.Lock()
	v.volumes[host.Name] = created
	v.mu.Unlock()
	v.mount(ctx, created, host, true, true)
	return nil
}

// putDatastore puts a new volume's datastore into the datacenter's inventory.
func (v *VCenter) putDatastore(ctx *simulator.Context, datacenter *simulator.Datacenter, created *volume, name string) {
	datastore := created.datastore
	datastore.Name = name
	datastore.Summary.Type = string(types.HostFileSystemVolumeFileSystemTypeVMFS)
	datastore.Summary.MaintenanceMode = string(types.DatastoreSummaryMaintenanceModeStateNormal)
	datastore.Summary.Url = created.directory
	datastore.Summary.MultipleHostAccess = types.NewBool(!created.local) // VMFS on a SAN's LUN is a shared file system
	datastore.Capability = types.DatastoreCapability{
		DirectoryHierarchySupported: true, RawDiskMappingsSupported: true, PerFileThinProvisioningSupported: true,
		StorageIORMSupported: true, TopLevelDirectoryCreateSupported: types.NewBool(true),
	}
	created.describe()
	browser := &simulator.HostDatastoreBrowser{}
	datastore.Browser = ctx.Map.Put(browser).Reference()

	folder := ctx.Map.Get(datacenter.DatastoreFolder).(*simulator.Folder)
	ctx.Map.PutEntity(folder, ctx.Map.NewEntity(datastore))
	datastore.Summary.Datastore = &datastore.Self
	browser.Datastore = []types.ManagedObjectReference{datastore.Self}
	ctx.Map.AppendReference(ctx, folder, &folder.ChildEntity, datastore.Self)
	ctx.Map.AppendReference(ctx, datacenter, &datacenter.Datastore, datastore.Self)
}

// mountVisible mounts on a host the volumes of which it sees every LUN, and marks those it lost.
func (v *VCenter) mountVisible(ctx *simulator.Context, host *simulator.HostSystem, report StorageReport) {
	seen, reached := map[string]bool{}, map[string]bool{}
	for _, device := range report.Devices {
		seen[device.NAA] = true
		reached[device.NAA] = device.reachable()
	}
	v.mu.Lock()
	volumes := make([]*volume, 0, len(v.volumes))
	for _, volume := range v.volumes {
		if !volume.local {
			volumes = append(volumes, volume)
		}
	}
	v.mu.Unlock()
	for _, volume := range volumes {
		all := func(in map[string]bool) bool {
			return !slices.ContainsFunc(volume.extents, func(d StorageDevice) bool { return !in[d.NAA] })
		}
		v.mount(ctx, volume, host, all(seen), all(reached))
	}
}

// mount records on both sides how a host sees a volume.
func (v *VCenter) mount(ctx *simulator.Context, volume *volume, host *simulator.HostSystem, seen, reached bool) {
	datastore := volume.datastore
	mounted := false
	ctx.WithLock(datastore, func() {
		i := slices.IndexFunc(datastore.Host, func(m types.DatastoreHostMount) bool { return m.Key == host.Self })
		if i < 0 && !seen {
			return
		}
		if i < 0 {
			datastore.Host = append(datastore.Host, types.DatastoreHostMount{
				Key: host.Self,
				MountInfo: types.HostMountInfo{
					Path: "/vmfs/volumes/" + volume.uuid, AccessMode: string(types.HostMountModeReadWrite),
					Mounted: types.NewBool(true),
				},
			})
			i = len(datastore.Host) - 1
			log.Printf("host %s: datastore %s mounted", host.Name, datastore.Name)
		}
		info := &datastore.Host[i].MountInfo
		if info.Accessible != nil && *info.Accessible != reached {
			log.Printf("host %s: datastore %s accessible: %v", host.Name, datastore.Name, reached)
		}
		info.Accessible = types.NewBool(reached)
		datastore.Summary.Accessible = slices.ContainsFunc(datastore.Host, func(m types.DatastoreHostMount) bool {
			return m.MountInfo.Accessible != nil && *m.MountInfo.Accessible
		})
		mounted = true
	})
	if !mounted {
		return
	}
	ctx.Map.AddReference(ctx, host, &host.Datastore, datastore.Self)
	if system, ok := ctx.Map.Get(*host.ConfigManager.DatastoreSystem).(*datastoreSystem); ok {
		ctx.Map.AddReference(ctx, system, &system.Datastore, datastore.Self)
	}
	if cluster, ok := ctx.Map.Get(*host.Parent).(*simulator.ClusterComputeResource); ok {
		ctx.Map.AddReference(ctx, cluster, &cluster.Datastore, datastore.Self)
	}
}

// unmountAll ends a host's mounts: it leaves the inventory.
func (v *VCenter) unmountAll(ctx *simulator.Context, host *simulator.HostSystem) {
	for _, reference := range slices.Clone(host.Datastore) {
		datastore, ok := ctx.Map.Get(reference).(*simulator.Datastore)
		if ok {
			ctx.WithLock(datastore, func() {
				datastore.Host = slices.DeleteFunc(datastore.Host,
					func(m types.DatastoreHostMount) bool { return m.Key == host.Self })
			})
		}
		ctx.Map.RemoveReference(ctx, host, &host.Datastore, reference)
		if volume := v.volumeOf(reference); ok && volume != nil && volume.local { // it goes with its host
			if fault := v.removeDatastore(ctx, datastore); fault != nil {
				log.Printf("host %s: datastore %s stays: %T", host.Name, datastore.Name, fault)
			}
		}
	}
}

// QueryVmfsDatastoreExtendOptions offers a whole further LUN.
func (s *datastoreSystem) QueryVmfsDatastoreExtendOptions(
	req *types.QueryVmfsDatastoreExtendOptions,
) soap.HasFault {
	device, fault := s.availableAt(req.DevicePath)
	if fault != nil {
		return &methods.QueryVmfsDatastoreExtendOptionsBody{Fault_: fault}
	}
	layout, partition := wholeDisk(device)
	option := types.VmfsDatastoreOption{
		Info: &types.VmfsDatastoreAllExtentOption{
			VmfsDatastoreSingleExtentOption: types.VmfsDatastoreSingleExtentOption{
				VmfsDatastoreBaseOption: types.VmfsDatastoreBaseOption{Layout: layout},
				VmfsExtent:              layout.Partition[0],
			},
		},
		Spec: &types.VmfsDatastoreExtendSpec{
			VmfsDatastoreSpec: types.VmfsDatastoreSpec{DiskUuid: device.NAA},
			Partition:         partition,
			Extent:            []types.HostScsiDiskPartition{{DiskName: device.NAA, Partition: 1}},
		},
	}
	return &methods.QueryVmfsDatastoreExtendOptionsBody{
		Res: &types.QueryVmfsDatastoreExtendOptionsResponse{Returnval: []types.VmfsDatastoreOption{option}},
	}
}

// ExtendVmfsDatastore adds a LUN to a datastore.
func (s *datastoreSystem) ExtendVmfsDatastore(
	ctx *simulator.Context, req *types.ExtendVmfsDatastore,
) soap.HasFault {
	body := &methods.ExtendVmfsDatastoreBody{}
	volume := s.vcenter.volumeOf(req.Datastore)
	if volume == nil || len(req.Spec.Extent) == 0 {
		body.Fault_ = notFound("VMFS datastore", req.Datastore.Value)
		return body
	}
	device, fault := s.availableAt(devicePath(req.Spec.Extent[0].DiskName))
	if fault != nil {
		body.Fault_ = fault
		return body
	}
	ctx.WithLock(volume.datastore, func() {
		s.vcenter.mu.Lock()
		volume.extents = append(volume.extents, device)
		s.vcenter.mu.Unlock()
		volume.describe()
	})
	log.Printf("VMFS datastore %s extended by %s", volume.datastore.Name, device.NAA)
	body.Res = &types.ExtendVmfsDatastoreResponse{Returnval: volume.datastore.Self}
	return body
}

// volumeOf finds a datastore's volume; nil if it is not on VMFS.
func (v *VCenter) volumeOf(datastore types.ManagedObjectReference) *volume {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, volume := range v.volumes {
		if volume.datastore.Self == datastore {
			return volume
		}
	}
	return nil
}

// RemoveDatastore removes a datastore that no VM is on, from every host.
func (s *datastoreSystem) RemoveDatastore(ctx *simulator.Context, req *types.RemoveDatastore) soap.HasFault {
	body := &methods.RemoveDatastoreBody{}
	datastore, ok := ctx.Map.Get(req.Datastore).(*simulator.Datastore)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Datastore})
		return body
	}
	if fault := s.vcenter.removeDatastore(ctx, datastore); fault != nil {
		body.Fault_ = simulator.Fault(fmt.Sprintf("datastore %s is in use", datastore.Name), fault)
		return body
	}
	body.Res = new(types.RemoveDatastoreResponse)
	return body
}

// removeDatastore takes a datastore out of the inventory and frees its LUNs.
func (v *VCenter) removeDatastore(ctx *simulator.Context, datastore *simulator.Datastore) types.BaseMethodFault {
	var started soap.HasFault
	ctx.WithLock(datastore, func() {
		started = datastore.DestroyTask(ctx, &types.Destroy_Task{This: datastore.Self})
	})
	if _, fault := waitTask(ctx, started.(*methods.Destroy_TaskBody).Res.Returnval); fault != nil {
		return fault
	}
	for _, entity := range ctx.Map.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		if system, ok := ctx.Map.Get(*host.ConfigManager.DatastoreSystem).(*datastoreSystem); ok {
			ctx.Map.RemoveReference(ctx, system, &system.Datastore, datastore.Self)
		}
	}
	if gone := v.volumeOf(datastore.Self); gone != nil {
		v.mu.Lock()
		maps.DeleteFunc(v.volumes, func(_ string, v *volume) bool { return v == gone })
		v.mu.Unlock()
		_ = os.RemoveAll(gone.directory)
	}
	log.Printf("datastore %s removed", datastore.Name)
	return nil
}

// CreateNasDatastore mounts an NFS export. The simulator returns no reference when another host has it mounted already.
func (s *datastoreSystem) CreateNasDatastore(ctx *simulator.Context, req *types.CreateNasDatastore) soap.HasFault {
	result := s.HostDatastoreSystem.CreateNasDatastore(ctx, req).(*methods.CreateNasDatastoreBody)
	if result.Res != nil && result.Res.Returnval.Value == "" {
		datacenter := s.vcenter.datacenterOf(ctx, s.host)
		if existing := ctx.Map.FindByName(path.Base(req.Spec.LocalPath), datacenter.Datastore); existing != nil {
			result.Res.Returnval = existing.Reference()
		}
	}
	return result
}

// datastoreMethods are the methods of Datastore that the lab adds or replaces.
type datastoreMethods struct {
	stub
	vcenter *VCenter
}

// RefreshDatastore brings a datastore's capacity up to date.
func (m *datastoreMethods) RefreshDatastore(ctx *simulator.Context, req *types.RefreshDatastore) soap.HasFault {
	datastore := ctx.Map.Get(req.This).(*simulator.Datastore)
	if volume := m.vcenter.volumeOf(req.This); volume != nil {
		ctx.WithLock(datastore, volume.describe)
		return &methods.RefreshDatastoreBody{Res: new(types.RefreshDatastoreResponse)}
	}
	return datastore.RefreshDatastore(ctx, req)
}

// DestroyTask removes a datastore that no VM is on.
func (m *datastoreMethods) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	task := runTask(ctx, req.This, "destroy", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return nil, m.vcenter.removeDatastore(ctx, ctx.Map.Get(req.This).(*simulator.Datastore))
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task}}
}

// RenameTask renames a datastore; the simulator's has no such method.
func (m *datastoreMethods) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	datastore := ctx.Map.Get(req.This).(*simulator.Datastore)
	result := simulator.RenameTask(ctx, datastore, req).(*methods.Rename_TaskBody)
	if _, fault := waitTask(ctx, result.Res.Returnval); fault == nil {
		if volume := m.vcenter.volumeOf(req.This); volume != nil {
			ctx.WithLock(datastore, volume.describe)
		}
	}
	return result
}
