"""The commands and their options; what they do is in the module of the same name, imported when it is needed."""
# ruff: noqa: PLC0415 (a help text must not wait for the lab's and Pulumi's libraries)

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stack.workspace import Stack

app = typer.Typer(
    name="perenne",
    help="A web platform that stays up: one Pulumi program, and a lab in which to run and break it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_COMMAND = {"allow_extra_args": True, "allow_interspersed_args": False}
"""What comes after the arguments is a command of its own, options and all."""

StackArgument = Annotated[str, typer.Argument(metavar="STACK", help="The stack; dev lives in the embedded lab.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A server or a host.")]
StackOption = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="The stack.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
_IN_FULL = "Show each change in full, as Pulumi does"


def _confirm(question: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def _stack(name: str, option: str = "") -> "Stack":
    from stack.workspace import TWIN, Stack

    if option and name not in ("dev", option):
        raise typer.BadParameter(f"which stack is meant: {name} or {option}?")
    return Stack(TWIN or option or name)  # in a twin's folder there is one stack


@app.command()
def up(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    yes: Yes = False,
    diff: Annotated[bool, typer.Option("--diff", help=f"{_IN_FULL}; of a real stack.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Undo what was changed on the site by hand, too.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Show where the time went.")] = False,
) -> None:
    """Install what is missing, start the lab (dev), preview, deploy, and say where the page is."""
    from cli.leftover import undo_leftover
    from cli.up import up as run

    undo_leftover()
    options = ("--diff",) if diff else ()
    raise typer.Exit(run(_stack(stack, option), yes=yes, timings=timings, repair=repair, options=options))


@app.command()
def preview(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    diff: Annotated[bool, typer.Option("--diff", help=f"{_IN_FULL}.")] = False,
) -> None:
    """Show what up would change."""
    from cli.preview import preview as run

    raise typer.Exit(run(_stack(stack, option), ("--diff",) if diff else ()))


@app.command()
def check(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Preview on a simulated vCenter: needs no site, no secrets and no state."),
    ] = False,
    state: Annotated[bool, typer.Option("--state", help="Judge what is deployed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
    sarif: Annotated[Path | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF for a code host.")] = None,
) -> None:
    """Judge a stack by the policies: single points of failure, worst first. Exit status 1: refused."""
    from cli.check import check as run

    if simulated and state:
        raise typer.BadParameter("what is deployed is on no simulated vCenter: give --simulated or --state")
    raise typer.Exit(run(_stack(stack, option), simulate=simulated, state=state, as_json=json, sarif_file=sarif))


@app.command()
def drift(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Show what was changed by hand: resources, files on servers, where servers run. Exit status 3: something was."""
    from cli.drift import drift as run

    raise typer.Exit(run(_stack(stack, option), as_json=json))


@app.command(context_settings=_PASSED_ON)
def twin(
    context: typer.Context,
    stack: Annotated[str, typer.Argument(metavar="STACK", help="A real stack.")],
    *,
    change: Annotated[
        Path | None,
        typer.Option("--change", metavar="FILE", help="Then change it to this stack file, while users are counted."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the twin up.")] = False,
) -> None:
    """Rehearse a real stack in a lab of its own: deploy, check, change; or give a twin that is up a COMMAND."""
    from cli.twin import Order
    from cli.twin import twin as run
    from cli.twin_folder import become

    if context.args:
        become(_stack(stack), context.args)
    raise typer.Exit(run(_stack(stack), Order(change, keep=keep)))


@app.command()
def mutate(
    *,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="At most so many changes a stack.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the sample.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Prove the policies: make every change that brings in a single point of failure; see what refuses it."""
    from cli.mutate import mutate as run

    raise typer.Exit(run(sample, seed, as_json=json))


@app.command()
def forecast(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Compute from the settings what each fault costs users at most."""
    from cli.forecast import show

    raise typer.Exit(show(_stack(stack, option), as_json=json))


@app.command()
def describe(stack: StackArgument = "dev", option: StackOption = "") -> None:
    """Print the site's design as a page: addresses, cabling, LUNs, placement, votes, what each fault costs."""
    from cli.describe import show

    raise typer.Exit(show(_stack(stack, option)))


@app.command()
def status(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Show who is primary, who holds the virtual addresses, which nodes serve, what runs where, and what is missing."""
    from cli.status import status as run

    raise typer.Exit(run(_stack(stack, option), json=json))


@app.command()
def switchover(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="Which standby; else the synchronous one.")
    ] = None,
) -> None:
    """Make the synchronous standby the primary; writes wait until it is."""
    from cli.switchover import switchover as run

    raise typer.Exit(run(_stack(stack, option), to))


@app.command()
def drain(node: NodeArgument, stack: StackArgument = "dev", option: StackOption = "") -> None:
    """Take a server or a host out of use, so that it can be stopped; users notice nothing."""
    from cli.drain import drain as run

    raise typer.Exit(run(_stack(stack, option), node))


@app.command()
def undrain(node: NodeArgument, stack: StackArgument = "dev", option: StackOption = "") -> None:
    """Put a server or a host that was drained back into service."""
    from cli.drain import undrain as run

    raise typer.Exit(run(_stack(stack, option), node))


@app.command()
def patch(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    only: Annotated[str, typer.Option("--only", metavar="servers|hosts", help="Leave the others out.")] = "",
    packages: Annotated[bool, typer.Option("--packages/--no-packages", help="Install newer Debian packages.")] = True,
    reboot: Annotated[bool, typer.Option("--reboot", help="Restart every server, whatever was installed.")] = False,
    host_command: Annotated[
        str, typer.Option("--host-command", metavar="COMMAND", help="Run on each host while it is empty, as root.")
    ] = "",
    host_reboot: Annotated[bool, typer.Option("--host-reboot", help="Then restart the host through vCenter.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Don't go on where the last patch stopped.")] = False,
) -> None:
    """Patch every server and every host, one at a time; users notice nothing."""
    from cli.patch import patch as run
    from moves.patching import Work

    if only not in ("", "servers", "hosts"):
        raise typer.BadParameter("--only takes servers or hosts")
    work = Work(
        servers=only != "hosts",
        hosts=only != "servers",
        packages=packages,
        restart=reboot,
        host_command=host_command,
        host_restart=host_reboot,
    )
    raise typer.Exit(run(_stack(stack, option), work, anew=anew))


@app.command(context_settings=_COMMAND)
def ssh(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A server, a host, or a part of the lab (san01, vcenter, client).")],
    option: StackOption = "dev",
) -> None:
    """Open a shell on a server, or run a COMMAND there."""
    from cli.remote import ssh as run

    command = context.args[1:] if context.args[:1] == ["--"] else context.args
    raise typer.Exit(run(_stack(option), name, command))


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A server, a host, or a part of the lab.")],
    option: StackOption = "dev",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    unit: Annotated[str | None, typer.Option("--unit", "-u", help="Of one unit only: patroni, wildfly …")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show a server's journal."""
    from cli.remote import logs as run

    raise typer.Exit(run(_stack(option), name, follow=follow, unit=unit, lines=lines))


@app.command()
def drill(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[DRILL]...", help="Which ones; --list shows all.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every drill that this stack can show.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Every drill that breaks a policy rule first.")] = False,
    random: Annotated[int, typer.Option("--random", min=0, metavar="N", help="N of them, by chance.")] = 0,
    seed: Annotated[int | None, typer.Option("--seed", help="Repeat the chance of an earlier --random.")] = None,
    first: Annotated[int, typer.Option("--from", min=1, metavar="K", help="Begin with the Kth of --random.")] = 1,
    runs: Annotated[int, typer.Option("--runs", min=1, help="How often; several drills take turns.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest series that was not ended.")] = False,
    hours: Annotated[float | None, typer.Option("--hours", min=0, help="Begin no drill after this time.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="The same; both add up.")] = None,
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="Live sessions.")] = 1000,
    real: Annotated[str, typer.Option("--real", metavar="STACK", help="Break a real stack; it asks first.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show them all, and break nothing.")] = False,
) -> None:
    """Break something on purpose while clients use the service, and measure what they saw."""
    from cli import drill as drills

    stack = _stack(real or "dev")
    if list_:
        raise typer.Exit(drills.show_list(stack))
    order = drills.Order(
        names=tuple(names or ()),
        everything=every,
        rules=rules,
        random_count=random,
        seed=seed,
        first=first,
        runs=runs,
        sessions=sessions,
        resume=resume,
        minutes=None if hours is None and minutes is None else 60 * (hours or 0) + (minutes or 0),
        real=real,
    )
    raise typer.Exit(drills.drill(stack, order, lambda question: typer.prompt(question, err=True)))


@app.command()
def init(stack: Annotated[str, typer.Argument(metavar="STACK", help="The stack.")], *, yes: Yes = False) -> None:
    """Make the passwords, keys and certificates that a stack misses, encrypted in its file."""
    from cli.init import init as run

    raise typer.Exit(run(_stack(stack), yes=yes))


@app.command()
def rotate(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="This secret; may be given several times.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show every secret, and change nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Give a running site new passwords, keys and certificates, step by step, so that nothing stops."""
    from cli import rotate as rotation

    if list_:
        raise typer.Exit(rotation.show(_stack(stack, option)))

    def prompt(question: str) -> str:
        return str(typer.prompt(question, hide_input=True, err=True))

    asked = prompt if sys.stdin.isatty() else None
    raise typer.Exit(rotation.rotate(_stack(stack, option), only or (), yes=yes, prompt=asked, confirm=_confirm))


@app.command()
def doctor() -> None:
    """Show what is there, what is missing, and the one command that mends it."""
    from cli.doctor import doctor as run

    raise typer.Exit(run())


@app.command()
def env(stack: StackArgument = "dev", option: StackOption = "") -> None:
    """Print what your shell needs for plain pulumi: eval "$(./perenne env)"."""
    from cli.env import env as lines

    print(lines(_stack(stack, option)))


@app.command("test", context_settings=_PASSED_ON)
def run_tests(
    context: typer.Context,
    *,
    lint: Annotated[bool, typer.Option("--lint", help="Only format, lint and types.")] = False,
    unit: Annotated[bool, typer.Option("--unit", help="Only what needs no lab.")] = False,
) -> None:
    """Check format, lint and types and run every test, those on the lab included."""
    from cli.tests import run_all as run

    raise typer.Exit(run(_stack("dev"), lint=lint, unit=unit, arguments=context.args))


@app.command()
def down(
    stack: StackArgument = "dev",
    option: StackOption = "",
    *,
    yes: Yes = False,
    caches: Annotated[bool, typer.Option("--caches", help="What was downloaded and built goes, too.")] = False,
) -> None:
    """Remove the lab with all that is in it; destroy a real stack after asking twice."""
    from cli.down import down as run

    raise typer.Exit(run(_stack(stack, option), caches=caches, confirm=_confirm, destroy=yes))
