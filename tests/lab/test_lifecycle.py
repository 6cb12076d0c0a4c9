"""The life of a lab, on a second and small one: built, left alone, broken, built anew, taken down."""

import base64
import http.client
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path

import docker
import pytest

from blueprint.settings import Settings
from lab.equipment import LabSecrets
from lab.errors import LabError
from lab.images.build import Images
from lab.images.progress import Progress
from lab.inventory import Inventory
from lab.site import Condition, Lab, Outcome, take_down
from tests.lab.small import NAME, small_images, small_secrets, small_site

pytestmark = pytest.mark.lab

PORT = 8743


@dataclass(frozen=True)
class Small:
    """The small lab with what it is made from."""

    lab: Lab
    secrets: LabSecrets
    images: Images
    engine: docker.DockerClient

    def up(self, progress: Progress = print) -> Outcome:
        """Bring it up."""
        return self.lab.up(self.secrets, self.images, progress)

    def inventory(self) -> Inventory:
        """Ask Docker what there is of it."""
        return Inventory.read(self.engine, NAME)

    def of(self, settings: Settings, state_dir: Path | None = None) -> "Small":
        """The same lab after other settings, or seen from another working copy."""
        return replace(self, lab=small_lab(settings, state_dir or self.lab.state_dir))

    def begin(self, task: Callable[..., object]) -> SpawnProcess:
        """Run `task` in a process of its own, to be killed."""
        process = get_context("spawn").Process(target=task, args=(self.lab.state_dir, self.secrets, self.images))
        process.start()
        return process


def small_lab(settings: Settings, state_dir: Path) -> Lab:
    return Lab(settings, NAME, state_dir, first_port=PORT)


def go_up(state_dir: Path, secrets: LabSecrets, images: Images) -> None:
    small_lab(small_site(), state_dir).up(secrets, images, print)


def go_down(state_dir: Path, _secrets: LabSecrets, _images: Images) -> None:
    take_down(NAME, state_dir, print)


