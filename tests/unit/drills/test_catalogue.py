"""The drills' catalogue: what the stack file's site can be put through, and what is chosen from it."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from blueprint import guests
from blueprint.guests import GuestRole
from blueprint.terms import Role
from cli import drill as command
from cli.drill import Order, drill, ordered_by
from drills.faults import CATALOGUE, Fault, chance, operation
from drills.faults.fault import Scene
from drills.model import Circumstances, Subject
from drills.report import document
from drills.report.summary import ENOUGH_RUNS, Runs, run_of
from drills.series import ORDER, Ordered, Series
from drills.undo import How, Journal
from lab.status import Host, Inventory
from lab.status import Status as LabStatus
from machine.failure import Failure
from moves.hands import ContainerAction
from moves.record import Progress
from moves.standing import Standing
from policies.rules import RULES
from stack.status import Answer, SiteStatus
from stack.workspace import Stack
from tests.unit.drills.test_rules_report import result
from tests.unit.drills.virtual_time import VirtualTimeLoop

DEV = Stack("dev")
SETTINGS = DEV.settings


def site(**changes: object) -> SiteStatus:
    """The dev site, whole."""
    answers = [
        Answer(name, server.role, str(server.address), server.host, serves=True)
        for name, server in SETTINGS.servers.items()
    ]
    by_name = {answer.name: answer for answer in answers}
    by_name["lb01"].addresses = [str(SETTINGS.site.address)]
    by_name["db02"].addresses = [str(SETTINGS.database.address)]
    found = SiteStatus("200", "db02", "db01", "lb01", "db02", answers, 3, 2, None)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def standing(**changes: object) -> Standing:
    return Standing(DEV, site(**changes))


@dataclass
class Hands:
    """Notes what is done, and checks that it was promised to be undone before."""

    journal: Journal
    done: list[tuple[str, str, int]] = field(default_factory=list)

    def _note(self, what: str, where: str) -> str:
        self.done.append((what, where, len(self.journal.steps)))
        return ""

    async def shell(self, server: str, script: str, *, seconds: float = 0.0) -> str:  # noqa: ARG002
        """Note it; only etcd answers."""
        if "endpoint status" in script:
            leader = {"Endpoint": "https://198.18.20.32:2379", "Status": {"header": {"member_id": 1}, "leader": 1}}
            return f"[{leader}]".replace("'", '"')
        return self._note("shell", server)

    async def container(self, action: ContainerAction, machine: str) -> str:
        """Note it."""
        self._note(action, machine)
        return "paused" if action == "pause" else "exited"

    async def packets(self, machine: str, script: str) -> str:  # noqa: ARG002
        """Note it."""
        self._note("packets", machine)
        return "3 packets dropped"

    async def starts(self, machine: str) -> AsyncGenerator[None]:
        """None."""
        raise AssertionError(machine)
        yield


@dataclass
class VCenter:
    """Does nothing but note what changes a rule."""

    journal: Journal
    done: list[tuple[str, str, int]] = field(default_factory=list)

    async def power_off(self, server: str) -> None:
        """Nothing."""

    async def switch_ha(self, *, on: bool) -> None:
        """Note it."""
        self.done.append(("HA", str(on), len(self.journal.steps)))

    async def restart_priority(self, server: str) -> str:  # noqa: ARG002
        """As the stack's application servers have it."""
        return "medium"

    async def set_restart_priority(self, server: str, priority: str) -> None:
        """Note it."""
        self.done.append((priority, server, len(self.journal.steps)))

    async def migrate(self, server: str, host: str) -> None:
        """Note it."""
        self.done.append((host, server, len(self.journal.steps)))

    async def enter_maintenance(self, host: str) -> None:
        """Nothing."""


def scene(tmp_path: Path, found: Standing | None = None, stack: Stack = DEV) -> Scene:
    journal = Journal("dev", "test", tmp_path / "undo.json")
    return Scene(stack, Hands(journal), VCenter(journal), journal, found or standing())  # type: ignore[arg-type]


def possible() -> list[Fault]:
    return [fault for fault in CATALOGUE.values() if not fault.unavailable(DEV)]


class Patch:
    """Stands for a whole patch, which has tests of its own."""

    async def run(self, progress: Progress) -> None:
        """Nothing."""


