"""Rules about backups."""

import re
from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, rule
from policies.reading import backups, guests, homes, iscsi, tiers
from policies.reading.tiers import Kind, Tier

_ELSEWHERE = re.compile(
    r"\bs3:|\bsftp:|\brest:https?|\bazure:|\bgs:|\bb2:|\bssh://|repo\d*-(host|s3-bucket|azure-|gcs-|sftp-)"
    r"|repo\d*-type\s*=\s*(s3|azure|gcs|sftp)|WAL[EG]_\w*PREFIX|\b(rsync|scp)\b[^\n]*\s[\w.-]+@?[\w.-]*:",
    re.IGNORECASE,
)
"""Backups that leave the site's own datastores."""
_COMMENT = re.compile(r"^\s*[#;].*$", re.MULTILINE)


@rule(
    id="BAK-01",
    title="The database is backed up, and no array holds all of it and all of its backups",
    severity=Severity.CRITICAL,
    outage="What replication copies at once, a wrong DELETE included, is gone for good; so is everything with a lost"
    " array.",
    remedy="Run scheduled backups on a server whose datastore is on another array than the database that they protect.",
    why="A standby protects from the loss of a server, not from a mistake: it repeats it within milliseconds. Backups"
    " on the only array that has the database go with that array. With two arrays, what one takes with it the other"
    " must have: a database server, or a backup; with one, different datastores are the most that a site can do."
    "\n\nThe rule sees backup programs that a timer or cron runs on the site's servers. Backups of whole VMs that"
    " somebody else takes (vSphere snapshots, Veeam) are not in the program: waive the rule, and say which they are.",
    source="PostgreSQL, “Continuous Archiving and Point-in-Time Recovery”",
    reads=("files of VMs: backup programs and their timers", "VirtualMachine.datastoreId", "VmfsDatastore.disks"),
    subjects=tiers.subjects_of(Kind.DATABASE),
    not_shown="No outage can show it; tests/lab/test_backup.py restores a backup to the last row.",
)
def backed_up(tier: Tier, context: Context) -> Iterator[Finding]:
    """No backup, or one that shares its fate with what it copies."""
    everybody = [guests.files_of(context.stack, machine) for machine in context.stack.of_type("VirtualMachine")]
    keepers = [files for files in everybody if backups.scheduled(files)]
    if not keepers:
        for files in everybody:
            files.require_all()
        yield Finding(None, f"nothing backs up {', '.join(sorted(one.label for one in tier.machines))}")
        return
    if any(_ELSEWHERE.search(_COMMENT.sub("", text)) for files in keepers for text in files.contents.values()):
        return
    machines = [*tier.machines, *(files.machine for files in keepers)]
    places = {_place(machine, context) for machine in machines}
    if len(places) == 1:
        yield Finding(keepers[0].machine, f"every database server and every backup is on {places.pop()}")


def _place(machine: Resource, context: Context) -> str:
    """What shares its fate with a VM: its host's disk, or its array where there are several, or its datastore.

    Raises:
        UndecidedError: It can't be told yet.
    """
    if disk := homes.own_disk(context.stack, machine):
        return disk
    stores = homes.datastores_of(context.stack, machine) or context.stack.referred(machine, "datastoreClusterId")
    if not stores:
        return f"datastore {machine.get('datastoreId') or machine.get('datastoreClusterId') or 'of the template'}"
    array = iscsi.array_of(context.stack, stores[0]) if context.thresholds.arrays > 1 else None
    return f"array {array}" if array else f"datastore {stores[0].label}"
