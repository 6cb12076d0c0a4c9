"""Balancers' configuration on VMs: Apache httpd's mod_proxy_balancer, and HAProxy as far as members go."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from policies.reading.guests import GuestFiles

PATH = r"(apache2|httpd|haproxy).*\.(conf|cfg)$|sites-(available|enabled)/"

_PROXY = re.compile(r"<Proxy\s+\"?balancer://([^\s\">]+)\"?>(.*?)</Proxy>", re.DOTALL | re.IGNORECASE)
_MEMBER = re.compile(r"^\s*BalancerMember\s+\"?(\S+?)\"?(\s.*)?$", re.MULTILINE | re.IGNORECASE)
_BACKEND = re.compile(r"^backend\s+(\S+)\n((?:[ \t]+\S.*\n?|\s*\n)*)", re.MULTILINE)
_SERVER = re.compile(r"^\s*server\s+(\S+)\s+(\S+)(.*)$", re.MULTILINE)
_HOST = re.compile(r"<VirtualHost\s+([^>]+)>(.*?)</VirtualHost>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """One node of a balancer."""

    host: str
    route: str
    """The word by which a session finds its node again; "" if it has none."""
    checked: bool
    """Whether the balancer asks the node how it is, by itself."""


@dataclass(frozen=True)
class Balancer:
    """A group of nodes among which requests are spread."""

    path: str
    name: str
    members: tuple[Member, ...]
    sticky: bool


@dataclass(frozen=True)
class VirtualHost:
    """A listener of httpd."""

    path: str
    addresses: tuple[str, ...]
    tls: bool
    only_redirects: bool


def balancers(files: GuestFiles) -> list[Balancer]:
    """The groups that a VM's balancer knows."""
    found = []
    for path, text in files.find(PATH):
        plain = re.sub(r"(?m)^\s*#.*$", "", text)
        for name, body in _PROXY.findall(plain):
            found.append(
                Balancer(path, name, tuple(_member(*one) for one in _MEMBER.findall(body)), "stickysession" in body)
            )
        for name, body in _BACKEND.findall(plain):
            members = tuple(
                Member(address.partition(":")[0], _cookie(options), bool(re.search(r"\bcheck\b", options)))
                for _name, address, options in _SERVER.findall(body)
            )
            found.append(Balancer(path, name, members, bool(re.search(r"^\s*(cookie|stick)\b", body, re.MULTILINE))))
    return found


def virtual_hosts(files: GuestFiles) -> list[VirtualHost]:
    """Httpd's listeners on a VM."""
    return [
        VirtualHost(
            path,
            tuple(addresses.split()),
            bool(re.search(r"^\s*SSLEngine\s+on", body, re.MULTILINE | re.IGNORECASE)),
            "Proxy" not in body and "DocumentRoot" not in body and bool(re.search(r"RewriteRule|Redirect", body)),
        )
        for path, text in files.find(PATH)
        for addresses, body in _HOST.findall(re.sub(r"(?m)^\s*#.*$", "", text))
    ]


def _member(url: str, options: str) -> Member:
    settings = dict(one.split("=", 1) for one in options.split() if "=" in one)
    check = settings.get("hcmethod", "").upper() not in ("", "NONE")
    return Member(urlsplit(url).hostname or url, settings.get("route", ""), check)


def _cookie(options: str) -> str:
    match = re.search(r"\bcookie\s+(\S+)", options)
    return match.group(1) if match else ""
