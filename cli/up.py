"""`./perenne up`: from whatever is there to the stack of the stack file, answering through its virtual address."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from blueprint.keys import site_authorities
from blueprint.terms import Role
from cli import artifacts, drift, engine, packages
from cli.attach import working_engine
from cli.console import Display, err, out, say
from cli.deploy import await_page, check_restarts, deploy, is_deployed, page_path
from cli.engine import Engine
from cli.events import Deployment
from cli.lab_start import start_lab
from lab.site import Condition, Lab, Outcome
from stack import vault
from stack.labs import lab_of
from stack.workspace import PRIVATE, Stack, cache, log_file, only_command


def up(stack: Stack, *, yes: bool, timings: bool, repair: bool = False, options: tuple[str, ...] = ()) -> int:
    """Bring a stack up; returns the exit code.

    Args:
        stack: Which one.
        yes: Don't ask before a real stack is changed; a lab's is never asked about.
        timings: Show a table of the steps and write `.perenne/timings.json`.
        repair: Look at the site first, and undo what was changed there by hand.
        options: Passed on to `pulumi up` of a real stack.
    """
    stack.check_file()
    began = time.monotonic()
    display = Display(log_file("up"))
    with only_command():
        if stack.is_lab:
            _lab_up(stack, display, repair=repair)
            status = 0
        else:
            status = _real_up(stack, display, options if not yes else (*options, "--yes"), repair=repair)
    if timings:
        _show_timings(display, time.monotonic() - began)
    return status


def _lab_up(stack: Stack, display: Display, *, repair: bool) -> None:
    began = time.monotonic()
    _announce(stack, lab_of(stack))
    lab = start_lab(stack, display)
    check_restarts(lab.pulumi)
    deployment = deploy(lab.pulumi, display, _to_mend(lab.pulumi, display) if repair else ())
    with display.step("page through the virtual address") as progress:
        seconds = await_page(lab.pulumi.stack, site_authorities(lab.secrets), progress)
    _conclude(lab.pulumi.stack, lab.outcome, deployment, seconds, time.monotonic() - began)


def _real_up(stack: Stack, display: Display, options: tuple[str, ...], *, repair: bool) -> int:
    """Check what can be checked before, then let Pulumi preview, ask and update."""
    pulumi = working_engine(stack, display)
    with display.step("services") as progress:
        artifacts.build(stack.settings, progress)
    with display.step("vCenter, and what its user may do there"):
        from stack.vcenter import check_user  # noqa: PLC0415 (VMware's library takes its time, and only real stacks need it)

        check_user(stack, vault.Vault.open(stack))
    check_restarts(pulumi)
    more = _to_mend(pulumi, display) if repair else ()
    return pulumi.attended("up", "--stack", stack.name, *engine.POLICIES, *options, *more)


def _to_mend(pulumi: Engine, display: Display) -> Sequence[str]:
    """Pulumi's options that undo what was changed by hand; none for a stack that is not deployed yet."""
    if not is_deployed(pulumi):
        return ()
    return drift.options_to_mend(drift.compare(pulumi, display))


def _announce(stack: Stack, lab: Lab) -> None:
    settings = stack.settings
    say(f"Perenne: stack {stack.name} in the embedded lab on this machine", "bold")
    if lab.engine.find() and lab.state().condition is Condition.HEALTHY:
        say("  The lab is up: what is there is checked, and changed only where it differs. Takes seconds.")
        return
    absent = [package.name for package in packages.missing(packages.LAB)]
    if lab.engine.find() is None:
        absent.append("docker.io (if it is not there), and starts it")
    if absent:
        say(f"  installs  {', '.join(absent)}")
    say(f"  builds    Pulumi where it can't be downloaded, the lab's images, PNP Manager; kept in {cache()}")
    machines = f"{len(settings.hosts)} ESXi hosts, {len(settings.storage)} storage array, a vCenter, a client"
    say(f"  starts    containers for {machines} and {len(settings.servers)} servers; ./perenne down removes them")
    say("  takes     about 12 minutes the first time on 2 cores, 3 when everything is built; 4 GiB of memory")


def _conclude(stack: Stack, outcome: Outcome, deployment: Deployment, page: float, total: float) -> None:
    settings = stack.settings
    path = page_path(stack)
    by_name = f"https://{settings.site.address}{path}"
    authority = stack.authority_file.relative_to(PRIVATE.parent)
    changed = "Nothing was changed" if deployment.changed == 0 else deployment.summary.capitalize()
    say(f"\n{changed} ({total:.0f} s; the page answered in {page * 1000:.0f} ms).")
    server = next(iter(settings.servers_of(Role.APPLICATION)))
    host = list(settings.hosts)[-1]
    lines = [
        ("PNP Manager, in a browser on this machine", f"{outcome.url}{path}"),
        ("through the virtual address", by_name),
        ("trust its certificate", f"import {authority} into the browser, or: curl --cacert {authority} {by_name}"),
        ("", ""),
        ("look around", "./perenne status    ./perenne ssh db01    ./perenne logs app01 -f"),
        ("pull the plug on a server", f"docker kill {lab_of(stack).name}-{server}"),
        ("pull the plug on a whole host", f"docker kill {lab_of(stack).name}-{host}"),
        ("end", "./perenne down"),
    ]
    grid = Table.grid(padding=(0, 2))
    for what, how in lines:
        grid.add_row(Text(what, "dim"), Text(how))
    out.print(Panel(grid, title=f"{settings.site.name} is up", title_align="left", expand=False))


def _show_timings(display: Display, total: float) -> None:
    table = Table("step", "seconds", title="Where the time went", title_justify="left")
    table.columns[1].justify = "right"
    for name, seconds in display.timings.items():
        table.add_row(name, f"{seconds:.1f}")
    table.add_row("in all (some run side by side)", f"{total:.1f}", style="bold")
    err.print(table)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": {name: round(seconds, 1) for name, seconds in display.timings.items()},
        "total": round(total, 1),
    }
    (PRIVATE / "timings.json").write_text(json.dumps(document, indent=2) + "\n")
