"""The agent's questions to etcd's JSON gateway, against one in memory."""

import base64
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from components.guest.fencing.agent.etcd import Etcd, EtcdError, Leader, Off
from tests.unit.fencing.gateway import serving

PREFIX = "/perenne/perenne/"


class Gateway:
    """Keys with their revisions, and leases, as etcd has them."""

    def __init__(self) -> None:
        self.revision, self.term, self.terms_later = 10, 5, 0
        self.keys: dict[str, dict[str, Any]] = {}
        self.leases: dict[int, int] = {}
        self.has_quorum = True

    def put(self, key: str, value: str, lease: int = 0) -> None:
        """Write a key."""
        self.revision += 1
        created = self.keys.get(key, {}).get("create_revision", str(self.revision))
        self.keys[key] = {
            "key": _text(key),
            "value": _text(value),
            "create_revision": created,
            "mod_revision": str(self.revision),
            "lease": str(lease),
        }

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a call."""
        assert method == "POST"
        if not self.has_quorum:
            return 503, {"error": "etcdserver: request timed out"}
        found = {
            "/v3/kv/range": self._range,
            "/v3/kv/txn": self._txn,
            "/v3/lease/grant": self._grant,
            "/v3/lease/revoke": self._revoke,
            "/v3/lease/timetolive": self._left,
        }[path](sent)
        return 200, {"header": {"revision": str(self.revision), "raft_term": str(self.term)}, **found}

    def _range(self, sent: dict[str, Any]) -> dict[str, Any]:
        first, end = _plain(sent["key"]), _plain(sent["range_end"])
        assert not sent.get("serializable")
        return {"kvs": [kv for key, kv in sorted(self.keys.items()) if first <= key < end]}

    def _txn(self, sent: dict[str, Any]) -> dict[str, Any]:
        if not all(self._holds(compare) for compare in sent["compare"]):
            return {}
        for operation in sent["success"]:
            if put := operation.get("request_put"):
                self.put(_plain(put["key"]), _plain(put["value"]), put.get("lease", 0))
            if delete := operation.get("request_delete_range"):
                self.keys.pop(_plain(delete["key"]), None)
        return {"succeeded": True}

    def _holds(self, compare: dict[str, Any]) -> bool:
        kv = self.keys.get(_plain(compare["key"]), {"create_revision": "0", "mod_revision": "0", "value": ""})
        field = {"CREATE": "create_revision", "MOD": "mod_revision", "VALUE": "value"}[compare["target"]]
        return str(kv[field]) == str(compare[field])

    def _grant(self, sent: dict[str, Any]) -> dict[str, Any]:
        lease = 7000 + len(self.leases)
        self.leases[lease] = sent["TTL"]
        return {"ID": str(lease), "TTL": str(sent["TTL"])}

    def _revoke(self, sent: dict[str, Any]) -> dict[str, Any]:
        self.leases.pop(sent["ID"])
        self.keys = {key: kv for key, kv in self.keys.items() if kv["lease"] != str(sent["ID"])}
        return {}

    def _left(self, sent: dict[str, Any]) -> dict[str, Any]:
        self.term += self.terms_later
        return {"ID": str(sent["ID"]), "TTL": "18", "grantedTTL": "20"}


@pytest.fixture
def gateway() -> Gateway:
    found = Gateway()
    found.put(f"{PREFIX}leader", "db01", 4711)
    found.put(f"{PREFIX}sync", json.dumps({"leader": "db01", "sync_standby": "db02"}))
    found.put(f"{PREFIX}config", json.dumps({"ttl": 20}))
    found.put("/perenne/other/leader", "db09", 1)
    return found


@pytest.fixture
def etcd(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Etcd]:
    with serving(gateway.answer, monkeypatch) as port:
        # Nobody listens on the first.
        yield Etcd(["127.0.0.1:9", f"127.0.0.1:{port}"], ssl.create_default_context(), PREFIX)


def test_the_cluster_is_seen(etcd: Etcd) -> None:
    view = etcd.view()
    assert view.leader == Leader("db01", 11, 4711)
    assert view.is_standby("db02")
    assert not view.is_standby("db01")
    assert not view.is_paused
    assert view.remaining is not None
    assert (view.remaining.seconds, view.remaining.granted, view.remaining.term) == (18, 20, 5)
    assert view.remaining.sent <= view.remaining.received


def test_an_election_between_the_answers_makes_them_worthless(etcd: Etcd, gateway: Gateway) -> None:
    gateway.terms_later = 1
    assert etcd.view().remaining is None


def test_a_standby_of_an_earlier_leader_is_none(etcd: Etcd, gateway: Gateway) -> None:
    gateway.put(f"{PREFIX}leader", "db03", 4712)
    assert not etcd.view().is_standby("db02")


def test_a_pause_is_seen(etcd: Etcd, gateway: Gateway) -> None:
    gateway.put(f"{PREFIX}config", json.dumps({"pause": True}))
    assert etcd.view().is_paused


def test_without_a_quorum_nothing_is_known(etcd: Etcd, gateway: Gateway) -> None:
    gateway.has_quorum = False
    with pytest.raises(EtcdError):
        etcd.view()


def test_one_agent_at_a_time(etcd: Etcd, gateway: Gateway) -> None:
    with etcd.lock("db02") as first, etcd.lock("db03") as second:
        assert first is not None
        assert second is None
    assert gateway.leases == {}
    with etcd.lock("db03") as third:
        assert third is not None


def test_the_leader_key_goes_while_it_is_the_same(etcd: Etcd, gateway: Gateway) -> None:
    with etcd.lock("db02") as lock:
        assert lock is not None
        assert etcd.release(lock, Leader("db01", 11, 4711))
    assert f"{PREFIX}leader" not in gateway.keys


@pytest.mark.parametrize("leader", [Leader("db01", 10, 4711), Leader("db03", 11, 4711)], ids=["revision", "name"])
def test_another_leader_key_stays(etcd: Etcd, gateway: Gateway, leader: Leader) -> None:
    with etcd.lock("db02") as lock:
        assert lock is not None
        assert not etcd.release(lock, leader)
    assert f"{PREFIX}leader" in gateway.keys


def test_a_lock_that_ran_out_releases_and_notes_nothing(etcd: Etcd, gateway: Gateway) -> None:
    with etcd.lock("db02") as lock:
        assert lock is not None
        del gateway.keys["/perenne-fencing/lock"]
        assert not etcd.release(lock, Leader("db01", 11, 4711))
        with pytest.raises(EtcdError):
            etcd.note(lock, Off("server", "db01"))
    assert f"{PREFIX}leader" in gateway.keys


def test_notes_are_read_and_struck_once_no_agent_is_at_work(etcd: Etcd) -> None:
    with etcd.lock("db02") as lock:
        assert lock is not None
        etcd.note(lock, Off("server", "db01"))
        etcd.note(lock, Off("host", "psexi04"))
        assert etcd.noted() == []
    noted = etcd.noted()
    assert noted == [Off("host", "psexi04"), Off("server", "db01")]
    etcd.strike(noted[0])
    assert etcd.noted() == noted[1:]


def test_a_note_that_was_made_anew_is_not_struck(etcd: Etcd, gateway: Gateway) -> None:
    gateway.put("/perenne-fencing/off/server/db01", "then")
    (old,) = etcd.noted()
    gateway.put("/perenne-fencing/off/server/db01", "now")
    etcd.strike(old)
    assert etcd.noted() == [old]


def _text(plain: str) -> str:
    return base64.b64encode(plain.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
