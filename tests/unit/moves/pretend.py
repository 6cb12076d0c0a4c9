"""A site that is moved about in memory: servers drain when their script is run, hosts when vCenter is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from blueprint.settings import Settings
from machine.failure import Failure
from moves.hands import ContainerAction
from moves.server import DRAIN, UNDRAIN
from moves.site import Site
from moves.standing import Standing
from moves.vcenter import HostState
from stack.status import Answer, SiteStatus
from stack.workspace import Stack

HOST_MIB = 32 * 1024


@dataclass
class Pretend:
    """The site's state, and what was done to it, in order."""

    stack: Stack
    primary: str = "db02"
    balancer: str = "lb01"
    drained: set[str] = field(default_factory=set)
    maintained: set[str] = field(default_factory=set)
    off: set[str] = field(default_factory=set)
    """Servers that were shut down."""
    broken: set[str] = field(default_factory=set)
    """Servers that don't serve though they ought to."""
    places: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    """Other VMs by name, and where they run."""
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """What a server prints, by a word of the script."""
    boots: dict[str, int] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _what: None
    """Is called with what is about to be done."""

    def __post_init__(self) -> None:
        self.places = {name: server.host for name, server in self.settings.servers.items()} | self.places

    @property
    def settings(self) -> Settings:
        """The stack's."""
        return self.stack.settings

    @property
    def site(self) -> Site:
        """What moves act on."""
        return Site(self.stack, self, self, self.said.append)  # type: ignore[arg-type]

    async def standing(self, _stack: Stack) -> Standing:
        """How servers stand."""
        answers = []
        for name, server in self.settings.servers.items():
            serves = name not in self.broken | self.drained | self.off
            answer = Answer(name, server.role, str(server.address), self.places[name], serves=serves)
            answer.drained = name in self.drained - self.off
            answer.vote = serves or name in self.drained - self.off if name in self.settings.quorum else None
            answers.append(answer)
        by_name = {answer.name: answer for answer in answers}
        by_name[self.balancer].addresses = [str(self.settings.site.address)]
        by_name[self.primary].addresses = [str(self.settings.database.address)]
        other = next(name for name in ("db01", "db02") if name != self.primary)
        standby = None if other in self.drained | self.broken else other
        votes = sum(bool(answer.vote) for answer in answers)
        found = SiteStatus("200", self.primary, standby, self.balancer, self.primary, answers, votes, 2, None)
        return Standing(self.stack, found)

    async def shell(self, server: str, script: str, *, seconds: float = 0.0) -> str:  # noqa: ARG002
        """Run a server's own script."""
        if script == DRAIN:
            self._do(f"drain {server}")
            self.drained.add(server)
            self._hand_over(server)
        elif script == UNDRAIN:
            self._do(f"undrain {server}")
            self.drained.discard(server)
        elif "systemctl reboot" in script:
            self._do(f"restart {server}")
            self.boots[server] = self.boots.get(server, 0) + 1
        elif server in self.off:
            raise Failure(f"{server} can't be reached", "it is off", "Power it on.")
        elif "boot_id" in script:
            return f"boot {self.boots.get(server, 0)}"
        elif "--with-new-pkgs upgrade" in script and "--simulate" not in script:
            self._do(f"upgrade {server}")
        else:
            return next((said for word, said in self.answers.items() if word in f"{server} {script}"), "")
        return ""

    async def container(self, action: ContainerAction, machine: str) -> None:
        """Never."""
        raise AssertionError(f"{action} {machine}")

    async def packets(self, machine: str, script: str) -> str:
        """Never."""
        raise AssertionError(f"{machine}: {script}")

    async def hosts(self) -> tuple[HostState, ...]:
        """As vCenter sees them."""
        return tuple(self._host(name) for name in self.settings.hosts)

    async def migrate(self, server: str, host: str) -> None:
        """VMotion."""
        self._do(f"{server} to {host}")
        self.places[server] = host

    async def shut_down(self, server: str) -> None:
        """It is off, and is still where it was."""
        self._do(f"shut down {server}")
        self.off.add(server)

    async def power_on(self, server: str) -> None:
        """It runs."""
        self._do(f"power on {server}")
        self.off.discard(server)

    async def enter_maintenance(self, host: str, *, seconds: float = 0.0, powered_off: bool = True) -> None:  # noqa: ARG002
        """Without DRS the host must be empty by then; with it vCenter moves what is left."""
        assert not powered_off
        left = [name for name, where in self.places.items() if where == host and name not in self.off]
        if left and not self.settings.vcenter.edition.has_drs:
            raise Failure(f"{host} can't enter maintenance mode", f"{left} run there", "Move them.")
        self._do(f"enter {host}")
        self.maintained.add(host)
        for name in left:
            tier = self.settings.servers_of(self.settings.servers[name].role)
            taken = {self.places[one] for one in tier if one != name} | {host}
            self.places[name] = next(one for one in self.settings.hosts if one not in taken)

    async def exit_maintenance(self, host: str) -> None:
        """Take servers again."""
        self._do(f"exit {host}")
        self.maintained.discard(host)

    def _host(self, name: str) -> HostState:
        everything = self.places | self.extra
        runs = tuple(sorted(one for one, where in everything.items() if where == name and one not in self.off))
        used = sum(self.settings.servers[one].memory_mib for one in runs if one in self.settings.servers)
        return HostState(
            name,
            connected=True,
            in_maintenance=name in self.maintained,
            free_mib=HOST_MIB - used,
            runs=runs,
            booted=None,
        )

    def _hand_over(self, server: str) -> None:
        if server == self.primary:
            self.primary = next(name for name in ("db01", "db02") if name != server)
        if server == self.balancer:
            self.balancer = next(name for name in ("lb01", "lb02") if name != server)

    def _do(self, what: str) -> None:
        self.before(what)
        self.done.append(what)


def full(state: HostState) -> HostState:
    """The same host without memory left."""
    return replace(state, free_mib=0)
