"""What vCenter has of the things in Pulumi's state: found by name and place, told by the provider's ids.

The ids are those of terraform-provider-vsphere, which Pulumi's provider wraps: the same in the release that offline/
builds (1.26.0) and in its sources of July 2026.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from pyVmomi import vim, vmodl

from machine.failure import Failure
from stack.library import Library, opened
from stack.vault import Vault
from stack.vcenter import Found, await_task, moid, properties, reached
from stack.workspace import Stack

VIRTUAL_MACHINE = "vsphere:index/virtualMachine:VirtualMachine"
LIBRARY_ITEM = "vsphere:index/contentLibraryItem:ContentLibraryItem"

CLOCKS = timedelta(minutes=5)
"""By how much vCenter's clock and this machine's may differ."""

Inputs = Mapping[str, Any]


class Inventory:
    """A session in which vCenter is asked for things."""

    def __init__(self, content: Any, library: Library) -> None:  # noqa: ANN401 (pyVmomi has no types)
        self.content = content
        self.library = library

    def find(self, kind: str, inputs: Inputs) -> list[str]:
        """Ids of what is there of that kind, by that name, in that place; more than one where names aren't unique.

        Args:
            kind: Pulumi's type token, one of `KINDS`.
            inputs: The resource's inputs.
        """
        try:
            return _FINDERS[kind](self, inputs)
        except vmodl.fault.ManagedObjectNotFound:
            return []  # what it would be in is gone

    def has(self, kind: str, inputs: Inputs, identity: str) -> bool:
        """Whether a thing of the state is there; a VM also after somebody renamed or moved it."""
        if kind == VIRTUAL_MACHINE:
            return self.content.searchIndex.FindByUuid(None, identity, True, False) is not None
        return identity in self.find(kind, inputs)

    def remove_item(self, item: str) -> None:
        """Delete a library item, whether its files are all there or not."""
        self.library.remove_item(item)

    def remove_unused_vm(self, inputs: Inputs, uuid: str, not_before: datetime) -> None:
        """Delete a VM that a killed deployment was making, and with it its new disks.

        Args:
            inputs: The resource's inputs.
            uuid: The VM's id.
            not_before: When that deployment had not begun with it yet.

        Raises:
            Failure: It is older, so that somebody else made it; or vCenter does not do it in time.
        """
        (machine,) = [one for one in _machines(self, inputs) if one.config.uuid == uuid]
        name, made = inputs["name"], machine.config.createDate
        if made is None or made < not_before - CLOCKS:
            raise Failure(
                f"VM {name} is in the way",
                f"a killed deployment was about to make {name}; the VM of that name in vCenter is of "
                f"{made or 'unknown age'}, older than that, so it is not Perenne's",
                "Look at what is on it; rename or delete it in vCenter, then run this again.",
            )
        if not self._is_off(machine):
            await_task(machine.PowerOffVM_Task(), f"VM {name} can't be powered off")
        await_task(machine.Destroy_Task(), f"VM {name} can't be deleted")

    def power_on(self, uuid: str, name: str) -> bool:
        """Power a VM on; returns whether it was off."""
        machine = self.content.searchIndex.FindByUuid(None, uuid, True, False)
        if not self._is_off(machine):
            return False
        await_task(machine.PowerOnVM_Task(None), f"VM {name} can't be powered on")
        return True

    def _is_off(self, machine: Any) -> bool:  # noqa: ANN401
        """Whether a VM is off; just that, as pyVmomi refuses what the lab's simulator tells of one half made."""
        ((_, found),) = properties(self.content, vim.VirtualMachine, [machine], ["runtime.powerState"])
        return bool(found["runtime.powerState"] == vim.VirtualMachine.PowerState.poweredOff)

    def await_tasks(self, user: str, say: Callable[[str], None]) -> None:
        """Wait for what vCenter still does for a deployment that is gone: it finishes tasks that nobody waits for.

        Raises:
            Failure: It does not end in time.
        """
        name = user.partition("@")[0].lower()
        for task, info in self._recent_tasks():
            if info["info.state"] not in {vim.TaskInfo.State.queued, vim.TaskInfo.State.running}:
                continue
            asked = getattr(info["info.reason"], "userName", "") or ""
            if asked.rpartition("\\")[2].lower() in {name, user.lower()}:
                what = f"{info['info.descriptionId']} for {info.get('info.entityName', 'vCenter')}"
                say(f"vCenter still does {what}")
                _await_end(task, f"vCenter is not done with {what}")

    def _recent_tasks(self) -> Iterator[Found]:
        """What vCenter did or does lately, and of each task just what is needed.

        The lab's simulator takes its disk manager for the entity that a task is about; pyVmomi refuses to read that.
        """
        paths = ["info.state", "info.reason", "info.descriptionId", "info.entityName"]
        return properties(self.content, vim.Task, self.content.taskManager.recentTask, paths)

    def child(self, folder: Any, inputs: Inputs) -> list[Any]:  # noqa: ANN401
        """What has that name in a folder, or in the folder below it that the inputs name."""
        for part in [*filter(None, (inputs.get("folder") or "").split("/")), inputs["name"]]:
            if folder is None:
                return []
            folder = self.content.searchIndex.FindChild(folder, part)
        return [] if folder is None else [folder]

    def object(self, kind: Any, moid: str) -> Any:  # noqa: ANN401
        """A thing by its id; whether there is one shows when it is asked for something."""
        return kind(moid, self.content.rootFolder._stub)  # noqa: SLF001 (pyVmomi has no other way)


def _datacenters(of: Inventory, inputs: Inputs) -> list[str]:
    return [one.name for one in of.child(of.content.rootFolder, inputs)]


