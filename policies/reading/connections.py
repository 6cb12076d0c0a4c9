"""Database connection strings in VMs' files. They may hold passwords: only hosts and options are taken from them."""

import re
from dataclasses import dataclass

from policies.reading.guests import GuestFiles

_JDBC = re.compile(r"jdbc:postgresql://([^/\s\"'<]+)/[^?\s\"'<]*(?:\?([^\s\"'<]*))?")
_URI = re.compile(r"(?<![:\w])postgres(?:ql)?://(?:[^@/\s]*@)?([^/\s\"'<]+)/[^?\s\"'<]*(?:\?([^\s\"'<]*))?")


@dataclass(frozen=True)
class Connection:
    """Where a client looks for its database."""

    path: str
    hosts: tuple[str, ...]
    options: dict[str, str]

    @property
    def wants_primary(self) -> bool:
        """Whether it goes on past a standby."""
        wanted = (self.options.get("targetServerType", ""), self.options.get("target_session_attrs", ""))
        return wanted[0] in ("primary", "master") or wanted[1] in ("read-write", "primary")


def connections(files: GuestFiles) -> list[Connection]:
    """The connection strings in a VM's files."""
    return [
        Connection(
            path,
            tuple(host.rpartition(":")[0] or host for host in hosts.split(",")),
            dict(option.split("=", 1) for option in re.split(r"&(?:amp;)?", options) if "=" in option),
        )
        for path, text in files.contents.items()
        for pattern in (_JDBC, _URI)
        for hosts, options in pattern.findall(text)
    ]
