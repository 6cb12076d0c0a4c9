"""What a script does on an ESXi host with `esxcli`: pulumi-vsphere has no resource for iSCSI."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TypedDict

from policies.judging.resource import UNKNOWN, Resource
from policies.judging.stack import Stack
from policies.reading import scripts

COMMANDS = ("command:remote:Command", "command:local:Command")

_ADDRESS = r"(?:\d{1,3}\.){3}\d{1,3}"
_DISCOVERY = re.compile(r"(?:send|static)target add ")
_PORTAL = re.compile(rf"(?:send|static)target add [^\n]*(?:--address|-a)[= ][\"']?({_ADDRESS})")
_ARRAY = re.compile(r"^\s*([\w.-]+)\)\s*$", re.MULTILINE)
_BINDING = re.compile(r"networkportal add [^\n]*(?:--nic|-n)[= ][\"']?(\$?\{?\w+)")
_POLICY = re.compile(r"nmp device set ([^\n]*)")
_DEFAULT_POLICY = re.compile(r"nmp satp (?:set [^\n]*(?:--default-psp|-P)|rule add [^\n]*(?:--psp|-P))[= ][\"']?(\w+)")
"""What every device gets that has no policy of its own: by its storage array type, or by a claim rule."""
_DEVICE = re.compile(r"(?:--device|-d)[= ][\"']?((?:naa|eui|t10|mpx)\.[\w.:-]+)")
_PATH_SELECTION = re.compile(r"(?:--psp|-P)[= ][\"']?(\w+)")
_SEEN = re.compile(r"(?:--device|-d)[= ][\"']?(naa\.[0-9a-f]+)")
_READ = re.compile(r"(?:^|;)[ \t]*read[ \t]+(?:-r[ \t]+)?(\w+(?:[ \t]+\w+)*)", re.MULTILINE)
_CHAP = re.compile(r"auth chap set .*?(?:--direction|-d)[= ][\"']?(\w+)", re.DOTALL)
_SECRET = re.compile(
    r"(?:--direction|-d)[= ][\"']?(\w+)(?:(?!--direction| -d[= ]).)*?(?:--secret|-S)[= ](\S+)", re.DOTALL
)


class _Script(TypedDict):
    """What is read of a script."""

    portals: dict[str, tuple[str, ...]]
    bound: int
    policies: dict[str, str]
    default_policy: str | None
    devices: frozenset[str]
    chap: frozenset[str]


@dataclass(frozen=True)
class Initiator:
    """One host's software iSCSI adapter, as a command sets it up."""

    command: Resource
    portals: dict[str, tuple[str, ...]]
    """Portal addresses by array; the array is "" where the script names none."""
    bound: int
    """VMkernel adapters that are bound to it: then no other is used."""
    policies: dict[str, str]
    """Path selection policy by device."""
    default_policy: str | None
    """That of the other devices, where the script sets one."""
    devices: frozenset[str]
    """Every LUN that the script names."""
    chap: frozenset[str]
    """Directions with CHAP: uni, mutual."""
    same_secret: bool = field(repr=False)
    """Whether some array has the same secret in both directions."""


def initiators(stack: Stack) -> list[Initiator]:
    """Every host's initiator whose set-up the stack shows."""
    return stack.once(_initiators)


def array_of(stack: Stack, datastore: Resource) -> str | None:
    """The array behind a VMFS datastore; None where nothing tells.

    A LUN's NAA id doesn't: some makers keep the array in it, others (LIO among them) make it up per LUN. A component
    may declare it, as Perenne's datastores do: `arrays` among its outputs, LUN ids by array.
    """
    return next((found[disk] for disk in _disks(datastore) if disk in (found := stack.once(_declared_arrays))), None)


def _disks(datastore: Resource) -> list[str]:
    disks = datastore.properties.get("disks")
    return [disk for disk in disks if isinstance(disk, str)] if isinstance(disks, list) else []


def _declared_arrays(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = {}
    for component in stack.components:
        arrays = component.properties.get("arrays")
        for array, luns in arrays.items() if isinstance(arrays, dict) else ():
            if isinstance(luns, list):
                found.update((lun, array) for lun in luns if isinstance(lun, str))
    return found


def _initiators(stack: Stack) -> list[Initiator]:
    found = []
    for command in stack.of_type(*COMMANDS):
        stdin = command.properties.get("stdin")
        # What runs when something changes sets the host up as much as what runs at first.
        scripts = [command.properties.get(key) for key in ("create", "update")]
        found += [
            _initiator(command, script, stdin if isinstance(stdin, str) else "")
            for script in dict.fromkeys(one for one in scripts if isinstance(one, str))
            if "esxcli" in script and _DISCOVERY.search(script) and UNKNOWN not in scripts
        ]
    return found


def _initiator(command: Resource, script: str, stdin: str) -> Initiator:
    variables = _variables(command, script, stdin)
    by_direction: dict[str, set[str]] = {}
    for direction, secret in _SECRET.findall(script):
        name = secret.strip("\"'").lstrip("$").strip("{}")
        by_direction.setdefault(direction, set()).add(variables.get(name, secret))
    same = bool(by_direction.get("uni", set()) & by_direction.get("mutual", set()))
    # A line for each array: its name, and its two secrets.
    same = same or any(len(line) > 2 and line[1] == line[2] for line in map(str.split, stdin.splitlines()))  # noqa: PLR2004
    return Initiator(command=command, same_secret=same, **_read(script))


def _variables(command: Resource, script: str, stdin: str) -> dict[str, str]:
    """What a script is told by its environment, and what it reads line by line."""
    environment = command.properties.get("environment")
    found = (
        {key: one for key, one in environment.items() if isinstance(one, str)} if isinstance(environment, dict) else {}
    )
    for names, line in zip(_READ.findall(script), stdin.splitlines(), strict=False):
        found.update(zip(names.split(), line.split(), strict=False))
    return found


@cache
def _read(script: str) -> _Script:
    """Read a script once: a site's hosts mostly share theirs, but for addresses."""
    text = scripts.unrolled(re.sub(r"\\\n\s*", " ", script))
    devices = [(_DEVICE.search(options), _PATH_SELECTION.search(options)) for options in _POLICY.findall(text)]
    nics = _BINDING.findall(text)
    return {
        "portals": _portals(text),
        "bound": len({nic for nic in nics if "$" not in nic}) + sum("$" in nic for nic in nics),
        "policies": {device[1]: policy[1] for device, policy in devices if device and policy},
        "default_policy": next(iter(_DEFAULT_POLICY.findall(text)), None),
        "devices": frozenset(_SEEN.findall(text)),
        "chap": frozenset(_CHAP.findall(text)),
    }


def _portals(script: str) -> dict[str, tuple[str, ...]]:
    labels = [(match.start(), match.group(1)) for match in _ARRAY.finditer(script)]
    found: dict[str, list[str]] = {}
    for match in _PORTAL.finditer(script):
        array = next((name for place, name in reversed(labels) if place < match.start()), "")
        found.setdefault(array, []).append(match.group(1))
    return {array: tuple(dict.fromkeys(addresses)) for array, addresses in found.items()}
