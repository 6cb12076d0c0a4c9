"""Hosts as vCenter tells of them."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from machine.failure import Failure
from moves import vcenter
from moves.vcenter import HostState, _Inventory
from stack.vcenter import Found
from stack.workspace import Stack

HOST = {
    "name": "psexi02.vmlabs.int",
    "runtime.connectionState": "connected",
    "runtime.inMaintenanceMode": False,
    "summary.hardware.memorySize": 32 << 30,
}


def reference(name: str) -> Any:  # noqa: ANN401
    return SimpleNamespace(_moId=name)


def vm(name: str, host: str, state: str = "poweredOn", mib: int | None = 1024) -> Found:
    memory = {} if mib is None else {"summary.config.memorySizeMB": mib}
    return reference(name), {"name": name, "runtime.powerState": state, "runtime.host": reference(host), **memory}


def vcenter_with(monkeypatch: pytest.MonkeyPatch, content: dict[str, dict[type, list[Found]]]) -> _Inventory:
    """The inventory of prod at a vCenter; of its datacenters by name, what is in each."""
    datacenters = [(name, {"name": name}) for name in content]

    def told(_content: object, within: str, kind: type, _paths: Sequence[str]) -> Iterator[Found]:
        return iter(datacenters if kind is vim.Datacenter else content[within].get(kind, []))

    monkeypatch.setattr(vcenter, "properties_of_all", told)
    return _Inventory(SimpleNamespace(rootFolder="group-d1"), Stack("prod"))


def states(monkeypatch: pytest.MonkeyPatch, *found: Found, **changes: object) -> list[HostState]:
    host = (reference("host-1"), HOST | changes)
    inventory = vcenter_with(monkeypatch, {"office": {vim.VirtualMachine: list(found), vim.HostSystem: [host]}})
    return list(inventory.states(["psexi02", "psexi09"]))


def test_a_host_tells_what_runs_on_it_and_what_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    (host,) = states(
        monkeypatch,
        vm("lb01", "host-1", mib=512),
        vm("db02", "host-1"),
        vm("template", "host-1", state="poweredOff"),
        vm("app01", "host-2"),
        vm("unreadable", "host-1", mib=None),
    )
    assert host.runs == ("db02", "lb01", "unreadable")
    assert host.free_mib == 32 * 1024 - 512 - 1024
    assert (host.name, host.connected, host.in_maintenance, host.booted) == ("psexi02", True, False, None)


def test_one_that_does_not_answer_or_is_drained_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (host,) = states(monkeypatch, **{"runtime.connectionState": "notResponding", "runtime.inMaintenanceMode": True})
    assert not host.connected
    assert host.in_maintenance


def test_what_another_stack_has_at_the_same_vcenter_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `db01` is in each: names of VMs are unique in a folder, and no further."""
    ours, theirs = vm("db01", "host-1"), vm("db01", "host-9")
    hosts = [(reference("host-9"), HOST)]
    inventory = vcenter_with(
        monkeypatch,
        {"elsewhere": {vim.VirtualMachine: [theirs], vim.HostSystem: hosts}, "office": {vim.VirtualMachine: [ours]}},
    )
    assert inventory.vm("db01") is ours[0]
    assert list(inventory.states(["psexi02"])) == []
    with pytest.raises(Failure, match="nothing there has that name"):
        inventory.host("psexi02")


def test_of_two_with_one_name_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [vm("db01", "host-1"), vm("db01", "host-2")]
    inventory = vcenter_with(monkeypatch, {"office": {vim.VirtualMachine: twice}})
    with pytest.raises(Failure, match="not certain which db01"):
        inventory.vm("db01")
