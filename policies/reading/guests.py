"""Files that a program puts on VMs, by whatever way: cloud-init, commands over SSH, copies."""

import base64
import binascii
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pulumi

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.stack import Stack
from policies.reading.documents import document

COMMAND = "command:remote:Command"
COPIES = ("command:remote:CopyToRemote", "command:remote:CopyFile")

_HEREDOC = re.compile(r"(?:cat\s*>|tee)\s*(/\S+)[^\n]*<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n(.*?)\n\s*\2\b", re.DOTALL)
_HEREDOC_FIRST = re.compile(r"cat\s*<<-?\s*['\"]?(\w+)['\"]?\s*>\s*(/\S+)[^\n]*\n(.*?)\n\s*\1\b", re.DOTALL)
_ADDRESS = re.compile(r"((?:\d{1,3}\.){3}\d{1,3})/\d{1,2}\b")


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

    def find(self, *patterns: str) -> list[tuple[str, str]]:
        """Path and content of the files whose path matches one of these expressions.

        Raises:
            UndecidedError: None does, and not everything is known yet.
        """
        found = [(path, text) for path, text in self.contents.items() if any(re.search(one, path) for one in patterns)]
        if not found and not self.complete:
            raise UndecidedError(self.machine.label, "what is put on it")
        return found

    def containing(self, pattern: "re.Pattern[str]") -> list[tuple[str, str]]:
        """Path and content of the files in which this expression is found."""
        return [(path, text) for path, text in self.contents.items() if pattern.search(text)]

    def source(self, path: str) -> Resource:
        """Where to change a file."""
        return self.sources.get(path, self.machine)


def files_of(stack: Stack, machine: Resource) -> GuestFiles:
    """The files of a VM."""
    return stack.once(_all_files)[machine.urn]


def has_files(stack: Stack, machine: Resource) -> bool:
    """Whether the program puts anything on a VM."""
    return bool(files_of(stack, machine).contents)


def machine_of(stack: Stack, command: Resource) -> Resource | None:
    """The VM on which a command runs or to which a file is copied."""
    for key in ("triggers", "connection"):
        for found in stack.referred(command, key):
            if found.type == "vsphere:index/virtualMachine:VirtualMachine":
                return found
    connection = command.properties.get("connection")
    host = connection.get("host") if isinstance(connection, dict) else None
    return stack.once(_by_address).get(host) if isinstance(host, str) else None


def addresses_of(machine: Resource) -> set[str]:
    """The fixed IPv4 addresses and the names by which a VM can be reached."""
    found = {name for name in (machine.properties.get("name"),) if isinstance(name, str)}
    for text in (guestinfo(machine, "metadata"), guestinfo(machine, "userdata")):
        found |= _addresses_in(text or "")
    clone = machine.properties.get("clone")
    customize = clone.get("customize") if isinstance(clone, dict) else None
    for interface in (customize or {}).get("networkInterfaces") or () if isinstance(customize, dict) else ():
        if isinstance(address := interface.get("ipv4Address"), str):
            found.add(address)
    return found


def is_among(machine: Resource, names: Collection[str]) -> bool:
    """Whether a VM is one of those that these names and addresses stand for.

    Raises:
        UndecidedError: None of them is its own, and not all of its own are known yet.
    """
    if not addresses_of(machine).isdisjoint(names):
        return True
    for key in ("name", "extraConfig", "clone"):
        if machine.properties.get(key) is UNKNOWN:
            raise UndecidedError(machine.label, key)
    return False


@lru_cache(maxsize=8192)
def _addresses_in(text: str) -> frozenset[str]:
    return frozenset(_ADDRESS.findall(text))


def guestinfo(machine: Resource, key: str) -> str | None:
    """A document that cloud-init reads from a VM's settings; None if there is none or it isn't known yet.

    Raises:
        ValueError: It isn't what its encoding says.
    """
    settings = machine.properties.get("extraConfig")
    if not isinstance(settings, dict) or not isinstance(text := settings.get(f"guestinfo.{key}"), str):
        return None
    encoding = settings.get(f"guestinfo.{key}.encoding", "")
    try:
        return _decoded(text, encoding)
    except (binascii.Error, OSError) as error:
        raise ValueError(f"guestinfo.{key} of {machine.label} is not {encoding}") from error


@lru_cache(maxsize=8192)
def _decoded(text: str, encoding: str) -> str:
    if encoding in ("base64", "b64"):
        return base64.b64decode(text, validate=True).decode()
    if encoding in ("gzip+base64", "gz+b64"):
        return gzip.decompress(base64.b64decode(text, validate=True)).decode()
    return text


def _all_files(stack: Stack) -> dict[str, GuestFiles]:
    found = {machine.urn: GuestFiles(machine) for machine in stack.of_type("VirtualMachine")}
    for machine in stack.of_type("VirtualMachine"):
        _add(found[machine.urn], machine, _written_by_cloud_init(machine))
        if machine.properties.get("extraConfig") is UNKNOWN:
            found[machine.urn].complete = False
    readers: tuple[tuple[str, Callable[[Resource], Iterable[tuple[str, str]] | None]], ...] = (
        (COMMAND, _of_command),
        *((kind, _of_copy) for kind in COPIES),
    )
    for kind, read in readers:
        for resource in stack.of_type(kind):
            target = machine_of(stack, resource)
            if target is None:
                continue
            files = read(resource)
            if files is None:
                found[target.urn].complete = False
            else:
                _add(found[target.urn], resource, files)
    return found


def _add(guest: GuestFiles, source: Resource, files: Iterable[tuple[str, str]]) -> None:
    for path, content in files:
        guest.contents[path] = content
        guest.sources[path] = source


def _of_command(command: Resource) -> list[tuple[str, str]] | None:
    """Files in a command's standard input (a JSON document of them) and in its here-documents; None: not known yet."""
    stdin, script = command.properties.get("stdin"), command.properties.get("create")
    if stdin is UNKNOWN or script is UNKNOWN:
        return None
    return [*_bundled(stdin), *_here_documents(script)]


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


def _here_documents(script: object) -> Iterator[tuple[str, str]]:
    if isinstance(script, str):
        for path, _end, content in _HEREDOC.findall(script):
            yield path, content
        for _end, path, content in _HEREDOC_FIRST.findall(script):
            yield path, content


def _of_copy(copy: Resource) -> list[tuple[str, str]] | None:
    path, source = copy.properties.get("remotePath"), copy.properties.get("source")
    if path is UNKNOWN or source is UNKNOWN:
        return None
    if isinstance(path, str) and isinstance(source, pulumi.StringAsset):
        return [(path, source.text)]
    return []  # a file's content isn't part of what the engine shows


def _written_by_cloud_init(machine: Resource) -> Iterator[tuple[str, str]]:
    text = guestinfo(machine, "userdata")
    if text is None or not text.lstrip().startswith("#cloud-config"):
        return
    for entry in (document(text, "guestinfo.userdata") or {}).get("write_files") or ():
        content = entry.get("content", "")
        if entry.get("encoding", "") in ("b64", "base64"):
            content = base64.b64decode(content).decode(errors="replace")
        yield entry["path"], content


def _by_address(stack: Stack) -> dict[str, Resource]:
    found: dict[str, Resource] = defaultdict()
    for machine in stack.of_type("VirtualMachine"):
        found.update(dict.fromkeys(addresses_of(machine), machine))
    return found
