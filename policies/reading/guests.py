"""Files that a program puts on VMs, by whatever way: cloud-init, commands over SSH, copies."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pulumi

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.stack import Stack
from policies.reading import cloudinit, scripts
from policies.reading.documents import UnreadableError, section

COMMAND = "command:remote:Command"
COPIES = ("command:remote:CopyToRemote", "command:remote:CopyFile")
MACHINE = "vsphere:index/virtualMachine:VirtualMachine"

_LARGEST = 256 * 1024
"""Bytes; a configuration file that is copied to a server is smaller."""
_NOT_TEXT = re.compile(
    r"\.(war|ear|jar|zip|gz|tgz|xz|zst|bz2|tar|deb|rpm|iso|ova|vmdk|img|so|bin|p12|pfx)$", re.IGNORECASE
)


@dataclass
class GuestFiles:
    """What is known to be on one VM. Contents may hold secrets: nothing of them belongs in a message."""

    machine: Resource
    contents: dict[str, str] = field(default_factory=dict, repr=False)
    """By absolute path."""
    sources: dict[str, Resource] = field(default_factory=dict)
    """The resource that puts a file there, by path."""
    complete: bool = True
    """False if something that is put there is known only after the update."""
    hidden: set[str] = field(default_factory=set)
    """Paths of text files that are put there, and whose contents the engine doesn't show."""
    unreadable: list[str] = field(default_factory=list)
    """What is put there and can't be understood: sentences that hold nothing of it."""

    def find(self, *patterns: str) -> list[tuple[str, str]]:
        """Path and content of the files whose path matches one of these expressions.

        Raises:
            UndecidedError: None does, and not everything is known.
        """
        found = [(path, text) for path, text in self.contents.items() if any(re.search(one, path) for one in patterns)]
        if not found and (not self.complete or any(re.search(one, path) for one in patterns for path in self.hidden)):
            raise UndecidedError(self.machine.label, "what is put on it")
        return found

    def containing(self, pattern: "re.Pattern[str]") -> list[tuple[str, str]]:
        """Path and content of the files in which this expression is found."""
        return [(path, text) for path, text in self.contents.items() if is_in(pattern, text)]

    def require_all(self) -> None:
        """Make sure that something which isn't found really isn't there.

        Raises:
            UndecidedError: Not everything is known.
        """
        if not self.complete or self.hidden:
            raise UndecidedError(self.machine.label, "what is put on it")

    def source(self, path: str) -> Resource:
        """Where to change a file."""
        return self.sources.get(path, self.machine)


@lru_cache(maxsize=65536)
def is_in(pattern: "re.Pattern[str]", text: str) -> bool:
    """Whether an expression is found in a file; of most files that is asked by several rules, and for every mutant."""
    return bool(pattern.search(text))


def files_of(stack: Stack, machine: Resource) -> GuestFiles:
    """The files of a VM."""
    return stack.once(_all_files)[machine.urn]


def has_files(stack: Stack, machine: Resource) -> bool:
    """Whether the program puts anything on a VM."""
    return bool(files_of(stack, machine).contents)


def machine_of(stack: Stack, command: Resource) -> Resource | None:
    """The VM on which a command runs or to which a file is copied.

    A host that is written out says it best; else what the connection refers to, as far as that is one VM: it may also
    name a key or a jump host; else what the triggers refer to, which may be several.
    """
    host = section(command.properties, "connection").get("host")
    named = machines_at(stack, [host]) if isinstance(host, str) else []
    referred = [
        [found for found in stack.referred(command, key) if found.type == MACHINE] for key in ("connection", "triggers")
    ]
    single = [found for found in (named, *referred) if len(found) == 1]
    return next((found[0] for found in (*single, named, *referred) if found), None)


def machines_at(stack: Stack, names: Iterable[str]) -> list[Resource]:
    """The VMs that these names and addresses stand for."""
    index = stack.once(_by_address)
    found = [machine for name in names for each in _forms(name) for machine in index.get(each, ())]
    return list({machine.urn: machine for machine in found}.values())


def guestinfo(machine: Resource, key: str) -> str | None:
    """A document that cloud-init reads from a VM's settings; None if there is none or nobody can read it (OPS-02)."""
    with suppress(UnreadableError):
        return cloudinit.guestinfo(machine, key)
    return None


def addresses_of(machine: Resource) -> set[str]:
    """The fixed addresses and the names by which a VM can be reached, in small letters."""
    return _addresses(machine)


def among(stack: Stack, machines: Iterable[Resource], names: Iterable[str]) -> list[Resource]:
    """Those of the VMs that some of these names and addresses stand for.

    Raises:
        UndecidedError: None of them is a VM's own, and not all of its own are known yet.
    """
    named = {machine.urn for machine in machines_at(stack, names)}
    found = []
    for machine in machines:
        if machine.urn in named:
            found.append(machine)
            continue
        for key in ("name", "extraConfig", "clone"):
            if machine.properties.get(key) is UNKNOWN:
                raise UndecidedError(machine.label, key)
    return found


def resolved(files: GuestFiles, names: Iterable[str]) -> set[str]:
    """Names, and the addresses that the VM's own hosts file gives them."""
    wanted = set(names)
    table = _hosts_table(files.contents.get("/etc/hosts", ""))
    return wanted | {table[name] for name in wanted if name in table}


