"""Rules about how the pack itself is used."""

from collections.abc import Iterator

from policies.judging.configuration import Waiver
from policies.judging.rule import Context, Finding, Severity, rule


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
)
def waivers_end(waiver: Waiver, context: Context) -> Iterator[Finding]:
    """A waiver that is void."""
    if flaw := waiver.flaw(context.today):
        yield Finding(None, f"the waiver of {waiver.rule} for {waiver.resource} is void: {flaw}")
