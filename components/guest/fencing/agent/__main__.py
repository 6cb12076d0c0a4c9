"""Starts the agent: `python3 -m agent CONFIGURATION`; secrets are in a file of their own beside it."""

import asyncio
import json
import logging
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from . import redfish, vcenter
from .agent import Agent
from .etcd import Etcd
from .judgement import Patience
from .protocols import Tools
from .tools import Devices, Network, Routes, ThreadedQuorum

NETWORK_SECONDS = 3.0
"""No call that blocks waits longer for an answer."""

_LEVELS = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
"""Priorities of journald (sd-daemon(3))."""


class _Journal(logging.Formatter):
    """A line with its priority in front."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_LEVELS.get(record.levelno, 6)}>{super().format(record)}"


def main(folder: Path) -> None:
    """Run with the files of a folder."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Journal())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    socket.setdefaulttimeout(NETWORK_SECONDS)  # pyVmomi takes no other
    told: dict[str, Any] = json.loads((folder / "configuration.json").read_text())
    secrets: dict[str, str] = json.loads((folder / "secrets.json").read_text())
    asyncio.run(agent_of(folder, told, secrets))


async def agent_of(folder: Path, told: dict[str, Any], secrets: dict[str, str]) -> None:
    """Put the agent together, and run it."""
    site = ssl.create_default_context(cafile="/etc/perenne/tls/ca.pem")
    votes = ssl.create_default_context(cafile="/etc/perenne/tls/ca.pem")
    votes.load_cert_chain(folder / "etcd.pem")
    authorities = str(folder / "authorities.pem")
    access = vcenter.Access(**told["vcenter"], password=secrets["vcenter"], authorities=authorities)
    bmcs = {
        host: redfish.Access(**one["bmc"], password=secrets[host], authorities=authorities)
        for host, one in told["hosts"].items()
    }
    agent = Agent(
        told["name"],
        {one["name"]: host for host, one in told["hosts"].items()},
        Patience(**told["patience"]),
        Tools(
            Network(told["servers"], {host: one["address"] for host, one in told["hosts"].items()}, site),
            ThreadedQuorum(Etcd(told["etcd"], votes, told["prefix"])),
            Devices(access, bmcs),
            Routes({name: address for name, address in told["servers"].items() if name != told["name"]}),
        ),
    )
    await agent.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
