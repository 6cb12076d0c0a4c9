"""Deploying a stack: preview and update, and the page that answers afterwards."""

import ssl
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from cli import verdict
from cli.console import Display, Progress, say
from cli.engine import Engine
from cli.events import Deployment
from cli.pending import records
from machine.failure import Failure
from stack import drained_servers
from stack.status import ask_drained
from stack.workspace import Stack

PAGE_SECONDS = 60.0
_REQUEST_SECONDS = 3.0
_PAUSE_SECONDS = 0.2
_ERRORS_SHOWN = 10
_VIRTUAL_MACHINE = "vsphere:index/virtualMachine:VirtualMachine"


Records = Sequence[Mapping[str, Any]]
"""Resources of a state."""


def check_restarts(pulumi: Engine) -> None:
    """Check that a deployment takes nothing away that the site needs meanwhile: it restarts what it changes.

    Raises:
        Failure: A server is out of use, or two would be restarted at once.
    """
    made = records(pulumi.state())
    if made:
        _check_none_drained(pulumi.stack, made)
        _check_one_resized(pulumi.stack, made)


def _check_none_drained(stack: Stack, made: Records) -> None:
    """Check that no server is out of use: what a deployment restarts might be its twin, which carries the load alone.

    Of a server that does not answer, only what `drain` noted is known. One that was not drained may be lost, and a
    deployment is what makes it anew: it is only said.
    """
    asked = ask_drained(stack)
    stopped = []
    for name in drained_servers.noted(stack):
        if name in asked.silent:
            stopped.append(name)
        elif name not in asked.drained:  # a drain that failed, or one that was taken back on the server itself
            drained_servers.forget(stack, name)
    what = "nothing was deployed"
    twin = "what a deployment restarts might be its twin"
    if asked.drained:
        remedy = f"First: {stack.command('undrain', asked.drained[0])}"
        raise Failure(what, f"{', '.join(asked.drained)} is drained, and {twin}", remedy)
    if stopped:
        remedy = (
            f"Start it, then: {stack.command('undrain', stopped[0])}. Only if it is lost for good, and a deployment "
            f"shall make it anew: rm {stack.drained_file}"
        )
        raise Failure(what, f"{', '.join(stopped)} was drained and does not answer, and {twin}", remedy)
    lost = [name for name in asked.silent if _was_ready(made, name)]
    if lost and not stack.is_lab:  # the lab's servers may just be starting with it
        say(f"{', '.join(lost)} does not answer: if somebody stopped it, start it first, as {twin}.", "yellow")


def _check_one_resized(stack: Stack, made: Records) -> None:
    """Check that no two servers get another size at once.

    vSphere takes it from a server that is off only, so the provider restarts it, and Pulumi sees to several at a time.
    """
    # What is still to be deleted has a successor of the same name.
    machines = [one["inputs"] for one in made if one.get("type") == _VIRTUAL_MACHINE and not one.get("delete")]
    sizes = {one["name"]: (int(one["numCpus"]), int(one["memory"])) for one in machines}
    resized = [
        name
        for name, server in stack.settings.servers.items()
        if name in sizes and sizes[name] != (server.cpus, server.memory_mib)
    ]
    if len(resized) > 1:
        why = f"{', '.join(resized)} get another size, for which they are restarted, and at the same time"
        remedy = (
            f"Change one of them in {stack.file.name}, deploy, wait until {stack.command('status')} finds all whole, "
            f"then the next. Only if the site may stand still: pulumi up, with what {stack.command('env')} prints"
        )
        raise Failure("nothing was deployed", why, remedy)


def is_deployed(pulumi: Engine) -> bool:
    """Whether Pulumi's state of the stack has anything."""
    return bool(records(pulumi.state()))


def _was_ready(made: Records, server: str) -> bool:
    """Whether a deployment has ever reached a server; one that was killed may have left it half made."""
    return any(str(one["urn"]).endswith(f"::{server}-ready") for one in made)


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
    url = f"https://{stack.settings.site.address}{page_path(stack)}"
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


def page_path(stack: Stack) -> str:
    """Where users find the first service's page: `/pnp-manager/`."""
    return f"{next(iter(stack.settings.services.values())).context_path}/"
