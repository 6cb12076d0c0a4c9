"""Every server and every host of a site is patched, one at a time, each drained before and whole redundancy after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import asyncssh

from blueprint.settings import Settings
from blueprint.terms import Role
from machine.failure import Failure
from moves import node, packages
from moves.record import Progress, Record
from moves.restarting import restart
from moves.site import Site, clock, look
from moves.standing import Standing
from moves.waiting import to_its_end
from stack import ssh
from stack.vault import Vault

HOST_SECONDS = 3600.0
"""How long an update of ESXi, or a host's restart, may take."""

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Work:
    """What is done to what is drained."""

    servers: bool = True
    hosts: bool = True
    packages: bool = True
    """Servers get Debian's newer packages; one that got some is restarted, as what runs there has the old ones."""
    restart: bool = False
    """Servers are restarted in any case."""
    host_command: str = ""
    """Run on every host over SSH, as root, while it is in maintenance mode."""
    host_restart: bool = False
    """Hosts are restarted through vCenter after that."""


@dataclass(frozen=True)
class Patch:
    """One patch of a site."""

    site: Site
    work: Work
    record: Record
    vault: Vault
    step: Callable[[str], AbstractContextManager[Callable[[str], None]]]
    """Shows a step while it is under way, and gives what takes its lines."""
    attend: Callable[[str], Awaitable[None]] | None = None
    """Lets the operator work on a host that is in maintenance mode; None: nothing is done there."""

    async def run(self, progress: Progress) -> None:
        """Patch what is not done yet.

        Raises:
            Failure: Redundancy is not whole, or something could not be done; what is done stays known.
        """
        progress.to_restart = [name for name in progress.to_restart if name in self.site.settings.servers]
        nodes = self._nodes((await look(self.site)).standing, progress)
        newer = await self._look_for_packages(nodes)
        for name in nodes:
            if await self._has_work(name, newer, progress):
                self._note(progress, current=name)
                await self._patch(name, newer.get(name, ()), progress)
            else:
                self.site.say(f"{name}: nothing to do")
            progress.done.append(name)
            self._note(progress)
        self.record.forget()
        if progress.to_restart:
            self.site.say(f"{', '.join(progress.to_restart)}: left out, and still to be restarted")

    def _nodes(self, found: Standing, progress: Progress) -> list[str]:
        """What is left, in order; what may be drained already comes first."""
        servers = order(self.site.settings, found) if self.work.servers else []
        hosts = list(self.site.settings.hosts) if self.work.hosts else []
        left = [name for name in (*servers, *hosts) if name not in progress.done]
        return sorted(left, key=lambda name: name != progress.current)

    async def _look_for_packages(self, nodes: Sequence[str]) -> dict[str, list[str]]:
        """Before anything is drained: of what there is a newer version, by server."""
        servers = [name for name in nodes if name in self.site.settings.servers]
        if not servers or not self.work.packages:
            return {}
        with self.step("newer packages") as tell:
            found = await asyncio.gather(*(packages.waiting(self.site, name) for name in servers))
            newer = dict(zip(servers, found, strict=True))
            tell(", ".join(f"{name} {len(names)}" for name, names in newer.items()))
        return newer

    async def _has_work(self, name: str, newer: dict[str, list[str]], progress: Progress) -> bool:
        if name in self.site.settings.hosts or self.work.restart or newer.get(name):
            return True
        if name == progress.current or name in progress.to_restart:
            return True
        return await packages.needs_restart(self.site, name)

    async def _patch(self, name: str, newer: Sequence[str], progress: Progress) -> None:
        async with self._put_back(name, progress):
            await self._do(f"{name}: drain", lambda site: node.drain(site, name))
            if name in self.site.settings.hosts:
                await self._work_on_host(name)
            else:
                await self._work_on_server(name, newer, progress)

    @asynccontextmanager
    async def _put_back(self, name: str, progress: Progress) -> AsyncIterator[None]:
        """Undrain a node after the block, also after Ctrl-C; after a failure it stays drained, to be looked at."""
        interrupted: asyncio.CancelledError | None = None
        try:
            yield
        except asyncio.CancelledError as error:
            interrupted = error
            self.site.say(f"{name} is put back into service first; Ctrl-C once more leaves it drained.")
        try:
            await self._do(f"{name}: undrain", lambda site: node.undrain(site, name))
        except asyncio.CancelledError as error:  # after it has come to its end
            interrupted = error
        self._note(progress)
        if interrupted:
            raise interrupted

    async def _do(self, what: str, work: Callable[[Site], Coroutine[None, None, None]]) -> None:
        with self.step(what) as tell:
            await to_its_end(work(replace(self.site, say=tell)))

    async def _work_on_server(self, name: str, newer: Sequence[str], progress: Progress) -> None:
        with self.step(f"{name}: dpkg is at rest"):
            await packages.until_at_rest(self.site, name)
        if newer:
            # Before: an installation that nobody sees the end of goes on, and afterwards nothing there is newer.
            if name not in progress.to_restart:
                progress.to_restart.append(name)
                self.record.write(progress)
            await self._do(f"{name}: {len(newer)} packages", lambda site: packages.upgrade(site, name))
        if name in progress.to_restart or self.work.restart or await packages.needs_restart(self.site, name):
            await self._do(f"{name}: restart", lambda site: restart(site, name))
        if name in progress.to_restart:
            progress.to_restart.remove(name)
            self.record.write(progress)

    async def _work_on_host(self, name: str) -> None:
        if self.work.host_command:
            await self._do(f"{name}: command", lambda _site: self._command(name))
        elif self.attend:
            await self.attend(name)
        if self.work.host_restart:
            await self._do(f"{name}: restart", lambda _site: self._restart_host(name))

    async def _command(self, host: str) -> None:
        """Run the operator's command; ESXi has no Bash."""
        what = f"the command on {host}, which is in maintenance mode, failed"
        remedy = f"Mend it there ({self.site.stack.command('ssh', host)}), then run this again."
        try:
            async with asyncio.timeout(HOST_SECONDS), ssh.login(self.site.stack, self.vault, host) as connection:
                done = await connection.run(self.work.host_command)
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise Failure(what, str(error) or f"it did not end within {HOST_SECONDS:g} s", remedy) from error
        if done.exit_status:
            why = str(done.stderr).strip() or str(done.stdout).strip() or f"status {done.exit_status}"
            raise Failure(what, why, remedy)

    async def _restart_host(self, host: str) -> None:
        before = await self._boot_of(host)
        await self.site.vcenter.reboot(host)
        began = clock()
        while (await self._boot_of(host)) in (None, before):
            if clock() - began > HOST_SECONDS:
                remedy = f"Look at its console. Once it runs: {self.site.stack.command('undrain', host)}"
                raise Failure(f"{host} did not come back", f"not within {HOST_SECONDS:g} s of its restart", remedy)
            await asyncio.sleep(_POLL_SECONDS)

    async def _boot_of(self, host: str) -> object:
        """When a host was started; None while vCenter does not reach it."""
        found = next(one for one in await self.site.vcenter.hosts() if one.name == host)
        return found.booted if found.connected else None

    def _note(self, progress: Progress, current: str = "") -> None:
        progress.current = current
        self.record.write(progress)


def order(settings: Settings, found: Standing) -> list[str]:
    """The servers in the order in which they are patched.

    Who has a virtual address, or is the primary, comes after its twin: so that each moves once, to one that is done.
    """
    site = found.site
    holds = (site.site_address_at, site.primary)
    servers = {role: list(settings.servers_of(role)) for role in Role}
    return [
        *servers[Role.BACKUP],
        *servers[Role.WITNESS],
        *(name for name in servers[Role.DATABASE] if name not in holds),
        *(name for name in servers[Role.BALANCER] if name not in holds),
        *servers[Role.APPLICATION],
        *(name for name in servers[Role.BALANCER] if name in holds),
        *(name for name in servers[Role.DATABASE] if name in holds),
    ]
