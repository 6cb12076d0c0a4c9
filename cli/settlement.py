"""What a killed engine left unfinished: found out in vCenter, settled in Pulumi's state, so that the next run goes on.

Pulumi notes in its state what it is about to do; killed, it can't note whether that happened. `pulumi refresh` asks
people about each (`--import-pending-creates`, `--clear-pending-creates`); here vCenter is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from cli.console import Progress
from cli.engine import Engine
from cli.events import name_of
from cli.pending import Operation, State, describe, operations, records
from machine.failure import Failure
from stack.inventory import KINDS, LIBRARY_ITEM, VIRTUAL_MACHINE, Inventory

Record = dict[str, Any]

_REPEATED = ("command:", "pulumi:providers:")
"""Scripts are idempotent, and a provider is nothing outside of the engine: both are simply made again."""

_NAMED = ("postgresql:index/role:Role", "postgresql:index/database:Database")
"""Their ids are their names: they are taken into the state, and the refresh drops them if they don't exist."""


def settle(
    pulumi: Engine,
    vcenter: Callable[[], AbstractContextManager[Inventory]],
    progress: Progress,
    *,
    destroy: bool = False,
) -> None:
    """Find out what became of unfinished operations, and write it into the state. May be killed and done again.

    A VM or a library item that was being made is deleted: nothing can be on it yet, and made again it is whole.
    Whatever else was being made is taken into the state as it is, and the run that follows makes it what the program
    says.

    Args:
        pulumi: The engine of the stack; nothing else works on it.
        vcenter: Opens a session at the stack's vCenter; used only if something there is unfinished.
        progress: Is told what was found.
        destroy: The run that follows destroys: a server that is off may stay so.

    Raises:
        Failure: vCenter does not answer, or can't tell; the state is as before.
    """
    state = pulumi.state()
    left = operations(state)
    if not left:
        return
    progress(f"an earlier run was killed while {describe(left)}")
    _check_known(left, pulumi.stack.name)
    found: dict[str, str | None] = {one.urn: one.inputs["name"] for one in left if one.kind in _NAMED}
    asked = [one for one in left if one.kind in KINDS]
    if asked:
        known = {one["id"] for one in records(state) if "id" in one and not one.get("pendingReplacement")}
        with vcenter() as inventory:
            inventory.await_tasks(pulumi.stack.settings.vcenter.user, progress)
            for one in asked:
                if one.verb == "creating":
                    found[one.urn] = _created(one, state, known, inventory, progress)
                else:
                    found[one.urn] = _still_there(one, inventory, progress, destroy=destroy)
    pulumi.set_state(settled(state, found))


def settled(state: State, found: Mapping[str, str | None]) -> dict[str, Any]:
    """The state without unfinished operations.

    What was being created and exists is in it under its id; what was being deleted and is gone is out of it, and out of
    what depended on it. All that exists is read before the next run does anything (`refreshBeforeUpdate`), so that it
    matters little how far the operation had got.

    Args:
        state: As exported.
        found: By URN, the id of what exists, and None for what doesn't; without what is simply repeated.
    """
    deployment = state["deployment"]
    kept: list[Record] = [dict(record) for record in records(state)]
    for one in operations(state):
        identity = found.get(one.urn)
        mine = [each for each in kept if each["urn"] == one.urn and each.get("id") == one.resource.get("id")]
        if one.verb == "creating":
            if identity is not None:
                kept = _with(kept, _adopted(one, identity, deployment["manifest"].get("time")))
        elif one.verb == "deleting" and one.urn in found and identity is None:
            kept = [each for each in kept if each not in mine]
            if not any(each["urn"] == one.urn for each in kept):
                kept = [_without(each, one.urn) for each in kept]
        elif not one.kind.startswith(_REPEATED):
            for record in mine:
                record["refreshBeforeUpdate"] = True
    return {**state, "deployment": {**deployment, "resources": kept, "pending_operations": []}}


def _check_known(left: Sequence[Operation], stack: str) -> None:
    unknown = [
        one
        for one in left
        if one.verb == "creating" and one.kind not in (*KINDS, *_NAMED) and not one.kind.startswith(_REPEATED)
    ]
    if unknown:
        raise Failure(
            f"an earlier run on stack {stack} was killed while {describe(unknown)}",
            "whether that happened is not known, and Perenne does not know where to look for it",
            "Look yourself, then tell Pulumi, which asks about each: "
            f'eval "$(./perenne env {stack})" && pulumi refresh --stack {stack}',
        )