def _clusters(of: Inventory, inputs: Inputs) -> list[str]:
    folder = of.object(vim.Datacenter, inputs["datacenterId"]).hostFolder
    return [moid(one) for one in of.child(folder, inputs)]


def _hosts(of: Inventory, inputs: Inputs) -> list[str]:
    hosts = of.object(vim.ClusterComputeResource, inputs["cluster"]).host
    return [moid(one) for one in hosts if one.name == inputs["hostname"]]


def _switches(of: Inventory, inputs: Inputs) -> list[str]:
    host, name = inputs["hostSystemId"], inputs["name"]
    network = of.object(vim.HostSystem, host).config.network
    return [f"tf-HostVirtualSwitch:{host}:{name}" for one in network.vswitch if one.name == name]


def _port_groups(of: Inventory, inputs: Inputs) -> list[str]:
    host, name = inputs["hostSystemId"], inputs["name"]
    network = of.object(vim.HostSystem, host).config.network
    return [f"tf-HostPortGroup:{host}:{name}" for one in network.portgroup if one.spec.name == name]


def _adapters(of: Inventory, inputs: Inputs) -> list[str]:
    host = inputs["host"]
    network = of.object(vim.HostSystem, host).config.network
    return [f"{host}_{one.device}" for one in network.vnic if one.portgroup == inputs["portgroup"]]


def _datastores(of: Inventory, inputs: Inputs) -> list[str]:
    """VMFS datastores of that name on these very LUNs; on others, it is somebody else's."""
    found = []
    for datastore in of.object(vim.HostSystem, inputs["hostSystemId"]).datastore:
        vmfs = getattr(datastore.info, "vmfs", None)
        if vmfs is None or datastore.name != inputs["name"]:
            continue
        if {extent.diskName for extent in vmfs.extent} <= set(inputs["disks"]):
            found.append(moid(datastore))
    return found


def _libraries(of: Inventory, inputs: Inputs) -> list[str]:
    return of.library.libraries(inputs["name"])


def _items(of: Inventory, inputs: Inputs) -> list[str]:
    return of.library.items(inputs["libraryId"], inputs["name"])


def _vms(of: Inventory, inputs: Inputs) -> list[str]:
    return [one.config.uuid for one in _machines(of, inputs)]


def _machines(of: Inventory, inputs: Inputs) -> list[Any]:
    """The VM of that name in the folder, if it is of that resource pool and on that datastore."""
    pool = of.object(vim.ResourcePool, inputs["resourcePoolId"])
    place = pool.owner
    while not isinstance(place, vim.Datacenter):
        place = place.parent
    return [
        one
        for one in of.child(place.vmFolder, inputs)
        if isinstance(one, vim.VirtualMachine)
        and one.resourcePool == pool
        and inputs["datastoreId"] in {moid(datastore) for datastore in one.datastore}
    ]


def _overrides(of: Inventory, inputs: Inputs) -> list[str]:
    cluster, uuid = inputs["computeClusterId"], inputs["virtualMachineId"]
    overrides = of.object(vim.ClusterComputeResource, cluster).configurationEx.dasVmConfig
    return [f"{cluster}:{uuid}" for one in overrides if one.key.config.uuid == uuid]


def _rules(of: Inventory, inputs: Inputs) -> list[str]:
    cluster = inputs["computeClusterId"]
    rules = of.object(vim.ClusterComputeResource, cluster).configurationEx.rule
    return [f"{cluster}:{one.key}" for one in rules if one.name == inputs["name"]]


def _groups(of: Inventory, inputs: Inputs) -> list[str]:
    cluster, name = inputs["computeClusterId"], inputs["name"]
    groups = of.object(vim.ClusterComputeResource, cluster).configurationEx.group
    return [f"{cluster}:{name}" for one in groups if one.name == name]


_FINDERS: Mapping[str, Callable[[Inventory, Inputs], list[str]]] = {
    "vsphere:index/datacenter:Datacenter": _datacenters,
    "vsphere:index/computeCluster:ComputeCluster": _clusters,
    "vsphere:index/host:Host": _hosts,
    "vsphere:index/hostVirtualSwitch:HostVirtualSwitch": _switches,
    "vsphere:index/hostPortGroup:HostPortGroup": _port_groups,
    "vsphere:index/vnic:Vnic": _adapters,
    "vsphere:index/vmfsDatastore:VmfsDatastore": _datastores,
    "vsphere:index/contentLibrary:ContentLibrary": _libraries,
    LIBRARY_ITEM: _items,
    VIRTUAL_MACHINE: _vms,
    "vsphere:index/haVmOverride:HaVmOverride": _overrides,
    "vsphere:index/computeClusterVmAntiAffinityRule:ComputeClusterVmAntiAffinityRule": _rules,
    "vsphere:index/computeClusterVmHostRule:ComputeClusterVmHostRule": _rules,
    "vsphere:index/computeClusterVmGroup:ComputeClusterVmGroup": _groups,
    "vsphere:index/computeClusterHostGroup:ComputeClusterHostGroup": _groups,
}

KINDS = frozenset(_FINDERS)
"""Type tokens of what can be asked for; a test compares them with what `components/` makes."""


@contextmanager
def inventory(stack: Stack, vault: Vault) -> Iterator[Inventory]:
    """Log in at both of vCenter's interfaces, and log out.

    Raises:
        Failure: vCenter can't be reached, or refuses something.
    """
    with (
        reached(stack, vault, "what a killed deployment has made can't be asked for") as content,
        opened(stack, vault) as library,
    ):
        yield Inventory(content, library)


def _await_end(task: Any, what: str) -> None:  # noqa: ANN401
    try:
        await_task(task, what)
    except vmodl.MethodFault:
        return  # it has ended; whether it succeeded shows in what is there
