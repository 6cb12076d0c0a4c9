"""What a rule is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from policies.judging.configuration import HostSize, Thresholds, Waiver
from policies.judging.resource import Resource
from policies.judging.stack import Stack

Subject = TypeVar("Subject")
Fact = TypeVar("Fact")


class Pillar(StrEnum):
    """The parts of a site; a rule's id begins with the pillar's letters."""

    heading: str
    """Over its rules where they are listed."""

    def __new__(cls, letters: str, heading: str = "") -> Self:
        """A member, whose value is its letters; mypy takes `Pillar("CLU")` for a call of this, too."""
        made = str.__new__(cls, letters)
        made._value_, made.heading = letters, heading
        return made

    CLUSTER = "CLU", "Cluster and vSphere HA"
    STORAGE = "STO", "Shared storage"
    NETWORK = "NET", "Network"
    PLACEMENT = "PLA", "Placement"
    MACHINES = "VM", "Virtual machines"
    BALANCING = "BAL", "Balancers"
    APPLICATION = "APP", "Application servers"
    DATABASE = "DB", "Database"
    BACKUP = "BAK", "Backups"
    SECURITY = "SEC", "Security"
    OPERATIONS = "OPS", "The pack itself"


class Severity(StrEnum):
    """What users notice when the thing that a rule guards against happens; worst first."""

    meaning: str
    """What they notice, in one clause."""

    def __new__(cls, word: str, meaning: str) -> Self:
        """A member, whose value is its word."""
        made = str.__new__(cls, word)
        made._value_, made.meaning = word, meaning
        return made

    CRITICAL = "critical", "data is lost, or the service is down until somebody mends it by hand"
    HIGH = "high", "the service is down until vSphere HA has restarted what was lost"
    MEDIUM = "medium", "the service goes on with nothing left in reserve, or recovers late"
    LOW = "low", "nobody notices at once; the next mistake costs more"


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found wrong."""

    resource: Resource | None
    """Where to change it; None: something is missing altogether."""
    problem: str
    """What is wrong, in one clause that ends without a full stop. Holds no value that may be a secret."""
    change: str = ""
    """What to change here, if that is more exact than the rule's remedy."""


@dataclass(frozen=True)
class Context:
    """What a rule may ask beside its subject."""

    stack: Stack
    thresholds: Thresholds
    tiers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name patterns of VMs by tier, where the configuration gives them."""
    hosts: Mapping[str, HostSize] = field(default_factory=dict)
    """Sizes of hosts by name pattern, where the configuration gives them."""
    waivers: Sequence[Waiver] = ()
    today: date = date.max
    _facts: dict[Callable[["Context"], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, read: Callable[["Context"], Fact]) -> Fact:
        """What `read` finds in this context, read once for all rules."""
        if read not in self._facts:
            self._facts[read] = read(self)
        fact: Fact = self._facts[read]
        return fact


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """A rule: it judges every subject on its own, so that what is unknown of one hides nothing of another."""

    id: str
    title: str
    """What holds in a sound stack: "vSphere HA and host monitoring are on"."""
    severity: Severity
    outage: str
    """What it costs, and when: a sentence."""
    remedy: str
    """What to change: a sentence."""
    why: str
    """The background, for the rule's page: how the outage happens; a paragraph or two, Markdown."""
    reads: tuple[str, ...]
    """Resource types and their properties: `ComputeCluster.haEnabled`."""
    subjects: Callable[[Context], Iterable[Subject]]
    judge: Callable[[Subject, Context], Iterable[Finding]]
    source: str = ""
    """The vendor's manual or RFC that it rests on."""
    mandatory: bool = True
    """Its default level: refused, or reported only."""
    drill: str = ""
    """The drill (drills/) that shows the outage."""
    not_shown: str = ""
    """Why the lab can't show the outage, where there is no drill: a sentence, for the rule's page."""

    def __post_init__(self) -> None:
        """Check that the page can say what the drill shows, or why there is none."""
        if bool(self.drill) == bool(self.not_shown):
            raise ValueError(f"rule {self.id} needs either a drill or not_shown, which says why it has none")

    @property
    def pillar(self) -> Pillar:
        """The part of the site that it is about."""
        return Pillar(self.id.partition("-")[0])

    def findings(self, subject: Subject, context: Context) -> Iterator[Finding]:
        """What is wrong with one subject."""
        yield from self.judge(subject, context)


def rule(
    *,
    id: str,  # noqa: A002 (the field's own term)
    title: str,
    severity: Severity,
    outage: str,
    remedy: str,
    why: str,
    reads: tuple[str, ...],
    subjects: Callable[[Context], Iterable[Subject]],
    source: str = "",
    mandatory: bool = True,
    drill: str = "",
    not_shown: str = "",
) -> Callable[[Callable[[Subject, Context], Iterable[Finding]]], Rule[Subject]]:
    """Make a rule of the function that judges one subject."""

    def made(judge: Callable[[Subject, Context], Iterable[Finding]]) -> Rule[Subject]:
        return Rule(
            id, title, severity, outage, remedy, why, reads, subjects, judge, source, mandatory, drill, not_shown
        )

    return made


def resources(*types: str) -> Callable[[Context], Iterable[Resource]]:
    """The subjects of a rule about every resource of these types."""
    return lambda context: context.stack.of_type(*types)
