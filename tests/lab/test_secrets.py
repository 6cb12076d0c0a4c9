"""No secret of the running stack is anywhere in clear where somebody else might read it.

Decided exceptions, by their number in docs/decisions: 5, CHAP secrets are options of esxcli; 6, the first SSH host key
of a server is in guestinfo, which the simulated vCenter keeps and gives to the container that is the server.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from pyVmomi import vim

from lab.label import Label
from stack.vault import Vault, passphrase_of
from stack.vcenter import session
from stack.workspace import Stack
from tests.lab.conftest import LAB, PROJECT
from tests.lab.secret_forms import Forms

pytestmark = pytest.mark.lab

_FOR_OTHERS = ("/etc", "/var", "/opt", "/usr/local", "/run", "/tmp", "/home", "/root", "/srv", "/dev/shm")  # noqa: S108
_LARGEST = "64M"
_PASSPHRASE = "the stack's passphrase"  # noqa: S105 (its name)


@pytest.fixture(scope="module")
def vault() -> Vault:
    """The stack's secrets."""
    return Vault.open(Stack("dev"))


@pytest.fixture(scope="module")
def forms(vault: Vault) -> Forms:
    """What is searched for: every secret, and what they are encrypted with."""
    return Forms({**vault.values, _PASSPHRASE: passphrase_of(vault.stack) or ""})


@pytest.fixture(scope="module")
def machines(engine: docker.DockerClient) -> list[Container]:
    """Every container of the lab: servers, hosts, vCenter, arrays, the client."""
    found = engine.containers.list(filters={"label": f"{Label.LAB}={LAB}"})
    assert len(found) > 1
    return found


@pytest.fixture(scope="module")
def servers(vault: Vault, machines: list[Container]) -> list[Container]:
    """The containers that are servers of the site."""
    names = {f"{LAB}-{server}" for server in vault.stack.settings.servers}
    found = [machine for machine in machines if machine.name in names]
    assert len(found) == len(names)
    return found


def host_keys(vault: Vault) -> set[str]:
    """Decision 6."""
    return {f"ssh-host-key-{server}" for server in vault.stack.settings.servers}


