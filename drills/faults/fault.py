"""What a fault is: how its target is chosen, how it is brought about, and what takes it back."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum

from blueprint.settings import Settings
from drills.model import Target
from drills.undo import Journal, Step
from moves.hands import Hands
from moves.standing import Standing
from moves.vcenter import VCenter
from stack.workspace import Stack


@dataclass(frozen=True)
class Scene:
    """Where a fault happens."""

    stack: Stack
    hands: Hands
    vcenter: VCenter
    journal: Journal
    standing: Standing

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return self.stack.settings

    def promise(self, *steps: Step) -> None:
        """Write down what takes back what is about to be done."""
        self.journal.promise(*steps)


@dataclass(frozen=True)
class Hit:
    """What a fault is done to."""

    title: str
    """In words: `db01, the primary`."""
    machines: tuple[str, ...]
    """Servers, or the host, by name; what they are to the fault is the fault's affair."""

    @property
    def machine(self) -> str:
        """The first of them."""
        return self.machines[0]


class Simulated(StrEnum):
    """Which of vSphere HA's delays the lab makes up in a fault."""

    NONE = "none"
    GUEST = "a VM that failed on a host that lives"
    HOST = "a host that failed"
    ISOLATION = "a host that runs, cut off from the others"


def everywhere(stack: Stack) -> str:  # noqa: ARG001 (what other conditions ask)
    """No condition."""
    return ""


def lab_only(stack: Stack) -> str:
    """For what can only be done to the lab's containers."""
    return "" if stack.is_lab else "it is done to the containers of the lab, and a real site has none"


@dataclass(frozen=True)
class Fault:
    """One kind of thing that can break."""

    name: str
    title: str
    aim: Callable[[Scene], Coroutine[None, None, Hit]]
    """Chooses what to break, by the roles of the moment."""
    inject: Callable[[Scene, Hit], Coroutine[None, None, str]]
    """Promises to the journal what takes it back, breaks it, and says by what that shows; fails where it does not."""
    lasts: float | None = None
    """Seconds after which it is taken back; None: it stays until the stack is whole without what was broken."""
    again: Callable[[Scene, Hit], Coroutine[None, None, None]] | None = None
    """Does the same once more when the machine is started again while it lasts: a cable that is cut stays so."""
    arrange: Callable[[Scene], Awaitable[None]] | None = None
    """Brings the stack into the position in which the fault is at its worst, before the recording begins."""
    unavailable: Callable[[Stack], str] = everywhere
    """Why it can't be done to a stack; nothing, if it can."""
    target: Target | None = None
    fenced_target: Target | None = None
    """The target on a stack with fencing, where that makes a difference."""
    primary_stays: bool = False
    """It must not make the database fail over."""
    idempotent_succeed: bool = False
    """No request that could have been sent again may fail."""
    on_purpose: bool = False
    """Operators do it: where it fails, that is what its drill has found; any other fault is not measured then."""
    all_succeed: bool = False
    """No request may fail, writes included: what is done on purpose costs nobody anything."""
    must_break: str = ""
    """The invariant that must be found broken: a control of the checker, not of the stack."""
    without: str = ""
    """Id of the rule that `arrange` breaks first: what is measured is what the rule is for, and nothing need hold."""
    sound: str = ""
    """Name of the same fault on a stack that keeps that rule."""
    simulated: Simulated = Simulated.NONE
    proves: tuple[str, ...] = ()
    """Ids of the policy rules without which it would have ended otherwise."""
    notes: tuple[str, ...] = field(default=())
    """What a reader of its figures must know."""

    def target_on(self, settings: Settings) -> Target | None:
        """What it may cost on a site."""
        return self.fenced_target if self.fenced_target and settings.has_fencing else self.target


def aim_at(server: Callable[[Scene], str], role: str) -> Callable[[Scene], Coroutine[None, None, Hit]]:
    """Choose one server by its role, which `role` says in words."""

    async def aim(scene: Scene) -> Hit:
        return Hit(f"{server(scene)}, {role}", (server(scene),))

    return aim
