package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const sectorSize = 512 // bytes: what a SCSI disk's capacity is counted in

// StorageReport is what an ESXi host's container found out about its storage: the body of PUT /lab/hosts/NAME/storage.
type StorageReport struct {
	Adapter StorageAdapter  `json:"adapter"`
	Targets []StorageTarget `json:"targets"`
	Devices []StorageDevice `json:"devices"`
}

// StorageAdapter is a host's software iSCSI adapter.
type StorageAdapter struct {
	Name    string `json:"name"` // vmhba64
	IQN     string `json:"iqn"`
	Enabled bool   `json:"enabled"`
}

// StorageTarget is one target at one portal (address:port).
type StorageTarget struct {
	IQN    string `json:"iqn"`
	Portal string `json:"portal"`
}

// StorageDevice is a LUN as the host sees it.
type StorageDevice struct {
	NAA       string        `json:"naa"` // canonical name, naa.…
	Vendor    string        `json:"vendor"`
	Model     string        `json:"model"`
	SizeBytes int64         `json:"size_bytes"`
	PSP       string        `json:"psp"` // path selection policy, VMW_PSP_…
	Paths     []StoragePath `json:"paths"`
}

// StoragePath leads from a VMkernel adapter through a portal to the LUN. Its state is active, standby, dead or disabled.
type StoragePath struct {
	VMK    string `json:"vmk"`
	Portal string `json:"portal"`
	Target string `json:"target"`
	State  string `json:"state"`
}

// reachable says whether any path to the device works.
func (d StorageDevice) reachable() bool {
	return slices.ContainsFunc(d.Paths, func(p StoragePath) bool { return p.State == "active" || p.State == "standby" })
}

// storageSystem is an ESXi host's storage, as its container reported it last.
type storageSystem struct {
	mo.HostStorageSystem
	vcenter *VCenter
	host    *simulator.HostSystem
}

func newStorageSystem(v *VCenter, host *simulator.HostSystem) *storageSystem {
	s := &storageSystem{vcenter: v, host: host}
	s.show(v.storageReport(host.Name))
	return s
}

// storageReport returns a host's latest report; empty if there was none.
func (v *VCenter) storageReport(hostname string) StorageReport {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.storage[shortName(hostname)]
}

// ReportStorage takes a host's report: the host may be added to the inventory later.
func (v *VCenter) ReportStorage(hostname string, report StorageReport) {
	v.mu.Lock()
	v.storage[shortName(hostname)] = report
	v.mu.Unlock()
	ctx := v.context()
	if host := v.host(ctx, hostname); host != nil {
		ctx.Map.Get(*host.ConfigManager.StorageSystem).(*storageSystem).rescan(ctx)
	}
}

// rescan shows the latest report to clients and mounts the VMFS volumes whose LUNs the host sees.
func (s *storageSystem) rescan(ctx *simulator.Context) {
	report := s.vcenter.storageReport(s.host.Name)
	ctx.WithLock(s.host, func() { s.show(report) })
	s.vcenter.mountVisible(ctx, s.host, report)
}

// show turns the report into vSphere's terms.
func (s *storageSystem) show(report StorageReport) {
	info := &types.HostStorageDeviceInfo{
		SoftwareInternetScsiEnabled: report.Adapter.Enabled,
		MultipathInfo:               &types.HostMultipathInfo{},
		PlugStoreTopology:           &types.HostPlugStoreTopology{},
	}
	adapterKey := "key-vim.host.InternetScsiHba-" + report.Adapter.Name
	if report.Adapter.Name != "" {
		info.HostBusAdapter = append(info.HostBusAdapter, softwareISCSI(adapterKey, report))
	}
	for _, device := range report.Devices {
		disk := scsiDisk(device)
		info.ScsiLun = append(info.ScsiLun, disk)
		unit := types.HostMultipathInfoLogicalUnit{
			Key: "key-vim.host.MultipathInfo.LogicalUnit-" + device.NAA, Id: disk.Uuid, Lun: disk.Key,
			Policy: &types.HostMultipathInfoLogicalUnitPolicy{Policy: device.PSP},
		}
		for i, path := range device.Paths {
			name := fmt.Sprintf("%s:C%d:T0:L0", report.Adapter.Name, i)
			unit.Path = append(unit.Path, types.HostMultipathInfoPath{
				Key: "key-vim.host.MultipathInfo.Path-" + name, Name: name, PathState: path.State, State: path.State,
				IsWorkingPath: types.NewBool(path.State == "active"), Adapter: adapterKey, Lun: disk.Key,
				Transport: &types.HostInternetScsiTargetTransport{
					IScsiName: path.Target, Address: []string{path.Portal},
				},
			})
		}
		info.MultipathInfo.Lun = append(info.MultipathInfo.Lun, unit)
	}
	s.StorageDeviceInfo = info
	s.host.Config.StorageDevice = info
}

