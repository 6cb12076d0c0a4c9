"""Who is what right now, and what is missing for full redundancy."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from blueprint.settings import Settings
from blueprint.terms import Role
from lab.status import Vm
from machine.failure import Failure
from moves.hands import Hands
from stack.checks import check_answers
from stack.status import Answer, SiteStatus, status
from stack.workspace import Stack

ETCD = (
    "export ETCDCTL_API=3 ETCDCTL_CACERT=/etc/perenne/tls/ca.pem ETCDCTL_CERT=/etc/perenne/tls/etcd.pem "
    "ETCDCTL_KEY=/etc/perenne/tls/etcd.pem\n"
)
"""For scripts on a server with a vote: how its etcdctl proves itself."""


@dataclass(frozen=True)
class Standing:
    """The site at one moment."""

    stack: Stack
    site: SiteStatus

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return self.stack.settings

    @property
    def primary(self) -> str:
        """The database's primary.

        Raises:
            Failure: There is none.
        """
        return self._there(self.site.primary, "the database has no primary")

    @property
    def standby(self) -> str:
        """The synchronous standby.

        Raises:
            Failure: There is none.
        """
        return self._there(self.site.sync_standby, "the database has no synchronous standby")

    @property
    def balancer(self) -> str:
        """The balancer that holds the site's virtual address.

        Raises:
            Failure: None does.
        """
        return self._there(self.site.site_address_at, "no balancer holds the virtual address")

    @property
    def other_balancer(self) -> str:
        """A balancer that does not hold it."""
        return next(name for name in self.settings.servers_of(Role.BALANCER) if name != self.site.site_address_at)

    @property
    def application(self) -> str:
        """An application server that serves.

        Raises:
            Failure: None does.
        """
        serving = (one.name for one in self.site.servers if one.role == Role.APPLICATION and one.serves)
        return self._there(next(serving, None), "no application server serves")

    def host_of(self, server: str) -> str:
        """The host on which a server runs."""
        return self._answer(server).host

    def on(self, host: str) -> tuple[str, ...]:
        """The servers that run on a host."""
        return tuple(answer.name for answer in self.site.servers if answer.host == host)

    def missing(self, away: Collection[str] = ()) -> list[str]:
        """What keeps the stack from full redundancy, as its servers tell; nothing, if it is whole.

        Of vCenters, only the lab's has been asked, with all of the lab; `moves.site.Look` asks a real one, too.

        Args:
            away: Servers and hosts that are meant to be out of use, and so aren't missing.
        """
        answers = check_answers(self.settings, self.site, away)
        places = {answer.name: answer.host for answer in self.site.servers}
        return [
            *(lacking for check in answers for lacking in check.missing),
            *too_close(self.settings, places, away),
            *_missing_in_lab(self, away),
        ]

    def vms_down(self, away: Collection[str] = ()) -> list[str]:
        """What the stack's VMs lack, in words, that are off, or whose host is not connected, in the lab's vCenter."""
        return [
            f"{vm.name} is {vm.power_state}, {vm.connection_state}"
            for vm in self.vms
            if vm.name not in away and not _is_up(vm)
        ]

    @property
    def vms(self) -> list[Vm]:
        """The stack's VMs in the lab's vCenter; none while that does not answer."""
        vcenter = self.site.lab.vcenter if self.site.lab else None
        return [vm for vm in vcenter.vms if vm.name in self.settings.servers] if vcenter else []

    def _there(self, name: str | None, why: str) -> str:
        if name is None:
            remedy = f"Mend the stack first: {self.stack.command('status')}"
            raise Failure("the site has no server in that role now", why, remedy)
        return name

    def _answer(self, server: str) -> Answer:
        return next(answer for answer in self.site.servers if answer.name == server)


async def standing(stack: Stack) -> Standing:
    """Look at a stack.

    Raises:
        Failure: The stack's secrets can't be read, or its lab is not there.
        StackFileError: The stack file can't be used.
    """
    return Standing(stack, await asyncio.to_thread(status, stack))


async def quorum_leader(stack: Stack, hands: Hands) -> str:
    """The leader of etcd's members.

    Raises:
        Failure: No member knows one.
    """
    endpoints = ",".join(f"https://{server.address}:2379" for server in stack.settings.quorum.values())
    script = f"{ETCD}etcdctl --endpoints={endpoints} --command-timeout=3s endpoint status --write-out=json"
    names = {f"https://{server.address}:2379": name for name, server in stack.settings.quorum.items()}
    for member in stack.settings.quorum:
        try:
            said = json.loads(await hands.shell(member, script))
        except (Failure, ValueError):
            continue
        for one in said:
            header = one["Status"]["header"]
            if header["member_id"] == one["Status"]["leader"]:
                return names[one["Endpoint"]]
    raise Failure("etcd has no leader", "no member knows one", f"Look at {stack.command('status')}.")


async def lead_quorum(stack: Stack, hands: Hands, member: str) -> None:
    """Have a member lead etcd.

    Raises:
        Failure: It can't.
    """
    leader = await quorum_leader(stack, hands)
    if leader == member:
        return
    endpoint = f"https://{stack.settings.servers[leader].address}:2379"
    script = f"""{ETCD}
member=$(etcdctl --endpoints={endpoint} member list |
    awk -F ', ' '$3 == "{member}" {{ print $1 }}')
etcdctl --endpoints={endpoint} move-leader "$member"
"""
    await hands.shell(leader, script)


def in_maintenance(host: str) -> str:
    """How it is told that a host is drained."""
    return f"{host} is in maintenance mode"


def too_close(settings: Settings, places: Mapping[str, str], away: Collection[str] = ()) -> Iterator[str]:
    """Servers of one tier that a single host takes down, more of them than must share one.

    Args:
        settings: The stack's settings.
        places: The host on which each server runs.
        away: Servers and hosts that are out of use.
    """
    there = sum(host not in away for host in settings.hosts)
    for role in (Role.BALANCER, Role.APPLICATION, Role.DATABASE):
        most = shared(settings, role, there)
        hosts = Counter(places[name] for name in settings.servers_of(role) if name in places)
        yield from (f"{count} {role} servers run on {host}" for host, count in hosts.items() if count > most)


def shared(settings: Settings, role: Role, hosts: int) -> int:
    """How many servers of a tier must share a host where there are so many hosts; 1 where each can have its own."""
    return ceil(len(settings.servers_of(role)) / max(hosts, 2))


def _missing_in_lab(found: Standing, away: Collection[str]) -> Iterator[str]:
    """What the lab's vCenter has out of use, and what its vSphere HA has not made good yet."""
    if not found.site.lab:
        return
    vcenter = found.site.lab.vcenter
    if not vcenter:
        yield "vCenter does not answer"
        return
    hosts = (host.name.partition(".")[0] for host in vcenter.hosts if host.in_maintenance_mode)
    yield from (in_maintenance(host) for host in hosts if host not in away)
    yield from found.vms_down(away)
    for vm in found.vms:
        if vm.name not in away and _is_up(vm) and vm.container_state != "running":
            yield f"{vm.name}'s guest is {vm.container_state or 'not there'}"


def _is_up(vm: Vm) -> bool:
    return (vm.power_state, vm.connection_state) == ("poweredOn", "connected")