@lru_cache(maxsize=1024)
def _hosts_table(text: str) -> Mapping[str, str]:
    """Addresses by name; servers share most of their hosts files."""
    lines = (line.split() for line in re.sub(r"#.*", "", text).splitlines())
    return {alias: address for address, *aliases in filter(None, lines) for alias in aliases}


def _forms(name: str) -> tuple[str, ...]:
    """A name in full and without its domain; an address as it is."""
    plain = name.strip().strip("[]").lower().rstrip(".")
    short = plain.partition(".")[0]
    return (plain,) if short.isdecimal() or ":" in plain or short == plain else (plain, short)


def _addresses(machine: Resource) -> set[str]:
    found = {name for name in (machine.properties.get("name"),) if isinstance(name, str)}
    with suppress(UnreadableError):  # rule OPS-02 says so
        found |= {*cloudinit.names(machine), *cloudinit.addresses(machine)}
    customize = section(section(machine.properties, "clone"), "customize")
    interfaces = customize.get("networkInterfaces")
    for interface in interfaces if isinstance(interfaces, list) else ():
        found |= {
            one for key in ("ipv4Address", "ipv6Address") if isinstance(one := section_value(interface, key), str)
        }
    for options, key in (("linuxOptions", "hostName"), ("windowsOptions", "computerName")):
        if isinstance(name := section(customize, options).get(key), str):
            found.add(name)
    if isinstance(address := machine.properties.get("defaultIpAddress"), str) and address:
        found.add(address)  # of a VM that runs
    return {form for name in found if name for form in _forms(name)}


def section_value(found: object, key: str) -> object:
    """A value of a mapping; None where there is none."""
    return found.get(key) if isinstance(found, dict) else None


def _by_address(stack: Stack) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for machine in stack.of_type("VirtualMachine"):
        for address in _addresses(machine):
            found[address].append(machine)
    return found


def _all_files(stack: Stack) -> dict[str, GuestFiles]:
    found = {machine.urn: GuestFiles(machine) for machine in stack.of_type("VirtualMachine")}
    for machine in stack.of_type("VirtualMachine"):
        _add_cloud_init(found[machine.urn], machine)
    readers: tuple[tuple[str, Callable[[Resource, GuestFiles], None]], ...] = (
        (COMMAND, _add_command),
        *((kind, _add_copy) for kind in COPIES),
    )
    for kind, read in readers:
        for resource in stack.of_type(kind):
            if target := machine_of(stack, resource):
                read(resource, found[target.urn])
    return found


def _add(guest: GuestFiles, source: Resource, files: Iterable[tuple[str, str]]) -> None:
    for path, content in files:
        guest.contents[path] = content
        guest.sources[path] = source


def _add_cloud_init(guest: GuestFiles, machine: Resource) -> None:
    settings = machine.properties.get("extraConfig")
    if settings is UNKNOWN or section_value(settings, "guestinfo.userdata") is UNKNOWN:
        guest.complete = False
    for key in cloudinit.DOCUMENTS:
        try:
            text = cloudinit.guestinfo(machine, key)
            if text and key != "metadata":
                _add(guest, machine, cloudinit.files(text, f"guestinfo.{key}"))
        except UnreadableError as error:
            guest.unreadable.append(str(error))


def _add_command(command: Resource, guest: GuestFiles) -> None:
    """Files in a command's standard input (a JSON document of them), in its here-documents, and what it pipes on."""
    stdin, script = command.properties.get("stdin"), command.properties.get("create")
    if stdin is UNKNOWN or script is UNKNOWN:
        guest.complete = False
    bundled = dict(_bundled(stdin))
    _add(guest, command, bundled.items())
    if isinstance(script, str):
        environment = {
            key: one for key, one in section(command.properties, "environment").items() if isinstance(one, str)
        }
        written = scripts.files(script, None if bundled or not isinstance(stdin, str) else stdin, environment)
        _add(guest, command, written.items())


def _bundled(stdin: object) -> Iterator[tuple[str, str]]:
    if not isinstance(stdin, str) or not stdin.lstrip().startswith("{"):
        return
    try:
        bundle = json.loads(stdin)
    except json.JSONDecodeError:
        return  # standard input of another kind
    for path, entry in bundle.items():
        content = entry.get("content") if isinstance(entry, dict) else entry
        if path.startswith("/") and isinstance(content, str):
            yield path, content


def _add_copy(copy: Resource, guest: GuestFiles) -> None:
    path, source = copy.properties.get("remotePath"), copy.properties.get("source")
    if path is UNKNOWN or source is UNKNOWN:
        guest.complete = False
    if not isinstance(path, str) or _NOT_TEXT.search(path):
        return
    content = (
        source.text if isinstance(source, pulumi.StringAsset) else _local(source, copy.properties.get("localPath"))
    )
    if content is None:
        guest.hidden.add(path)
    else:
        _add(guest, copy, [(path, content)])


def _local(source: object, path: object) -> str | None:
    """A small text file beside the program, which the engine shows by its name only; None if it isn't there."""
    named = source.path if isinstance(source, pulumi.FileAsset) else path
    if not isinstance(named, str):
        return None
    try:
        file = Path(named)
        return file.read_text() if file.is_file() and file.stat().st_size <= _LARGEST else None
    except (OSError, ValueError):
        return None
