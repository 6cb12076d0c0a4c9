"""Apache httpd's configuration on VMs: mod_proxy_balancer, virtual hosts."""

import re
import shlex
from collections.abc import Iterable, Iterator
from functools import lru_cache
from string import Template
from urllib.parse import urlsplit

from policies.reading.balancer import Balancer, Listener, Member
from policies.reading.guests import GuestFiles

PATH = re.compile(r"(apache2|httpd)(?!.*/nginx/).*\.conf$|(apache2|httpd)/sites-(available|enabled)/")

_GROUP = re.compile(r"<Proxy\s+\"?balancer://([^\s\">]+)\"?\s*>(.*?)</Proxy>", re.DOTALL | re.IGNORECASE)
_HOST = re.compile(r"<VirtualHost\s+([^>]+)>(.*?)</VirtualHost>", re.DOTALL | re.IGNORECASE)
_OWN_COOKIE = re.compile(r"Set-Cookie[^\n]*BALANCER_WORKER_ROUTE", re.IGNORECASE)
_REWRITE = re.compile(
    r"^\s*RewriteRule\s+\S+\s+\"?((?:https?|ajp)://[^\s\"]+)\"?\s+\[(?:[^\]]*,)?P\b", re.IGNORECASE | re.MULTILINE
)
_REDIRECT = re.compile(
    r"^\s*(?:Redirect\s+(?:permanent\s+|temp\s+|seeother\s+|30\d\s+)?\"?/\"?\s+\"?https://"
    r"|RedirectMatch\s+(?:permanent\s+|temp\s+|30\d\s+)?\"?\^?/?\(?\.[*+]\)?\$?\"?\s+\"?https://"
    r"|RewriteRule\s+\"?\^?/?\(?(?:\.[*+]|)\)?\$?\"?\s+\"?https://)",
    re.IGNORECASE | re.MULTILINE,
)
_SERVES = re.compile(
    r"^\s*(?:ProxyPass(?:Match)?\s+(?!\"?/?\^?/?\\?\.well-known)(?!.*\s!\s*$)|JkMount|SetHandler\s+\"?proxy|RewriteRule[^\n]*\[(?:[^\]]*,)?P\b)",
    re.IGNORECASE | re.MULTILINE,
)
_CLEAR = ("http", "ajp", "ws", "h2c", "fcgi", "scgi")
_OFF = set("DSN")
"""A member's status: disabled, stopped, drained."""


def balancers(files: GuestFiles) -> list[Balancer]:
    """The groups that a VM's httpd knows, and the single nodes to which it sends requests."""
    texts = {path: _plain(text) for path, text in files.contents.items() if PATH.search(path)}
    everything = "\n".join(texts.values())
    templates = {name: _settings(words) for name, *words in _directives(everything, "ProxyHCTemplate")}
    own_cookie = bool(_OWN_COOKIE.search(everything))
    general = _general(everything)
    found = []
    named = set()
    for path, text in texts.items():
        for name, body in _GROUP.findall(text):
            key = name.rstrip("/")
            named.add(key)
            settings = general.get(key, {}) | _merged(_directives(body, "ProxySet"))
            members = [_member(words, templates) for words in _directives(body, "BalancerMember")]
            members += [_member(words, templates) for words in _added(everything, key)]
            found.append(_balancer(path, key, members, settings, own_cookie=own_cookie))
        found += _singles(path, text)
    for key in {_key(words[0]) for words in _directives(everything, "BalancerMember") if _key(words[0])} - named:
        path = next(path for path, text in texts.items() if f"balancer://{key}" in text)
        members = [_member(words, templates) for words in _added(everything, key)]
        found.append(_balancer(path, key, members, general.get(key, {}), own_cookie=own_cookie))
    return found


