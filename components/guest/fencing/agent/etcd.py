"""Patroni's keys in etcd, and the agents' own, through etcd's JSON gateway (etcd, "Why gRPC gateway", API v3).

Reads are linearizable: a quorum has confirmed them, or they fail.
"""

import base64
import binascii
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .lease import Remaining

ANSWER_SECONDS = 1.0
LOCK_SECONDS = 20
"""More than fencing may take (the bounds in agent.py): a lock that ran out makes the release fail."""

OWN = "/perenne-fencing/"
"""Beside Patroni's keys, not below them: it reads all of its own."""
LOCK = f"{OWN}lock"
OFF = f"{OWN}off/"


class EtcdError(Exception):
    """No member gave an answer that a quorum stands behind."""


@dataclass(frozen=True)
class Leader:
    """Patroni's leader key."""

    name: str
    revision: int
    """Of its last change; renewals of the lease don't change the key."""
    lease: int


@dataclass(frozen=True)
class View:
    """Patroni's cluster at one moment."""

    leader: Leader | None
    sync_leader: str
    sync_standbys: tuple[str, ...]
    is_paused: bool
    remaining: Remaining | None
    """How long the leader's lease lasts; None without a leader, or where an election came between the answers."""

    def is_standby(self, name: str) -> bool:
        """Whether a server is the synchronous standby of the present leader: it has all that was acknowledged."""
        return self.leader is not None and self.sync_leader == self.leader.name and name in self.sync_standbys


@dataclass(frozen=True)
class Off:
    """Something that an agent meant to power off: `kind` is `server` or `host`."""

    kind: str
    name: str
    revision: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """Where it is written down."""
        return f"{OFF}{self.kind}/{self.name}"


@dataclass(frozen=True)
class Lock:
    """The lock among agents, as long as its lease lasts."""

    lease: int
    revision: int
    """In which it was taken."""


