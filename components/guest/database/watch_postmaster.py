#!/usr/bin/python3
"""Wakes Patroni as soon as PostgreSQL's first process has ended: by itself it looks once in `loop_wait` (1 s at least).

Patroni begins a round at once when its configuration is patched, even with a value that it has already (REST API,
PATCH /config). Without this program a failover works as well, up to a second later.
"""

import base64
import json
import os
import select
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

CONFIG = "https://127.0.0.1:8008/config"
AUTHORITY = "/etc/perenne/tls/ca.pem"
SECRETS = Path("/etc/patroni/perenne/20-secrets.yml")
PID_FILE = Path("/var/lib/postgresql/15/perenne/postmaster.pid")
LOOK_SECONDS = 0.2
"""Between two looks whether there is a PostgreSQL to wait for."""


def open_postmaster() -> int | None:
    """Return a file descriptor that can be read once PostgreSQL has ended; None while it doesn't run."""
    try:
        pid = int(PID_FILE.read_text().split()[0])
        # After a crash of the whole machine, the number in the file may be another program's.
        is_postgres = Path(f"/proc/{pid}/comm").read_text() == "postgres\n"
        return os.pidfd_open(pid) if is_postgres else None
    except (FileNotFoundError, IndexError, ProcessLookupError):
        return None


def wake_patroni() -> None:
    """Patch Patroni's configuration with what it says."""
    account = yaml.safe_load(SECRETS.read_text())["restapi"]["authentication"]
    token = base64.b64encode(f"{account['username']}:{account['password']}".encode()).decode()
    trusted = ssl.create_default_context(cafile=AUTHORITY)
    with urllib.request.urlopen(CONFIG, context=trusted, timeout=2) as answer:
        loop_wait = json.load(answer)["loop_wait"]
    patch = urllib.request.Request(
        CONFIG, json.dumps({"loop_wait": loop_wait}).encode(), {"Authorization": f"Basic {token}"}, method="PATCH"
    )
    urllib.request.urlopen(patch, context=trusted, timeout=2).close()  # noqa: S310 (HTTPS)


def main() -> None:
    """Watch one PostgreSQL after the other, for ever."""
    while True:
        if (postmaster := open_postmaster()) is None:
            time.sleep(LOOK_SECONDS)
            continue
        select.select([postmaster], [], [])
        os.close(postmaster)
        try:
            wake_patroni()
        except (urllib.error.URLError, TimeoutError) as error:  # Patroni looks by itself in a second
            print(f"Patroni could not be woken: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
