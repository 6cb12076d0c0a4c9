"""The privileges that are asked for are those of the page about a real vCenter, and of the provider's calls."""

import re
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from blueprint.privileges import PRIVILEGES

PAGE = Path(__file__).parents[3] / "docs" / "real-vcenter.md"
CALLS = [
    (vim.Folder, "CreateDatacenter"),
    (vim.Folder, "CreateClusterEx"),
    (vim.ComputeResource, "ReconfigureEx"),
    (vim.ClusterComputeResource, "AddHost"),
    (vim.HostSystem, "EnterMaintenanceMode"),
    (vim.HostSystem, "Disconnect"),
    (vim.host.HostAccessManager, "ChangeLockdownMode"),
    (vim.host.NetworkSystem, "AddVirtualSwitch"),
    (vim.host.NetworkSystem, "AddPortGroup"),
    (vim.host.DatastoreSystem, "QueryAvailableDisksForVmfs"),
    (vim.host.DatastoreSystem, "CreateVmfsDatastore"),
    (vim.host.StorageSystem, "RescanVmfs"),
    (vim.Datastore, "DestroyDatastore"),
    (vim.VirtualMachine, "PowerOn"),
    (vim.VirtualMachine, "PowerOff"),
    (vim.VirtualMachine, "Reset"),
    (vim.VirtualMachine, "ShutdownGuest"),
]
"""Calls of the vSphere provider's whose privilege is the same whatever they change, as pyVmomi's types name it."""


def test_page_lists_every_privilege_and_no_other() -> None:
    (section,) = re.findall(r"### The user's role\n(.*?)\n### ", PAGE.read_text(), re.DOTALL)
    assert set(re.findall(r"`([A-Z][A-Za-z]+(?:\.[A-Za-z]+)+)`", section)) == set(PRIVILEGES)


@pytest.mark.parametrize(("kind", "call"), CALLS, ids=[call for _, call in CALLS])
def test_what_vmware_s_own_library_asks_for_is_in_the_list(kind: Any, call: str) -> None:  # noqa: ANN401
    needed = kind._GetMethodInfo(call).privId
    assert needed
    assert needed in PRIVILEGES
