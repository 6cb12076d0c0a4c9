"""What must hold in every drill, as functions over what was recorded."""

from collections.abc import Sequence
from itertools import pairwise

from drills.model import UNKNOWN, Invariant, Recording, Request, WriterSample
from machine.failure import Failure
from moves.standing import Standing

SETTLED_SECONDS = 2.0
"""The virtual address must have one holder in every observation of so many last seconds."""

TWO_WRITERS = "never two writers"
WHOLE = "the stack is whole again"
TOOK_EFFECT = "the fault took effect"

_SHOWN = 5
"""How many pieces of evidence are shown."""


def of_recording(recording: Recording) -> tuple[Invariant, ...]:
    """The first four, which a recording alone decides."""
    return (
        no_acknowledged_write_is_lost(recording),
        never_two_writers(recording.writers),
        sessions_survive(recording),
        one_holder(recording),
    )


def took_effect(shown: str) -> Invariant:
    """What was to be broken was."""
    return Invariant(TOOK_EFFECT, True, shown)


def took_no_effect(failure: Failure) -> Invariant:
    """What operators do on purpose has failed."""
    return Invariant(TOOK_EFFECT, False, f"{failure.what}: {failure.why}")


def with_control(found: Sequence[Invariant], must_break: str) -> tuple[Invariant, ...]:
    """The same, but the one of that name must be broken: else the checker finds nothing where there is something."""
    return tuple(
        Invariant(f"the checker finds out whether {each.name}", not each.held, each.detail)
        if each.name == must_break
        else each
        for each in found
    )


def no_acknowledged_write_is_lost(recording: Recording) -> Invariant:
    """Every ledger id that was acknowledged is there afterwards, once."""
    ledger = recording.ledger
    name = "no acknowledged write is lost"
    if ledger.unchecked:
        return Invariant(name, False, f"{UNKNOWN}{ledger.unchecked}")
    if not ledger.acknowledged:
        return Invariant(name, False, f"{UNKNOWN}no write was acknowledged")
    if ledger.lost or ledger.doubled:
        parts = [
            f"{len(ids)} of {ledger.acknowledged} {what}: {_some(ids)}"
            for what, ids in (("lost", ledger.lost), ("doubled", ledger.doubled))
            if ids
        ]
        return Invariant(name, False, "; ".join(parts))
    return Invariant(name, True, f"{ledger.acknowledged} acknowledged, all there once")


def never_two_writers(samples: Sequence[WriterSample]) -> Invariant:
    """No server accepts a write on a timeline after another one has accepted one on a later timeline.

    A commit happened between the question and the answer. So two writers are proved where the old timeline was asked
    after the new one had answered; an answer that was only delayed, as that of a frozen server, proves nothing.
    """
    name = TWO_WRITERS
    accepted = [sample for sample in samples if sample.accepted and sample.timeline is not None]
    if not accepted:
        return Invariant(name, False, f"{UNKNOWN}no server accepted a write of the probe")
    first: dict[int, WriterSample] = {}
    for sample in sorted(accepted, key=lambda sample: sample.done):
        first.setdefault(_timeline(sample), sample)
    overlaps = [
        f"{old.server} accepted a write at +{old.done:.2f} s on timeline {old.timeline}, {new.server} one at "
        f"+{new.done:.2f} s on timeline {new.timeline}"
        for old in accepted
        for timeline, new in first.items()
        if timeline > _timeline(old) and old.sent > new.done
    ]
    overlaps += _same_timeline(accepted)
    if overlaps:
        return Invariant(name, False, f"{len(overlaps)} overlaps: {_some(overlaps)}")
    timelines = ", ".join(f"{sample.server} on timeline {timeline}" for timeline, sample in sorted(first.items()))
    return Invariant(name, True, f"{len(accepted)} writes of the probe: {timelines}")


def sessions_survive(recording: Recording) -> Invariant:
    """Every live session still has its last certain write."""
    sessions, name = recording.sessions, "sessions survive"
    if sessions.unchecked:
        return Invariant(name, False, f"{UNKNOWN}{sessions.unchecked}")
    if sessions.lost:
        lost = [
            f"session {one.session} at +{one.time:.1f} s on {one.node}: write {one.expected} expected, "
            + ("session gone" if one.found is None else f"{one.found} found")
            for one in sessions.lost
        ]
        return Invariant(name, False, f"{len(sessions.lost)} of {sessions.sessions} lost: {_some(lost)}")
    return Invariant(name, True, f"{sessions.certain} of {sessions.sessions} with their last write")


