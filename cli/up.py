"""`./perenne up`: from whatever is there to the stack of the stack file, answering through its virtual address."""

import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from blueprint.keys import site_authorities
from blueprint.terms import Role
from cli import artifacts, engine, hostkeys, packages, pending, toolchain, vault, verdict
from cli.console import Display, Progress, err, out, say
from cli.engine import Engine
from cli.events import Deployment
from cli.failure import Failure
from cli.initialise import Initialised, check_secrets, initialise
from cli.labs import known_secrets, lab_of, lab_secrets
from cli.status import drained
from cli.steps import Step, run_steps
from cli.workspace import PRIVATE, Stack, cache, log_file, only_command
from lab.engine import check_space
from lab.images.build import Images, build_all
from lab.network import check_free, networks_of, routes
from lab.site import Condition, Lab, Outcome

PAGE_SECONDS = 60.0
_REQUEST_SECONDS = 3.0
_PAUSE_SECONDS = 0.2
_ERRORS_SHOWN = 10


def up(stack: Stack, *, yes: bool, timings: bool, repair: bool = False, options: tuple[str, ...] = ()) -> int:
    """Bring a stack up; returns the exit code.

    Args:
        stack: Which one.
        yes: Don't ask before a real stack is changed; a lab's is never asked about.
        timings: Show a table of the steps and write `.perenne/timings.json`.
        repair: Look at the site first, and undo what was changed there by hand.
        options: Passed on to `pulumi up` of a real stack.
    """
    stack.settings  # noqa: B018 (a wrong stack file is found before anything is started)
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
    check_none_drained(lab.pulumi)
    deployment = deploy(lab.pulumi, display, _to_mend(lab.pulumi, display) if repair else ())
    with display.step("page through the virtual address") as progress:
        seconds = await_page(lab.pulumi.stack, site_authorities(lab.secrets), progress)
    _conclude(lab.pulumi.stack, lab.outcome, deployment, seconds, time.monotonic() - began)


@dataclass(frozen=True)
class Started:
    """A lab that is up, and what a deployment in it needs."""

    pulumi: Engine
    secrets: dict[str, str] = field(repr=False)
    outcome: Outcome


def start_lab(stack: Stack, display: Display) -> Started:
    """Have everything that a deployment of `stack` in its lab needs: programs, images, secrets, and the lab itself.

    Raises:
        Failure, LabError: Something on this machine is in the way.
        Interrupted: By the user.
    """
    lab = lab_of(stack)
    ready = _make_ready(stack, lab, display)
    pulumi = Engine(stack, ready.pulumi, lab.prepare().environment)
    with display.step("take up earlier state") as progress:
        pulumi.release(progress)
    with display.step(f"secrets (init {stack.name})") as progress:
        prepared = lab.prepare()
        initialised = initialise(stack, None, prepared.host_keys, known=known_secrets(prepared))
        progress(_made(initialised))
        hostkeys.settle(initialised.vault)
    stack = pulumi.stack = stack.reread()
    with display.step("lab") as progress:
        outcome = lab.up(lab_secrets(stack, initialised.vault.values), ready.images, progress)
        _adopt(stack, outcome, progress)
        pulumi.ensure_stack()
    _go_on(pulumi, display, initialised.vault)
    return Started(pulumi, initialised.vault.values, outcome)


def running_lab(stack: Stack, display: Display) -> Engine:
    """An engine for a stack whose lab is up: nothing is built, and nothing of the lab is changed.

    Raises:
        Failure: The lab is not up.
    """
    lab = lab_of(stack)
    if lab.state().condition is not Condition.HEALTHY:
        raise Failure(f"the lab of stack {stack.name} is not up", "it is absent or broken", stack.command("up"))
    with display.step("Pulumi") as progress:
        pulumi = Engine(stack, toolchain.ensure(progress), lab.prepare().environment)
    with display.step("take up earlier state") as progress:
        pulumi.release(progress)
        hostkeys.settle(vault.Vault.open(stack))
    pulumi.stack = stack.reread()
    _go_on(pulumi, display, vault.Vault.open(pulumi.stack))
    return pulumi


@dataclass(frozen=True)
class _Ready:
    """What can be made without the lab."""

    pulumi: toolchain.Pulumi
    images: Images


