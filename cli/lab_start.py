"""A stack's lab, from whatever is there to one that is up: programs, images, secrets, and the lab itself."""

from dataclasses import dataclass, field
from typing import Any

from cli import artifacts, engine, packages, toolchain
from cli.attach import settle_killed_run
from cli.console import Display, Progress, say
from cli.engine import Engine
from cli.initialise import Initialised, initialise
from cli.steps import Step, run_steps
from lab.engine import check_space
from lab.images.build import Images, build_all
from lab.network import check_free, networks_of, routes
from lab.site import Condition, Lab, Outcome
from stack import hostkeys
from stack.labs import known_secrets, lab_of, lab_secrets
from stack.workspace import Stack, cache


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
    settle_killed_run(pulumi, display, initialised.vault)
    return Started(pulumi, initialised.vault.values, outcome)


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


def _made(initialised: Initialised) -> str:
    if not initialised.made and not initialised.host_keys:
        return "all there"
    return f"{len(initialised.made)} made, {len(initialised.host_keys)} host keys taken over"


def _adopt(stack: Stack, outcome: Outcome, progress: Progress) -> None:
    """Drop the state of a lab that is gone: nothing that it describes exists any more."""
    known = stack.generation_file.read_text() if stack.generation_file.exists() else None
    if known != outcome.generation:
        if known:
            progress("the lab is a new one: what Pulumi knew of the old one is dropped")
        engine.forget_state(stack)
        stack.generation_file.write_text(outcome.generation)
