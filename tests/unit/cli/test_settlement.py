"""What a killed engine left: what exists is taken over, what is half made is made again, the rest is left alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from cli.console import Display, Progress
from cli.engine import Engine
from cli.pending import operations
from cli.settlement import settle, settled
from cli.toolchain import Pulumi
from machine.failure import Failure
from stack.inventory import LIBRARY_ITEM, VIRTUAL_MACHINE, Inventory
from stack.workspace import Stack

DATACENTER = "vsphere:index/datacenter:Datacenter"
DATASTORE = "vsphere:index/vmfsDatastore:VmfsDatastore"
ROLE = "postgresql:index/role:Role"
COMMAND = "command:remote:Command"
PROVIDER = "urn:pulumi:dev::perenne::pulumi:providers:vsphere::vcenter"
TIME = "2026-11-24T10:00:00Z"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::perenne::{kind}::{name}"


def record(kind: str, name: str, identity: str = "", **more: object) -> dict[str, Any]:
    """A resource as the state has it."""
    found = {"urn": urn(kind, name), "custom": True, "type": kind, "inputs": {"name": name}, **more}
    return found | {"id": identity, "outputs": {"name": name}} if identity else found


def state(resources: list[dict[str, Any]], *left: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A state with unfinished operations."""
    pending = [{"type": verb, "resource": resource} for verb, resource in left]
    deployment = {"manifest": {"time": TIME}, "resources": resources, "pending_operations": pending}
    return {"version": 3, "deployment": deployment}