class Etcd:
    """The quorum, asked at one member after the other until one answers. Threads take turns."""

    def __init__(self, endpoints: Sequence[str], trust: ssl.SSLContext, prefix: str) -> None:
        """Remember where to ask.

        Args:
            endpoints: `host:port` of the members, the nearest first.
            trust: With this server's own certificate: members ask for one.
            prefix: Of Patroni's keys: namespace and scope, with a slash at the end.
        """
        self._endpoints = list(endpoints)
        self._trust = trust
        self._prefix = prefix
        self._connection: http.client.HTTPSConnection | None = None
        self._turn = threading.Lock()

    def view(self) -> View:
        """Look at the cluster.

        Raises:
            EtcdError: No quorum stands behind any answer.
        """
        with self._turn:
            keys, term = self._patroni()
            leader = _leader(keys.get("leader"))
            remaining = self._remaining(leader.lease, term) if leader else None
        sync = _json(keys.get("sync"))
        standbys = str(sync.get("sync_standby") or "")
        return View(
            leader=leader,
            sync_leader=str(sync.get("leader") or ""),
            sync_standbys=tuple(name for name in standbys.split(",") if name),
            is_paused=bool(_json(keys.get("config")).get("pause")),
            remaining=remaining,
        )

    @contextmanager
    def lock(self, holder: str) -> Iterator[Lock | None]:
        """Take the lock among agents; None where another one has it.

        Raises:
            EtcdError: No quorum stands behind any answer.
        """
        lease = int(self._call("lease/grant", {"TTL": LOCK_SECONDS})["ID"])
        try:
            put = {"request_put": {"key": _text(LOCK), "value": _text(holder), "lease": lease}}
            taken = self._call("kv/txn", {"compare": [_absent(LOCK)], "success": [put]})
            yield Lock(lease, int(taken["header"]["revision"])) if taken.get("succeeded") else None
        finally:
            self._call("lease/revoke", {"ID": lease})

    def note(self, lock: Lock, off: Off) -> None:
        """Write down, before it is done, that something is about to be powered off.

        Raises:
            EtcdError: It can't be, or the lock has run out.
        """
        put = {"request_put": {"key": _text(off.key), "value": _text(time.strftime("%FT%TZ", time.gmtime()))}}
        if not self._call("kv/txn", {"compare": [_held(lock)], "success": [put]}).get("succeeded"):
            raise EtcdError("the lock among agents has run out")

    def release(self, lock: Lock, leader: Leader) -> bool:
        """Give the leader key away, if it still is what it was seen to be; for a leader that is known to be off.

        Raises:
            EtcdError: No quorum stands behind any answer.
        """
        key = f"{self._prefix}leader"
        compare = [
            _held(lock),
            {"key": _text(key), "target": "VALUE", "result": "EQUAL", "value": _text(leader.name)},
            {"key": _text(key), "target": "MOD", "result": "EQUAL", "mod_revision": leader.revision},
        ]
        delete = {"request_delete_range": {"key": _text(key)}}
        return bool(self._call("kv/txn", {"compare": compare, "success": [delete]}).get("succeeded"))

    def noted(self) -> list[Off]:
        """What was powered off and has not been powered on since; nothing while an agent is at work.

        Raises:
            EtcdError: No quorum stands behind any answer.
        """
        found = self._call("kv/range", {"key": _text(OWN), "range_end": _text(_after(OWN))}).get("kvs", [])
        keys = {_plain(one["key"]): int(one["mod_revision"]) for one in found}
        if LOCK in keys:
            return []
        noted = []
        for key, revision in keys.items():
            kind, _, name = key.removeprefix(OFF).partition("/")
            noted.append(Off(kind, name, revision))
        return noted

    def strike(self, off: Off) -> None:
        """Forget a note, unless it was made anew or an agent is at work.

        Raises:
            EtcdError: No quorum stands behind any answer.
        """
        same = {"key": _text(off.key), "target": "MOD", "result": "EQUAL", "mod_revision": off.revision}
        delete = {"request_delete_range": {"key": _text(off.key)}}
        self._call("kv/txn", {"compare": [_absent(LOCK), same], "success": [delete]})

    def _patroni(self) -> tuple[dict[str, dict[str, Any]], int]:
        answer = self._ask("kv/range", {"key": _text(self._prefix), "range_end": _text(_after(self._prefix))})
        keys = {_plain(one["key"]).removeprefix(self._prefix): one for one in answer.get("kvs", [])}
        return keys, int(answer["header"]["raft_term"])

    def _remaining(self, lease: int, term: int) -> Remaining | None:
        """Ask for a lease between two reads of one term: the leader of etcd that answered had a quorum behind it."""
        sent = time.monotonic()
        answer = self._ask("lease/timetolive", {"ID": lease})
        received = time.monotonic()
        _, term_after = self._patroni()
        if not term == int(answer["header"]["raft_term"]) == term_after:
            return None
        left, granted = int(answer.get("TTL", 0)), int(answer.get("grantedTTL", 0))
        return Remaining(sent, received, lease, left, granted, term) if granted else None

    def _call(self, method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        with self._turn:
            return self._ask(method, fields)

    def _ask(self, method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the member that answered last, then the others."""
        why = ""
        for _ in self._endpoints:
            try:
                return self._ask_first(method, fields)
            except (OSError, http.client.HTTPException, ValueError, EtcdError) as error:
                why = f"{self._endpoints[0]}: {error or type(error).__name__}"
                self._close()
                self._endpoints.append(self._endpoints.pop(0))
        raise EtcdError(why)

    def _ask_first(self, method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._endpoints[0], timeout=ANSWER_SECONDS, context=self._trust
            )
        self._connection.request("POST", f"/v3/{method}", json.dumps(fields))
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != http.HTTPStatus.OK:
            raise EtcdError(str(answer.get("error") or response.status))
        return answer

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _leader(key: Mapping[str, Any] | None) -> Leader | None:
    if key is None or not int(key.get("lease", 0)):
        return None
    return Leader(_plain(key["value"]), int(key["mod_revision"]), int(key["lease"]))


def _json(key: Mapping[str, Any] | None) -> dict[str, Any]:
    if key is None:
        return {}
    found = json.loads(_plain(key.get("value", "")) or "{}")
    return found if isinstance(found, dict) else {}


def _held(lock: Lock) -> dict[str, Any]:
    return {"key": _text(LOCK), "target": "CREATE", "result": "EQUAL", "create_revision": lock.revision}


def _absent(key: str) -> dict[str, Any]:
    return {"key": _text(key), "target": "CREATE", "result": "EQUAL", "create_revision": 0}


def _after(prefix: str) -> str:
    """The first key that no longer begins with the prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _text(plain: str) -> str:
    return base64.b64encode(plain.encode()).decode()


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise EtcdError(f"etcd's answer can't be read: {error}") from error
