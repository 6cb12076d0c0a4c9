"""keepalived's configuration on VMs (RFC 9568, VRRP)."""

import re
from dataclasses import dataclass

from policies.reading.guests import GuestFiles

PATH = r"keepalived.*\.conf$"

_BLOCK = re.compile(r"vrrp_instance\s+(\S+)\s*\{")
_SCRIPT = re.compile(r"vrrp_script\s+(\S+)\s*\{")
_ADDRESS = re.compile(r"((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]+:[0-9a-f:]*)(?:/\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Instance:
    """One VRRP instance on one VM."""

    path: str
    name: str
    state: str
    priority: int
    """keepalived's default is 100."""
    router: int | None
    addresses: frozenset[str]
    watches: bool
    """Whether it gives the address up when what it watches fails (track_script, track_process)."""
    preempts: bool
    scripts: tuple[str, ...] = ()
    """Paths of the scripts that it watches."""
    peers: frozenset[str] | None = None
    """Whom it talks to, where that is said (unicast_peer); None: everybody on the network."""


def instances(files: GuestFiles) -> list[Instance]:
    """The VRRP instances that a VM takes part in."""
    return [found for path, text in files.find(PATH) for found in _instances(path, _without_comments(text))]


def _instances(path: str, text: str) -> list[Instance]:
    found = []
    scripts = {match.group(1): _path(_body(text, match.end())) for match in _SCRIPT.finditer(text)}
    for match in _BLOCK.finditer(text):
        body = _body(text, match.end())
        router = _number(body, "virtual_router_id")
        found.append(
            Instance(
                path,
                match.group(1),
                _word(body, "state") or "BACKUP",
                _number(body, "priority") or 100,
                router,
                frozenset(_ADDRESS.findall(_block(body, "virtual_ipaddress"))),
                bool(re.search(r"track_(script|process)\s*\{\s*\S", body)),
                "nopreempt" not in body,
                tuple(scripts[name] for name in _block(body, "track_script").split() if name in scripts),
                frozenset(_ADDRESS.findall(_block(body, "unicast_peer"))) if "unicast_peer" in body else None,
            )
        )
    return found


def _path(script: str) -> str:
    """The program of a vrrp_script, without its arguments."""
    match = re.search(r"^\s*script\s+[\"']?([^\s\"']+)", script, re.MULTILINE)
    return match.group(1) if match else ""


def _without_comments(text: str) -> str:
    return re.sub(r"[#!].*", "", text)


def _body(text: str, start: int) -> str:
    """The text of a block from behind its opening brace to the one that closes it."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return text[start:]


def _block(body: str, name: str) -> str:
    match = re.search(rf"{name}\s*\{{([^}}]*)\}}", body)
    return match.group(1) if match else ""


def _word(body: str, key: str) -> str | None:
    match = re.search(rf"^\s*{key}\s+(\S+)", body, re.MULTILINE)
    return match.group(1) if match else None


def _number(body: str, key: str) -> int | None:
    word = _word(body, key)
    return int(word) if word and word.isdecimal() else None