def _make_ready(stack: Stack, lab: Lab, display: Display) -> _Ready:
    """Install, download and build: what waits for the network side by side with what keeps the processor busy."""

    def check(progress: Progress) -> None:
        client = lab.engine.ensure(progress)
        packages.ensure([packages.DOCKER], progress)
        if lab.state().condition is Condition.ABSENT:
            # Found before the long builds, not after them.
            check_space(client, cache())
            check_free(networks_of(stack.settings), client, routes())

    def choose(progress: Progress) -> toolchain.Pulumi:
        chosen = toolchain.ensure(progress)
        progress(str(chosen))
        return chosen

    installed = Step("packages", lambda progress: packages.ensure(packages.LAB, progress))
    docker = Step("Docker engine", check, installed)
    pulumi = Step("Pulumi", choose)
    roots = Step("images", lambda progress: build_all(cache(), vcenter_binary=None, progress=progress), docker)
    services = Step("services", lambda progress: artifacts.build(stack.settings, progress), installed)
    vcenter = Step("vCenter", artifacts.vcenter, pulumi)
    images = Step(
        "vCenter's image",
        lambda progress: build_all(cache(), vcenter_binary=vcenter.result, progress=progress),
        vcenter,
        roots,
    )
    steps: list[Step[Any]] = [installed, pulumi, docker, roots, services, vcenter, images]
    run_steps(steps, display)
    if not display.plain:  # where lines replace each other, this one is to stay
        say(f"    {pulumi.result}", "dim")
    return _Ready(pulumi.result, images.result)


def _adopt(stack: Stack, outcome: Outcome, progress: Progress) -> None:
    """Drop the state of a lab that is gone: nothing that it describes exists any more."""
    known = stack.generation_file.read_text() if stack.generation_file.exists() else None
    if known != outcome.generation:
        if known:
            progress("the lab is a new one: what Pulumi knew of the old one is dropped")
        engine.forget_state(stack)
        stack.generation_file.write_text(outcome.generation)


def deploy(pulumi: Engine, display: Display, options: Sequence[str] = ()) -> Deployment:
    """Preview and update; `options` are `pulumi up`'s.

    Raises:
        Failure: The engine refuses, or something can't be made.
        Interrupted: By the user.
    """
    deployment = Deployment()
    file = verdict.file_of(pulumi.stack)
    with display.step(f"pulumi up --stack {pulumi.stack.name}") as progress:
        succeeded = pulumi.up(deployment, progress, file, options)
        report = verdict.read(file)
        if not succeeded:
            if report and report.refused:
                raise verdict.refusal(report, deployed=deployment.updated, log=display.log_path)
            shown = deployment.errors[:_ERRORS_SHOWN]
            more = len(deployment.errors) - len(shown)
            why = "\n".join([*shown, *([f"and {more} more"] if more else [])]) or "the log says why"
            what = "the deployment failed" if deployment.previewed else "the preview failed, nothing was changed"
            raise Failure(what, why, "Mend that, then run this again: it goes on from here.", log=display.log_path)
    if report:
        verdict.show_remarks(report)
    return deployment


def await_page(stack: Stack, authority: str, progress: Progress) -> float:
    """Wait until the first service's page answers through the virtual address; returns the seconds of that answer.

    Raises:
        Failure: It does not in time.
    """
    url = f"https://{stack.settings.site.address}{_first_context(stack)}/"
    trust = ssl.create_default_context(cadata=authority)
    deadline = time.monotonic() + PAGE_SECONDS
    with httpx.Client(verify=trust, timeout=_REQUEST_SECONDS, follow_redirects=True, trust_env=False) as client:
        while True:
            asked = time.monotonic()
            try:
                status = client.get(url, extensions={"sni_hostname": stack.settings.site.name}).status_code
                if status == HTTPStatus.OK:
                    return time.monotonic() - asked
                why = f"status {status}"
            except httpx.HTTPError as error:
                why = str(error)
            if time.monotonic() > deadline:
                remedy = (
                    f"{stack.command('status')} shows which part does not serve; "
                    f"{stack.command('logs', 'NAME')} shows why."
                )
                raise Failure("the page does not answer", f"{url}: {why}", remedy)
            progress.replace(f"{url}: {why}")
            time.sleep(_PAUSE_SECONDS)


