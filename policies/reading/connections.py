"""Database connection strings in VMs' files. They may hold passwords: only hosts and options are taken from them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl

from policies.reading.guests import GuestFiles

_JDBC = re.compile(r"jdbc:postgresql://([^/\s\"'<?]+)(?:/[^?\s\"'<]*)?(?:\?([^\s\"'<]*))?")
_URI = re.compile(
    r"(?<![:\w])postgres(?:ql)?(?:\+\w+)?://(?:[^@/\s]*@)?([^/\s\"'<?]*)(?:/[^?\s\"'<]*)?(?:\?([^\s\"'<]*))?"
)
_WORDS = re.compile(r"^(?!\s*(?:#|//|;))[^\n]*?\bhost=(?=[^\n]*\b(?:dbname|user)=)[^\n]*$", re.MULTILINE)
_PAIR = re.compile(r"\b(\w+)=(?:'([^']*)'|([^\s;\"']+))")
_PROPERTY = re.compile(
    r"\b(targetServerType|connectTimeout|loginTimeout|socketTimeout)\b[\"']?\s*(?:[:=>]|value=)+\s*[\"']?(\w+)"
)
_COMMENT = re.compile(r"<!--.*?-->|^\s*(?:#|//)[^\n]*$", re.MULTILINE | re.DOTALL)
_NOT_CLIENTS = re.compile(r"exporter|prometheus|telegraf|zabbix|pgbackrest|barman|backup", re.IGNORECASE)
"""Who watches or copies one server asks that one."""


@dataclass(frozen=True)
class Connection:
    """Where a client looks for its database."""

    path: str
    hosts: tuple[str, ...]
    options: dict[str, str] = field(repr=False)

    @property
    def wants_primary(self) -> bool:
        """Whether it goes on past a standby."""
        wanted = (self.options.get("targetServerType", ""), self.options.get("target_session_attrs", ""))
        return wanted[0].lower() in ("primary", "master") or wanted[1] in ("read-write", "primary")


def connections(files: GuestFiles) -> list[Connection]:
    """The connection strings in a VM's files; properties beside a JDBC URL are taken for its own."""
    return [one for path, content in files.contents.items() for one in _in_file(path, content)]


@lru_cache(maxsize=4096)
def _in_file(path: str, content: str) -> tuple[Connection, ...]:
    if _NOT_CLIENTS.search(path) or not re.search(r"postgres|host=", content):
        return ()
    text = _COMMENT.sub("", content).replace(r"\:", ":")
    beside = dict(_PROPERTY.findall(_JDBC.sub("", text)))
    found = [Connection(path, _hosts(hosts), beside | _options(rest)) for hosts, rest in _JDBC.findall(text)]
    for hosts, rest in _URI.findall(text):
        options = _options(rest)
        found.append(Connection(path, _hosts(hosts or options.get("host", "")), options))
    found += _by_words(path, text)
    return tuple(one for one in found if one.hosts)


def _by_words(path: str, text: str) -> Iterator[Connection]:
    """Libpq's other form, and PDO's: host=a,b dbname=c."""
    for line in _WORDS.findall(text):
        if "://" not in line:
            options = {key: quoted or plain for key, quoted, plain in _PAIR.findall(line)}
            yield Connection(path, _hosts(options.get("host", "")), options)


def _options(text: str) -> dict[str, str]:
    return dict(parse_qsl(re.sub(r"&amp;", "&", text)))


def _hosts(text: str) -> tuple[str, ...]:
    """Hosts without ports; none that the file itself doesn't tell."""
    named = [re.sub(r"(?<=\])?:\d+$", "", one) if one.count(":") < 2 or "]" in one else one for one in text.split(",")]  # noqa: PLR2004
    hosts = tuple(one.strip("[]") for one in named if one)
    return () if any("$" in one or one.startswith("/") for one in hosts) else hosts