@pytest.mark.parametrize("fault", possible(), ids=lambda fault: fault.name)
def test_what_must_be_taken_back_is_promised_first(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that lasts has promised its end before it does anything."""
    monkeypatch.setattr(operation, "_rolling", lambda _scene: Patch())
    where = scene(tmp_path)

    async def run() -> None:
        if fault.without and fault.arrange:
            await fault.arrange(where)
        await fault.inject(where, await fault.aim(where))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    hands, vcenter = where.hands, where.vcenter
    assert isinstance(hands, Hands)
    assert isinstance(vcenter, VCenter)
    if fault.lasts is not None:
        assert where.journal.steps, "nothing takes it back"
        assert all(promised for _what, _where, promised in (*hands.done, *vcenter.done))


def test_each_rule_is_broken_by_one_drill_and_named_by_the_fault_it_is_about() -> None:
    broken = [fault for fault in CATALOGUE.values() if fault.without]
    assert len({fault.without for fault in broken}) == len(broken) > 0
    for fault in broken:
        assert not CATALOGUE[fault.sound].without
        (rule,) = [rule for rule in RULES if rule.id == fault.without]
        assert rule.drill, f"the page of {rule.id} has nothing to compare it with"
        assert fault.target is None
        assert not fault.primary_stays
        assert not fault.idempotent_succeed


@dataclass
class LocalHands(Hands):
    """Runs scripts on copies of the servers' files below a folder, where nothing can be restarted."""

    root: Path = Path()

    async def shell(self, server: str, script: str, *, seconds: float = 0.0) -> str:  # noqa: ARG002
        """Run it."""
        for folder in ("/etc/", "/var/lib/"):
            script = script.replace(folder, f"{self.root}/{server}{folder}")
        nothing = "systemctl() { :; }\ncurl() { :; }\n"
        command = ["bash", "-euc", nothing + script]
        done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
        return str(done.stdout)


@pytest.mark.parametrize(
    "fault", [fault for fault in CATALOGUE.values() if fault.without], ids=lambda fault: fault.name
)
def test_files_in_which_a_rule_is_broken_change_and_are_put_back(fault: Fault, tmp_path: Path) -> None:
    """What looks for something that isn't there fails; an etcd or a database that is stopped is another test's."""
    sound = written(tmp_path)
    journal = Journal("dev", "test", tmp_path / "undo.json")
    hands = LocalHands(journal, root=tmp_path)
    where = Scene(DEV, hands, VCenter(journal), journal, standing())  # type: ignore[arg-type]

    async def run() -> None:
        assert fault.arrange
        await fault.arrange(where)
        changed = [file for file, text in sound.items() if file.read_text() != text]
        assert bool(changed) is (fault.without in {"APP-01", "BAL-02", "BAL-03", "DB-02", "DB-04"})
        for step in reversed(journal.steps):
            if step.how is How.SHELL:
                await hands.shell(step.where, step.script)
        assert all(file.read_text() == text for file, text in sound.items())

    asyncio.run(run())


def written(root: Path) -> dict[Path, str]:
    """The files of the balancers and the application servers, as deployed."""
    files = {}
    for role in (GuestRole.BALANCER, GuestRole.APPLICATION):
        for name in SETTINGS.servers_of(Role(role)):
            for path, made in guests.files(SETTINGS, name, role, {"pnp-manager": "0" * 64}).items():
                file = root / name / path[1:]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(made.content)
                files[file] = made.content
    return files


def test_stacks_without_a_rule_are_broken_only_when_asked_for() -> None:
    assert not [name for name in sequence(Order(everything=True)) if name.startswith("without-")]
    assert not [name for name in sequence(Order(random_count=200, seed=1)) if name.startswith("without-")]
    asked = sequence(Order(rules=True))
    assert asked == tuple(fault.name for fault in CATALOGUE.values() if fault.without)


def sequence(order: Order) -> tuple[str, ...]:
    return ordered_by(DEV, order).sequence


@pytest.mark.parametrize(
    ("name", "machines"),
    [
        ("kill-postgres", ("db02",)),
        ("lose-standby", ("db01",)),
        ("kill-httpd", ("lb01",)),
        ("kill-etcd", ("db02",)),
        ("lose-witness", ("wit01",)),
        ("lose-worst-host", ("psexi02",)),
        ("lose-standby-host", ("psexi04",)),
        ("cut-primary-from-quorum", ("db02", "db01", "wit01")),
        ("stall-datastore", ("db02",)),
        ("drain-app", ("app01",)),
        ("drain-balancer", ("lb01",)),
        ("drain-standby", ("db01",)),
        ("drain-primary", ("db02",)),
    ],
)
def test_targets_are_found_by_role(name: str, machines: tuple[str, ...], tmp_path: Path) -> None:
    assert asyncio.run(CATALOGUE[name].aim(scene(tmp_path))).machines == machines


def test_whole_site_misses_nothing() -> None:
    assert standing().missing() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"page": "no answer"}, "the page does not answer"),
        ({"sync_standby": None}, "no synchronous standby"),
        ({"votes": 2}, "2 of 3 votes"),
        ({"primary": None}, "the primary is None"),
        ({"database_address_at": None}, "the database's address is at nobody"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, object], reason: str) -> None:
    assert any(reason in text for text in standing(**changes).missing())


