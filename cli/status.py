"""`./perenne status`: what was found of a site, as tables or as data."""

import json as encoder
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from rich import box
from rich.table import Table
from rich.text import Text

from blueprint.secrets import secrets_of
from cli.console import out
from cli.leftover import undo_leftover
from lab.status import Status as LabStatus
from stack import checks
from stack.status import SiteStatus
from stack.status import status as ask
from stack.upkeep import needs
from stack.workspace import Stack

_DATA = TypeAdapter(SiteStatus)
_LOOKS: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD}


INCOMPLETE = 1


def status(stack: Stack, *, json: bool) -> int:
    """Ask the site, and show what it said; returns 1 if anything is missing, or needs somebody before long.

    So a line of cron says when redundancy is gone, which users don't notice.

    Raises:
        Failure: The stack's secrets can't be read, or its lab is not there.
        StackFileError: The stack file can't be used.
    """
    undo_leftover()
    found = ask(stack)
    missing = [what for check in checks.check_answers(stack.settings, found) for what in check.missing]
    upkeep = needs(stack)
    if json:
        print(encoder.dumps(as_json(found) | {"missing": missing, "needs": upkeep}, indent=2))
    else:
        show(found, stack, missing, upkeep)
    return INCOMPLETE if missing or upkeep or found.to_renew else 0


def show(found: SiteStatus, stack: Stack, missing: Sequence[str] = (), upkeep: Sequence[str] = ()) -> None:
    """Show it as tables, then what is missing, and what somebody should look at."""
    settings = stack.settings
    good = found.page == "200"
    out.print(
        Text(
            f"{settings.site.name} {'answers' if good else 'does not answer: ' + found.page}",
            "green" if good else "red",
        )
    )
    summary = Table.grid(padding=(0, 2))
    for what, value in (
        (f"site's address {settings.site.address} at", found.site_address_at),
        (f"database's address {settings.database.address} at", found.database_address_at),
        ("primary", found.primary),
        ("synchronous standby", found.sync_standby),
        ("etcd votes", f"{found.votes} of {len(settings.quorum)} ({found.votes_needed} needed)"),
    ):
        summary.add_row(Text(what, "dim"), Text(value or "nobody", "" if value else "red"))
    out.print(summary)
    virtual = {
        str(settings.site.address): "the site's address",
        str(settings.database.address): "the database's address",
    }
    servers = Table("server", "role", "runs on", "serves", "vote", "", title="Servers", **_LOOKS)
    for answer in found.servers:
        vote = "" if answer.vote is None else _mark(good=answer.vote)
        held = ", ".join(f"holds {virtual[address]}" for address in answer.addresses)
        detail = Text("; ".join(part for part in (answer.detail, held) if part), "dim")
        serves = Text("drained", "yellow") if answer.drained else _mark(good=answer.serves)
        servers.add_row(answer.name, answer.role, answer.host, serves, vote, detail)
    out.print(servers)
    for name in found.drained:
        remedy = f"back into service with {stack.command('undrain', name)}"
        out.print(Text(f"{name} was taken out of use on purpose: {remedy}", "yellow"))
    given = {secret.name for secret in secrets_of(settings) if secret.given}
    if made := [name for name in found.to_renew if name not in given]:
        remedy = f"{stack.command('init')} makes new ones, {stack.command('up')} puts them in place"
        out.print(Text(f"Certificates to renew: {', '.join(made)}; {remedy}", "red"))
    if asked := [name for name in found.to_renew if name in given]:
        remedy = f"{stack.command('rotate')} --only {asked[0]} asks for the new one"
        out.print(Text(f"Certificate to renew: {asked[0]}; {remedy}", "red"))
    if found.lab:
        _show_lab(found.lab)
    for what in missing:
        out.print(Text(f"missing: {what}", "red"))
    for what in upkeep:
        out.print(Text(f"look at it: {what}", "yellow"))


def _show_lab(lab: LabStatus) -> None:
    vcenter = lab.vcenter
    vms = vcenter.vms if vcenter else ()
    hosts = Table("host", "connection", "power", "runs", title="Hosts", **_LOOKS)
    for host in vcenter.hosts if vcenter else ():
        running = [vm.name for vm in vms if vm.host == host.name and vm.power_state == "poweredOn"]
        connection = "in maintenance mode" if host.in_maintenance_mode else host.connection_state
        hosts.add_row(host.name, connection, host.power_state, ", ".join(sorted(running)))
    out.print(hosts if vcenter else Text("vCenter does not answer", "red"))
    down = [f"{name} is {state}" for name, state in lab.machines.items() if state != "running"]
    if down:
        out.print(Text(f"The lab's equipment: {', '.join(down)}", "red"))
    for event in vcenter.ha_events[-5:] if vcenter else ():
        out.print(
            Text(
                f"{event.time:%Y-%m-%dT%H:%M:%S} vSphere HA: {event.event} {event.vm or event.host} {event.detail}",
                "dim",
            )
        )


def _mark(*, good: bool) -> Text:
    return Text("yes", "green") if good else Text("no", "red")


def as_json(found: SiteStatus) -> dict[str, Any]:
    """The same as data."""
    data: dict[str, Any] = _DATA.dump_python(found, mode="json")
    return data