def _first_context(stack: Stack) -> str:
    return next(iter(stack.settings.services.values())).context_path


def _made(initialised: Initialised) -> str:
    if not initialised.made and not initialised.host_keys:
        return "all there"
    return f"{len(initialised.made)} made, {len(initialised.host_keys)} host keys taken over"


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
    path = f"{_first_context(stack)}/"
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


def _real_up(stack: Stack, display: Display, options: tuple[str, ...], *, repair: bool) -> int:
    """Check what can be checked before, then let Pulumi preview, ask and update."""
    pulumi = working_engine(stack, display)
    with display.step("services") as progress:
        artifacts.build(stack.settings, progress)
    with display.step("vCenter, and what its user may do there"):
        from cli.vcenter import check_user  # noqa: PLC0415 (VMware's library takes its time, and only real stacks need it)

        check_user(stack, vault.Vault.open(stack))
    check_none_drained(pulumi)
    more = _to_mend(pulumi, display) if repair else ()
    return pulumi.attended("up", "--stack", stack.name, *engine.POLICIES, *options, *more)


def _to_mend(pulumi: Engine, display: Display) -> Sequence[str]:
    """Pulumi's options that undo what was changed by hand; none for a stack that is not deployed yet."""
    from cli import drift  # noqa: PLC0415 (which imports this module)

    if not _is_deployed(pulumi):
        return ()
    return drift.options_to_mend(drift.compare(pulumi, display))


def check_none_drained(pulumi: Engine) -> None:
    """Check that no server is out of use: what a deployment restarts might be its twin, which carries the load alone.

    Raises:
        Failure: One is.
    """
    stack = pulumi.stack
    names = drained(stack) if _is_deployed(pulumi) else []
    if names:
        why = f"{', '.join(names)} is drained, and what a deployment restarts might be its twin"
        remedy = f"First: {stack.command('undrain', names[0])}"
        raise Failure("nothing was deployed", why, remedy)


def _is_deployed(pulumi: Engine) -> bool:
    return bool((pulumi.state().get("deployment") or {}).get("resources"))


def ready_engine(stack: Stack, display: Display) -> Engine:
    """An engine for a real stack, which has all its secrets and nothing unfinished, and is only looked at.

    Raises:
        Failure: Something is unfinished; the message says which command finds out what became of it.
        StackFileError: Secrets are missing.
    """
    pulumi = _free_engine(stack, display)
    left = pending.operations(pulumi.state())
    if left:
        raise Failure(
            f"an earlier run on stack {stack.name} was killed while {pending.describe(left)}",
            "whether that happened is not known",
            f"{stack.command('up')} finds out and goes on from there; so does {stack.command('down')}.",
        )
    return pulumi


def working_engine(stack: Stack, display: Display, *, destroy: bool = False) -> Engine:
    """An engine for a real stack that is about to be changed: what an earlier run left unfinished is settled.

    Raises:
        Failure: What became of it can't be found out.
        StackFileError: Secrets are missing.
    """
    pulumi = _free_engine(stack, display)
    _go_on(pulumi, display, vault.Vault.open(stack), destroy=destroy)
    return pulumi


def _free_engine(stack: Stack, display: Display) -> Engine:
    """An engine for a real stack, which has all its secrets, and on which nothing else works."""
    check_secrets(stack)
    hostkeys.settle(vault.Vault.open(stack))
    stack = stack.reread()
    with display.step("Pulumi") as progress:
        chosen = toolchain.ensure(progress)
        progress(str(chosen))
    pulumi = Engine(stack, chosen)
    with display.step("state") as progress:
        pulumi.release(progress)
        pulumi.ensure_stack()
    return pulumi


def _go_on(pulumi: Engine, display: Display, secrets: vault.Vault, *, destroy: bool = False) -> None:
    """Settle what a killed engine left, if it left anything."""
    if not pending.operations(pulumi.state()):
        return
    from cli.inventory import inventory  # noqa: PLC0415 (VMware's library takes its time, and this is seldom)
    from cli.settlement import settle  # noqa: PLC0415 (see above)

    with display.step("what a killed run has left") as progress:
        settle(pulumi, lambda: inventory(pulumi.stack, secrets), progress, destroy=destroy)