def drained(*names: str) -> Standing:
    found = standing()
    for answer in found.site.servers:
        answer.drained = answer.name in names
        answer.serves = not answer.drained
    return found


@pytest.mark.parametrize("name", ["lb02", "app01", "wit01"])
def test_what_is_drained_is_said_and_is_not_broken(name: str) -> None:
    assert drained(name).missing() == [f"{name} is drained"]
    assert drained(name).missing((name,)) == []


def test_a_drained_standby_is_not_missed() -> None:
    found = drained("db01")
    found.site.sync_standby = None
    assert found.missing() == ["db01 is drained"]
    assert found.missing(("db01",)) == []


def test_beside_what_is_drained_everything_is_missed() -> None:
    found = drained("app01")
    found.site.sync_standby = None
    assert found.missing(("app01",)) == ["the database has no synchronous standby"]
    assert "app01 is drained" in found.missing(("app02",))


def test_a_host_in_maintenance_is_drained() -> None:
    host = Host(
        name="psexi02.vmlabs.int", connection_state="connected", power_state="poweredOn", in_maintenance_mode=True
    )
    vcenter = Inventory(hosts=(host,), vms=(), ha_events=())
    found = standing(lab=LabStatus(condition="healthy", machines={}, generation=None, url=None, vcenter=vcenter))
    assert found.missing() == ["psexi02 is in maintenance mode"]
    assert found.missing(("psexi02",)) == []


def test_two_of_a_tier_on_one_host_are_not_whole() -> None:
    found = standing()
    for answer in found.site.servers:
        if answer.role == "application":
            answer.host = "psexi03"
    assert found.missing() == ["2 application servers run on psexi03"]


def test_seed_repeats_the_choice() -> None:
    first = ordered_by(DEV, Order(random_count=20, seed=7))
    assert first == ordered_by(DEV, Order(random_count=20, seed=7))
    assert first.sequence != ordered_by(DEV, Order(random_count=20, seed=8)).sequence


def test_chance_has_enough_runs_of_what_has_a_target_and_every_fault() -> None:
    """The published series: from 20 runs on the 95th percentile is another one than the worst."""
    often = Counter(sequence(Order(random_count=500, seed=113)))
    assert all(often[name] >= ENOUGH_RUNS for name in chance.OFTEN)
    assert often["freeze-primary-5s"] >= 100
    assert set(often) == set(sequence(Order(everything=True))) - chance.NEVER


def test_chance_knows_the_drills_that_it_favours_or_leaves_out() -> None:
    assert {*chance.OFTEN, *chance.NEVER} <= set(CATALOGUE)


def test_seed_that_nobody_gave_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    first = ordered_by(DEV, Order(random_count=20))
    assert f"--random 20 --seed {first.seed} runs the same drills again" in " ".join(capsys.readouterr().err.split())
    assert first == ordered_by(DEV, Order(random_count=20, seed=first.seed))


def test_later_drills_of_a_sequence_are_the_same() -> None:
    whole, later = (ordered_by(DEV, Order(random_count=20, seed=7, first=first)) for first in (1, 11))
    assert later.sequence == whole.sequence
    assert later.first == 11


def test_several_runs_take_turns() -> None:
    """So that a drift of the machine hits all alike."""
    ordered = ordered_by(DEV, Order(("kill-httpd", "kill-etcd"), runs=2))
    assert ordered.sequence == ("kill-httpd", "kill-etcd", "kill-httpd", "kill-etcd")
    assert ordered.chance is None


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order(), "no drill was named"),
        (Order(("no-such",)), "no drill no-such"),
        (Order(("lose-array",)), "can't be run"),
        (Order(random_count=5, seed=7, first=6), "can't begin there"),
        (Order(random_count=5, first=2), "can't begin there"),
        (Order(("kill-httpd",), runs=3, first=2), "can't begin there"),
    ],
)
def test_refusals(order: Order, why: str) -> None:
    with pytest.raises(Failure, match=why):
        ordered_by(DEV, order)