def after(document: Mapping[str, Any], found: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The resources of the settled state, which has nothing unfinished."""
    done = settled(document, found)
    assert operations(done) == []
    assert done["version"] == document["version"]
    return list(done["deployment"]["resources"])


def test_what_was_made_is_taken_over_and_read_before_the_next_run() -> None:
    made = record(DATASTORE, "datastore01")
    assert after(state([], ("creating", made)), {made["urn"]: "datastore-7"}) == [
        {
            **made,
            "id": "datastore-7",
            "outputs": {"name": "datastore01"},
            "refreshBeforeUpdate": True,
            "created": TIME,
            "modified": TIME,
        }
    ]


def test_it_stands_after_all_that_it_depends_on_and_before_what_came_later() -> None:
    needed = [{"urn": PROVIDER, "id": "1"}, record(DATACENTER, "lab", "lab"), record(DATASTORE, "first", "1")]
    later = record(COMMAND, "later", "2")
    made = record(
        DATASTORE,
        "second",
        provider=f"{PROVIDER}::1",
        parent=needed[1]["urn"],
        dependencies=[],
        propertyDependencies={"disks": None, "hostSystemId": [needed[2]["urn"]]},
    )
    resources = after(state([*needed, later], ("creating", made)), {made["urn"]: "datastore-7"})
    assert [one["urn"] for one in resources] == [*(one["urn"] for one in needed), made["urn"], later["urn"]]


@pytest.mark.parametrize("found", [{urn(DATASTORE, "datastore01"): None}, {}], ids=["does not exist", "not asked"])
def test_what_was_not_made_is_forgotten(found: dict[str, str | None]) -> None:
    assert after(state([], ("creating", record(DATASTORE, "datastore01"))), found) == []


def test_what_was_made_in_place_of_a_deleted_one_takes_its_place() -> None:
    old = record(DATASTORE, "datastore01", "old", pendingReplacement=True)
    made = record(DATASTORE, "datastore01")
    (only,) = after(state([old], ("creating", made)), {made["urn"]: "new"})
    assert only["id"] == "new"
    assert "pendingReplacement" not in only


def test_what_was_made_beside_an_older_one_leaves_that_to_be_deleted() -> None:
    old, made = record(DATASTORE, "datastore01", "old"), record(DATASTORE, "datastore01")
    resources = after(state([old], ("creating", made)), {made["urn"]: "new"})
    assert {(one["id"], one.get("delete", False)) for one in resources} == {("new", False), ("old", True)}


def test_what_is_in_the_state_already_stays_as_it_is() -> None:
    old = record(ROLE, "backup", "backup")
    assert after(state([old], ("creating", record(ROLE, "backup"))), {old["urn"]: "backup"}) == [old]


def test_what_is_gone_leaves_the_state_and_what_depends_on_it_stays() -> None:
    gone, other = record(DATASTORE, "datastore01", "datastore-7"), record(DATASTORE, "datastore02", "datastore-8")
    both = [gone["urn"], other["urn"]]
    rule = record(
        "vsphere:index/vnic:Vnic",
        "rule",
        "1",
        dependencies=both,
        propertyDependencies={"ids": both, "name": None},
        deletedWith=gone["urn"],
    )
    assert after(state([gone, other, rule], ("deleting", gone)), {gone["urn"]: None}) == [
        other,
        {
            **{key: value for key, value in rule.items() if key != "deletedWith"},
            "dependencies": [other["urn"]],
            "propertyDependencies": {"ids": [other["urn"]], "name": []},
        },
    ]


def test_what_depends_on_an_older_copy_that_is_gone_depends_on_its_successor() -> None:
    old, new = record(DATASTORE, "datastore01", "old", delete=True), record(DATASTORE, "datastore01", "new")
    user = record(COMMAND, "db01", "1", dependencies=[new["urn"]])
    assert after(state([new, user, old], ("deleting", old)), {old["urn"]: None}) == [new, user]


def test_an_older_copy_that_is_gone_leaves_the_state() -> None:
    old, new = record(DATASTORE, "datastore01", "old", delete=True), record(DATASTORE, "datastore01", "new")
    assert after(state([new, old], ("deleting", old)), {old["urn"]: None}) == [new]


@pytest.mark.parametrize("verb", ["deleting", "updating"])
def test_what_is_still_there_is_read_before_the_next_run(verb: str) -> None:
    there = record(DATASTORE, "datastore01", "datastore-7")
    (only,) = after(state([there], (verb, there)), {there["urn"]: "datastore-7"})
    assert only == {**there, "refreshBeforeUpdate": True}


@pytest.mark.parametrize("verb", ["creating", "updating", "deleting"])
def test_a_command_is_simply_run_again(verb: str) -> None:
    command = record(COMMAND, "db01-database", "c1")
    assert after(state([command], (verb, command)), {}) == [command]


class FakeInventory:
    """A vCenter that has things by name."""

    def __init__(self, **there: list[str]) -> None:
        self.there = there
        self.did: list[tuple[object, ...]] = []

    def await_tasks(self, user: str, _say: object) -> None:
        """Nothing is under way."""
        self.did.append(("await", user))

    def find(self, _kind: str, inputs: Mapping[str, Any]) -> list[str]:
        """By name."""
        return self.there.get(inputs["name"], [])

    def has(self, kind: str, inputs: Mapping[str, Any], identity: str) -> bool:
        """By name and id."""
        return identity in self.find(kind, inputs)

    def power_on(self, uuid: str, _name: str) -> bool:
        """Every VM is off."""
        self.did.append(("start", uuid))
        return True

    def remove_item(self, item: str) -> None:
        """Delete an item."""
        self.did.append(("remove item", item))

    def remove_unused_vm(self, _inputs: Mapping[str, Any], uuid: str, not_before: datetime) -> None:
        """Delete a VM."""
        self.did.append(("remove VM", uuid, not_before))


class FakeEngine(Engine):
    """An engine with a state of its own."""

    document: dict[str, Any]
    written: Any = None

    def state(self) -> dict[str, Any]:
        """The state."""
        return self.document

    def set_state(self, document: Mapping[str, Any]) -> None:
        """Keep it."""
        self.written = document


@pytest.fixture
def pulumi(dev: Stack, tmp_path: Path) -> FakeEngine:
    return FakeEngine(dev, Pulumi("offline", tmp_path, None, "a test"))


def settle_with(pulumi: FakeEngine, there: FakeInventory, document: dict[str, Any], *, destroy: bool = False) -> Any:  # noqa: ANN401
    """Settle a state; returns what was written of it."""

    @contextmanager
    def vcenter() -> Iterator[Inventory]:
        yield cast("Inventory", there)

    pulumi.document = document
    settle(pulumi, vcenter, Progress(Display(plain=True), "test"), destroy=destroy)
    return pulumi.written and pulumi.written["deployment"]["resources"]


def test_a_whole_state_is_left_alone(pulumi: FakeEngine) -> None:
    assert settle_with(pulumi, FakeInventory(), state([record(DATASTORE, "datastore01", "1")])) is None


def test_vcenter_is_not_asked_where_nothing_of_it_is_unfinished(pulumi: FakeEngine) -> None:
    there = FakeInventory()
    command, provider = record(COMMAND, "db01-database"), record("pulumi:providers:vsphere", "vcenter")
    assert settle_with(pulumi, there, state([], ("creating", command), ("creating", provider))) == []
    assert there.did == []


def test_a_new_datastore_is_taken_over_and_never_made_again(pulumi: FakeEngine) -> None:
    there = FakeInventory(datastore01=["datastore-7"])
    (only,) = settle_with(pulumi, there, state([], ("creating", record(DATASTORE, "datastore01"))))
    assert only["id"] == "datastore-7"
    assert there.did == [("await", "administrator@vsphere.local")]


def test_a_half_made_server_is_deleted_and_made_again(pulumi: FakeEngine) -> None:
    needed = [
        record(DATASTORE, "datastore01", "1", created="2026-11-24T09:00:00Z"),
        record(LIBRARY_ITEM, "debian-12", "2", created="2026-11-24T09:30:00Z"),
        record(DATACENTER, "unrelated", "3", created="2026-11-24T09:45:00Z"),
    ]
    vm = record(VIRTUAL_MACHINE, "db01", dependencies=[one["urn"] for one in needed[:2]])
    there = FakeInventory(db01=["uuid-new"])
    assert settle_with(pulumi, there, state(needed, ("creating", vm))) == needed
    assert there.did[1:] == [("remove VM", "uuid-new", datetime(2026, 11, 24, 9, 30, tzinfo=UTC))]


def test_a_server_that_is_in_the_state_is_never_deleted(pulumi: FakeEngine) -> None:
    known = record(VIRTUAL_MACHINE, "db01", "uuid")
    there = FakeInventory(db01=["uuid"])
    settle_with(pulumi, there, state([known], ("creating", record(VIRTUAL_MACHINE, "db01"))))
    assert there.did[1:] == []


def test_a_half_uploaded_item_is_deleted_and_uploaded_again(pulumi: FakeEngine) -> None:
    there = FakeInventory(**{"debian-12": ["item"]})
    assert settle_with(pulumi, there, state([], ("creating", record(LIBRARY_ITEM, "debian-12")))) == []
    assert there.did[1:] == [("remove item", "item")]


def test_what_has_the_id_of_one_that_was_replaced_is_taken_over(pulumi: FakeEngine) -> None:
    """A switch's id is made of its host's and its own name: a new one has the old one's."""
    old = record(DATASTORE, "switch", "host:switch", pendingReplacement=True)
    there = FakeInventory(switch=["host:switch"])
    (only,) = settle_with(pulumi, there, state([old], ("creating", record(DATASTORE, "switch"))))
    assert "pendingReplacement" not in only


def test_two_of_one_name_are_told_to_the_user_and_the_state_stays(pulumi: FakeEngine) -> None:
    there = FakeInventory(datastore01=["datastore-7", "datastore-8"])
    with pytest.raises(Failure, match="datastore-7, datastore-8"):
        settle_with(pulumi, there, state([], ("creating", record(DATASTORE, "datastore01"))))
    assert pulumi.written is None


def test_a_kind_that_nobody_can_ask_for_is_told_to_the_user(pulumi: FakeEngine) -> None:
    with pytest.raises(Failure) as failure:
        settle_with(pulumi, FakeInventory(), state([], ("creating", record("aws:s3:Bucket", "backups"))))
    assert "Bucket backups" in failure.value.what
    assert "pulumi refresh" in failure.value.remedy
    assert pulumi.written is None


@pytest.mark.parametrize(("destroy", "started"), [(False, [("start", "uuid")]), (True, [])])
@pytest.mark.parametrize("verb", ["updating", "deleting"])
def test_a_server_that_was_left_off_is_started_unless_it_shall_go(
    pulumi: FakeEngine, verb: str, started: list[tuple[str, str]], *, destroy: bool
) -> None:
    vm, there = record(VIRTUAL_MACHINE, "db01", "uuid"), FakeInventory(db01=["uuid"])
    (only,) = settle_with(pulumi, there, state([vm], (verb, vm)), destroy=destroy)
    assert only["refreshBeforeUpdate"] is True
    assert there.did[1:] == started


def test_what_was_being_deleted_and_is_gone_is_settled(pulumi: FakeEngine) -> None:
    gone = record(DATASTORE, "datastore01", "datastore-7")
    assert settle_with(pulumi, FakeInventory(), state([gone], ("deleting", gone))) == []


def test_a_role_is_taken_over_by_its_name_for_the_refresh_to_judge(pulumi: FakeEngine) -> None:
    (only,) = settle_with(pulumi, FakeInventory(), state([], ("creating", record(ROLE, "backup"))))
    assert (only["id"], only["refreshBeforeUpdate"]) == ("backup", True)


def test_a_vcenter_that_does_not_answer_leaves_the_state_alone(pulumi: FakeEngine) -> None:
    @contextmanager
    def vcenter() -> Iterator[Inventory]:
        raise Failure("vCenter can't be reached", "timed out", "Look.")
        yield

    pulumi.document = state([], ("creating", record(DATASTORE, "datastore01")))
    with pytest.raises(Failure, match="can't be reached"):
        settle(pulumi, vcenter, Progress(Display(plain=True), "test"))
    assert pulumi.written is None
