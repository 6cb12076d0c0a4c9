"""What a drill records and what comes out of it; workload, runner, invariants and report share these.

Times are seconds on the machine's monotonic clock since the recording began, so that a step of the clock, which is a
fault of its own, spoils no figure. `Recording.began_monotonic` ties them to `time.monotonic()` of any process here.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from blueprint.terms import Measure

UNKNOWN = "not known: "
"""With what the detail of an invariant begins that nobody could find out."""


class Kind(StrEnum):
    """What a request was for."""

    PAGE = "page"
    """A page, by somebody new: a GET on a connection of its own, TLS handshake included."""
    API = "api"
    """The API, by somebody who is there already: a GET on a kept connection."""
    LEDGER = "ledger"
    """A write to the ledger: a POST with an id that the client made."""
    SESSION = "session"
    """A write to or a read of a session."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer."""

    kind: Kind
    method: str
    scheduled: float
    """When it was due."""
    sent: float
    """When it was handed to the connection; later than `scheduled` only where the generator itself was late."""
    seconds: float
    """From `sent` until the answer was read as a whole, or was given up."""
    status: int = 0
    """HTTP status; 0 without an answer."""
    error: str = ""
    """Why there was no answer."""
    node: str = ""
    """The application server that answered."""

    @property
    def done(self) -> float:
        """When the answer was there, or was given up."""
        return self.sent + self.seconds

    @property
    def good(self) -> bool:
        """Whether the user got what was asked for."""
        return 200 <= self.status < 400  # noqa: PLR2004 (RFC 9110, 15: successful and redirection)

    @property
    def idempotent(self) -> bool:
        """Whether anybody on the way could have sent it again (RFC 9110, 9.2.2)."""
        return self.method in {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A ledger write that the service said was kept."""

    id: str
    time: float


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """The ledger after the drill, compared with the ids that were kept outside the stack."""

    written: int
    """Ids sent."""
    acknowledged: int
    """Ids for which the service answered that they are kept."""
    lost: tuple[str, ...] = ()
    """Acknowledged, and not there."""
    doubled: tuple[str, ...] = ()
    """There more than once."""
    unacknowledged_found: int = 0
    """There without an acknowledgement: the answer was lost, not the write. Allowed."""
    unchecked: str = ""
    """Why the ledger could not be read; empty once it was."""


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session that did not have its last certain write any more."""

    session: int
    time: float
    expected: int
    """Number of the last write that was certain."""
    found: int | None
    """Number of the write that was found; None where the session was gone."""
    node: str
    """Who answered."""


@dataclass(frozen=True, slots=True)
class SessionsCheck:
    """The live sessions after the drill.

    A write is certain once the same node has answered the session's next request: WildFly answers a request before it
    replicates the session, and takes the session's next request only afterwards.
    """

    sessions: int
    """How many there were."""
    certain: int
    """How many had a certain write."""
    lost: tuple[LostSession, ...] = ()
    unchecked: str = ""
    """Why sessions could not be read at the end; empty once all were."""


@dataclass(frozen=True, slots=True)
class WriterSample:
    """One question to one database server, past every balancer: do you accept a write?"""

    server: str
    sent: float
    done: float
    at: datetime
    """The system's time, UTC, when the answer came."""
    writable: bool = False
    """It says that it is not in recovery: it takes itself for the primary."""
    accepted: bool = False
    """It acknowledged a commit, with the durability that the service itself asks for."""
    timeline: int | None = None
    """The timeline on which it would write; None where it wouldn't."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """Who was what at one time, as far as it answered lately (`STALE` in drills.workload.observer)."""

    time: float
    site_address: tuple[str, ...]
    """Balancers that have the site's virtual address configured."""
    database_address: tuple[str, ...]
    """Database servers that have the database's."""
    primary: tuple[str, ...]
    """Database servers whose Patroni says that it is primary."""
    sync_standby: tuple[str, ...]
    """Synchronous standbys, as a primary's Patroni says."""
    votes: int
    """etcd members that answer and know a leader."""
    silent: tuple[str, ...] = ()
    """Balancers that did not answer lately: what they hold is not known."""


@dataclass(frozen=True, slots=True)
class Generator:
    """What the load cost, and whether it kept its pace: a generator that is late measures itself."""

    cpu_seconds: float
    """Processor time of the generator's process."""
    late_p99: float
    """99 % of the requests were sent at most this many seconds after they were due."""
    late_worst: float
    """The latest was this late; an outage shorter than this can be the generator's own."""
    busy: float | None = None
    """Share of all processors' time that this machine used while the load ran; None where it is not known."""
    stolen: float | None = None
    """Share that it wanted and did not get, as the machine is virtual and others had it (proc(5), steal)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that everything ran on."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str
    load_average: tuple[float, float, float]
    """Over 1, 5 and 15 minutes, when the recording began."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What the load was."""

    requests_per_second: float
    writes_per_second: float
    sessions: int
    think_seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that clients and observers saw."""

    began: datetime
    """UTC."""
    began_monotonic: float
    """The same moment on `time.monotonic()`."""
    seconds: float
    """How long the load lasted."""
    path: str
    """From where to where the requests went."""
    rates: Rates
    requests: tuple[Request, ...]
    acknowledgements: tuple[Acknowledgement, ...]
    writers: tuple[WriterSample, ...]
    observations: tuple[Observation, ...]
    ledger: LedgerCheck
    sessions: SessionsCheck
    generator: Generator
    machine: Machine


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault may cost at most, at the 95th percentile."""

    seconds: float
    measure: Measure
    source: str
    """Where the figure comes from, and the lowest credible one elsewhere."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold in every drill."""

    name: str
    held: bool
    detail: str
    """What was compared, and the evidence where it did not hold."""

    @property
    def known(self) -> bool:
        """Whether it could be found out; if not, it does not count as held."""
        return not self.detail.startswith(UNKNOWN)


@dataclass(frozen=True, slots=True)
class SimulatedDelay:
    """A delay that the lab's simulation of vSphere HA made, not the stack: a lab figure, not ESXi's."""

    name: str
    seconds: float
    source: str
    """Where the delay is documented."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one drill."""

    fault: str
    """Its name, such as `kill-postgres`; empty for a quiet run."""
    title: str
    hit: str
    """What it was done to, such as `db01, the primary`."""
    run: int
    """Counted from 1."""
    target: Target | None
    recording: Recording
    injected: float | None = None
    """When the fault began; None for a quiet run."""
    undone: float | None = None
    whole: float | None = None
    """When the stack had its full redundancy again; None if it never had within the bound."""
    invariants: tuple[Invariant, ...] = ()
    simulated: tuple[SimulatedDelay, ...] = ()
    proves: tuple[str, ...] = ()
    """Ids of the policy rules without which the drill would have ended otherwise."""
    notes: tuple[str, ...] = field(default=())
    """What a reader must know: what can't be shown here, what could not be undone."""
    without: str = ""
    """Id of the rule that was broken for it: then nothing need have held."""

    @property
    def recovery(self) -> float | None:
        """Seconds from the fault to full redundancy; not measured where a rule was broken."""
        if self.whole is None or self.injected is None or self.without:  # mending the rule takes its time, too
            return None
        return self.whole - self.injected


@dataclass(frozen=True, slots=True)
class Subject:
    """What drills ran on, as far as it is known."""

    program: str = ""
    """The commit; ends with `-dirty` where the working copy's program was not quite that one."""
    settings: str = ""
    """The first digits of a SHA-256: with the same ones, the stack file said the same."""
    lab_since: datetime | None = None
    """When the lab was made, UTC; None on a real site, too."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a series: it may be interrupted, and go on later."""

    began: datetime
    """UTC."""
    ended: datetime | None
    """None where nobody could write it down any more, as after a `kill -9`."""
    first: int
    """Number of its first drill, counted from 1 in the series' sequence."""
    last: int
    """Number of the last that ran to its end; `first - 1` if none did."""
    why: str
    """Why it ended."""
    interrupted: str = ""
    """The drill that was under way: its fault was taken back, and it runs again in the next part."""
    on: Subject = field(default_factory=Subject)
    """What it ran on."""
    drift: str | None = None
    """What was not as the program says when it had ended, vCenter and servers asked; empty if nothing; None if nobody
    asked, as after an interruption. It begins with `UNKNOWN` where it could not be found out."""

    @property
    def drift_is_known(self) -> bool:
        """Whether it was found out what differs, if anything."""
        return self.drift is not None and not self.drift.startswith(UNKNOWN)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A drill of which nothing is known but that its fault was made and taken back."""

    number: int
    """In the series' sequence."""
    fault: str
    began: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Chance:
    """A series whose drills were chosen by chance; the seed and the sequence's length repeat it."""

    seed: int
    ordered: int
    """How many drills the sequence has."""
    sequence: str
    """SHA-256 of their names, a line each: a catalogue with other faults makes another sequence of the same seed."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a series of drills went, beside what each of them measured."""

    chance: Chance | None = None
    """None where the drills were named."""
    parts: tuple[Part, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
