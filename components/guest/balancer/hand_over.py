#!/usr/bin/python3
"""Hands the site's address over to another balancer without a failed request, if this server holds it.

    hand-over            has the unit perenne-hand-over do it, and says what came of it; status 1: nothing has changed
    hand-over run        does it
    hand-over undo       takes back what a hand-over has left: the unit's ExecStopPost, also after a kill -9

A moved address breaks every connection, so there must be none with a request on it. Answers close their connections
for some seconds, until none is kept. Then new connections have to wait: their SYN is dropped, which clients repeat
after 1 s (RFC 6298), while the requests in progress end. Then keepalived gives the address up, and the other balancer,
told so by an advertisement of priority 0, has it some 50 ms later.
"""

import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

RUN = Path("/run/perenne")
CLOSING = RUN / "closing"
"""While it is there, httpd closes every connection after its answer."""
GIVEN_UP = RUN / "given-up"
"""keepalived tracks it: with 1 in it, it gives the address up."""
SAID = RUN / "hand-over.said"
"""What came of the last hand-over: exit status and message."""
ENVIRONMENT = Path("/etc/perenne/balancer.env")
STATUS = "http://127.0.0.1:8081/server-status?auto"
AUTHORITY = "/etc/perenne/tls/site-ca.pem"
UNIT = "perenne-hand-over.service"

PORTS = (80, 443)
ABLE_SECONDS = 10.0
"""How long another balancer may take to be able to take the address: it may just be reloading."""
KEPT_SECONDS = 6.0
"""An idle connection is kept for 5 s (httpd's KeepAliveTimeout)."""
HOLD_SECONDS = 0.6
"""For how long new connections are held at once: a SYN that is repeated after 1 s must meet a server that answers."""
EXPIRE_SECONDS = 3
"""The kernel itself lets new connections pass after this time, whatever has become of this program."""
PAUSE_SECONDS = 5.0
"""From one try to the next, where requests took longer than new connections can be held."""
PATIENCE_SECONDS = 30.0
"""After this time requests that are still in progress are cut off: some never end."""
UNUSED_SECONDS = 2.0
"""A connection without a request for so long is one that a browser has opened in advance; losing it harms nobody."""
TAKEN_SECONDS = 1.5
"""Within which the other balancer must answer at the address."""
LOOK_SECONDS = 0.01

# A table of its own, so that taking it back needs to know of no other rule; the address leaves the set by itself.
HOLD = """
table ip perenne_hand_over {{
    set held {{ type ipv4_addr; flags timeout; elements = {{ {address} timeout {seconds}s }}; }}
    chain input {{
        type filter hook input priority raw; policy accept;
        ip daddr @held tcp dport {{ {ports} }} tcp flags & (syn | ack) == syn drop
    }}
}}
"""
RELEASE = "add table ip perenne_hand_over\ndelete table ip perenne_hand_over\n"


class RefusedError(Exception):
    """The address stays where it is, and why."""


def hand_over(site: "Site") -> str:
    """Hand the address over; returns what that was like.

    Raises:
        RefusedError: No other balancer can take it, or it did not.
    """
    if not site.holds():
        return "the site's address is not here: nothing to hand over"
    if not GIVEN_UP.exists():
        raise RefusedError("keepalived does not know of hand-overs yet (systemctl restart keepalived)")
    until(lambda: site.able_peer() is not None, ABLE_SECONDS)
    require_peer(site)
    CLOSING.touch()
    connections = Connections(site)
    connections.end(KEPT_SECONDS)
    began, cut = wait_for_quiet(site, connections)
    GIVEN_UP.write_text("1\n")
    if not until(site.taken, TAKEN_SECONDS):
        raise RefusedError(f"no other balancer has taken the site's address within {TAKEN_SECONDS:g} s")
    lost = f"; {cut} connections were cut off: their requests had not ended for {PATIENCE_SECONDS:g} s" if cut else ""
    return f"the site's address has moved; new connections were held for {time.monotonic() - began:.2f} s{lost}"


def wait_for_quiet(site: "Site", connections: "Connections") -> tuple[float, int]:
    """Hold new connections until no request is in progress; returns since when, and how many have to be cut off."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        require_peer(site)
        began = time.monotonic()
        site.hold()
        if until(connections.are_quiet, HOLD_SECONDS):
            return began, 0
        if began >= patience:
            return began, len(connections.look())
        site.release()
        connections.end(PAUSE_SECONDS)


def require_peer(site: "Site") -> None:
    """Make sure that another balancer can take the address now.

    Raises:
        RefusedError: None can.
    """
    if site.able_peer() is None:
        others = f"{' and '.join(site.peers)} can't" if site.peers else "there is none"
        raise RefusedError(f"no other balancer can take the site's address now: {others}")


def undo(site: "Site") -> None:
    """Take back what a hand-over does, as far as it is there."""
    site.release()
    if GIVEN_UP.exists():
        GIVEN_UP.write_text("0\n")
    CLOSING.unlink(missing_ok=True)


class Connections:
    """Users' connections to the site's address, and since when each is known."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._since: dict[str, float] = {}

    def look(self) -> set[str]:
        """Those that are there now."""
        now = time.monotonic()
        self._since = {one: self._since.get(one, now) for one in self._site.connections()}
        return set(self._since)

    def end(self, seconds: float) -> None:
        """Wait until those that are there now have ended, for so long at most."""
        present = self.look()
        until(lambda: not present & self.look(), seconds)

    def are_quiet(self) -> bool:
        """Whether none has a request in progress."""
        if not self.look():
            return True
        unused = time.monotonic() - UNUSED_SECONDS
        return all(since <= unused for since in self._since.values()) and not self._site.works()


