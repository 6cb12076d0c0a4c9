"""Backups of the database: made, checked, and restored to the last row."""

import uuid
from collections.abc import Callable

import docker
import httpx
import pytest
from docker.models.containers import Container

from blueprint.settings import Settings
from tests.lab.conftest import LAB
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab


@pytest.fixture
def keeper(settings: Settings, engine: docker.DockerClient) -> Container:
    """The server that keeps the backups."""
    return engine.containers.get(f"{LAB}-{settings.backup.servers[0]}")


def run(container: Container, *command: str) -> str:
    """Run a command on a server; returns what it printed."""
    code, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    assert code == 0, output.decode()
    return output.decode()


def test_a_backup_is_there_from_the_first_day_and_the_next_one_is_planned(keeper: Container) -> None:
    assert run(keeper, "ls", "/var/lib/perenne-backup/base").split()
    assert "perenne-backup.timer" in run(keeper, "systemctl", "list-timers", "--no-pager")


def test_a_row_written_after_the_backup_comes_back(node: Callable[[str], httpx.Client], keeper: Container) -> None:
    row = {"id": str(uuid.uuid4()), "client": "backup-test"}
    assert node("app01").post("/api/ledger", json=row).status_code == httpx.codes.CREATED

    def restored() -> bool:
        query = f"SELECT count(*) FROM ledger WHERE id = '{row['id']}'"  # noqa: S608 (an id of our own)
        return run(keeper, "/usr/local/sbin/perenne-restore", "--rehearse", "pnp-manager", query).split()[-1] == "1"

    wait_until(restored, seconds=60, what="the restored database has the row")
    assert run(keeper, "find", "/var/lib/perenne-backup", "-name", "rehearsal.*") == ""


def test_a_restore_overwrites_nothing(keeper: Container) -> None:
    code, output = keeper.exec_run(["/usr/local/sbin/perenne-restore", "/etc"])
    assert isinstance(output, bytes)
    assert code != 0
    assert "is not empty" in output.decode()


def test_old_backups_go_and_the_newest_stay(settings: Settings, keeper: Container) -> None:
    for _backup in range(settings.backup.keep):
        run(keeper, "systemctl", "start", "perenne-backup.service")
    assert len(run(keeper, "ls", "/var/lib/perenne-backup/base").split()) == settings.backup.keep


def test_nobody_else_reads_them(keeper: Container) -> None:
    assert run(keeper, "stat", "--format=%a %U", "/var/lib/perenne-backup/base").strip() == "700 perenne-backup"
    assert run(keeper, "stat", "--format=%a %U", "/etc/perenne/backup.pgpass").strip() == "600 perenne-backup"
