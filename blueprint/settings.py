"""What a stack file says, parsed once and checked as a whole.

One model per thing of the site. Values that every site may leave alone have the safe choice as their default, with its
source; what is particular to a site is required. Secrets are not here: see `blueprint.secrets`.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from blueprint import consistency
from blueprint.mistakes import MistakesError
from blueprint.terms import Edition, Isolation, Role

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,14}$")]
"""A host, server or datastore name: a DNS label (RFC 1123), at most 15 characters so that it is a NetBIOS name too."""

Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
NaaId = Annotated[str, StringConstraints(pattern=r"^naa\.[0-9a-f]{16}([0-9a-f]{16})?$")]
Iqn = Annotated[str, StringConstraints(pattern=r"^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[A-Za-z0-9.:_-]+)?$")]
ContextPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$")]
Percent = Annotated[int, Field(ge=1, le=100)]
Vlan = Annotated[int, Field(ge=0, le=4094)]
Mtu = Annotated[int, Field(ge=1280, le=9000)]
VrrpRouterId = Annotated[int, Field(ge=1, le=255)]
PositiveSeconds = Annotated[float, Field(gt=0, le=600)]


class Model(BaseModel):
    """Base of every part of the settings: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class VCenter(Model):
    """The vCenter Server that the program talks to."""

    server: str = Field(min_length=1)
    user: str = Field(min_length=3)
    datacenter: str = Field(min_length=1)
    edition: Edition


class Network(Model):
    """One IPv4 network and the VLAN that carries it (0: untagged)."""

    cidr: IPv4Network
    vlan: Vlan = 0
    mtu: Mtu = 1500


class GuestNetwork(Network):
    """The network of the servers and of the virtual addresses that users reach."""

    port_group: str = "perenne-guests"
    gateway: IPv4Address


class Networks(Model):
    """The site's networks. Each storage network is one path from a host to an array."""

    management: Network
    guests: GuestNetwork
    storage: dict[Name, Network] = Field(min_length=2)


class Switch(Model):
    """A standard virtual switch, alike on every host."""

    name: str
    uplinks: tuple[str, ...] = Field(min_length=2)


class Switches(Model):
    """The virtual switches that Perenne makes; vSwitch0 is ESXi's own and carries its management."""

    guests: Switch = Switch(name="vSwitch1", uplinks=("vmnic2", "vmnic3"))
    storage: Switch = Switch(name="vSwitch2", uplinks=("vmnic4", "vmnic5"))


class Host(Model):
    """One ESXi host."""

    address: IPv4Address
    storage: dict[Name, IPv4Address]
    cpus: int = Field(ge=2, description="physical cores")
    memory_gib: int = Field(ge=4)
    thumbprint: str = Field(default="", pattern=r"^([0-9A-F]{2}(:[0-9A-F]{2}){19})?$")


class Cluster(Model):
    """The vSphere cluster and its high availability."""

    name: str = Field(min_length=1)
    host_failures_to_tolerate: int = Field(default=1, ge=1, le=4)
    isolation_response: Isolation = Isolation.POWER_OFF


class Chap(Model):
    """Names for CHAP in both directions: hosts prove themselves to the array and the array to them (RFC 7143, 12)."""

    user: str = "perenne"
    mutual_user: str = "array"


class Lun(Model):
    """A LUN of an array; its datastore has the LUN's key as name."""

    naa: NaaId
    size_gib: int = Field(ge=8)


class Array(Model):
    """A storage array: one iSCSI target with a portal on every storage network."""

    iqn: Iqn
    portals: dict[Name, IPv4Address] = Field(min_length=2)
    chap: Chap = Chap()
    luns: dict[Name, Lun] = Field(min_length=1)


class Template(Model):
    """The image that servers are cloned from, imported into a content library.

    `ova` is a path, absolute or below the project, or an https URL that vCenter can reach.
    """

    name: str = Field(min_length=1)
    ova: str = Field(min_length=1)
    guest_id: str = "debian12_64Guest"


