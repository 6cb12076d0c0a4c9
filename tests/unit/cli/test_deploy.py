"""What is seen to before and after a deployment, and telling the truth about what happened."""
# ruff: noqa: D102 (the fakes' methods are those of the real classes)

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from blueprint.keys import certificate_of
from blueprint.secrets import Kind, Secret
from cli import deploy, verdict
from cli.console import Display, Progress
from cli.engine import Engine
from cli.events import Deployment
from cli.toolchain import Pulumi
from machine.failure import Failure
from policies.judging.configuration import Level
from policies.judging.report import Report, Reported
from policies.judging.rule import Pillar, Severity
from stack import drained_servers, keys
from stack.status import Asked
from stack.workspace import Stack


class FakeEngine(Engine):
    """An engine with a state of its own."""

    resources: Sequence[dict[str, Any]] = ()
    refusal: Report | None = None
    options: Sequence[str] = ()

    def state(self) -> dict[str, Any]:
        return {"version": 3, "deployment": {"resources": list(self.resources)}}

    def up(self, deployment: Deployment, progress: Progress, report: Path, options: Sequence[str] = ()) -> bool:
        assert progress.name
        self.options = options
        if self.refusal:
            report.write_text(self.refusal.model_dump_json())
        deployment.errors += ["VirtualMachine db01: no space"] * 12
        return False


@pytest.fixture
def pulumi(dev: Stack, tmp_path: Path) -> FakeEngine:
    return FakeEngine(dev, Pulumi("offline", tmp_path, None, "a test"))


@pytest.fixture
def progress() -> Progress:
    return Progress(Display(plain=True), "test")


def test_the_page_is_waited_for_by_the_name_that_is_in_the_certificate(
    dev: Stack, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    authority = certificate_of(keys.make(Secret("", Kind.CERTIFICATE_AUTHORITY, "")))
    deploy.await_page(dev, authority, progress)
    assert [request.extensions["sni_hostname"] for request in asked] == ["pnp.vmlabs.int"]


def test_nothing_is_deployed_while_a_server_is_drained(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked(["app01"], silent=[]))
    pulumi.resources = ({"urn": "a server"},)
    with pytest.raises(Failure, match="app01 is drained") as raised:
        deploy.check_restarts(pulumi)
    assert raised.value.remedy == "First: ./perenne undrain app01 dev"
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked([], silent=[]))
    deploy.check_restarts(pulumi)


def test_two_servers_are_not_restarted_for_another_size(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new, keeps its size, or is only still to be deleted, is not restarted."""
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked([], silent=[]))
    servers = pulumi.stack.settings.servers
    pulumi.resources = [
        {
            "urn": f"urn:pulumi:dev::perenne::vm::{name}-vm",
            "type": "vsphere:index/virtualMachine:VirtualMachine",
            "inputs": {"name": name, "numCpus": server.cpus, "memory": server.memory_mib},
        }
        for name, server in servers.items()
        if name != "app02"
    ]
    deploy.check_restarts(pulumi)
    sizes = {one["inputs"]["name"]: one["inputs"] for one in pulumi.resources}
    sizes["db01"]["memory"] //= 2
    deploy.check_restarts(pulumi)
    former = pulumi.resources[-1]
    replaced = {**former, "delete": True, "inputs": {**former["inputs"], "memory": former["inputs"]["memory"] + 1}}
    pulumi.resources = [*pulumi.resources, replaced]
    deploy.check_restarts(pulumi)
    sizes["wit01"]["numCpus"] += 1
    with pytest.raises(Failure, match="db01, wit01 get another size") as raised:
        deploy.check_restarts(pulumi)
    assert "Pulumi.dev.yaml" in raised.value.remedy


def test_nothing_is_deployed_while_a_drained_server_is_stopped(
    pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi.resources = ({"urn": "a server"},)
    drained_servers.note(pulumi.stack, "app01")
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked([], silent=["app01"]))
    with pytest.raises(Failure, match="app01 was drained and does not answer") as raised:
        deploy.check_restarts(pulumi)
    assert raised.value.remedy.startswith("Start it, then: ./perenne undrain app01 dev.")
    assert raised.value.remedy.endswith(f"rm {pulumi.stack.drained_file}")


def test_what_a_server_says_counts_more_than_what_drain_noted(
    pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi.resources = ({"urn": "a server"},)
    drained_servers.note(pulumi.stack, "app01")
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked([], silent=["app02"]))
    deploy.check_restarts(pulumi)
    assert drained_servers.noted(pulumi.stack) == []


def test_a_deployed_server_that_is_silent_is_said_and_may_be_made_anew(
    pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that a killed deployment did not get to is none of these."""
    pulumi = FakeEngine(Stack("prod"), pulumi.pulumi)
    kind = "urn:pulumi:prod::perenne::perenne:index:VirtualMachine$command:remote:Command"
    pulumi.resources = ({"urn": f"{kind}::app01-ready"}, {"urn": "urn:pulumi:prod::perenne::vm::app02-vm"})
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: Asked([], silent=["app01", "app02"]))
    deploy.check_restarts(pulumi)
    shown = " ".join(capsys.readouterr().err.split())
    assert "app01 does not answer: if somebody stopped it, start it first" in shown
    assert "app02" not in shown


def test_before_the_first_deployment_no_server_is_asked(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ask_drained", lambda _stack: pytest.fail("there is none"))
    deploy.check_restarts(pulumi)


def test_a_failed_deployment_shows_the_first_errors_and_how_many_more(pulumi: FakeEngine) -> None:
    with pytest.raises(Failure) as failure:
        deploy.deploy(pulumi, Display(plain=True))
    assert failure.value.what == "the preview failed, nothing was changed"
    assert failure.value.why.splitlines()[-1] == "and 2 more"


def test_a_refused_stack_says_what_to_change_and_that_nothing_was_changed(pulumi: FakeEngine) -> None:
    violation = Reported(
        rule="CLU-01",
        title="vSphere HA is on",
        pillar=Pillar.CLUSTER,
        severity=Severity.CRITICAL,
        level=Level.MANDATORY,
        resource="perenne",
        urn=None,
        problem="vSphere HA is off",
        outage="Servers stay down.",
        change="Set haEnabled: true.",
    )
    pulumi.refusal = Report(stack="dev", refused=True, violations=[violation], waived=[], undecided=[], failed=[])
    with pytest.raises(Failure) as failure:
        deploy.deploy(pulumi, Display(plain=True))
    assert failure.value.what == "the policies refuse stack dev, and nothing was changed"
    assert "✗ perenne: vSphere HA is off" in failure.value.why
    assert "to do  Set haEnabled: true." in failure.value.why


def test_the_judgement_of_an_earlier_run_does_not_count(dev: Stack) -> None:
    file = verdict.file_of(dev)
    file.write_text("{}")
    assert verdict.file_of(dev) == file
    assert verdict.read(file) is None