def listeners(files: GuestFiles) -> list[Listener]:
    """Httpd's listeners on a VM: its virtual hosts, and ports that none of them serves."""
    texts = {path: _plain(text) for path, text in files.contents.items() if PATH.search(path)}
    found = []
    for path, text in texts.items():
        general = bool(re.search(r"(?im)^\s*SSLEngine\s+\"?on", _HOST.sub("", text)))
        for addresses, body in _HOST.findall(text):
            switch = re.search(r"(?im)^\s*SSLEngine\s+\"?(\w+)", body)
            tls = general if switch is None else switch[1].lower() in ("on", "optional")
            redirects = bool(_REDIRECT.search(body)) and not _SERVES.search(body)
            found.append(Listener(path, tuple(addresses.replace('"', "").split()), tls, redirects))
    served = {port for host in found for one in host.addresses for port in [one.rpartition(":")[2]]}
    for path, text in texts.items():
        tls = bool(re.search(r"(?im)^\s*SSLEngine\s+\"?on", _HOST.sub("", text)))
        for address, *_protocol in _directives(text, "Listen"):
            if found and not {address.rpartition(":")[2], "*", "_default_"} & served:
                found.append(Listener(path, (address,), tls, only_redirects=False))
    return found


def _plain(text: str) -> str:
    """Without comments and continued lines, and with what `Define` says put in."""
    joined = re.sub(r"\\\r?\n", " ", re.sub(r"(?m)^\s*#.*$", "", text))
    defined = {name: words[0] for name, *words in _directives(joined, "Define") if words}
    return Template(joined).safe_substitute(defined) if defined else joined


def _directives(text: str, name: str) -> Iterator[list[str]]:
    """The words behind a directive, wherever it stands."""
    for line in re.findall(rf"(?im)^[ \t]*{name}[ \t]+(\S[^\n]*)$", text):
        if words := _words(line):
            yield list(words)


@lru_cache(maxsize=4096)
def _words(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line, posix=True))
    except ValueError:
        return tuple(line.split())


def _settings(words: Iterable[str]) -> dict[str, str]:
    return {key.lower(): value for key, mark, value in (one.partition("=") for one in words) if mark}


def _merged(directives: Iterable[list[str]]) -> dict[str, str]:
    return {key: value for words in directives for key, value in _settings(words).items()}


def _key(url: str) -> str:
    """The group that a URL names; "" if it names none."""
    return url.partition("balancer://")[2].partition("/")[0] if url.startswith("balancer://") else ""


def _general(text: str) -> dict[str, dict[str, str]]:
    """What is set for groups where they are used: ProxyPass and ProxySet with the group's URL."""
    found: dict[str, dict[str, str]] = {}
    for directive in ("ProxyPass", "ProxyPassMatch", "ProxySet"):
        for words in _directives(text, directive):
            for place in (0, 1):
                if len(words) > place and (key := _key(words[place])):
                    found.setdefault(key, {}).update(_settings(words))
    return found


def _added(text: str, key: str) -> Iterator[list[str]]:
    """The members that are added to a group from outside of it."""
    for words in _directives(text, "BalancerMember"):
        if _key(words[0]) == key and len(words) > 1:
            yield words[1:]


def _balancer(
    path: str, name: str, members: Iterable[Member | None], settings: dict[str, str], *, own_cookie: bool
) -> Balancer:
    sticky = bool(settings.get("stickysession"))
    return Balancer(path, name, tuple(one for one in members if one), sticky, by_route=sticky and not own_cookie)


def _member(words: list[str], templates: dict[str, dict[str, str]]) -> Member | None:
    """A member; None if it gets no requests, or belongs to a group that is named first."""
    url, *options = words
    if _key(url):
        return None
    settings = _settings(options)
    status = settings.get("status", "")
    if not status.startswith("-") and _OFF & set(status.upper()):
        return None
    method = settings.get("hcmethod") or templates.get(settings.get("hctemplate", ""), {}).get("hcmethod", "")
    scheme, host = _target(url)
    return Member(host, settings.get("route", ""), method.upper() not in ("", "NONE"), scheme not in _CLEAR)


def _singles(path: str, text: str) -> Iterator[Balancer]:
    urls = list(_REWRITE.findall(text))
    for directive in ("ProxyPass", "ProxyPassMatch"):
        urls += [
            word for words in _directives(text, directive) for word in words[:2] if re.match(r"(https?|ajp)://", word)
        ]
    for url in urls:
        scheme, host = _target(url)
        yield Balancer(
            path, host, (Member(host, "", checked=False, tls=scheme not in _CLEAR),), sticky=True, single=True
        )


def _target(url: str) -> tuple[str, str]:
    """Scheme and host of a URL; what else it holds may be a password."""
    try:
        split = urlsplit(url)
        return split.scheme.lower(), split.hostname or ("unix:" if split.scheme == "unix" else "")
    except ValueError:
        return "", ""
