"""Hosts as vCenter tells of them."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

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


def states(monkeypatch: pytest.MonkeyPatch, *found: Found, **changes: object) -> list[HostState]:
    def told(_content: object, kind: type, _paths: Sequence[str]) -> Iterator[Found]:
        return iter(found if kind is vim.VirtualMachine else [(reference("host-1"), HOST | changes)])

    monkeypatch.setattr(vcenter, "properties_of_all", told)
    return list(_Inventory(None, Stack("prod")).states(["psexi02", "psexi09"]))


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