class Server(Model):
    """One virtual machine."""

    role: Role
    host: Name
    address: IPv4Address
    datastore: Name
    cpus: int = Field(ge=1)
    memory_mib: int = Field(ge=256)
    disk_gib: int = Field(ge=4)


class Vrrp(Model):
    """How fast a virtual address moves (VRRP, RFC 9568).

    A backup takes over after about three silent intervals plus a skew below one interval.
    """

    router_id: VrrpRouterId
    advertisement_seconds: PositiveSeconds = 0.2


class Site(Model):
    """What users reach: one name on one virtual address."""

    name: Domain
    address: IPv4Address
    vrrp: Vrrp


class Database(Model):
    """PostgreSQL under Patroni; `address` follows the primary.

    The lease times are Patroni's: a primary that can't renew its leader key for `ttl` seconds has lost it, and
    `loop_wait` + 2 * `retry_timeout` must not exceed `ttl` (Patroni, "Dynamic Configuration Settings").
    """

    address: IPv4Address
    vrrp: Vrrp
    ttl: int = Field(default=20, ge=20, description="seconds; 20 is Patroni's lower bound")
    loop_wait: int = Field(default=1, ge=1)
    retry_timeout: int = Field(default=3, ge=3)
    max_connections: int = Field(default=100, ge=20)


class HealthCheck(Model):
    """When a balancer stops sending requests to an application server (mod_proxy_hcheck)."""

    interval_seconds: PositiveSeconds = 0.5
    failures: int = Field(default=2, ge=1)
    passes: int = Field(default=1, ge=1)


class WildFly(Model):
    """The application server. Where the template lacks it, guests fetch `url` and check it against `sha256`."""

    version: str = Field(default="36.0.1.Final", pattern=r"^[0-9]+\.[0-9.]+\.[A-Za-z0-9]+$")
    url: str = Field(default="", pattern=r"^(https://.+)?$")
    sha256: Sha256 | None = None
    heap_mib: int = Field(default=256, ge=128)


class Service(Model):
    """Something that runs on the platform.

    `artifact` is a path below the project or an https URL; a URL needs `sha256`, a path may have one. A service with
    `database` gets a database, a role and a datasource of its own name (`java:jboss/datasources/<name>`).
    """

    artifact: str = Field(min_length=1)
    sha256: Sha256 | None = None
    context_path: ContextPath
    health_path: ContextPath
    database: bool


class Settings(Model):
    """A whole site, as one stack file describes it."""

    environment: Literal["dev", "prod"]
    domain: Domain
    vcenter: VCenter
    networks: Networks
    switches: Switches = Switches()
    hosts: dict[Name, Host]
    host_keys: dict[Name, str] = Field(default_factory=dict)
    cluster: Cluster
    storage: dict[Name, Array] = Field(min_length=1)
    template: Template
    servers: dict[Name, Server]
    site: Site
    database: Database
    health_check: HealthCheck = HealthCheck()
    wildfly: WildFly = WildFly()
    services: dict[Name, Service] = Field(min_length=1)
    ntp: tuple[IPv4Address | Domain, ...] = ()
    administrators: tuple[str, ...] = ()
    protect: bool

    @model_validator(mode="after")
    def _is_one_consistent_site(self) -> Self:
        mistakes = list(consistency.mistakes_of(self))
        if mistakes:
            raise MistakesError(mistakes)
        return self

    def servers_of(self, role: Role) -> dict[str, Server]:
        """The servers of one tier, by name, in the order of the stack file."""
        return {name: server for name, server in self.servers.items() if server.role is role}

    @property
    def quorum(self) -> dict[str, Server]:
        """The servers with an etcd vote: databases and witnesses."""
        return self.servers_of(Role.DATABASE) | self.servers_of(Role.WITNESS)

    @property
    def luns(self) -> dict[str, Lun]:
        """Every LUN of every array by its datastore's name."""
        return {name: lun for array in self.storage.values() for name, lun in array.luns.items()}

    def fqdn(self, name: str) -> str:
        """The full name of a host or server."""
        return f"{name}.{self.domain}"
