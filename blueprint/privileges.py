"""What Perenne's user must be allowed to do in vCenter, and why; ids are those of the vSphere API.

The role is given as a global permission that propagates: the datacenter does not exist before the first deployment, and
content libraries inherit from the global root alone. "vSphere Security", "Defined Privileges", explains each.
"""

from itertools import chain

_BY_PURPOSE = {
    "make the datacenter": ("Datacenter.Create", "Datacenter.Delete"),
    "make the cluster, its vSphere HA and its rules": (
        "Host.Inventory.CreateCluster",
        "Host.Inventory.EditCluster",
        "Host.Inventory.DeleteCluster",
    ),
    "take hosts into the cluster and out of it": (
        "Host.Inventory.AddHostToCluster",
        "Host.Inventory.RemoveHostFromCluster",
        "Host.Config.Maintenance",
        "Host.Config.Connection",
        "Host.Config.Settings",  # the provider sets lockdown mode, also to off
    ),
    "make switches, port groups and VMkernel adapters": ("Host.Config.Network",),
    "make VMFS datastores": (
        "Host.Config.Storage",
        "Datastore.AllocateSpace",
        "Datastore.Browse",
        "Datastore.Delete",
        "Datastore.FileManagement",
        "Datastore.Rename",
    ),
    "keep the template in a content library": (
        "ContentLibrary.CreateLocalLibrary",
        "ContentLibrary.DeleteLocalLibrary",
        "ContentLibrary.AddLibraryItem",
        "ContentLibrary.UpdateLibraryItem",
        "ContentLibrary.DeleteLibraryItem",
        "ContentLibrary.UpdateSession",
        "ContentLibrary.DownloadSession",
        "ContentLibrary.ReadStorage",
    ),
    "make servers of the template": (
        "VApp.Import",
        "Network.Assign",
        "Resource.AssignVMToPool",
        "StorageProfile.View",
        "VirtualMachine.Inventory.Create",
        "VirtualMachine.Inventory.CreateFromExisting",
        "VirtualMachine.Inventory.Delete",
        "VirtualMachine.Provisioning.DeployTemplate",
        "VirtualMachine.Provisioning.Clone",
    ),
    "give servers their size, disk, name and first settings": (
        "VirtualMachine.Config.AddNewDisk",
        "VirtualMachine.Config.AddRemoveDevice",
        "VirtualMachine.Config.AdvancedConfig",
        "VirtualMachine.Config.CPUCount",
        "VirtualMachine.Config.DiskExtend",
        "VirtualMachine.Config.EditDevice",
        "VirtualMachine.Config.Memory",
        "VirtualMachine.Config.RemoveDisk",
        "VirtualMachine.Config.Rename",
        "VirtualMachine.Config.Resource",
        "VirtualMachine.Config.Settings",
    ),
    "start, stop and move servers": (
        "VirtualMachine.Interact.PowerOn",
        "VirtualMachine.Interact.PowerOff",
        "VirtualMachine.Interact.Reset",
        "Resource.ColdMigrate",
        "Resource.HotMigrate",
    ),
}

FENCING = ("VirtualMachine.Interact.PowerOff", "VirtualMachine.Interact.PowerOn")
"""What the fencing agents' account must be allowed on the datacenter, propagating; every role may read beside."""

PURPOSES = {privilege: purpose for purpose, privileges in _BY_PURPOSE.items() for privilege in privileges}
"""What each privilege is needed for."""

PRIVILEGES = tuple(chain.from_iterable(_BY_PURPOSE.values()))
"""All of them."""