def files_below(*folders: Path) -> Iterator[Path]:
    return (file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def test_the_search_finds_what_is_there(vault: Vault, forms: Forms) -> None:
    """Nothing that follows could fail otherwise."""
    assert forms.found_in("\n".join(vault.values.values()).encode()) == forms.names - {_PASSPHRASE}
    assert set(vault.values) - forms.names <= {"fencing-authorities"}, "certificates, which are public"


@pytest.mark.parametrize("folder", ["state", "logs", "drill"])
def test_pulumi_s_state_with_its_history_and_all_logs_and_recordings_have_none(forms: Forms, folder: str) -> None:
    """What commands printed is in the state, too."""
    found = {str(file): names for file in files_below(PROJECT / ".perenne" / folder) if (names := _in(file, forms))}
    assert found == {}


def test_there_are_state_history_and_logs_to_be_searched() -> None:
    state = [str(file.relative_to(PROJECT / ".perenne")) for file in files_below(PROJECT / ".perenne" / "state")]
    assert any("stacks/" in file for file in state)
    assert any("history/" in file or "backups/" in file for file in state)
    assert list(files_below(PROJECT / ".perenne" / "logs"))


def test_the_working_copy_has_none_but_encrypted(forms: Forms) -> None:
    """Stack files, documentation with its reports, and whatever a command left beside them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    files = [PROJECT / name for name in listed.stdout.splitlines()]
    found = {file.name: names for file in files if file.is_file() and (names := _in(file, forms))}
    assert found == {}


def test_files_on_this_machine_that_hold_one_are_for_their_owner_alone(vault: Vault, forms: Forms) -> None:
    private = PROJECT / ".perenne"
    assert private.stat().st_mode & 0o077 == 0
    holding = {file: names for file in files_below(private) if (names := _in(file, forms))}
    assert vault.stack.passphrase_file in holding
    assert {str(file) for file in holding if file.stat().st_mode & 0o077} == set()


def test_no_container_has_one_in_its_environment_or_command_line(
    vault: Vault, forms: Forms, machines: list[Container]
) -> None:
    for machine in machines:
        found = forms.found_in(str(machine.attrs).encode())
        own = str(machine.name).removeprefix(f"{LAB}-")
        assert found <= {f"ssh-host-key-{own}"} & host_keys(vault), f"{machine.name} (decision 6)"


def test_no_container_prints_one(forms: Forms, machines: list[Container]) -> None:
    for machine in machines:
        printed = machine.logs()
        assert isinstance(printed, bytes)
        assert forms.found_in(printed) == set(), machine.name


def test_no_journal_has_one(forms: Forms, servers: list[Container]) -> None:
    """Of all fields of an entry, the command line of who wrote it included."""
    for server in servers:
        code, journal = server.exec_run(["journalctl", "--no-pager", "--all", "--output=export"])
        assert code == 0
        assert isinstance(journal, bytes)
        assert b"MESSAGE=" in journal
        assert forms.found_in(journal) == set(), server.name


def test_vcenter_shows_none_in_a_server_s_advanced_settings(vault: Vault, forms: Forms) -> None:
    with session(vault.stack, vault) as content:
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        shown = {machine.name: str(machine.config).encode() for machine in view.view}
    assert shown.keys() >= vault.stack.settings.servers.keys()
    for name, settings in shown.items():
        assert forms.found_in(settings) <= {f"ssh-host-key-{name}"}, f"{name} (decision 6)"


def test_nobody_else_can_read_one_on_any_machine(forms: Forms, machines: list[Container]) -> None:
    """Files that nobody, who has no rights, can reach and read."""
    for machine in machines:
        if not _has(machine, "find", "xargs", "grep", "setpriv"):
            continue
        assert _readable_with(machine, forms) == [], machine.name


def test_a_file_that_others_can_read_is_found(forms: Forms, servers: list[Container]) -> None:
    """The search itself, where there is something to find."""
    planted = "/run/perenne-planted"
    server = str(servers[0].name)
    _run(server, f"umask 022; cat >{planted}", stdin=forms.lines)
    try:
        assert _readable_with(servers[0], forms) == [planted]
    finally:
        _run(server, f"rm {planted}")


def test_hosts_show_a_command_line_with_chap_only_while_esxcli_runs(forms: Forms) -> None:
    """Decision 5; what processes show while a stack is deployed is in test_rotation."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = command.read_bytes()
        except OSError:
            continue  # it has ended
        assert forms.found_in(line) == set()


def _in(file: Path, forms: Forms) -> set[str]:
    return forms.found_in(file.read_bytes())


def _has(machine: Container, *programs: str) -> bool:
    code, _ = machine.exec_run(["sh", "-c", f"command -v {' && command -v '.join(programs)}"])
    return bool(code == 0)


def _readable_with(machine: Container, forms: Forms) -> list[str]:
    """The files that anybody on the machine can read and that hold a secret."""
    asked = (
        "umask 077; folder=$(mktemp -d /dev/shm/forms.XXXXXX); trap 'rm -rf $folder' EXIT; cat >$folder/forms; "
        f"setpriv --reuid=65534 --regid=65534 --clear-groups find {' '.join(_FOR_OTHERS)} -xdev -type f -readable "
        f"-size -{_LARGEST} -print0 2>/dev/null "
        "| xargs -0 --no-run-if-empty grep --no-messages --files-with-matches --fixed-strings --file=$folder/forms"
        " || true"  # grep's way to say that there are none
    )
    return _run(str(machine.name), asked, stdin=forms.lines).splitlines()


def _run(machine: str, script: str, stdin: bytes = b"") -> str:
    command = ["docker", "exec", "--interactive", machine, "sh", "-c", script]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
