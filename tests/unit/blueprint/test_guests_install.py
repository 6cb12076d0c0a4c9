"""The program that puts files on a server, and the shell functions around it."""

import grp
import importlib.util
import json
import os
import pwd
import re
import stat
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

GUEST = Path(__file__).parents[3] / "components" / "guest"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


@pytest.fixture(scope="module")
def installer() -> ModuleType:
    """components/guest/install.py, which is no package's module: guests get it as text."""
    spec = importlib.util.spec_from_file_location("install", GUEST / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """A folder that plays the server's disk."""

    def __init__(self, installer: ModuleType, root: Path) -> None:
        self.installer = installer
        self.root = root
        self.notes = root / "notes.json"
        installer.__dict__["save"] = self._save

    def _save(self, path: Path, notes: dict[str, list[str]]) -> None:
        path.write_text(json.dumps(notes))

    def wanted(self, files: dict[str, str], mode: int = 0o640) -> dict[str, dict[str, object]]:
        """Entries below the root."""
        return {str(self.root / path): {"content": text, "mode": mode, "owner": OWNER} for path, text in files.items()}

    def install(self, mode: int = 0o640, **files: str) -> set[str]:
        """Install, and return the changed paths relative to the root."""
        changed = self.installer.install(self.notes, self.wanted(files, mode))
        return {os.path.relpath(path, self.root) for path in changed}

    def check(self, mode: int = 0o640, **files: str) -> dict[str, str]:
        """Check, and return what differs by path relative to the root."""
        found = self.installer.check(self.notes, self.wanted(files, mode))
        return {os.path.relpath(path, self.root): problem for path, problem in found.items()}

    def commit(self) -> None:
        """Commit."""
        self.installer.commit(self.notes)


@pytest.fixture
def server(installer: ModuleType, tmp_path: Path) -> Server:
    """An empty server."""
    return Server(installer, tmp_path)


def test_files_are_written_as_wanted(server: Server) -> None:
    assert server.install(a="1", b="2") == {"a", "b"}
    assert (server.root / "a").read_text() == "1"
    assert stat.S_IMODE((server.root / "a").stat().st_mode) == 0o640


def test_nothing_is_changed_after_a_commit(server: Server) -> None:
    server.install(a="1")
    server.commit()
    before = (server.root / "a").stat().st_ino
    assert server.install(a="1") == set()
    assert (server.root / "a").stat().st_ino == before


def test_changes_are_repeated_until_they_are_committed(server: Server) -> None:
    server.install(a="1", b="2")
    server.commit()
    assert server.install(a="1", b="3") == {"b"}
    assert server.install(a="1", b="3") == {"b"}
    assert server.install(a="4", b="3") == {"a", "b"}
    server.commit()
    assert server.install(a="4", b="3") == set()


def test_a_change_that_was_taken_back_before_its_commit_is_a_change(server: Server) -> None:
    """A service may have been restarted with it."""
    server.install(a="1")
    server.commit()
    server.install(a="2")
    assert server.install(a="1") == {"a"}


def test_files_that_are_no_longer_wanted_are_removed(server: Server) -> None:
    server.install(a="1", b="2")
    server.commit()
    assert server.install(a="1") == {"b"}
    assert not (server.root / "b").exists()
    assert server.install(a="1") == {"b"}
    server.commit()
    assert server.install(a="1") == set()


def test_files_of_an_interrupted_run_are_removed_too(server: Server) -> None:
    server.install(a="1", b="2")
    assert server.install(a="1") == {"a", "b"}
    assert not (server.root / "b").exists()


def test_a_check_says_what_differs_and_changes_nothing(server: Server) -> None:
    server.install(edited="1", link="2", missing="3", open="4", same="5")
    server.commit()
    (server.root / "edited").write_text("by hand")
    (server.root / "link").unlink()
    (server.root / "link").symlink_to("same")
    (server.root / "missing").unlink()
    (server.root / "open").chmod(0o666)
    before = {path.name: path.lstat().st_mtime_ns for path in server.root.iterdir()}
    assert server.check(edited="1", link="2", missing="3", open="4", same="5") == {
        "edited": "has another content",
        "link": "is not a file",
        "missing": "is missing",
        "open": "has mode 0666, not 0640",
    }
    assert {path.name: path.lstat().st_mtime_ns for path in server.root.iterdir()} == before
    assert server.install(edited="1", link="2", missing="3", open="4", same="5") == {
        "edited",
        "link",
        "missing",
        "open",
    }
    server.commit()
    assert server.check(edited="1", link="2", missing="3", open="4", same="5") == {}


def test_a_check_knows_of_interrupted_runs_and_of_what_is_left_over(server: Server) -> None:
    server.install(a="1", b="2")
    assert server.check(a="1") == {
        "a": "is not in use yet: a run was interrupted",
        "b": "is there, and should not be",
    }


def test_another_owner_is_a_difference(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.install(a="1")
    server.commit()
    monkeypatch.setitem(server.installer.__dict__, "ids", lambda _owner: (4711, 4711))
    uid, gid = os.getuid(), os.getgid()
    assert server.check(a="1") == {"a": f"belongs to {uid}:{gid}, not to {OWNER}"}


def test_an_edit_by_hand_is_undone_and_counts_as_a_change(server: Server) -> None:
    server.install(a="1")
    server.commit()
    (server.root / "a").write_text("by hand")
    assert server.install(a="1") == {"a"}
    assert (server.root / "a").read_text() == "1"


def test_a_wrong_mode_is_a_change(server: Server) -> None:
    server.install(a="1")
    server.commit()
    assert server.install(mode=0o600, a="1") == {"a"}
    assert stat.S_IMODE((server.root / "a").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(server: Server) -> None:
    (server.root / "elsewhere").write_text("mine")
    (server.root / "a").symlink_to("elsewhere")
    assert server.install(a="1") == {"a"}
    assert not (server.root / "a").is_symlink()
    assert (server.root / "elsewhere").read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.install(a="1")
    server.commit()

    def full_disk(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        server.install(a="2")
    monkeypatch.undo()
    assert (server.root / "a").read_text() == "1"
    assert {file.name for file in server.root.iterdir()} == {"a", "notes.json"}
    assert server.install(a="2") == {"a"}


def test_content_is_never_readable_by_others_while_it_is_written(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    fchmod = os.fchmod

    def watch(handle: int, mode: int) -> None:
        seen.append(os.fstat(handle).st_size)
        fchmod(handle, mode)

    monkeypatch.setattr(os, "fchmod", watch)
    server.install(mode=0o600, secret="x")  # noqa: S106  # the name of a file
    assert seen == [0]


def shell(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the functions that the roles' scripts use, without their lock."""
    functions = (GUEST / "common.sh").read_text().replace('"/run/perenne-$role.lock"', "/dev/null")
    text = f"set -euo pipefail\nrole=test installer=\n{functions}\n{code}"
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/etc/a/one", True),
        ("/etc/a/", True),
        ("/etc/", True),
        ("/etc/a", False),
        ("/etc/a/on", False),
        ("/etc/a/one/", False),
        ("/a/one", False),
        ("/etc/b /etc/c/two", True),
    ],
)
def test_changed_tells_files_from_folders(asked: str, found: bool) -> None:
    result = shell(f"changes=$'/etc/a/one\\n/etc/c/two'; if changed {asked}; then echo yes; fi")
    assert result.stdout == ("yes\n" if found else "")
    assert result.returncode == 0


def test_nothing_changed_is_no_change() -> None:
    assert shell("changes=; if changed /etc/ /; then echo yes; fi").stdout == ""


def test_wait_for_gives_up_and_says_what_it_waited_for() -> None:
    result = shell("wait_for 1 'the moon is full' false")
    assert result.returncode == 1
    assert "the moon is full: not within 1 s" in result.stderr


def test_wait_for_goes_on_as_soon_as_the_condition_holds(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    assert shell(f"(sleep 0.3; touch {flag}) & wait_for 20 'the flag' test -e {flag}; echo done").stdout == "done\n"


class Packages:
    """A server's package manager, whose programs note what they were told."""

    def __init__(self, root: Path, *, installed: str = "not-installed", check: int = 0) -> None:
        self.root = root
        self.policy = root / "policy-rc.d"
        self.programs = (
            f"dpkg-query() {{ echo {installed}; }}\n"
            f'apt-get() {{ note apt-get "$@"; case "$*" in *check*) return {check} ;; esac; }}\n'
            'dpkg() { note dpkg "$@"; }\n'
            f'note() {{ echo "$* $(cat {self.policy} 2>/dev/null | tail -1)" >>{root}/told; }}\n'
        )

    def need(self) -> list[str]:
        """Need a package; returns what the programs were told, and what the policy about services was then."""
        functions = (GUEST / "common.sh").read_text().replace('"/run/perenne-$role.lock"', "/dev/null")
        for path, here in (("/run/perenne-packages.lock", "lock"), ("/usr/sbin/policy-rc.d", "policy-rc.d")):
            assert path in functions
            functions = functions.replace(path, str(self.root / here))
        text = f"set -euo pipefail\nrole=test installer=\n{functions}\n{self.programs}\nneed keepalived"
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = self.root / "told"
        return told.read_text().splitlines() if told.exists() else []


def test_a_package_is_installed_without_starting_its_services_and_waits_for_others(tmp_path: Path) -> None:
    found = Packages(tmp_path)
    check, update, install = found.need()
    assert check.startswith("apt-get --quiet -o DPkg::Lock::Timeout=300 check")
    assert update.startswith("apt-get --quiet update")
    assert "DPkg::Lock::Timeout=300 install keepalived" in install
    assert install.endswith("exit 101")
    assert not found.policy.exists()


def test_what_a_power_cut_ended_dpkg_ends_before_more_is_installed(tmp_path: Path) -> None:
    told = Packages(tmp_path, check=100).need()
    assert told[1].startswith("dpkg --force-confold --configure --pending")
    assert told[1].endswith("exit 101")
    assert "install keepalived" in told[-1]


def test_a_policy_that_a_power_cut_left_behind_goes_also_where_nothing_is_needed(tmp_path: Path) -> None:
    found = Packages(tmp_path, installed="installed")
    found.policy.write_text("#!/bin/sh\nexit 101\n")
    assert found.need() == []
    assert not found.policy.exists()


def test_wildfly_s_configuration_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """A run that is cut off while it copies is repeated: the folder that stands for all of it must not be there yet."""
    apply = (GUEST / "application" / "apply.sh").read_text()
    found = re.search(r"^if \[\[ \$\(readlink.*?^fi$", apply, re.MULTILINE | re.DOTALL)
    assert found
    text = found[0]
    for path in ("/var/lib/wildfly", "/opt/wildfly"):
        text = text.replace(path, str(tmp_path / path.rsplit("/", 1)[0].replace("/", "") / "wildfly"))
    home = tmp_path / "opt" / "wildfly-36"
    (home / "standalone" / "configuration").mkdir(parents=True)
    (home / "standalone" / "configuration" / "standalone.xml").write_text("all of it")
    (tmp_path / "varlib").mkdir()
    stand_ins = 'systemctl() { :; }; sync() { :; }; chown() { :; }; install() { mkdir "${@: -1}"; }'
    script = f"set -euo pipefail\nhome={home}\n{stand_ins}\n"
    cut_off = f'cp() {{ command cp "$@"; find {tmp_path}/varlib -type f -delete; exit 137; }}\n'
    subprocess.run(["bash", "-c", f"{script}{cut_off}{text}"], check=False)
    for _time in range(2):
        subprocess.run(["bash", "-c", f"{script}{text}"], check=True)
    configuration = tmp_path / "varlib" / "wildfly" / "configuration"
    assert (configuration / "standalone.xml").read_text() == "all of it"
    assert [file.name for file in configuration.parent.iterdir()] == ["configuration"]
