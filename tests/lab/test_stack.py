"""The stack as its operators see it: a second `up` changes nothing, storage has its paths, a lost host is made good."""

import subprocess
from collections.abc import Callable
from typing import Any

import docker
import httpx
import pytest
from docker.models.containers import Container

from blueprint.settings import Settings
from tests.lab.conftest import LAB, PROJECT
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab


def perenne(*arguments: str) -> str:
    """Run a command of Perenne's and return all that it printed: progress goes to standard error."""
    done = subprocess.run(
        ["./perenne", *arguments], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def run(container: Container, command: list[str]) -> tuple[int | None, str]:
    """Run a command in a container; its exit code and all that it printed."""
    code, output = container.exec_run(command)
    assert isinstance(output, bytes)
    return code, output.decode()


def test_second_up_changes_nothing() -> None:
    assert "Nothing was changed" in perenne("up")


def test_every_host_sees_every_lun_on_two_paths(settings: Settings, engine: docker.DockerClient) -> None:
    for host in settings.hosts:
        container = engine.containers.get(f"{LAB}-{host}")
        for lun in settings.luns.values():
            code, output = run(container, ["esxcli", "storage", "core", "path", "list", f"--device={lun.naa}"])
            assert code == 0, output
            assert output.count("State: active") == len(settings.networks.storage), output


def test_wrong_chap_secret_is_refused(settings: Settings, engine: docker.DockerClient) -> None:
    """The real initiator library against the real target: with a wrong secret it sees nothing."""
    array = next(iter(settings.storage.values()))
    portal = next(iter(array.portals.values()))
    host = engine.containers.get(f"{LAB}-{next(iter(settings.hosts))}")
    code, output = run(host, ["iscsi-ls", "-s", f"iscsi://{array.chap.user}%not-the-secret@{portal}"])
    assert code != 0
    assert "Authentication failure" in output


@pytest.mark.destructive
def test_lost_host_is_made_good_while_the_site_answers(
    settings: Settings, site: httpx.Client, node: Callable[[str], httpx.Client], engine: docker.DockerClient
) -> None:
    """psexi04 dies with an application server and a database server on it; all is redundant again by itself."""
    lost = "psexi04"
    before = status(settings)
    stranded = [vm["name"] for vm in before["vms"] if vm["host"] == lost]
    assert stranded, before
    engine.containers.get(f"{LAB}-{lost}").kill()

    def answers() -> bool:
        try:
            return site.get("/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, seconds=60, what="the site answers without the host")

        def restarted() -> bool:
            now = {vm["name"]: vm for vm in status(settings)["vms"]}
            return all(now[name]["host"] != lost and now[name]["power_state"] == "poweredOn" for name in stranded)

        wait_until(restarted, seconds=120, what="vSphere HA starts the host's servers elsewhere")
    finally:
        engine.containers.get(f"{LAB}-{lost}").start()

    def whole() -> bool:
        try:
            return all(node(name).get("/health").status_code == httpx.codes.OK for name in ("app01", "app02"))
        except httpx.TransportError:
            return False

    wait_until(whole, seconds=120, what="both nodes serve again")

    def connected() -> bool:
        return all(host["connection_state"] == "connected" for host in status(settings)["hosts"])

    wait_until(connected, seconds=60, what="the host is connected again")


def status(settings: Settings) -> dict[str, Any]:
    """What the simulated vCenter says of hosts and virtual machines."""
    answer = httpx.get(f"http://{settings.vcenter.server}:8080/lab/status", timeout=5, trust_env=False)
    return dict(answer.raise_for_status().json())
