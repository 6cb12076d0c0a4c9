"""Steps that take back what several faults do."""

from drills.undo import How, Step


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
