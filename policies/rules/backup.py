"""Rules about backups."""

import re
from collections.abc import Iterator

from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, rule
from policies.reading import guests, iscsi, tiers
from policies.reading.tiers import Kind, Tier

_BACKUP = re.compile(r"pg_basebackup|pg_receivewal|pg_dump|pgbackrest|wal-g|barman|restic|borg", re.IGNORECASE)
_SCHEDULE = re.compile(r"\.timer$|/cron|crontab")


@rule(
    id="BAK-01",
    title="The database is backed up, and no array holds all of it and all of its backups",
    severity=Severity.CRITICAL,
    outage="What replication copies at once, a wrong DELETE included, is gone for good; so is everything with a lost"
    " array.",
    remedy="Run scheduled backups on a server whose datastore is on another array than the database that they protect.",
    why="A standby protects from the loss of a server, not from a mistake: it repeats it within milliseconds. Backups"
    " on the only array that has the database go with that array. With two arrays, what one takes with it the other"
    " must have: a database server, or a backup; with one, different datastores are the most that a site can do.",
    source="PostgreSQL, “Continuous Archiving and Point-in-Time Recovery”",
    reads=("files of VMs: backup programs and their timers", "VirtualMachine.datastoreId", "VmfsDatastore.disks"),
    subjects=lambda context: tiers.of_kind(context, Kind.DATABASE),
)
def backed_up(tier: Tier, context: Context) -> Iterator[Finding]:
    """No backup, or one that shares its fate with what it copies."""
    keepers = [
        machine
        for machine in context.stack.of_type("VirtualMachine")
        if _keeps_backups(guests.files_of(context.stack, machine))
    ]
    if not keepers:
        if any(not guests.files_of(context.stack, one).complete for one in context.stack.of_type("VirtualMachine")):
            raise UndecidedError("the stack", "what is put on its servers")
        yield Finding(None, f"nothing backs up {', '.join(sorted(one.label for one in tier.machines))}")
        return
    places = {place for machine in (*tier.machines, *keepers) if (place := _place(machine, context))}
    if len(places) == 1:
        yield Finding(keepers[0], f"every database server and every backup is on {next(iter(places))[1]}")


def _keeps_backups(files: guests.GuestFiles) -> bool:
    """A backup program, and something that runs it by itself."""
    runs = bool(files.containing(_BACKUP))
    scheduled = any(_SCHEDULE.search(path) for path in files.contents)
    return runs and scheduled


def _place(machine: Resource, context: Context) -> tuple[str, str] | None:
    """What shares its fate with a VM: its array where there are several and it is known, else its datastore."""
    stores = context.stack.referred(machine, "datastoreId")
    if not stores:
        return None
    array = iscsi.array_of(context.stack, stores[0]) if context.thresholds.arrays > 1 else None
    return ("array", f"array {array}") if array else ("datastore", f"datastore {stores[0].label}")