@pytest.fixture(scope="module")
def described(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    state_dir = tmp_path_factory.mktemp("clone") / ".perenne" / "lab"
    yield Small(small_lab(small_site(), state_dir), small_secrets(), small_images(engine), engine)
    take_down(NAME, state_dir, print)


@pytest.fixture
def small(described: Small) -> Small:
    """The small lab, healthy."""
    described.up()
    return described


@pytest.fixture
def absent(described: Small) -> Small:
    """The small lab, taken down."""
    described.lab.down(print)
    return described


def test_a_second_up_does_nothing(small: Small) -> None:
    before = small.inventory()
    said: list[str] = []
    began = time.monotonic()

    outcome = small.up(said.append)

    assert time.monotonic() - began < 1
    assert (outcome.built, outcome.replaced, said) == (False, (), [])
    assert small.inventory() == before
    assert small.lab.state().generation == outcome.generation


def test_vcenter_is_reached_with_the_labs_authority_only(small: Small) -> None:
    address = small.lab.settings.vcenter.server
    trusting = ssl.create_default_context(cafile=str(small.lab.prepare().ca_bundle))

    assert session_status(address, trusting, small.secrets.vcenter_password) == http.HTTPStatus.OK
    assert session_status(address, trusting, "wrong") == http.HTTPStatus.UNAUTHORIZED
    with pytest.raises(ssl.SSLCertVerificationError):
        session_status(address, ssl.create_default_context(), small.secrets.vcenter_password)


def session_status(address: str, trust: ssl.SSLContext, password: str) -> int:
    connection = http.client.HTTPSConnection(address, context=trust, timeout=5)
    login = base64.b64encode(f"administrator@vsphere.local:{password}".encode()).decode()
    try:
        connection.request("POST", "/rest/com/vmware/cis/session", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_no_secret_is_in_what_docker_tells(small: Small) -> None:
    known = (small.secrets.vcenter_password, small.secrets.esxi_password, *small.secrets.chap["san01"])
    for member in small.inventory().containers:
        told = str(small.engine.api.inspect_container(member.id)) + str(small.engine.api.top(member.id))
        assert not [secret for secret in known if secret in told], member.name
    files = [path for path in (small.lab.state_dir / "run").rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_status_tells_of_machines_and_inventory(small: Small) -> None:
    status = small.lab.status()

    assert set(status.machines.values()) == {"running"}
    assert set(status.machines) == {"vcenter", "client", "san01", "psexi02", "psexi03", "psexi04"}
    assert status.vcenter is not None
    assert status.vcenter.vms == ()


def test_a_changed_client_is_replaced_alone(small: Small) -> None:
    before = {member.name: member.id for member in small.inventory().containers}
    moved = small_site(site={"name": "other.vmlabs.int", "address": "198.19.70.99", "vrrp": {"router_id": 51}})

    outcome = small.of(moved).up()

    after = {member.name: member.id for member in small.inventory().containers}
    assert (outcome.built, outcome.replaced) == (False, ("client",))
    assert {name for name in after if after[name] != before[name]} == {"client"}


def test_a_changed_password_takes_a_new_lab(small: Small) -> None:
    before = small.lab.state().generation
    said: list[str] = []
    other = replace(small.secrets, vcenter_password="another-password-of-vcenter")  # noqa: S106

    outcome = replace(small, secrets=other).up(said.append)

    assert outcome.built
    assert outcome.generation != before
    assert any("changed" in line for line in said)


@pytest.mark.parametrize(
    ("machine", "what", "fault"),
    [
        ("psexi03", "kill", "psexi03 is exited"),
        ("san01", "pause", "san01 is paused"),
        ("vcenter", "restart", "vcenter was restarted and has lost its inventory"),
    ],
)
def test_a_broken_lab_is_built_anew(small: Small, machine: str, what: str, fault: str) -> None:
    before = small.lab.state().generation
    getattr(small.engine.containers.get(f"{NAME}-{machine}"), what)()
    said: list[str] = []

    assert small.lab.state().condition is Condition.BROKEN
    assert small.lab.state().faults == (fault,)
    outcome = small.up(said.append)

    assert outcome.built
    assert outcome.generation != before
    assert any(fault in line for line in said)
    assert small.lab.state().condition is Condition.HEALTHY


def test_down_leaves_nothing_and_touches_nothing_else(small: Small) -> None:
    guest = small.engine.containers.create(
        small.images.client, name=f"{NAME}-lb01", labels={"perenne.lab": NAME, "perenne.kind": "guest"}
    )
    guest.start()
    small.engine.volumes.create(f"{NAME}-volume", labels={"perenne.lab": NAME})
    stranger = small.engine.containers.create(
        small.images.client, name=f"{NAME}-stranger", labels={"perenne.lab": "other"}
    )
    try:
        assert small.lab.down(print)
        stranger.reload()
    finally:
        stranger.remove(force=True)
    assert not small.inventory()
    assert not (small.lab.state_dir / "run").exists()
    assert small.lab.state().condition is Condition.ABSENT
    assert not small.lab.down(print)


def test_down_needs_no_files_of_the_lab(small: Small) -> None:
    shutil.rmtree(small.lab.state_dir)

    assert take_down(NAME, small.lab.state_dir, print)

    assert not small.inventory()


def test_another_working_copys_lab_is_refused(small: Small, tmp_path: Path) -> None:
    before = small.inventory()
    other = tmp_path / ".perenne" / "lab"

    with pytest.raises(LabError) as refused:
        small.of(small_site(), other).up()
    assert f"cd {small.lab.engine.clone} && ./perenne down" in refused.value.remedy
    with pytest.raises(LabError, match="belongs to the working copy"):
        take_down(NAME, other, print)

    assert small.inventory() == before


def test_a_lab_whose_working_copy_is_gone_is_anyones(absent: Small, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    try:
        absent.of(small_site(), gone / ".perenne" / "lab").up()
    finally:
        shutil.rmtree(gone)

    assert absent.up().built
    assert absent.lab.down(print)
    assert not absent.inventory()


def test_an_occupied_network_is_named(absent: Small) -> None:
    pool = docker.types.IPAMPool(subnet="198.19.70.64/26")
    occupant = absent.engine.networks.create(f"{NAME}-occupant", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    try:
        with pytest.raises(LabError, match=rf"Docker network {NAME}-occupant has 198\.19\.70\.64/26"):
            absent.up()
    finally:
        occupant.remove()
    assert not absent.inventory()


def test_an_occupied_name_is_named(absent: Small) -> None:
    occupant = absent.engine.containers.create(absent.images.client, name=f"{NAME}-db01")
    try:
        with pytest.raises(LabError) as refused:
            absent.up()
        assert f"docker rm --force {NAME}-db01" in refused.value.remedy
    finally:
        occupant.remove()
    assert not absent.inventory()


def test_an_occupied_port_is_avoided_and_the_other_one_remembered(absent: Small) -> None:
    (absent.lab.state_dir / "lab.json").unlink()
    with socket.create_server(("127.0.0.1", PORT)):
        assert absent.up().url == f"https://127.0.0.1:{PORT + 1}"
    assert absent.up().url == f"https://127.0.0.1:{PORT + 1}"
    absent.lab.down(print)
    assert absent.up().url == f"https://127.0.0.1:{PORT + 1}"


def test_one_process_at_a_time(small: Small) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import lab.lock\nwith lab.lock.locked('{NAME}'):\n print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(LabError, match=f"process {holder.pid} "):
            small.up()
        holder.kill()
    assert not small.up().built


@pytest.mark.parametrize("containers", [0, 1, 4])
def test_after_a_kill_in_the_middle_the_next_up_goes_on(absent: Small, containers: int) -> None:
    process = absent.begin(go_up)
    while len(absent.inventory().networks) == 0 or len(absent.inventory().containers) < containers:
        assert process.is_alive()
    process.kill()
    process.join()

    assert absent.lab.state().condition is Condition.BROKEN
    assert absent.up().built
    assert absent.lab.state().condition is Condition.HEALTHY


def test_after_a_kill_while_going_down_the_next_down_ends_it(small: Small) -> None:
    whole = len(small.inventory().containers)
    process = small.begin(go_down)
    while len(small.inventory().containers) == whole:
        assert process.is_alive()
    process.kill()
    process.join()

    take_down(NAME, small.lab.state_dir, print)

    assert not small.inventory()
