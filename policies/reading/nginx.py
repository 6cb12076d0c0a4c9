"""nginx's configuration on VMs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from policies.reading.balancer import Balancer, Listener, Member
from policies.reading.guests import GuestFiles

PATH = re.compile(r"nginx")

_TOKEN = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|(?:\$\{\w+\}|[^\s{};\"'])+")
_PATIENCE_SECONDS = 10
"""nginx without its commercial health checks learns of a dead node from requests: how long one may wait for that."""


@dataclass
class _Directive:
    words: list[str]
    inner: list["_Directive"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["_Directive"]:
        """Every directive of that name, at any depth."""
        for one in self.inner:
            if one.words[0] == name:
                yield one
            yield from one.all(name)


def balancers(files: GuestFiles) -> list[Balancer]:
    """The groups that a VM's nginx knows, and the single nodes to which it sends requests."""
    trees = _trees(files)
    whole = _Directive([""], [one for tree in trees.values() for one in tree.inner])
    passes = [
        re.match(r"(?:(\w+)://)?([^/]+)", one.words[1])
        for kind in ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass")
        for one in whole.all(kind)
        if len(one.words) > 1
    ]
    clear = {match[2] for match in passes if match and (match[1] or "http") in ("http", "grpc")}
    quick = _is_quick(whole)
    groups = {one.words[1] for one in whole.all("upstream") if len(one.words) > 1}
    found = [
        _group(path, one, quick=quick, tls=one.words[1] not in clear)
        for path, tree in trees.items()
        for one in tree.all("upstream")
        if len(one.words) > 1
    ]
    for path, tree in trees.items():
        for one in tree.all("proxy_pass"):
            match = re.match(r"(https?)://([^/$]+)(/|$)", "".join(one.words[1:2]))
            if match and match[2] not in groups:
                member = Member(_host(match[2]), "", checked=False, tls=match[1] == "https")
                found.append(Balancer(path, member.host, (member,), sticky=True, single=True))
    return found


def listeners(files: GuestFiles) -> list[Listener]:
    """Where a VM's nginx takes HTTP."""
    found = []
    for path, tree in _trees(files).items():
        streams = {id(server) for stream in tree.all("stream") for server in stream.all("server")}
        for server in tree.all("server"):
            if server.inner and id(server) not in streams:
                listens = [one.words[1:] for one in server.inner if one.words[0] == "listen"] or [["*:80"]]
                for address, *options in filter(None, listens):
                    tls = bool({"ssl", "quic"} & set(options))
                    found.append(Listener(path, (address,), tls, _redirects(server)))
    return found


def _trees(files: GuestFiles) -> dict[str, _Directive]:
    texts = {path: text for path, text in files.contents.items() if PATH.search(path)}
    return {path: _parsed(text) for path, text in texts.items() if re.search(r"\b(upstream|server)\b[^;{]*\{", text)}


def _parsed(text: str) -> _Directive:
    top = _Directive([""])
    open_blocks, words = [top], list[str]()
    for word in _TOKEN.findall(text):
        if word.startswith("#"):
            continue
        if word in ("{", ";"):
            made = _Directive(words or [""])
            words = []
            open_blocks[-1].inner.append(made)
            if word == "{":
                open_blocks.append(made)
        elif word == "}":
            words = []
            if len(open_blocks) > 1:
                open_blocks.pop()
        else:
            words.append(word.strip("\"'"))
    return top


def _group(path: str, upstream: _Directive, *, quick: bool, tls: bool) -> Balancer:
    sticky = any(one.words[0] in ("ip_hash", "sticky", "hash") for one in upstream.inner)
    asked = any(one.words[0] == "check" for one in upstream.inner)
    members = tuple(
        Member(_host(one.words[1]), one.words[1], asked or (quick and "max_fails=0" not in one.words), tls)
        for one in upstream.inner
        if one.words[0] == "server" and len(one.words) > 1 and "down" not in one.words
    )
    return Balancer(path, upstream.words[1], members, sticky)


def _is_quick(whole: _Directive) -> bool:
    """Whether a dead node is noticed soon: by checks, or as no request waits long for a connection (default 60 s)."""
    if any(whole.all("health_check")):
        return True
    waits = [_seconds(one.words[1]) for one in whole.all("proxy_connect_timeout") if len(one.words) > 1]
    stays = any("off" in one.words for one in whole.all("proxy_next_upstream"))
    return bool(waits) and max(waits) <= _PATIENCE_SECONDS and not stays


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)(ms|s|m|h)?", text)
    return int(match[1]) * {"ms": 0.001, "m": 60, "h": 3600}.get(match[2] or "s", 1) if match else float("inf")


def _host(address: str) -> str:
    return address if address.startswith("unix:") else re.sub(r":\d+$", "", address).strip("[]")


def _redirects(server: _Directive) -> bool:
    """Whether all that a server does is to send browsers to HTTPS."""
    places = [one for one in server.inner if one.words[0] == "location" and "well-known" not in " ".join(one.words)]
    if any(_sends_on(one) for one in server.inner):
        return True
    return bool(places) and all(any(_sends_on(one) for one in place.inner) for place in places)


def _sends_on(one: _Directive) -> bool:
    return (one.words[0] == "return" and "https://" in " ".join(one.words)) or (
        one.words[0] == "rewrite" and len(one.words) > 2 and one.words[2].startswith("https://")  # noqa: PLR2004
    )
