"""`./perenne down`: takes the lab down, or destroys a real stack after asking twice."""

import shutil
from collections.abc import Callable
from pathlib import Path

from blueprint.mistakes import StackFileError
from cli import engine, plugins
from cli.attach import working_engine
from cli.console import Display, say
from cli.events import name_of
from cli.leftover import forget_leftover
from cli.pending import records
from lab.site import take_down
from machine import processes
from machine.failure import Failure
from stack import vault
from stack.workspace import BIN, LAB, REPOSITORY, Stack, cache, lab_name, log_file, only_command


def down(stack: Stack, *, caches: bool, confirm: Callable[[str], bool], destroy: bool) -> int:
    """Remove a stack; returns the exit code.

    Args:
        stack: Which one.
        caches: A lab's images, programs and packages go, too.
        confirm: Asks the user; for a real stack both questions must be answered with yes.
        destroy: The user has said on the command line that a real stack shall go.
    """
    with only_command():
        if _is_lab(stack):
            lab_down(stack, Display(log_file("down")), caches=caches)
            return 0
        return destroy_site(stack, confirm, destroy=destroy)


def _is_lab(stack: Stack) -> bool:
    """Whether there is a lab to take down; a stack file that was spoilt meanwhile must not keep it up."""
    try:
        return stack.is_lab
    except StackFileError:
        return stack.generation_file.exists()


def lab_down(stack: Stack, display: Display, *, caches: bool = False) -> None:
    """Remove a stack with the lab that it lives in; `caches` goes as far as `down` says."""
    engine.interrupt(stack)
    processes.end(plugins.orphans())
    with display.step("lab") as progress:
        existed = take_down(lab_name(), LAB, progress, images=caches)
    had_state = stack.generation_file.exists()
    engine.forget_state(stack)
    keys = vault.discard(stack)
    stack.authority_file.unlink(missing_ok=True)
    forget_leftover(stack)
    removed = [
        *(["the lab's containers, networks and volumes"] if existed else []),
        *([f"Pulumi's state of stack {stack.name}"] if had_state else []),
        *([f"{len(keys)} values that init had put into {stack.file.name}"] if keys else []),
    ]
    if caches:
        for folder in (cache(), BIN):
            removed += _remove(folder)
        for link in (REPOSITORY / "policies" / ".venv", REPOSITORY / ".venv"):
            if link.is_symlink():
                link.unlink()
    say(f"Removed: {'; '.join(removed)}." if removed else "There was nothing to remove.")
    if not caches and cache().exists():
        say(f"Kept: what was downloaded and built ({cache()}); ./perenne down --caches removes it, too.", "dim")


def destroy_site(stack: Stack, confirm: Callable[[str], bool], *, destroy: bool) -> int:
    """Destroy all that a stack describes, after two questions or with `destroy`; returns Pulumi's exit code.

    Raises:
        Failure: Something of it is protected: nothing is destroyed then. Or an unfinished run can't be settled.
    """
    settings = stack.settings
    what = f"{len(settings.servers)} servers with their data, datastores and cluster of {settings.site.name}"
    questions = (
        f"Stack {stack.name} is a real site. Destroy its {what}?",
        f"There is no way back. Really destroy stack {stack.name}?",
    )
    if not destroy and not all(confirm(question) for question in questions):
        say("Nothing was destroyed.")
        return 1
    pulumi = working_engine(stack, Display(log_file("down")), destroy=True)
    protected = [name_of(one["urn"]) for one in records(pulumi.state()) if one.get("protect")]
    if protected:
        raise Failure(
            f"stack {stack.name} is protected",
            f"{len(protected)} of its resources may not be deleted: {', '.join(protected)}",
            f"If all of it shall go: write perenne:protect: false into {stack.file.name}, then run "
            f"{stack.command('up')}, then this again.",
        )
    status = pulumi.attended("destroy", "--stack", stack.name, *(["--yes"] if destroy else []))
    if status == 0:
        stack.drained_file.unlink(missing_ok=True)
    return status


def _remove(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    shutil.rmtree(folder)
    return [str(folder)]