@pytest.mark.parametrize(
    "order",
    [
        Order(("kill-httpd",), resume=True),
        Order(rules=True, resume=True),
        Order(("kill-httpd",), everything=True),
        Order(random_count=5, rules=True),
    ],
)
def test_what_to_run_is_said_in_one_way(order: Order) -> None:
    with pytest.raises(Failure, match="not clear what to run"):
        drill(DEV, order, lambda _: "")


class BegunError(Exception):
    """A drill would begin now."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published results: the first drill of 20 with the seed 7; whatever would begin is kept from it."""

    def begins() -> None:
        raise BegunError

    found = Runs()
    found.keep(run_of(result("kill-httpd", 0.5), 1))
    went = Circumstances(ordered_by(DEV, Order(random_count=20, seed=7)).chance)
    file = tmp_path / "results.json"
    file.write_bytes(document.as_json(document.document(found, "dev", lab=True, went=went)))
    monkeypatch.setattr(document, "RESULTS", file)
    monkeypatch.setattr(command, "only_command", begins)
    return file


LATER = Order(random_count=20, seed=7, first=11)


def test_the_published_sequence_goes_on(published: Path) -> None:
    with pytest.raises(BegunError):
        drill(DEV, LATER, lambda _: "")
    published.unlink()
    with pytest.raises(BegunError):
        drill(DEV, LATER, lambda _: "")


@pytest.mark.usefixtures("published")
def test_another_sequence_than_the_published_one_does_not_begin_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "OFTEN", {**chance.OFTEN, "kill-httpd": 1000})
    with pytest.raises(Failure, match="the catalogue of drills has changed"):
        drill(DEV, LATER, lambda _: "")
    for order in (replace(LATER, first=1), replace(LATER, seed=8), replace(LATER, random_count=21)):
        with pytest.raises(BegunError):
            drill(DEV, order, lambda _: "")


@pytest.mark.parametrize(
    ("drift", "status"), [("", 0), (None, 0), ("db01 /etc/hosts has another content", command.BROKEN)]
)
def test_drills_that_left_the_site_changed_have_not_gone_well(
    drift: str | None, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_stack: Stack, series: Series, _minutes: float | None) -> bool:
        series.begin_part(Subject())
        series.end_part("all its drills were run", drift)
        return True

    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "_run", run)
    for name in ("only_command", "at_work"):
        monkeypatch.setattr(command, name, lambda: nullcontext(enter_result=True))
    monkeypatch.setattr(command, "take_back", lambda: None)
    assert drill(DEV, Order(("kill-httpd",)), lambda _: "") == status
    told = " ".join(capsys.readouterr().err.split())
    assert ("the site was not what the program says: db01 /etc/hosts has another content" in told) == bool(drift)
    assert ("./perenne up dev --repair mends it" in told) == bool(drift)


def test_containers_are_never_touched_on_a_real_site() -> None:
    """What a real stack offers is done over SSH or through vCenter."""
    real = Stack("prod")
    offered = {fault.name for fault in CATALOGUE.values() if not fault.unavailable(real)}
    assert "kill-postgres" in offered
    assert not {name for name in offered if name.startswith(("lose-", "freeze-", "cut-", "stall-"))}


def test_a_lost_array_takes_everything_on_it_and_nothing_else(tmp_path: Path) -> None:
    settings = Stack("prod").settings
    answers = [
        Answer(name, server.role, str(server.address), server.host, serves=True)
        for name, server in settings.servers.items()
    ]
    found = SiteStatus("200", "db02", "db01", "lb01", "db02", answers, 3, 2, None)
    lost = scene(tmp_path, Standing(Stack("prod"), found), Stack("prod"))
    fault = CATALOGUE["lose-array"]
    hit = asyncio.run(fault.aim(lost))
    assert hit.machines == ("san02", "lb02", "app02", "db02", "bak01")
    asyncio.run(fault.inject(lost, hit))
    assert [(step.how.value, step.where) for step in lost.journal.steps] == [("unpause", one) for one in hit.machines]
    assert "san01" not in hit.machines
    assert fault.unavailable(DEV)


def test_the_oldest_recordings_go_but_not_those_of_a_series_that_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "KEPT_RUNS", 2)
    sequences = {"1": ("kill-httpd", "kill-etcd"), "2": ("kill-httpd",), "4": ("kill-httpd",)}
    for name, sequence_ in sequences.items():
        (tmp_path / name).mkdir()
        Series.begin(tmp_path / name, Ordered(stack="dev", sessions=10, sequence=sequence_))
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / ORDER).write_text("nothing that a drill writes")
    new = command._new_folder()
    assert {folder.name for folder in tmp_path.iterdir()} == {"1", "4", new.name}
