"""Every secret is rotated while users use the site: nobody notices, and nobody sees one."""

import asyncio
import contextlib
import subprocess
import threading
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import httpx
import psycopg
import pytest

from blueprint import rotation
from blueprint.secrets import Way, secrets_of
from blueprint.settings import Settings
from drills.model import Recording
from drills.workload.plan import Load
from drills.workload.site import plan_for
from drills.workload.workload import Workload
from stack import keys
from stack.checks import check_site
from stack.vault import Vault
from stack.workspace import Stack
from tests.lab.conftest import PROJECT
from tests.lab.secret_forms import Forms
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.destructive, pytest.mark.long]

LOAD = Load(sessions=100, warm_seconds=5, longest_seconds=1200)
_PAUSE_SECONDS = 0.02
_YOUNG_SECONDS = 1.0


@dataclass
class Rotated:
    """What a rotation of everything did, and what was seen of it."""

    before: dict[str, str]
    after: dict[str, str]
    said: str
    seen: Recording
    command_lines: set[bytes]


class Watch:
    """Notes the command line of every process of this machine: those of all containers are among them."""

    def __init__(self) -> None:
        self.command_lines: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        """Processes that have just begun are looked at often: a command line is there only after the start (execve)."""
        first_seen: dict[str, float] = {}
        while not self._ended.wait(_PAUSE_SECONDS):
            now = time.monotonic()
            there = [process.name for process in Path("/proc").glob("[0-9]*")]
            first_seen = {name: first_seen.get(name, now) for name in there}
            for name in there:
                if now - first_seen[name] < _YOUNG_SECONDS:
                    self._look_at(name)

    def _look_at(self, process: str) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self.command_lines.add(Path("/proc", process, "cmdline").read_bytes())


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    """Rotate everything that costs nobody anything while users, who trust both authorities, use the site."""
    stack = Stack("dev")
    opened = Vault.open(stack)
    before = dict(opened.values)
    needed = list(secrets_of(stack.settings))
    opened.keep(rotation.begin(rotation.chosen(needed, ()), opened.values, keys.make))

    async def rotate(folder: Path) -> tuple[Recording, str]:
        async with Workload(plan_for(opened.stack, opened, folder, LOAD)) as workload:
            await workload.record()
            process = await asyncio.create_subprocess_exec(
                "./perenne", "rotate", cwd=PROJECT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
            )
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            return await workload.stop(), said.decode()

    with Watch() as watch:
        seen, said = asyncio.run(rotate(tmp_path_factory.mktemp("rotation")))
    return Rotated(before, Vault.open(Stack("dev")).values, said, seen, watch.command_lines)


def test_everything_is_new_and_nothing_of_the_rotation_is_left(rotated: Rotated) -> None:
    assert rotated.after.keys() == rotated.before.keys()
    kept = {secret.name for secret in secrets_of(Stack("dev").settings) if secret.way in (Way.GIVEN, Way.COSTLY)}
    assert {name for name, value in rotated.after.items() if value == rotated.before[name]} == kept


def test_the_site_is_whole(rotated: Rotated) -> None:
    assert rotated.after
    assert [check for check in check_site(Stack("dev")) if not check.held] == []


def test_no_acknowledged_write_and_no_session_is_lost(rotated: Rotated) -> None:
    ledger, sessions = rotated.seen.ledger, rotated.seen.sessions
    assert ledger.acknowledged > 0
    assert not ledger.lost
    assert not ledger.unchecked
    assert sessions.sessions == LOAD.sessions
    assert not sessions.lost
    assert not sessions.unchecked


def test_users_notice_nothing(rotated: Rotated) -> None:
    failed = [request for request in rotated.seen.requests if not request.good]
    assert not failed


def test_no_process_shows_a_secret_meanwhile(rotated: Rotated) -> None:
    """CHAP is an option of esxcli (docs/decisions, 5)."""
    forms = Forms({**rotated.before, **{f"new {name}": value for name, value in rotated.after.items()}})
    shown = {line: forms.found_in(line) for line in rotated.command_lines}
    leaks = {line: names for line, names in shown.items() if names and b"esxcli" not in line}
    assert leaks == {}
    chap = {name.removeprefix("new ") for line, names in shown.items() if b"esxcli" in line for name in names}
    assert chap <= {"chap-san01", "chap-mutual-san01"}


def test_no_command_says_a_secret(rotated: Rotated) -> None:
    forms = Forms({**rotated.before, **rotated.after})
    assert forms.found_in(rotated.said.encode()) == set()


def test_old_logins_are_refused(rotated: Rotated) -> None:
    """Whoever took a secret before can do nothing with it now."""
    settings = Stack("dev").settings
    for role, secret in (("pnp-manager", "database-pnp-manager-password"), ("postgres", "database-superuser-password")):
        with pytest.raises(psycopg.OperationalError, match=r"authentication failed|not permitted to log in"):
            psycopg.connect(
                host=str(settings.database.address),
                dbname="postgres",
                user=role,
                password=rotated.before[secret],
                sslmode="require",
                connect_timeout=5,
            )
    addresses = [server.address for server in settings.servers.values()]
    addresses += [host.address for host in settings.hosts.values()]
    for address in addresses:
        with pytest.raises(asyncssh.PermissionDenied):
            asyncio.run(_log_in(str(address), rotated.before["ssh-key"]))


def test_an_array_s_secrets_are_rotated_and_every_path_is_there(settings: Settings) -> None:
    names = [f"chap-{array}" for array in settings.storage] + [f"chap-mutual-{array}" for array in settings.storage]
    before = Vault.open(Stack("dev")).values
    _rotate(*names)
    after = Vault.open(Stack("dev")).values
    assert {name for name in after if after[name] != before[name]} == set(names)
    assert [check for check in check_site(Stack("dev")) if not check.held] == []


def test_application_servers_find_each_other_by_a_new_key(node: Callable[[str], httpx.Client]) -> None:
    """What this costs is in docs/decisions, 34; afterwards sessions are shared as before."""
    _rotate("jgroups-key")
    assert [check for check in check_site(Stack("dev")) if not check.held] == []
    value = str(uuid.uuid4())
    first, second = node("app01"), node("app02")
    assert first.post("/api/session", json={"value": value}).status_code == httpx.codes.OK
    session = first.cookies["JSESSIONID"].split(".")[0]

    def seen_at_the_other() -> bool:
        answer = second.get("/api/session", headers={"Cookie": f"JSESSIONID={session}"})
        return bool(answer.status_code == httpx.codes.OK and answer.json()["value"] == value)

    wait_until(seen_at_the_other, seconds=10, what="the other node has the session")


def _rotate(*names: str) -> None:
    only = [f"--only={name}" for name in names]
    done = subprocess.run(
        ["./perenne", "rotate", "--yes", *only], cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


async def _log_in(address: str, key: str) -> None:
    connection = asyncssh.connect(
        address,
        username="root",
        client_keys=[asyncssh.import_private_key(key)],
        known_hosts=None,
        config=None,
        agent_path=None,
    )
    async with asyncio.timeout(10), connection:
        pass
