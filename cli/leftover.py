"""What a drill that was killed has left broken, and how the next command takes it back."""

import asyncio

from cli.console import say
from machine.failure import Failure
from stack.workspace import JOURNAL, Stack


def undo_leftover() -> None:
    """Take back what is left; nothing while a drill is at work.

    Raises:
        Failure: It can't be taken back.
    """
    if not JOURNAL.exists():
        return  # the usual case, before any library of the drills is loaded
    from drills.undo import at_work  # noqa: PLC0415 (only where there is something to undo)

    with at_work() as free:
        if free:
            take_back()
        else:
            say("A drill is at work: what it breaks is broken on purpose.", "yellow")


def forget_leftover(stack: Stack) -> None:
    """Remove the journal of a drill that was killed on a lab that is gone: nothing that it broke exists any more.

    Raises:
        Failure: It can't be understood.
    """
    if not JOURNAL.exists():
        return
    from drills.undo import Journal  # noqa: PLC0415 (only where there is something to undo)

    journal = Journal.left(JOURNAL)
    if journal and journal.stack == stack.name:
        JOURNAL.unlink()


def take_back() -> None:
    """Do what the journal says, if there is one; the caller holds the drills' lock.

    Raises:
        Failure: It can't be done.
    """
    # Only where there is something to undo: every `up` and `status` passes by here.
    from drills.performing import Performer  # noqa: PLC0415 (see above)
    from drills.undo import Journal  # noqa: PLC0415 (see above)
    from moves.hands import hands_for  # noqa: PLC0415 (see above)
    from moves.vcenter import VCenter  # noqa: PLC0415 (see above)
    from stack.vault import Vault  # noqa: PLC0415 (see above)

    journal = Journal.left(JOURNAL)
    if journal is None:
        return
    say(f"A drill was killed: its fault {journal.fault} on stack {journal.stack} is taken back first.", "yellow")
    stack = Stack(journal.stack)
    vault = Vault.open(stack)
    left = asyncio.run(journal.keep(Performer(stack, hands_for(stack, vault), VCenter(stack, vault))))
    if left:
        remedy = f"Do that, then run this again; where the machines are gone anyway, remove {JOURNAL}."
        raise Failure(f"the fault {journal.fault} could not be taken back", "\n".join(left), remedy)
    say("It is taken back.", "green")
