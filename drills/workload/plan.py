"""What a workload is to do: everything that its process needs, in one document that it gets on standard input."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from drills.model import Rates


class Model(BaseModel):
    """Base of every part."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(Model):
    """What users reach."""

    url: str
    """The virtual address, such as `https://198.18.20.100`."""
    name: str
    """What its certificate is made out to."""
    authority: str
    """Certificates of the authorities that it is verified by, PEM; nothing else is trusted."""
    page: str
    """Path of a page that reads the database."""
    api: str
    """Path of the API's answer that reads the database."""
    ledger: str
    """Path of the ledger."""
    session: str
    """Path that shows and changes what the session holds."""


class Load(Model):
    """How much. All of it is open loop: what is due is sent, whatever became of what was sent before."""

    requests_per_second: PositiveFloat = 10.0
    """GETs, by turns of the page and of the API."""
    writes_per_second: PositiveFloat = 5.0
    sessions: PositiveInt = 1000
    think_seconds: PositiveFloat = 120.0
    """How long a session's user reads before the next request; all sessions are spread evenly over it."""
    connect_seconds: PositiveFloat = 2.0
    """How long a connection may take, TLS included: once the first SYN is lost the second follows after 1 s (RFC
    6298)."""
    answer_seconds: PositiveFloat = 10.0
    """How long a user waits for an answer, the connection included."""
    arrivals_per_second: PositiveFloat = 50.0
    """How fast sessions are begun before the first recording."""
    checks_per_second: PositiveFloat = 100.0
    """How fast they are asked for their last write after each: reads alone, and no other load."""
    warm_seconds: PositiveFloat = 3.0
    """How long visitors come before the recording begins: connections are made, and nodes have met such requests."""
    longest_seconds: PositiveFloat = 1800.0
    """A recording ends by itself after this time, and so does the process when it is asked for none so long."""
    check_seconds: PositiveFloat = 120.0
    """How long the checks at the end may take, until the service answers."""

    @model_validator(mode="after")
    def _one_request_at_a_time(self) -> Self:
        if self.think_seconds <= self.answer_seconds:
            why = f"think_seconds ({self.think_seconds:g}) must exceed answer_seconds ({self.answer_seconds:g})"
            raise ValueError(f"{why}: a session has one request at a time")
        return self

    @property
    def rates(self) -> Rates:
        """The same as a recording tells it."""
        return Rates(self.requests_per_second, self.writes_per_second, self.sessions, self.think_seconds)


class Probe(Model):
    """Which database servers are asked, past every balancer, whether they accept a write."""

    servers: dict[str, str]
    """Address by name."""
    database: str
    user: str
    password: str = Field(repr=False)
    port: int = 5432
    interval_seconds: PositiveFloat = 0.1
    answer_seconds: PositiveFloat = 1.0
    """After this time a server is asked anew, on a new connection: one that hangs never says so."""


class Login(Model):
    """A server on which the observer looks at addresses."""

    address: str
    host_key: str
    """In the form of known_hosts: `ssh-ed25519 AAAA…`."""


class Observer(Model):
    """Where the observer looks."""

    site_address: str
    database_address: str
    balancers: dict[str, Login]
    databases: dict[str, Login]
    quorum: dict[str, str]
    """Address of every etcd member, by name."""
    ssh_key: str = Field(repr=False)
    """OpenSSH's private key for root on the servers."""
    client_certificate: str = Field(repr=False)
    """Key and certificate that etcd's members accept, PEM."""
    addresses_interval_seconds: PositiveFloat = 0.2
    members_interval_seconds: PositiveFloat = 0.5


class Plan(Model):
    """All of it."""

    site: Site
    load: Load = Load()
    probe: Probe | None = None
    observer: Observer | None = None
    authority: str
    """Certificate of the authority behind those of the servers, which are asked past the balancers, PEM."""
    path: str
    """From where to where the requests go, in words."""
    status: str
    """The command that shows how the stack is, for whom the workload fails: `./perenne status dev`."""
    folder: str
    """Where the process's log is kept; every recording has a folder of its own, outside the stack."""
