"""What the scripts of who keeps backups do, really run, with a folder for its disk and stand-ins for PostgreSQL."""

import os
import subprocess
from pathlib import Path

import pytest

BACKUP = Path(__file__).parents[3] / "components" / "guest" / "backup"
BEGAN, ENDED = "20261130T100000Z", "20261130T101500Z"
LABEL = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"


class Keeper:
    """A server that keeps backups; a base backup takes it a quarter of an hour."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = root / "base"
        for folder in ("bin", "base", "wal"):
            (root / folder).mkdir()
        (root / "env").write_text(
            f"programs={root}/bin\nconnection=\nbase_connection=\nrate=50M\nkeep=2\nstate={root}\n"
        )
        self.stand_in("id", "echo perenne-backup")
        for name in ("pg_verifybackup", "pg_archivecleanup", "sync"):
            self.stand_in(name, "true")
        self.stand_in(
            "pg_basebackup",
            f"for option; do [[ $option != --pgdata=* ]] || made=${{option#*=}}; done; mkdir $made\n"
            f"echo {ENDED} >{root}/now",
        )

    def stand_in(self, name: str, script: str) -> None:
        """Put a program on the PATH."""
        (self.root / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.root / "bin" / name).chmod(0o755)

    def keep(self, *names: str) -> None:
        """Have base backups of these names."""
        for name in names:
            (self.base / name).mkdir()
            (self.base / name / "backup_label").write_text(LABEL)

    def kept(self) -> list[str]:
        """The names of the base backups."""
        return sorted(file.name for file in self.base.iterdir())

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts; the server's own time is not UTC."""
        text = (BACKUP / f"{script}.sh").read_text().replace("/etc/perenne/backup.env", f"{self.root}/env")
        environment = os.environ | {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "TZ": "Europe/Madrid"}
        command = ["bash", "-c", text, script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def restored(self, time: str) -> str:
        """Restore to a moment; returns what PostgreSQL is told."""
        done = self.run("restore", str(self.root / "restored"), time)
        assert done.returncode == 0, done.stderr
        return (self.root / "restored" / "postgresql.auto.conf").read_text() + done.stdout


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """A server without backups."""
    return Keeper(tmp_path)


def test_a_backup_has_the_name_of_its_end_and_the_oldest_one_goes(keeper: Keeper) -> None:
    keeper.keep("20261128T010000Z", "20261129T010000Z")
    (keeper.root / "now").write_text(f"{BEGAN}\n")
    keeper.stand_in("date", f"cat {keeper.root}/now")
    done = keeper.run("backup")
    assert done.returncode == 0, done.stderr
    assert keeper.kept() == ["20261129T010000Z", ENDED]


@pytest.mark.parametrize(
    ("time", "chosen", "target"),
    [
        ("2026-11-30 10:15:01+00", ENDED, "2026-11-30 10:15:01.000000+00"),
        ("2026-11-30 10:15:00.9+00", "20261129T010000Z", "2026-11-30 10:15:00.900000+00"),
        ("2026-11-30 10:07:00+00", "20261129T010000Z", "2026-11-30 10:07:00.000000+00"),
        ("2026-11-30 11:15:01+01", ENDED, "2026-11-30 10:15:01.000000+00"),
        ("2026-11-30 11:15:01.25+05:30", "20261129T010000Z", "2026-11-30 05:45:01.250000+00"),
        ("2026-11-30 10:15:01", ENDED, "2026-11-30 10:15:01.000000+00"),
    ],
)
def test_a_moment_is_reached_from_a_backup_that_had_ended(keeper: Keeper, time: str, chosen: str, target: str) -> None:
    """Whatever its zone, which is UTC where it names none, and its fractions of a second."""
    keeper.keep("20261129T010000Z", ENDED)
    told = keeper.restored(time)
    assert f"restored {chosen} into" in told
    assert f"recovery_target_time = '{target}'" in told


def test_without_a_moment_the_last_backup_is_taken_even_of_this_second(keeper: Keeper) -> None:
    keeper.keep("20261129T010000Z", "99991231T235959Z")
    told = keeper.restored("")
    assert "restored 99991231T235959Z into" in told
    assert "recovery_target_time =" not in told


@pytest.mark.parametrize(
    ("time", "why"), [("2026-11-29 01:00:00+00", "no backup that had ended"), ("the day before", "invalid date")]
)
def test_a_moment_that_cannot_be_reached_is_told(keeper: Keeper, time: str, why: str) -> None:
    keeper.keep("20261129T010000Z")
    done = keeper.run("restore", str(keeper.root / "restored"), time)
    assert done.returncode != 0
    assert why in done.stderr
    assert not (keeper.root / "restored").exists()
