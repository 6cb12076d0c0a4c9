"""The program that drains a database server, on what Patroni says of its members."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

PROGRAM = Path(__file__).parents[3] / "components" / "guest" / "database" / "drain.py"
TAGS = {"nofailover": True, "nosync": True}


@pytest.fixture
def drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program with its files elsewhere, and nothing that it would call."""
    spec = importlib.util.spec_from_file_location("drain", PROGRAM)
    assert spec
    assert spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.setattr(program, "TAGS", tmp_path / "90-drained.yml")
    monkeypatch.setattr(program, "MARK", tmp_path / "drained")
    monkeypatch.setattr(program, "LOOK_SECONDS", 0)
    return program


class Cluster:
    """Two members; it does what Patroni would."""

    def __init__(self, program: ModuleType, monkeypatch: pytest.MonkeyPatch, primary: str = "db01") -> None:
        self.program = program
        self.primary = primary
        self.states = {"db01": "streaming", "db02": "streaming"}
        self.tagged: set[str] = set()
        self.called: list[str] = []
        monkeypatch.setattr(program, "members", self.members)
        monkeypatch.setattr(program, "switch_over", self.switch_over)
        monkeypatch.setattr(program, "reload_patroni", self.reload)
        monkeypatch.setattr(program.subprocess, "run", self.run)

    def members(self) -> list[dict[str, Any]]:
        """As of GET /cluster."""
        return [self._member(name) for name in ("db01", "db02")]

    def _member(self, name: str) -> dict[str, Any]:
        if name == self.primary:
            return {"name": name, "role": "leader", "state": "running"}
        if name in self.tagged:
            return {"name": name, "role": "replica", "state": self.states[name], "tags": TAGS}
        role = "sync_standby" if self.states[name] == "streaming" else "replica"
        return {"name": name, "role": role, "state": self.states[name]}

    def switch_over(self, leader: str, candidate: str) -> None:
        """The candidate leads."""
        self.called.append(f"{leader} to {candidate}")
        self.primary = candidate

    def reload(self) -> None:
        """Tags of db01 as they are on disk."""
        self.called.append("reload")
        found = yaml.safe_load(self.program.TAGS.read_text())["tags"] if self.program.TAGS.exists() else {}
        self.tagged = {"db01"} if found == TAGS else set()

    def run(self, command: list[str], **_options: object) -> None:
        """Another program."""
        self.called.append(" ".join(command))


def test_a_standby_is_tagged(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch, primary="db02")
    drain.drain("db01")
    assert cluster.called == [drain.YIELD_QUORUM, "reload"]
    assert drain.MARK.exists()
    drain.drain("db01")
    assert cluster.tagged == {"db01"}


def test_a_primary_hands_over_first(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch)
    drain.drain("db01")
    assert cluster.called == [drain.YIELD_QUORUM, "db01 to db02", "reload"]


def test_a_primary_without_a_synchronous_standby_stays(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch)
    cluster.states["db02"] = "in archive recovery"
    with pytest.raises(SystemExit, match="no standby has every acknowledged write"):
        drain.drain("db01")
    assert not cluster.called
    assert not drain.MARK.exists()


def test_without_a_primary_nothing_is_drained(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    Cluster(drain, monkeypatch, primary="nobody")
    with pytest.raises(SystemExit, match="no primary"):
        drain.drain("db01")


def test_one_that_does_not_follow_is_not_drained(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch, primary="db02")
    cluster.states["db01"] = "starting"
    monkeypatch.setattr(drain, "FOLLOWING_SECONDS", 0)
    with pytest.raises(SystemExit, match="db01 follows the primary"):
        drain.drain("db01")


def test_undone_it_is_a_synchronous_standby_again(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch, primary="db02")
    drain.drain("db01")
    cluster.called.clear()
    drain.undo("db01")
    assert cluster.called == ["systemctl start patroni", "reload"]
    assert not cluster.tagged
    assert not drain.MARK.exists()
    assert not drain.TAGS.exists()


def test_one_that_does_not_come_back_stays_marked(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(drain, monkeypatch, primary="db02")
    drain.drain("db01")
    cluster.states["db01"] = "starting"
    monkeypatch.setattr(drain, "FOLLOWING_SECONDS", 0)
    with pytest.raises(SystemExit, match="of use again"):
        drain.undo("db01")
    assert drain.MARK.exists()
