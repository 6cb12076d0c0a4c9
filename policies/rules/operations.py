"""Rules about how the pack itself is used."""

from collections.abc import Iterator

from policies.judging.configuration import Waiver
from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.reading import guests, patroni
from policies.reading.documents import UnreadableError, mapping

_LONGEST_DAYS = 366


@rule(
    id="OPS-01",
    title="Every waiver has a reason, an owner and a day on which it ends",
    severity=Severity.LOW,
    outage="A risk that somebody once took for a week is still there after years, and nobody knows whose it is.",
    remedy="Write reason, owner and expires into the waiver, or mend what it covers and remove it.",
    why="Every site has its reasons to live with something for a while. A waiver says so in the open: what, why, who,"
    " until when. One that has expired covers nothing any more: what it covered is refused again.",
    reads=("configuration: waivers",),
    subjects=lambda context: context.waivers,
    not_shown="No outage by itself.",
)
def waivers_end(waiver: Waiver, context: Context) -> Iterator[Finding]:
    """A waiver that is void."""
    if flaw := waiver.flaw(context.today):
        yield Finding(None, f"the waiver of {waiver.rule} for {waiver.resource} is void: {flaw}")
    elif waiver.expires and (waiver.expires - context.today).days > _LONGEST_DAYS:
        yield Finding(
            None,
            f"the waiver of {waiver.rule} for {waiver.resource} ends in more than a year",
            "Let it expire within a year, and decide again then.",
        )


@rule(
    id="OPS-02",
    title="What servers are given can be read",
    severity=Severity.HIGH,
    outage="cloud-init or Patroni refuses the file: the server comes up without name, address or database, maybe only"
    " after its next restart.",
    remedy="Correct the document; its encoding must be what guestinfo's .encoding says.",
    why="A file that can't be parsed is found out when it is read: at the first boot, or years later, when a server"
    " restarts after a failure. Until it is corrected the other rules can't judge what it says.",
    source="cloud-init, VMware data source; Patroni, “YAML Configuration Settings”",
    reads=("VirtualMachine.extraConfig: guestinfo", "files of VMs: Patroni's YAML and dynamic.json"),
    subjects=resources("VirtualMachine"),
    not_shown="A server that never comes up is no outage of a running site.",
)
def readable(machine: Resource, context: Context) -> Iterator[Finding]:
    """A document that nobody can read."""
    files = guests.files_of(context.stack, machine)
    for flaw in files.unreadable:
        yield Finding(machine, f"{flaw}, so that {machine.label} can't read it")
    for path, text in files.contents.items():
        if patroni.is_configuration(path):
            try:
                mapping(text, path)
            except UnreadableError as error:
                yield Finding(files.source(path), f"{error}, so that {machine.label} can't read it")