def _created(one: Operation, state: State, known: set[str], inventory: Inventory, progress: Progress) -> str | None:
    """The id of what was made, if it is to be kept."""
    new = [identity for identity in inventory.find(one.kind, one.inputs) if identity not in known]
    for identity in new:
        if one.kind == VIRTUAL_MACHINE:
            inventory.remove_unused_vm(one.inputs, identity, _newest_dependency(one, state))
        elif one.kind == LIBRARY_ITEM:
            inventory.remove_item(identity)
    if new and one.kind in {VIRTUAL_MACHINE, LIBRARY_ITEM}:
        progress(f"{name_of(one.urn)} was half made: it is deleted, and made again")
        return None
    if len(new) > 1:
        raise Failure(
            f"what became of {name_of(one.urn)} can't be told",
            f"a run was killed that was creating it, and vCenter has {len(new)} of that name: {', '.join(new)}",
            "Delete those that are not needed in vCenter, then run this again.",
        )
    progress(f"{name_of(one.urn)} {'was made: it is taken over' if new else 'was not made yet'}")
    return new[0] if new else None


def _still_there(one: Operation, inventory: Inventory, progress: Progress, *, destroy: bool) -> str | None:
    """The id of what was being changed or deleted, if it exists; a server that was left switched off is started."""
    identity = str(one.resource["id"])
    if not inventory.has(one.kind, one.inputs, identity):
        progress(f"{name_of(one.urn)} is gone")
        return None
    started = one.kind == VIRTUAL_MACHINE and not destroy and inventory.power_on(identity, one.inputs["name"])
    progress(f"{name_of(one.urn)} is still there" + (", and was off: it is started" if started else ""))
    return identity


def _newest_dependency(one: Operation, state: State) -> datetime:
    """When the last of what a resource needs was made: it is no older, itself."""
    needed = set(one.resource.get("dependencies") or ())
    made = [record["created"] for record in records(state) if record["urn"] in needed and record.get("created")]
    return max((datetime.fromisoformat(text) for text in made), default=datetime.fromtimestamp(0, UTC))


def _adopted(one: Operation, identity: str, time: str | None) -> Record:
    """A record as the engine would have written it, but for what only the provider knows; outputs must not be empty.

    A provider that is asked about a resource without outputs takes it for an import, which has ids of its own
    (pulumi-terraform-bridge, `Provider.Read`).
    """
    record = {**one.resource, "id": identity, "outputs": dict(one.inputs), "refreshBeforeUpdate": True}
    return {**record, "created": time, "modified": time} if time else record


def _without(record: Record, urn: str) -> Record:
    """The record without a resource that it depended on, as a refresh leaves it when that is gone."""
    pruned = dict(record)
    for key in ("dependencies", "replaceWith"):
        if key in pruned:
            pruned[key] = [each for each in pruned[key] or () if each != urn]
    if "propertyDependencies" in pruned:
        pruned["propertyDependencies"] = {
            name: [each for each in urns or () if each != urn] for name, urns in pruned["propertyDependencies"].items()
        }
    if pruned.get("deletedWith") == urn:
        del pruned["deletedWith"]
    return pruned


def _with(old: list[Record], new: Record) -> list[Record]:
    """The records with one more, after all that it depends on; one that it replaces goes, or is to be deleted."""
    if any(
        (each["urn"], each.get("id")) == (new["urn"], new["id"]) and not each.get("pendingReplacement") for each in old
    ):
        return old  # it is there already
    kept = [each for each in old if each["urn"] != new["urn"] or not each.get("pendingReplacement")]
    needed = {
        new.get("parent"),
        (new.get("provider") or "").rpartition("::")[0],
        *(new.get("dependencies") or ()),
        *(urn for urns in (new.get("propertyDependencies") or {}).values() for urn in urns or ()),
    }
    place = 1 + max((index for index, each in enumerate(kept) if each["urn"] in needed), default=-1)
    for each in kept:
        if each["urn"] == new["urn"]:
            each["delete"] = True
    return [*kept[:place], new, *kept[place:]]
