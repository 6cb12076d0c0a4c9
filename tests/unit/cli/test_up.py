"""Going on from what an earlier `up` left, and telling the truth about what happened."""
# ruff: noqa: D102 (the fakes' methods are those of the real classes)

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from cli import engine, status, up, verdict
from cli.console import Display, Progress
from cli.engine import Engine
from cli.events import Deployment
from cli.failure import Failure
from cli.toolchain import Pulumi
from cli.workspace import Stack
from lab.site import Lab, Outcome
from policies.judging.configuration import Level
from policies.judging.report import Report, Reported
from policies.judging.rule import Pillar, Severity

VM = "urn:pulumi:dev::perenne::perenne:index:VirtualMachine$vsphere:index/virtualMachine:VirtualMachine::db01"
COMMAND = "urn:pulumi:dev::perenne::perenne:index:PostgresPair$command:remote:Command::db01-database"


class FakeLab:
    """Counts how often it is taken down."""

    def __init__(self) -> None:
        self.downs = 0

    def down(self, _progress: Progress) -> bool:
        self.downs += 1
        return True


class FakeEngine(Engine):
    """An engine with a state of its own."""

    document: dict[str, Any] | None = None
    written: Any = None

    @property
    def has_state(self) -> bool:
        return self.document is not None

    def state(self) -> dict[str, Any]:
        assert self.document is not None
        return self.document

    def set_state(self, document: Any) -> None:  # noqa: ANN401
        self.written = document

    refusal: Report | None = None
    options: Sequence[str] = ()

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


def _state(*operations: tuple[str, str]) -> dict[str, Any]:
    pending = [{"type": kind, "resource": {"urn": urn}} for kind, urn in operations]
    return {"version": 3, "deployment": {"resources": [], "pending_operations": pending}}


def _check(pulumi: FakeEngine, progress: Progress) -> FakeLab:
    lab = FakeLab()
    up._check_pending(pulumi, cast("Lab", lab), progress)
    return lab


def test_a_command_that_was_under_way_is_run_again(pulumi: FakeEngine, progress: Progress) -> None:
    pulumi.document = _state(("creating", COMMAND), ("updating", VM))
    assert _check(pulumi, progress).downs == 0
    assert engine.pending(pulumi.written) == []


def test_a_half_made_virtual_machine_means_a_new_lab(pulumi: FakeEngine, progress: Progress) -> None:
    pulumi.document = _state(("creating", VM))
    assert _check(pulumi, progress).downs == 1
    assert pulumi.written is None


def test_nothing_is_deployed_while_a_server_is_drained(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "drained", lambda _stack: ["app01"])
    pulumi.document = {"deployment": {"resources": [{"urn": VM}]}}
    with pytest.raises(Failure, match="app01 is drained") as raised:
        up._check_none_drained(pulumi)
    assert raised.value.remedy == "First: ./perenne undrain app01 dev"
    monkeypatch.setattr(status, "drained", lambda _stack: [])
    up._check_none_drained(pulumi)


def test_before_the_first_deployment_no_server_is_asked(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "drained", lambda _stack: pytest.fail("there is none"))
    for document in ({}, _state()):
        pulumi.document = document
        up._check_none_drained(pulumi)


def test_a_state_without_unfinished_operations_stays(pulumi: FakeEngine, progress: Progress) -> None:
    pulumi.document = _state()
    assert _check(pulumi, progress).downs == 0
    assert pulumi.written is None


@pytest.mark.parametrize(("known", "kept"), [("same", True), ("other", False), (None, False)])
def test_state_lives_as_long_as_its_lab(dev: Stack, progress: Progress, known: str | None, *, kept: bool) -> None:
    dev.file.parent.joinpath(".perenne").mkdir()
    stacks = dev.file.parent / ".perenne" / "state" / ".pulumi" / "stacks" / "perenne"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").touch()
    if known:
        dev.generation_file.write_text(known)
    up._adopt(dev, Outcome("same", built=False, replaced=(), url="https://127.0.0.1:8443"), progress)
    assert (stacks / "dev.json").exists() == kept
    assert dev.generation_file.read_text() == "same"


def test_a_failed_deployment_shows_the_first_errors_and_how_many_more(pulumi: FakeEngine) -> None:
    with pytest.raises(Failure) as failure:
        up.deploy(pulumi, Display(plain=True))
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
        up.deploy(pulumi, Display(plain=True))
    assert failure.value.what == "the policies refuse stack dev, and nothing was changed"
    assert "✗ perenne: vSphere HA is off" in failure.value.why
    assert "to do  Set haEnabled: true." in failure.value.why


def test_the_judgement_of_an_earlier_run_does_not_count(dev: Stack) -> None:
    file = verdict.file_of(dev)
    file.write_text("{}")
    assert verdict.file_of(dev) == file
    assert verdict.read(file) is None
