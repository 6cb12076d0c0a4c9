"""`./perenne patch`: every server and every host is patched, one at a time, and users notice nothing."""

import asyncio
import sys
import termios
from dataclasses import replace
from datetime import UTC, datetime

from cli.console import Display, say
from cli.drain import site_of
from cli.signals import Interrupted
from machine.failure import Failure
from moves.patching import Patch, Work
from moves.record import Progress, Record
from stack.vault import Vault
from stack.workspace import PRIVATE, Stack, log_file, only_command


def patch(stack: Stack, work: Work, *, anew: bool) -> int:
    """Patch a stack's servers and hosts, going on where the last patch stopped; returns 0.

    Args:
        stack: The stack.
        work: What is done to what is drained.
        anew: Begin with the first, whatever the last patch did.

    Raises:
        Failure: Redundancy is not whole, or something could not be done.
        Interrupted: By the user; nothing is drained then.
    """
    with only_command():
        record = Record(PRIVATE / "patch" / f"{stack.name}.json")
        if anew:
            record.forget()
        progress = record.read()
        if progress:
            done = ", ".join(progress.done) or "nothing"
            say(f"Going on with the patch that began at {progress.began}: {done} is done (--anew begins again).")
            if progress.to_restart:
                say(f"Still to be restarted: {', '.join(progress.to_restart)}")
        else:
            progress = Progress(began=datetime.now(UTC).isoformat(timespec="seconds"))
        work = _possible(stack, work)
        display = Display(log_file("patch"))
        vault = Vault.open(stack)
        attend = _attend if _attended(stack, work) else None
        patching = Patch(site_of(stack, say), work, record, vault, display.step, attend)
        try:
            asyncio.run(patching.run(progress))
        except KeyboardInterrupt:
            raise Interrupted(_interrupted(progress, stack)) from None
    say("Every part is patched and in service, and the site is whole.", "green")
    return 0


def _possible(stack: Stack, work: Work) -> Work:
    """What of the work can be done; it is said what can't."""
    if work.servers and work.packages and stack.is_lab:
        say(
            "The lab's servers reach no package source: no packages are fetched. They are restarted, to show the moves."
        )
        work = replace(work, packages=False, restart=True)
    if work.hosts and stack.is_lab and work.host_restart:
        say("The lab's hosts are not restarted: its vCenter can't do that.")
        work = replace(work, host_restart=False)
    if work.hosts and stack.is_lab and not work.host_command:
        say("Nothing is installed on the lab's hosts: each is emptied, in maintenance mode for a moment, and back.")
    elif work.hosts and not work.host_command and not work.host_restart and not sys.stdin.isatty():
        say("Hosts are left out: there is neither a terminal to ask at nor --host-command or --host-reboot.", "yellow")
        work = replace(work, hosts=False)
    return work


def _attended(stack: Stack, work: Work) -> bool:
    return not stack.is_lab and not work.host_command and not work.host_restart


async def _attend(host: str) -> None:
    """Wait until the operator has updated a host; Ctrl-C ends the wait."""
    say(
        f"{host} is in maintenance mode and empty. Update it now; once it is connected in vCenter again, press Enter.",
        "bold",
    )
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed while the host was being emptied is no answer
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    if not sys.stdin.readline():
        why = "the terminal is closed"
        raise Failure(f"nobody says that {host} is updated", why, "Run this again at one; it goes on with this host.")


def _interrupted(progress: Progress, stack: Stack) -> str:
    if not progress.current:
        return f"nothing is drained; {', '.join(progress.done) or 'nothing'} is done"
    undrain = stack.command("undrain", progress.current)
    status = stack.command("status")
    return f"{progress.current} was being patched; if {status} shows it as drained: {undrain}"
