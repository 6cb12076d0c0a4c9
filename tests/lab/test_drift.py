"""What was changed by hand is found by `drift`, and undone by `up --repair`."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from blueprint.settings import Settings
from stack.vault import Vault
from stack.workspace import LAB as LAB_FOLDER
from stack.workspace import Stack
from tests.lab.conftest import LAB, PROJECT
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.destructive]

SERVER, FILE = "lb02", "/etc/systemd/journald.conf.d/perenne.conf"


def perenne(*arguments: str) -> tuple[int, str]:
    """Run a command; its exit code and what it printed as its result."""
    done = subprocess.run(["./perenne", *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def drift() -> tuple[int, set[tuple[str, str]]]:
    """The exit code, and what differs where."""
    code, said = perenne("drift", "--json")
    return code, {(one["where"], one["what"]) for one in json.loads(said)["drift"]}


@pytest.fixture
def cluster(settings: Settings) -> Iterator[Any]:
    """The cluster, in vCenter's own API."""
    service = SmartConnect(  # type: ignore[no-untyped-call]
        host=settings.vcenter.server,
        user=settings.vcenter.user,
        pwd=Vault.open(Stack("dev")).values["vcenter-password"],
        sslContext=ssl.create_default_context(cafile=LAB_FOLDER / "ca-bundle.crt"),
    )
    content = service.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ClusterComputeResource], True)
    (found,) = view.view
    yield found
    Disconnect(service)  # type: ignore[no-untyped-call]


def reconfigure(cluster: Any, spec: Any) -> None:  # noqa: ANN401 (pyVmomi has no types)
    """Change the cluster by hand."""
    task = cluster.ReconfigureComputeResource_Task(spec, True)
    wait_until(lambda: task.info.state == "success", seconds=30, what="vCenter changes the cluster")


def test_changes_by_hand_are_found_and_undone(cluster: Any, engine: docker.DockerClient) -> None:  # noqa: ANN401
    assert drift() == (0, set())

    rules = [rule for rule in cluster.configurationEx.rule if rule.name == "balancer-apart"]
    gone = [vim.cluster.RuleSpec(operation="remove", removeKey=rule.key) for rule in rules]  # type: ignore[no-untyped-call]
    off = vim.cluster.DasConfigInfo(enabled=False)  # type: ignore[no-untyped-call]
    reconfigure(cluster, vim.cluster.ConfigSpecEx(dasConfig=off, rulesSpec=gone))  # type: ignore[no-untyped-call]
    guest = engine.containers.get(f"{LAB}-{SERVER}")
    assert guest.exec_run(["sh", "-c", f"echo '# by hand' >>{FILE}"]).exit_code == 0

    code, found = drift()
    assert code == 3
    assert found >= {
        ("ComputeCluster esxi-cluster", "haEnabled"),
        ("ComputeClusterVmAntiAffinityRule balancer-apart", ""),
        (SERVER, FILE),
    }

    code, said = perenne("up", "--repair")
    assert code == 0, said
    assert drift() == (0, set())
    assert cluster.configurationEx.dasConfig.enabled
    assert "balancer-apart" in {rule.name for rule in cluster.configurationEx.rule}
    assert b"by hand" not in guest.exec_run(["cat", FILE]).output
