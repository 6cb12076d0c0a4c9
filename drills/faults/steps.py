"""Steps that take back what several faults do."""

from drills.undo import TRY_SECONDS, How, Step


def on_server(server: str, *, does: str, by_hand: str, script: str, seconds: float = TRY_SECONDS) -> Step:
    """A script has run on a server (bash, as root), in so many seconds at most."""
    return Step(how=How.SHELL, where=server, does=does, by_hand=by_hand, script=script, seconds=seconds)


def powered_on(server: str) -> Step:
    """A server is on."""
    return Step(
        how=How.POWER_ON,
        where=server,
        does=f"power {server} on",
        by_hand=f"Power {server} on in vCenter.",
    )


def going_on(machine: str) -> Step:
    """A container is not paused."""
    return Step(
        how=How.UNPAUSE,
        where=machine,
        does=f"let {machine} go on",
        by_hand=f"docker unpause the container of {machine}.",
    )


def started(host: str) -> Step:
    """A host's container runs."""
    by_hand = f"docker start the container of {host}."
    return Step(how=How.START, where=host, does=f"start {host} again", by_hand=by_hand)


def end_maintenance(host: str) -> Step:
    """A host takes servers again."""
    return Step(
        how=How.END_MAINTENANCE,
        where=host,
        does=f"take {host} out of maintenance mode",
        by_hand=f"Exit maintenance mode of {host} in vCenter.",
    )


def home() -> Step:
    """Every server runs where the stack file wants it."""
    return Step(
        how=How.HOME,
        where="all servers",
        does="move the servers back to their hosts",
        by_hand="Move every server to its host of the stack file in vCenter (vMotion).",
    )
