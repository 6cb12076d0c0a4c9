"""What cloud-init reads from a VM's settings, and what it makes of it: names, addresses, files."""

import base64
import binascii
import email
import gzip
import re
import zlib
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any

from policies.judging.resource import Resource
from policies.reading import scripts
from policies.reading.documents import UnreadableError, entries, mapping, section

DOCUMENTS = ("metadata", "userdata", "vendordata")

_BASE64 = ("base64", "b64")
_GZIP_BASE64 = ("gzip+base64", "gz+b64", "gzip+b64", "gz+base64")
_VAPP = {"userdata": "user-data"}
"""Properties of vApps that the OVF data source reads; always base64."""
_ADDRESS = re.compile(r"(?<![\d.])((?:\d{1,3}\.){3}\d{1,3})/\d{1,2}\b")


def guestinfo(machine: Resource, key: str) -> str | None:
    """A document that cloud-init reads from a VM's settings; None if there is none or it isn't known yet.

    Raises:
        UnreadableError: It isn't what its encoding says: cloud-init, too, will not understand it.
    """
    settings = machine.properties.get("extraConfig")
    text = settings.get(f"guestinfo.{key}") if isinstance(settings, dict) else None
    if isinstance(settings, dict) and isinstance(text, str):
        return decoded(text, str(settings.get(f"guestinfo.{key}.encoding") or ""), f"guestinfo.{key}")
    vapp = section(section(machine.properties, "vapp"), "properties").get(_VAPP.get(key, ""))
    return decoded(vapp, "base64", f"vapp.properties.{_VAPP[key]}") if isinstance(vapp, str) else None


def decoded(text: str, encoding: str, name: str) -> str:
    """A document in clear.

    Raises:
        UnreadableError: It isn't what its encoding says.
    """
    if encoding not in (*_BASE64, *_GZIP_BASE64):
        return text
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
        return (gzip.decompress(content) if encoding in _GZIP_BASE64 else content).decode()
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise UnreadableError(f"{name} is not {encoding}") from None  # the error quotes what may be a secret


def cleared(machine: Resource) -> frozenset[str]:
    """The documents that the guest removes from its settings once it has read them.

    Raises:
        UnreadableError: The metadata can't be read.
    """
    named = mapping(guestinfo(machine, "metadata") or "", "guestinfo.metadata").get("cleanup-guestinfo")
    return frozenset(map(str, named if isinstance(named, list) else [named]))


def names(machine: Resource) -> Iterator[str]:
    """The host names that a VM is given.

    Raises:
        UnreadableError: A document can't be read.
    """
    found = [mapping(guestinfo(machine, "metadata") or "", "guestinfo.metadata")]
    found += _cloud_configs(guestinfo(machine, "userdata") or "", "guestinfo.userdata")
    for one in found:
        for key in ("local-hostname", "hostname", "fqdn"):
            if isinstance(name := one.get(key), str):
                yield name


def addresses(machine: Resource) -> Iterator[str]:
    """The fixed addresses that a VM is given: by its metadata's network configuration (version 1 or 2), or netplan.

    Raises:
        UnreadableError: A document can't be read.
    """
    metadata = mapping(guestinfo(machine, "metadata") or "", "guestinfo.metadata")
    network = metadata.get("network")
    if isinstance(network, str):
        encoding = str(metadata.get("network.encoding") or "")
        network = mapping(decoded(network, encoding, "guestinfo.metadata"), "guestinfo.metadata")
    yield from network_addresses(network)
    text = guestinfo(machine, "userdata") or ""
    for path, content in files(text, "guestinfo.userdata"):
        if "/netplan/" in path:
            yield from network_addresses(mapping(content, path))
        elif "/systemd/network/" in path or path.endswith("/network/interfaces"):
            yield from _ADDRESS.findall("\n".join(re.findall(r"(?im)^\s*address[=\s]+(.*)$", content)))


def network_addresses(found: object) -> Iterator[str]:
    """The addresses in a network configuration."""
    inner = found.get("network", found) if isinstance(found, dict) else None
    for kind in ("ethernets", "bonds", "bridges", "vlans"):
        for interface in section(inner, kind).values():
            for one in entries(interface, "addresses"):
                yield from _plain(next(iter(one), "") if isinstance(one, dict) else one)
    for device in entries(inner, "config"):
        for subnet in entries(device, "subnets"):
            yield from _plain(subnet.get("address") if isinstance(subnet, dict) else "")


def _plain(address: object) -> Iterator[str]:
    try:
        yield str(ip_interface(str(address)).ip)
    except ValueError:
        return


def files(text: str, name: str) -> Iterator[tuple[str, str]]:
    """The files that user data has cloud-init write: `write_files`, and here-documents of scripts and commands.

    Raises:
        UnreadableError: A part of it can't be read.
    """
    for kind, part in _parts(text):
        if kind == "script":
            yield from scripts.files(part).items()
            continue
        configuration = mapping(part, name)
        for entry in entries(configuration, "write_files"):
            if isinstance(entry, dict) and isinstance(path := entry.get("path"), str):
                yield path, _content(entry, name)
        for command in (*entries(configuration, "bootcmd"), *entries(configuration, "runcmd")):
            words = command if isinstance(command, str) else "\n".join(map(str, command or ()))
            yield from scripts.files(words).items()


def _content(entry: dict[str, Any], name: str) -> str:
    content = entry.get("content") or ""
    if isinstance(content, bytes):
        return content.decode(errors="replace")
    encoding = str(entry.get("encoding") or "")
    return decoded(str(content), "gzip+base64" if encoding in ("gz", "gzip") else encoding, name)


def _cloud_configs(text: str, name: str) -> Iterator[dict[str, Any]]:
    for kind, part in _parts(text):
        if kind == "cloud-config":
            yield mapping(part, name)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The parts of user data that are understood here, and what they are."""
    head = re.sub(r"\A\s*## template: *jinja[^\n]*\n", "", text, flags=re.IGNORECASE).lstrip()
    if re.match(r"(content-type:\s*multipart|mime-version:)", head, re.IGNORECASE):
        for part in email.message_from_string(head).walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                body = payload.decode(errors="replace")
                yield from [("cloud-config", body)] if part.get_content_subtype() == "cloud-config" else _parts(body)
    elif re.match(r"#cloud-config\b(?!-)", head):
        yield "cloud-config", head
    elif head.startswith("#!"):
        yield "script", head
