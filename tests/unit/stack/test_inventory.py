"""What is in vCenter is found by name and place and told by the provider's ids; plain objects stand in for it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyVmomi import vim, vmodl

from blueprint import loading
from machine.failure import Failure
from mutation.program import resources_of
from stack import inventory as module
from stack.inventory import CLOCKS, KINDS, VIRTUAL_MACHINE, Inventory
from stack.library import Library

PROJECT = Path(__file__).resolve().parents[3]
HOST = SimpleNamespace(
    name="psexi02.vmlabs.int",
    _moId="host-2",
    config=SimpleNamespace(
        network=SimpleNamespace(
            vswitch=[SimpleNamespace(name="vSwitch0"), SimpleNamespace(name="guests")],
            portgroup=[SimpleNamespace(spec=SimpleNamespace(name="servers"))],
            vnic=[
                SimpleNamespace(device="vmk0", portgroup="Management Network"),
                SimpleNamespace(device="vmk1", portgroup="storage-a"),
            ],
        )
    ),
    datastore=[
        SimpleNamespace(name="nfs", _moId="datastore-1", info=SimpleNamespace()),
        SimpleNamespace(
            name="datastore01",
            _moId="datastore-2",
            info=SimpleNamespace(vmfs=SimpleNamespace(extent=[SimpleNamespace(diskName="naa.1")])),
        ),
    ],
)
VM = SimpleNamespace(name="db01", _moId="vm-3", config=SimpleNamespace(uuid="uuid-db01"))
CLUSTER = SimpleNamespace(
    name="perenne",
    _moId="domain-c1",
    host=[HOST],
    configurationEx=SimpleNamespace(
        dasVmConfig=[SimpleNamespace(key=VM)],
        rule=[SimpleNamespace(name="balancer-apart", key=7)],
        group=[SimpleNamespace(name="db01-vm")],
    ),
)
DATACENTER = SimpleNamespace(name="lab", _moId="datacenter-1", hostFolder={"perenne": CLUSTER})
BY_ID = {"host-2": HOST, "domain-c1": CLUSTER, "datacenter-1": DATACENTER}


class FakeLibrary(Library):
    """One library with one item."""

    def __init__(self) -> None:
        return

    def libraries(self, name: str) -> list[str]:
        """By name."""
        return ["library"] if name == "perenne-perenne" else []

    def items(self, library: str, name: str) -> list[str]:
        """By name."""
        return ["item"] if (library, name) == ("library", "debian-12") else []


class Asked(Inventory):
    """An inventory whose objects are those above."""

    def object(self, kind: Any, moid: str) -> Any:  # noqa: ANN401
        """By id."""
        del kind
        if moid not in BY_ID:
            raise vmodl.fault.ManagedObjectNotFound
        return BY_ID[moid]


@pytest.fixture
def inventory() -> Inventory:
    search = SimpleNamespace(FindChild=lambda folder, name: folder.get(name))
    return Asked(
        SimpleNamespace(rootFolder={"lab": DATACENTER, "sites": {"lab": DATACENTER}}, searchIndex=search), FakeLibrary()
    )


@pytest.mark.parametrize(
    ("kind", "inputs", "found"),
    [
        ("datacenter:Datacenter", {"name": "lab"}, ["lab"]),
        ("datacenter:Datacenter", {"name": "lab", "folder": "sites"}, ["lab"]),
        ("datacenter:Datacenter", {"name": "lab", "folder": "nowhere"}, []),
        ("datacenter:Datacenter", {"name": "other"}, []),
        ("computeCluster:ComputeCluster", {"name": "perenne", "datacenterId": "datacenter-1"}, ["domain-c1"]),
        ("computeCluster:ComputeCluster", {"name": "perenne", "datacenterId": "gone"}, []),
        ("host:Host", {"hostname": "psexi02.vmlabs.int", "cluster": "domain-c1"}, ["host-2"]),
        ("host:Host", {"hostname": "psexi03.vmlabs.int", "cluster": "domain-c1"}, []),
        (
            "hostVirtualSwitch:HostVirtualSwitch",
            {"name": "guests", "hostSystemId": "host-2"},
            ["tf-HostVirtualSwitch:host-2:guests"],
        ),
        (
            "hostPortGroup:HostPortGroup",
            {"name": "servers", "hostSystemId": "host-2"},
            ["tf-HostPortGroup:host-2:servers"],
        ),
        ("hostPortGroup:HostPortGroup", {"name": "storage-b", "hostSystemId": "host-2"}, []),
        ("vnic:Vnic", {"host": "host-2", "portgroup": "storage-a"}, ["host-2_vmk1"]),
        (
            "vmfsDatastore:VmfsDatastore",
            {"name": "datastore01", "hostSystemId": "host-2", "disks": ["naa.1"]},
            ["datastore-2"],
        ),
        ("vmfsDatastore:VmfsDatastore", {"name": "datastore01", "hostSystemId": "host-2", "disks": ["naa.2"]}, []),
        ("vmfsDatastore:VmfsDatastore", {"name": "nfs", "hostSystemId": "host-2", "disks": ["naa.1"]}, []),
        ("contentLibrary:ContentLibrary", {"name": "perenne-perenne"}, ["library"]),
        ("contentLibraryItem:ContentLibraryItem", {"name": "debian-12", "libraryId": "library"}, ["item"]),
        (
            "haVmOverride:HaVmOverride",
            {"computeClusterId": "domain-c1", "virtualMachineId": "uuid-db01"},
            ["domain-c1:uuid-db01"],
        ),
        ("haVmOverride:HaVmOverride", {"computeClusterId": "domain-c1", "virtualMachineId": "another"}, []),
        (
            "computeClusterVmAntiAffinityRule:ComputeClusterVmAntiAffinityRule",
            {"name": "balancer-apart", "computeClusterId": "domain-c1"},
            ["domain-c1:7"],
        ),
        ("computeClusterVmHostRule:ComputeClusterVmHostRule", {"name": "no", "computeClusterId": "domain-c1"}, []),
        (
            "computeClusterVmGroup:ComputeClusterVmGroup",
            {"name": "db01-vm", "computeClusterId": "domain-c1"},
            ["domain-c1:db01-vm"],
        ),
    ],
)
def test_things_are_found_where_they_belong(
    inventory: Inventory, kind: str, inputs: dict[str, Any], found: list[str]
) -> None:
    assert inventory.find(f"vsphere:index/{kind}", inputs) == found


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_kind_that_the_program_makes_can_be_asked_for(stack: str, tmp_path: Path) -> None:
    artifact = tmp_path / "apps" / "pnp-manager" / "target" / "pnp-manager.war"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(b"war")
    config = loading.config_of(PROJECT / f"Pulumi.{stack}.yaml")
    config["perenne:host_keys"] = dict.fromkeys(config["perenne:hosts"], "ssh-ed25519 AAAA")
    made = {one.type for one in resources_of(config, stack, tmp_path).resources if one.type.startswith("vsphere:")}
    assert made
    assert made <= KINDS


NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Machine:
    """A VM that can be deleted."""

    def __init__(self, made: datetime | None, power: str) -> None:
        self.config = SimpleNamespace(uuid="uuid", createDate=made)
        self.runtime = SimpleNamespace(powerState=power)
        self.did: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def task(*_: object) -> Any:  # noqa: ANN401
            self.did.append(name)
            return SimpleNamespace(info=SimpleNamespace(state=vim.TaskInfo.State.success))

        return task


def removed(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> list[str]:
    monkeypatch.setattr(module, "_machines", lambda *_: [machine])
    Inventory(SimpleNamespace(), cast("Library", None)).remove_unused_vm({"name": "db01"}, "uuid", NOW)
    return machine.did


@pytest.mark.parametrize(
    ("power", "did"),
    [("poweredOff", ["Destroy_Task"]), ("poweredOn", ["PowerOffVM_Task", "Destroy_Task"])],
)
def test_a_half_made_vm_is_deleted(monkeypatch: pytest.MonkeyPatch, power: str, did: list[str]) -> None:
    assert removed(monkeypatch, Machine(NOW - CLOCKS, power)) == did


@pytest.mark.parametrize("made", [NOW - CLOCKS - timedelta(seconds=1), None])
def test_a_vm_that_somebody_else_made_is_never_deleted(monkeypatch: pytest.MonkeyPatch, made: datetime | None) -> None:
    machine = Machine(made, "poweredOff")
    with pytest.raises(Failure, match="VM db01 is in the way"):
        removed(monkeypatch, machine)
    assert machine.did == []


def test_a_vm_of_the_state_is_known_by_its_uuid_whatever_its_name_is() -> None:
    search = SimpleNamespace(FindByUuid=lambda _place, uuid, _vm, _instance: VM if uuid == "uuid-db01" else None)
    asked = Inventory(SimpleNamespace(searchIndex=search), cast("Library", None))
    assert asked.has(VIRTUAL_MACHINE, {"name": "renamed"}, "uuid-db01")
    assert not asked.has(VIRTUAL_MACHINE, {"name": "db01"}, "another")


@pytest.mark.parametrize(("power", "started"), [("poweredOff", True), ("poweredOn", False)])
def test_a_server_that_is_off_is_started(power: str, *, started: bool) -> None:
    machine = Machine(NOW, power)
    search = SimpleNamespace(FindByUuid=lambda *_: machine)
    assert Inventory(SimpleNamespace(searchIndex=search), cast("Library", None)).power_on("uuid", "db01") == started
    assert machine.did == (["PowerOnVM_Task"] if started else [])


@pytest.mark.parametrize("keys", [[], ["task-1"]])
def test_recent_tasks_are_asked_for_what_is_needed(keys: list[str]) -> None:
    asked: list[Any] = []
    task: Any = vim.Task

    def retrieve(question: list[Any]) -> list[Any]:
        asked.extend(question)
        return []

    content = SimpleNamespace(
        taskManager=SimpleNamespace(recentTask=[task(key, None) for key in keys]),
        propertyCollector=SimpleNamespace(RetrieveContents=retrieve),
    )
    Inventory(content, cast("Library", None)).await_tasks("perenne@vsphere.local", pytest.fail)
    assert ["info.entity" in one.propSet[0].pathSet for one in asked] == [False for _ in keys]


@pytest.fixture(autouse=True)
def _power_is_the_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_off(_self: Inventory, machine: Machine) -> bool:
        return bool(machine.runtime.powerState == vim.VirtualMachine.PowerState.poweredOff)

    monkeypatch.setattr(Inventory, "_is_off", is_off)


class Task:
    """A task of vCenter's that ends when it is looked at for the second time."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.looks = 0

    @property
    def info(self) -> Any:  # noqa: ANN401
        """Running, then done."""
        self.looks += 1
        state = vim.TaskInfo.State.running if self.looks < 3 else vim.TaskInfo.State.success
        reason = SimpleNamespace(userName=self.user)
        return SimpleNamespace(state=state, reason=reason, descriptionId="Folder.createVm", entityName="db01")


def test_what_vcenter_still_does_for_perenne_is_waited_for_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = Task("VSPHERE.LOCAL\\Perenne"), Task("VSPHERE.LOCAL\\backup")
    said: list[str] = []

    def recent(_self: Inventory) -> Iterator[tuple[Any, dict[str, Any]]]:
        return iter((task, {f"info.{name}": value for name, value in vars(task.info).items()}) for task in (own, other))

    monkeypatch.setattr(Inventory, "_recent_tasks", recent)
    Inventory(None, cast("Library", None)).await_tasks("perenne@vsphere.local", said.append)
    assert (own.looks, other.looks) == (3, 1)
    assert said == ["vCenter still does Folder.createVm for db01"]
