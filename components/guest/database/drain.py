#!/usr/bin/python3
"""Takes this database server out of use, so that nobody notices when it is stopped; `drain undo` takes it back.

Two of Patroni's tags do it (Patroni, "YAML Configuration Settings", Tags): with `nofailover` it isn't made the
primary, with `nosync` no commit waits for it. The primary follows in its next round (`loop_wait`): it takes the standby
out of etcd, then out of `synchronous_standby_names`, while the standby goes on acknowledging. So no write is held up,
neither then nor when it is stopped. Idempotent.
"""

import base64
import fcntl
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

MEMBERS = "https://127.0.0.1:8008/cluster"
SWITCHOVER = "https://127.0.0.1:8008/switchover"
AUTHORITY = "/etc/perenne/tls/ca.pem"
ENVIRONMENT = Path("/etc/perenne/database.env")
SECRETS = Path("/etc/patroni/perenne/20-secrets.yml")
TAGS = Path("/etc/patroni/perenne/90-drained.yml")
MARK = Path("/var/lib/perenne/drained")
LOCK = Path("/run/perenne-drain.lock")
YIELD_QUORUM = "/usr/local/lib/perenne/yield-quorum"

SYNCHRONOUS = ("sync_standby", "quorum_standby")
SWITCHOVER_SECONDS = 60
FOLLOWING_SECONDS = 180
"""A former primary is started anew and follows; one that was away catches up, or is rewound."""
LOOK_SECONDS = 0.2

Member = dict[str, Any]


def main() -> None:
    """Drain, or undo it."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if sys.argv[1:] == ["undo"]:
            undo(own_name())
        else:
            drain(own_name())


def drain(name: str) -> None:
    """Lead nothing and have nobody wait, then say so."""
    found = members()
    leader = leader_of(found)
    if leader is None:
        fail("the database has no primary: nothing may be stopped now (./perenne status)")
    heir = heir_of(found) if leader == name else None
    if leader == name and heir is None:
        fail("this is the primary, and no standby has every acknowledged write: wait for one (./perenne status)")
    subprocess.run([YIELD_QUORUM], check=True)
    if heir:
        switch_over(name, heir)
        print(f"{heir} is the primary now")
    MARK.touch()
    write(TAGS, "# Perenne: this server is drained.\ntags: {nofailover: true, nosync: true}\n")
    reload_patroni()
    what = f"{name} follows the primary, and no commit waits for it (journalctl -u patroni)"
    wait_until(FOLLOWING_SECONDS, what, lambda: is_drained(name, members()))


def undo(name: str) -> None:
    """Be a standby as before."""
    TAGS.unlink(missing_ok=True)
    subprocess.run(["systemctl", "start", "patroni"], check=True)
    # Patroni that has just been started would be ended by the signal that asks it to read its settings again.
    wait_until(FOLLOWING_SECONDS, "Patroni answers (journalctl -u patroni)", lambda: bool(members()))
    reload_patroni()
    wait_until(FOLLOWING_SECONDS, f"{name} is of use again (journalctl -u patroni)", lambda: is_back(name, members()))
    MARK.unlink(missing_ok=True)


def leader_of(found: list[Member]) -> str | None:
    """The primary's name."""
    return next((member["name"] for member in found if member["role"] == "leader"), None)


def heir_of(found: list[Member]) -> str | None:
    """A standby that has every acknowledged write."""
    synchronous = (member for member in found if member["role"] in SYNCHRONOUS and member["state"] == "streaming")
    return next((member["name"] for member in synchronous), None)


def is_drained(name: str, found: list[Member]) -> bool:
    """Whether a member follows a primary that does not wait for it, and will not be made primary."""
    own = member_of(name, found)
    tags = own.get("tags", {})
    tagged = bool(tags.get("nosync") and tags.get("nofailover"))
    return tagged and own.get("role") == "replica" and own.get("state") == "streaming" and leader_of(found) is not None


def is_back(name: str, found: list[Member]) -> bool:
    """Whether a member takes part again, and some standby has every acknowledged write."""
    own = member_of(name, found)
    in_use = own.get("role") == "leader" or own.get("state") == "streaming"
    return in_use and not own.get("tags", {}).get("nosync") and heir_of(found) is not None


def member_of(name: str, found: list[Member]) -> Member:
    """A member by its name; empty if there is none."""
    return next((member for member in found if member["name"] == name), {})


def switch_over(leader: str, candidate: str) -> None:
    """Have Patroni make a standby the primary, as planned."""
    account = yaml.safe_load(SECRETS.read_text())["restapi"]["authentication"]
    token = base64.b64encode(f"{account['username']}:{account['password']}".encode()).decode()
    wanted = json.dumps({"leader": leader, "candidate": candidate}).encode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(SWITCHOVER, wanted, headers, method="POST")
    try:
        urllib.request.urlopen(request, context=trusted(), timeout=SWITCHOVER_SECONDS).close()  # noqa: S310 (HTTPS)
    except urllib.error.HTTPError as error:
        fail(f"Patroni refused to make {candidate} the primary: {error.read().decode(errors='replace').strip()}")
    except (urllib.error.URLError, TimeoutError) as error:
        fail(f"it isn't known whether {candidate} is the primary: {error} (./perenne status)")
    wait_until(SWITCHOVER_SECONDS, f"{candidate} is the primary", lambda: leader_of(members()) == candidate)


def members() -> list[Member]:
    """Patroni's members; none while it does not answer."""
    try:
        with urllib.request.urlopen(MEMBERS, context=trusted(), timeout=2) as answer:
            found: list[Member] = json.load(answer)["members"]
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
        return []
    return found


def write(file: Path, content: str) -> None:
    """Have the whole file or none, also after a power cut: Patroni does not start with an empty one."""
    new = file.with_suffix(".new")
    with new.open("w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def reload_patroni() -> None:
    """Have it read its settings again."""
    subprocess.run(["systemctl", "reload", "patroni"], check=True)


def trusted() -> ssl.SSLContext:
    """Trust the site's own authority."""
    return ssl.create_default_context(cafile=AUTHORITY)


def own_name() -> str:
    """What Patroni calls this server."""
    lines = (line.partition("=") for line in ENVIRONMENT.read_text().splitlines())
    return next(value for key, _, value in lines if key == "name")


def wait_until(seconds: float, what: str, holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            fail(f"{what}: not within {seconds:g} s")
        time.sleep(LOOK_SECONDS)


def fail(why: str) -> NoReturn:
    """End with a message."""
    sys.exit(why)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:  # the program has said why
        sys.exit(error.returncode)