class Site:
    """This balancer, as a hand-over sees and changes it."""

    def __init__(self, environment: Path = ENVIRONMENT) -> None:
        lines = environment.read_text().splitlines()
        said = dict(word.partition("=")[::2] for line in lines for word in shlex.split(line))
        self.name = said["site_name"]
        self.address = said["site_address"]
        self.peers = said["peers"].split()

    def holds(self) -> bool:
        """Whether the site's address is at this server."""
        found = _run("ip", "-oneline", "address", "show", "to", f"{self.address}/32", check=True)
        return bool(found.stdout.strip())

    def able_peer(self) -> str | None:
        """Another balancer that would take the address: its httpd answers, its keepalived is in state BACKUP."""
        return next((peer for peer in self.peers if self._is_able(peer)), None)

    def taken(self) -> bool:
        """Whether the site's address is at another server, whose httpd listens."""
        if self.holds():
            return False
        try:
            # Short: a SYN that was sent a moment too early is lost, and repeated only after 1 s.
            socket.create_connection((self.address, PORTS[-1]), timeout=0.1).close()
        except OSError:
            return False
        return True

    def connections(self) -> set[str]:
        """Users' connections through which something may still be sent, each by its client's address and port."""
        ports = " or ".join(f"sport = :{port}" for port in PORTS)
        # In FIN-WAIT-2 and TIME-WAIT the client has everything.
        states = ("state", "connected", "exclude", "fin-wait-2", "exclude", "time-wait")
        found = _run("ss", "--no-header", "--tcp", "--numeric", *states, f"( {ports} )", check=True)
        ends = (line.split()[-2:] for line in found.stdout.splitlines())
        # An IPv6 socket writes an IPv4 address as [::ffff:192.0.2.1].
        return {
            client for own, client in ends if own.rpartition(":")[0].strip("[]").removeprefix("::ffff:") == self.address
        }

    def works(self) -> bool:
        """Whether httpd works on a request, the one for its own status apart."""
        try:
            with urllib.request.urlopen(STATUS, timeout=0.3) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return True
        said = dict(line.partition(": ")[::2] for line in lines)
        return said.get("Scoreboard", "").count("W") > 1 or said.get("ConnsAsyncWriting") != "0"

    def hold(self) -> None:
        """Let new connections wait.

        Raises:
            RefusedError: The kernel's filter can't be changed.
        """
        ports = ", ".join(map(str, PORTS))
        rules = HOLD.format(address=self.address, seconds=EXPIRE_SECONDS, ports=ports)
        done = _run("nft", "--file", "-", text=RELEASE + rules)
        if done.returncode:
            raise RefusedError(f"new connections can't be held: {done.stderr.strip()}")

    def release(self) -> None:
        """Let new connections pass."""
        _run("nft", "--file", "-", text=RELEASE)

    def _is_able(self, peer: str) -> bool:
        command = ["curl", "--silent", "--fail", "--max-time", "0.5", "--output", "/dev/null", "--cacert", AUTHORITY]
        # The certificate names the site, not each balancer.
        url = f"https://{self.name}/perenne/standby"
        return not _run(*command, "--connect-to", f"::{peer}:443", url).returncode


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look until a condition holds, for so long at most; returns whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _host(end: str) -> str:
    """The address of `192.0.2.1:443`, or of `[::ffff:192.0.2.1]:443`, as an IPv6 socket writes it."""
    return end.rpartition(":")[0].strip("[]").removeprefix("::ffff:")


def _run(*command: str, text: str = "", check: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=check)


def _by_unit() -> int:
    """Have the unit do it; who asks while it is at work waits for the same one."""
    done = _run("systemctl", "start", UNIT)
    try:
        status, _, said = SAID.read_text().partition(" ")
    except FileNotFoundError:
        status, said = "1", f"perenne: the hand-over was interrupted and taken back {done.stderr.strip()}\n"
    sys.stderr.write(said)
    return int(status)


def _run_by_unit(site: Site) -> int:
    """Do it, leave nothing of it, and leave word."""
    SAID.unlink(missing_ok=True)
    status = 0
    try:
        said = hand_over(site)
    except RefusedError as refusal:
        status, said = 1, str(refusal)
    finally:
        undo(site)
    sys.stderr.write(f"{said}\n")
    SAID.write_text(f"{status} perenne: {said}\n")
    return status


def main(step: str = "") -> int:
    """Take a step; returns the exit status."""
    if step == "run":
        return _run_by_unit(Site())
    if step == "undo":
        undo(Site())
        return 0
    return _by_unit()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