func softwareISCSI(key string, report StorageReport) *types.HostInternetScsiHba {
	adapter := &types.HostInternetScsiHba{
		HostHostBusAdapter: types.HostHostBusAdapter{
			Key: key, Device: report.Adapter.Name, Status: "online", Model: "iSCSI Software Adapter", Driver: "iscsi_vmk",
		},
		IsSoftwareBased: true,
		IScsiName:       report.Adapter.IQN,
	}
	for _, target := range report.Targets {
		host, port := target.Portal, 3260 // RFC 7143: iSCSI's well-known port
		if name, text, err := net.SplitHostPort(target.Portal); err == nil {
			host = name
			port, _ = strconv.Atoi(text)
		}
		adapter.ConfiguredStaticTarget = append(adapter.ConfiguredStaticTarget, types.HostInternetScsiHbaStaticTarget{
			Address: host, Port: int32(port), IScsiName: target.IQN,
		})
	}
	return adapter
}

func scsiDisk(device StorageDevice) *types.HostScsiDisk {
	state := "ok"
	if !device.reachable() {
		state = string(types.ScsiLunStateLostCommunication)
	}
	no := types.NewBool(false)
	return &types.HostScsiDisk{
		ScsiLun: types.ScsiLun{
			HostDevice:    types.HostDevice{DeviceName: devicePath(device.NAA), DeviceType: "disk"},
			Key:           "key-vim.host.ScsiDisk-" + device.NAA,
			Uuid:          device.NAA,
			CanonicalName: device.NAA,
			DisplayName:   device.Vendor + " iSCSI Disk (" + device.NAA + ")",
			LunType:       "disk",
			Vendor:        device.Vendor, Model: device.Model, ScsiLevel: 6,
			OperationalState:    []string{state},
			VStorageSupport:     "vStorageUnsupported",
			PerenniallyReserved: no,
		},
		Capacity:   types.HostDiskDimensionsLba{BlockSize: sectorSize, Block: device.SizeBytes / sectorSize},
		DevicePath: devicePath(device.NAA),
		Ssd:        no, LocalDisk: no,
	}
}

func devicePath(naa string) string { return "/vmfs/devices/disks/" + naa }

// RescanAllHba looks for devices and volumes anew.
func (s *storageSystem) RescanAllHba(ctx *simulator.Context, _ *types.RescanAllHba) soap.HasFault {
	s.rescan(ctx)
	return &methods.RescanAllHbaBody{Res: new(types.RescanAllHbaResponse)}
}

// RescanHba looks for devices and volumes anew.
func (s *storageSystem) RescanHba(ctx *simulator.Context, _ *types.RescanHba) soap.HasFault {
	s.rescan(ctx)
	return &methods.RescanHbaBody{Res: new(types.RescanHbaResponse)}
}

// RescanVmfs looks for volumes anew.
func (s *storageSystem) RescanVmfs(ctx *simulator.Context, _ *types.RescanVmfs) soap.HasFault {
	s.rescan(ctx)
	return &methods.RescanVmfsBody{Res: new(types.RescanVmfsResponse)}
}

// RefreshStorageSystem looks for devices and volumes anew.
func (s *storageSystem) RefreshStorageSystem(ctx *simulator.Context, _ *types.RefreshStorageSystem) soap.HasFault {
	s.rescan(ctx)
	return &methods.RefreshStorageSystemBody{Res: new(types.RefreshStorageSystemResponse)}
}