def one_holder(recording: Recording) -> Invariant:
    """Exactly one balancer holds the virtual address once the fault has settled."""
    name = "one balancer holds the virtual address"
    settled = [seen for seen in recording.observations if seen.time >= recording.seconds - SETTLED_SECONDS]
    if not settled:
        return Invariant(name, False, f"{UNKNOWN}nobody was observed at the end")
    # While a balancer does not answer the observer, as on a busy machine, "nobody" is no more than "not known".
    known = [seen for seen in settled if seen.site_address or not seen.silent]
    if not known:
        return Invariant(name, False, f"{UNKNOWN}no balancer answered the observer at the end")
    holders = {seen.site_address for seen in known}
    held = all(len(names) == 1 for names in holders) and len(holders) == 1
    detail = " or ".join(" and ".join(names) or "nobody" for names in sorted(holders))
    together = _seconds_with_two(recording)
    return Invariant(name, held, detail + (f"; two at once for {together:.1f} s before" if together else ""))


def whole_again(found: Standing, needs: Sequence[str], *, whole: bool, changes: str) -> Invariant:
    """All is redundant again and as the program describes it.

    Args:
        found: How the stack stands.
        needs: What somebody would have to look at, such as a unit that does not run.
        whole: Whether it came to be whole within the bound.
        changes: What `pulumi preview` would change; empty if nothing.
    """
    name = WHOLE
    reasons = [*found.missing(), *needs, *([f"pulumi preview: {changes}"] if changes else [])]
    if not whole and not reasons:
        reasons = ["it was not whole within the bound"]
    if reasons:
        return Invariant(name, False, "; ".join(reasons))
    return Invariant(name, True, "preview without changes, a synchronous standby, every server and unit up")


def primary_stays(recording: Recording, injected: float) -> Invariant:
    """The database did not fail over."""
    name = "the database does not fail over"
    before = {sample.timeline for sample in recording.writers if sample.accepted and sample.done <= injected}
    after = {sample.timeline for sample in recording.writers if sample.accepted and sample.sent > injected}
    if not before or not after:
        return Invariant(name, False, f"{UNKNOWN}no server accepted a write of the probe before or after")
    return Invariant(name, after <= before, f"timeline {_all(before)} before, {_all(after)} after")


def idempotent_succeed(recording: Recording) -> Invariant:
    """No request failed that anybody on the way could have sent again."""
    failed = [request for request in recording.requests if request.idempotent and not request.good]
    return _none_failed("no idempotent request fails", failed)


def all_succeed(recording: Recording) -> Invariant:
    """No request failed, of whatever kind."""
    return _none_failed("no request fails", [request for request in recording.requests if not request.good])


def _none_failed(name: str, failed: Sequence[Request]) -> Invariant:
    detail = [
        f"{request.kind} at +{request.sent:.2f} s: {request.status or request.error} after {request.seconds:.2f} s"
        for request in failed
    ]
    return Invariant(name, not failed, f"{len(failed)} failed: {_some(detail)}" if failed else "none failed")


def _same_timeline(accepted: Sequence[WriterSample]) -> list[str]:
    """Two servers that accept writes on one timeline: neither knows of the other's promotion."""
    servers: dict[int, set[str]] = {}
    for sample in accepted:
        servers.setdefault(_timeline(sample), set()).add(sample.server)
    return [
        f"{' and '.join(sorted(names))} both on timeline {timeline}"
        for timeline, names in servers.items()
        if len(names) > 1
    ]


def _seconds_with_two(recording: Recording) -> float:
    """For how long two balancers had the virtual address at the same time."""
    seen = recording.observations
    return sum((after.time - before.time for before, after in pairwise(seen) if len(before.site_address) > 1), 0.0)


def _timeline(sample: WriterSample) -> int:
    return sample.timeline or 0


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _all(timelines: set[int | None]) -> str:
    return " and ".join(str(timeline) for timeline in sorted(one for one in timelines if one is not None))
