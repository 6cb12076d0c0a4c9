"""Servers made by hand, with the files that a test wants on them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from policies.judging.configuration import Configuration
from policies.judging.resource import Resource
from policies.judging.rule import Rule
from policies.judging.stack import Stack
from policies.reading import guests
from policies.reading.guests import GuestFiles
from tests.unit.policies.stacks import judged, made, vsphere


def server(name: str, address: str = "", **properties: Any) -> Resource:  # noqa: ANN401 (a property may be anything)
    """A VM, with a fixed address if one is given."""
    metadata = f"local-hostname: {name}\nnetwork: {{ethernets: {{e: {{addresses: [{address}/24]}}}}}}\n"
    given = properties.pop("extraConfig", {}) | ({"guestinfo.metadata": metadata} if address else {})
    return vsphere("VirtualMachine", name, name=name, extraConfig=given, **properties)


def with_files(machine: Resource, files: Mapping[str, str]) -> list[Resource]:
    """A VM, and the command that puts files on it."""
    stdin = json.dumps({path: {"content": content} for path, content in files.items()})
    return [machine, command(f"{machine.name}-files", machine, create="install", stdin=stdin)]


def command(name: str, machine: Resource | None = None, **properties: Any) -> Resource:  # noqa: ANN401
    """A command over SSH on a VM."""
    given = {"connection": {"host": "somewhere", "hostKey": "ssh-ed25519 AAAA"}} | properties
    return made(guests.COMMAND, name, given, {"triggers": [machine]} if machine else {})


def files_of(machine: Resource, *others: Resource) -> GuestFiles:
    """What is known to be on a VM."""
    return guests.files_of(Stack([machine, *others]), machine)


def problems(rule: Rule[Any], *resources: Resource, configuration: Configuration | None = None) -> list[str]:
    """What a rule finds wrong; the rule must not fail."""
    judgement = judged(rule, *resources, configuration=configuration)
    assert judgement.failed == []
    return [violation.finding.problem for violation in judgement.violations]


def undecided(rule: Rule[Any], *resources: Resource) -> bool:
    """Whether a rule can't tell yet, and refuses nothing."""
    judgement = judged(rule, *resources)
    assert judgement.failed == []
    assert judgement.violations == []
    return bool(judgement.undecided)


def encoded(text: str) -> str:
    """Base64."""
    return base64.b64encode(text.encode()).decode()
