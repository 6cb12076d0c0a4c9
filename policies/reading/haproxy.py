"""HAProxy's configuration on VMs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from policies.reading.balancer import Balancer, Listener, Member
from policies.reading.guests import GuestFiles

PATH = re.compile(r"haproxy.*\.(cfg|conf)$")

_SECTIONS = (
    "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist", "cache",
    "program", "http-errors", "ring", "log-forward", "fcgi-app", "crt-store", "traces",
)  # fmt: skip
_STICKY_ALGORITHMS = ("source", "hdr", "uri", "url_param", "rdp-cookie", "hash")


@dataclass
class _Section:
    kind: str
    name: str
    defaults: "_Section | None"
    lines: list[list[str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[list[str]]:
        """The words behind a keyword, every time that it stands here; else as the defaults have it."""
        own = [line[1:] for line in self.lines if line[0] == keyword]
        return own or (self.defaults.all(keyword) if self.defaults else [])

    @property
    def is_http(self) -> bool:
        """Whether requests are understood; HAProxy's own default is TCP."""
        return self.all("mode")[-1:] == [["http"]]


def balancers(files: GuestFiles) -> list[Balancer]:
    """The groups that a VM's HAProxy knows."""
    return [
        _balancer(path, section)
        for path, text in files.contents.items()
        if PATH.search(path)
        for section in _sections(text)
        if section.kind in ("backend", "listen") and any(line[0] == "server" for line in section.lines)
    ]


def listeners(files: GuestFiles) -> list[Listener]:
    """Where a VM's HAProxy takes HTTP; what passes as TCP may be encrypted from end to end."""
    found = []
    for path, text in files.contents.items():
        for section in _sections(text) if PATH.search(path) else ():
            if section.kind in ("frontend", "listen") and section.is_http:
                redirects = any(_is_redirect(line) for line in section.lines)
                for addresses, *options in section.all("bind"):
                    found.append(Listener(path, tuple(addresses.split(",")), "ssl" in options, redirects))
    return found


def _sections(text: str) -> Iterator[_Section]:
    defaults: _Section | None = None
    current: _Section | None = None
    for line in text.splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if not words:
            continue
        if words[0] in _SECTIONS:
            if current:
                yield current
            inherited = defaults if words[0] in ("frontend", "backend", "listen") else None
            current = _Section(words[0], words[1] if len(words) > 1 else "", inherited)
            if words[0] == "defaults":
                defaults = current
        elif current:
            current.lines.append(words)
    if current:
        yield current


def _balancer(path: str, section: _Section) -> Balancer:
    general = [word for line in section.all("default-server") for word in line]
    cookie = bool(section.all("cookie"))
    algorithm = "".join((section.all("balance") or [[""]])[-1][:1])
    sticky = (
        cookie
        or algorithm.startswith(_STICKY_ALGORITHMS)
        or any(words[:1] == ["on"] or words[:1] == ["match"] for words in section.all("stick"))
    )
    members = tuple(
        _member(words, general, by_cookie=cookie, is_http=section.is_http)
        for words in section.all("server")
        if len(words) > 1 and "disabled" not in words
    )
    return Balancer(path, section.name, members, sticky)


def _member(words: list[str], general: list[str], *, by_cookie: bool, is_http: bool) -> Member:
    name, address, *options = words
    host = address.removeprefix("ipv4@").removeprefix("ipv6@")
    if not host.startswith(("unix@", "abns@", "/")):
        host = re.sub(r":\d*$", "", host).strip("[]")
    checked = "check" in (*general, *options) and "no-check" not in options
    route = options[options.index("cookie") + 1] if "cookie" in options[:-1] else ""
    tls = not is_http or "ssl" in (*general, *options)
    return Member(host, route if by_cookie else name, checked, tls)


def _is_redirect(words: list[str]) -> bool:
    """Whether everything that came in clear is sent to HTTPS."""
    line = " ".join(words)
    return bool(re.match(r"(http-request )?redirect (scheme https\b|(prefix|location) https://)", line)) and bool(
        " if " not in f"{line} " or "ssl_fc" in line or "well-known" in line or "acme" in line
    )
