"""What a stack file says, parsed once and checked as a whole.

One model per thing of the site. Values that every site may leave alone have the safe choice as their default, with its
source; what is particular to a site is required. Secrets are not here: see `blueprint.secrets`.
"""

from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from blueprint import consistency, forms
from blueprint.mistakes import MistakesError
from blueprint.terms import Certificate, DeviceLoss, Edition, Isolation, PathLoss, Role

Name = Annotated[str, StringConstraints(pattern=forms.NAME.pattern)]
"""A host, server or datastore name: a DNS label (RFC 1123), at most 15 characters so that it is a NetBIOS name too."""

Domain = Annotated[str, StringConstraints(pattern=forms.DOMAIN.pattern)]
Sha256 = Annotated[str, StringConstraints(pattern=forms.SHA256.pattern)]
NaaId = Annotated[str, StringConstraints(pattern=forms.NAA_ID.pattern)]
Iqn = Annotated[str, StringConstraints(pattern=forms.IQN.pattern)]
ContextPath = Annotated[str, StringConstraints(pattern=forms.CONTEXT_PATH.pattern)]
InventoryName = Annotated[str, StringConstraints(pattern=forms.INVENTORY_NAME.pattern)]
"""What something is called in vCenter, at most 80 characters (vSphere Web Services API, `ManagedEntity.name`)."""
Uplink = Annotated[str, StringConstraints(pattern=forms.UPLINK.pattern)]
SshKey = Annotated[str, StringConstraints(pattern=forms.SSH_KEY.pattern)]
Vlan = Annotated[int, Field(ge=0, le=4094)]
Mtu = Annotated[int, Field(ge=1280, le=9000)]
VrrpRouterId = Annotated[int, Field(ge=1, le=255)]
PositiveSeconds = Annotated[float, Field(gt=0, le=600)]


class Model(BaseModel):
    """Base of every part of the settings: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True)


class VCenter(Model):
    """The vCenter Server that the program talks to."""

    server: str = Field(pattern=forms.SERVER.pattern)
    """Name or address of the vCenter Server, as its certificate has it, with `:port` where it is not 443."""
    address: IPv4Address | None = None
    """vCenter's address if `server` is a name; written to the servers' hosts files, because fencing agents need it."""
    user: str = Field(min_length=3)
    """Who Perenne logs in as; the password is the secret `vcenter-password`."""
    datacenter: InventoryName
    """The datacenter that Perenne makes; its name must not begin with vm, host, datastore or network."""
    edition: Edition
    """Decides how servers of a tier are kept apart: by anti-affinity rules (DRS) or by pinning."""

    @property
    def host(self) -> str:
        """`server` without its port."""
        return self.server.partition(":")[0]

    @property
    def known_address(self) -> IPv4Address | None:
        """Its address, where the stack file says it; a name alone is resolved by whoever runs Pulumi."""
        return self._as_address or self.address

    @property
    def is_named(self) -> bool:
        """Whether `server` is a name, not an address."""
        return self._as_address is None

    @property
    def _as_address(self) -> IPv4Address | None:
        try:
            return IPv4Address(self.host)
        except AddressValueError:
            return None


class Network(Model):
    """One IPv4 network and the VLAN that carries it (0: untagged)."""

    cidr: IPv4Network
    """The network, without host bits."""
    vlan: Vlan = 0
    """VLAN id on the uplinks; 0 is untagged."""
    mtu: Mtu = 1500
    """Bytes; 9000 only where every switch port on the way carries it."""


class GuestNetwork(Network):
    """The network of the servers and of the virtual addresses that users reach."""

    port_group: InventoryName = "perenne-guests"
    """The port group that the servers are connected to, alike on every host."""
    gateway: IPv4Address
    """Default gateway of the servers."""
    nameservers: tuple[IPv4Address, ...] = ()
    """DNS resolvers for downloads of packages; empty if the template has all. Servers find each other by /etc/hosts."""


class Networks(Model):
    """The site's networks. Each storage network is one path from a host to an array."""

    management: Network
    """ESXi's and vCenter's management."""
    guests: GuestNetwork
    """Servers, virtual addresses. An `mtu` above the users' needs a gateway that sends ICMP "fragmentation needed"."""
    vmotion: Network | None = None
    """vMotion's own network, on the switch of the servers; without it the site has made its own way for vMotion."""
    storage: dict[Name, Network] = Field(min_length=2)
    """iSCSI, by path; at least two, each on its own switch hardware. Paths take uplinks in turn, by alphabet."""


class Switch(Model):
    """A standard virtual switch, alike on every host."""

    name: InventoryName
    """Name of the standard switch."""
    uplinks: tuple[Uplink, ...] = Field(min_length=2)
    """Physical adapters (vmnicN); two that share no card and no physical switch."""


class Switches(Model):
    """The virtual switches that Perenne makes; vSwitch0 is ESXi's own and carries its management."""

    guests: Switch = Switch(name="vSwitch1", uplinks=("vmnic2", "vmnic3"))
    """Carries the network of the servers."""
    storage: Switch = Switch(name="vSwitch2", uplinks=("vmnic4", "vmnic5"))
    """Carries the storage networks; each path has one of its uplinks as its only active one."""


class Bmc(Model):
    """A host's management controller (iDRAC, iLO, XCC …), which can power it off by Redfish; used by fencing."""

    address: IPv4Address | None = None
    """Its own address, which the database servers can reach; none where fencing is not to use it."""
    port: int = Field(default=443, ge=1, le=65535)
    """HTTPS port."""
    user: str = ""
    """Who may read the power state and press the power button; the password is the secret `bmc-<host>`."""
    thumbprint: Sha256 | None = None
    """SHA-256 of its certificate; none where an authority among `fencing-authorities` signed it."""


class Host(Model):
    """One ESXi host, within vSphere 8's limits ("VMware Configuration Maximums")."""

    address: IPv4Address
    """Management address."""
    storage: dict[Name, IPv4Address]
    """The host's VMkernel address on each storage network."""
    vmotion: IPv4Address | None = None
    """The host's VMkernel address for vMotion, where `networks.vmotion` is."""
    cpus: int = Field(ge=2, le=960)
    """Physical cores."""
    memory_gib: int = Field(ge=4, le=24 * 1024)
    """Physical memory, GiB."""
    thumbprint: str = Field(default="", pattern=forms.THUMBPRINT.pattern)
    """SHA-1 of the host's certificate, as the host client shows it; empty where vCenter's own authority signed it."""
    bmc: Bmc = Bmc()
    """Its management controller."""
    local_datastore: Name | None = None
    """Name in vCenter of the datastore on the host's own disk (ESXi's installer makes one); a witness may lie there."""


class Cluster(Model):
    """The vSphere cluster and its high availability."""

    name: InventoryName
    """Name in vCenter."""
    host_failures_to_tolerate: int = Field(default=1, ge=1, le=4)
    """How many hosts may be lost at once; admission control keeps their share of CPU and memory free."""
    isolation_response: Isolation = Isolation.POWER_OFF
    """What happens to the servers of a host that is cut off from the others."""
    pdl_response: DeviceLoss = DeviceLoss.RESTART
    """Response when the array reports a datastore as permanently lost (PDL)."""
    apd_response: PathLoss = PathLoss.RESTART_IF_ELSEWHERE
    """Response when a datastore answers on no path (APD)."""
    apd_delay_seconds: int = Field(default=180, ge=0, le=3600)
    """Seconds from ESXi's own APD timeout (140 s) to that response."""
    vm_failure_seconds: int = Field(default=30, ge=10, le=3600)
    """Seconds without VMware Tools' heartbeat after which VM monitoring resets a server that has hung."""
    vm_minimum_uptime_seconds: int = Field(default=120, ge=30, le=3600)
    """Seconds from a server's start until VM monitoring begins."""


class Chap(Model):
    """Names for CHAP in both directions: hosts prove themselves to the array and the array to them (RFC 7143, 12)."""

    user: str = Field(default="perenne", min_length=1)
    """Who the hosts say they are."""
    mutual_user: str = Field(default="array", min_length=1)
    """Who the array says it is."""


class Lun(Model):
    """A LUN of an array; its datastore has the LUN's key as name. VMFS 6 takes up to 64 TiB."""

    naa: NaaId
    """The LUN's id as ESXi names the device."""
    size_gib: int = Field(ge=8, le=64 * 1024)
    """Size, GiB."""


class Array(Model):
    """A storage array: one iSCSI target with a portal on every storage network."""

    iqn: Iqn
    """The target's name (RFC 7143, 4.2.7)."""
    portals: dict[Name, IPv4Address] = Field(min_length=2)
    """The portal's address on each storage network (port 3260)."""
    chap: Chap = Chap()
    """Names for CHAP; the secrets are `chap-<array>` and `chap-mutual-<array>`."""
    luns: dict[Name, Lun] = Field(min_length=1)
    """The LUNs, by the name of the datastore on each."""


class Template(Model):
    """The image that servers are cloned from: imported from `ova`, or found by name in an existing content library."""

    name: InventoryName
    """Name in the content library."""
    ova: str = ""
    """Path, absolute or below the project, or https URL of an OVA of Debian 12 with cloud-init and open-vm-tools."""
    library: Annotated[str, StringConstraints(pattern=r"^[^/\\%]{0,80}$")] = ""
    """The content library that has it already, instead of `ova`; it must reach the datastores of the servers."""
    guest_id: str = Field(default="debian12_64Guest", min_length=1)
    """The guest OS as the OVA's descriptor names it."""


class Server(Model):
    """One virtual machine, within vSphere 8's limits ("VMware Configuration Maximums")."""

    role: Role
    """The tier."""
    host: Name
    """The host that it starts on (and, without DRS, stays on)."""
    address: IPv4Address
    """Fixed address on the network of the servers."""
    datastore: Name
    """The datastore of its disk: a LUN's, or for a witness the `local_datastore` of its host."""
    cpus: int = Field(ge=1, le=768)
    """Virtual CPUs. A change restarts the server; `up` refuses two such changes at once."""
    memory_mib: int = Field(ge=256, le=24 * 1024 * 1024)
    """Memory, MiB. A change restarts the server, as of `cpus`."""
    disk_gib: int = Field(ge=4, le=62 * 1024)
    """Disk, GiB."""


class Vrrp(Model):
    """How fast a virtual address moves (VRRP, RFC 9568).

    A backup takes over after about three silent intervals plus a skew below one interval.
    """

    router_id: VrrpRouterId
    """Virtual router id, unique on its network."""
    advertisement_seconds: PositiveSeconds = 0.2
    """Seconds between two advertisements."""


class Site(Model):
    """What users reach: one name on one virtual address."""

    name: Domain
    """The name that users type; the certificate is made out to it."""
    address: IPv4Address
    """The virtual address, held by one of the balancers."""
    vrrp: Vrrp
    """How it moves."""
    certificate: Certificate = Certificate.OWN
    """Signed by the stack's own authority, or given by the company: secrets `tls-site` and `tls-site-authorities`."""


class Database(Model):
    """PostgreSQL under Patroni; `address` follows the primary.

    The lease times are Patroni's: a primary that can't renew its leader key for `ttl` seconds has lost it, and
    `loop_wait` + 2 * `retry_timeout` must not exceed `ttl` (Patroni, "Dynamic Configuration Settings").
    """

    address: IPv4Address
    """The virtual address of the primary."""
    vrrp: Vrrp
    """How it moves."""
    ttl: int = Field(default=20, ge=20, le=600)
    """Seconds without renewal after which the primary's lease ends; 20 is Patroni's lower bound."""
    loop_wait: int = Field(default=1, ge=1)
    """Seconds between two rounds of Patroni's loop."""
    retry_timeout: int = Field(default=3, ge=3)
    """Seconds that Patroni retries etcd and PostgreSQL before it gives up the lease."""
    max_connections: int = Field(default=100, ge=20, le=10_000)
    """PostgreSQL's `max_connections`."""


class Fencing(Model):
    """A standby that makes sure that a lost primary is off, instead of waiting until its lease has run out.

    The agent on the synchronous standby powers the server off through vCenter or, where its host is silent too, the
    host through its BMC; it releases the leader key only once that is certain.
    """

    user: str = ""
    """Its own account in vCenter, which may power servers off and on (secret `fencing-password`); empty: no fencing."""
    patience_seconds: PositiveSeconds = 5.8
    """How long a primary may be silent whose host answers: longer than any freeze that must not fail over (5 s; its
    standby hears nothing for up to 5.3 s then)."""
    host_patience_seconds: PositiveSeconds = 2.0
    """How long a primary may be silent whose host is silent too."""


class Backup(Model):
    """Base backups of the database on a schedule, and its WAL, streamed, on servers of the site."""

    servers: tuple[Name, ...] = ()
    """Who keeps them, of role backup or beside another; not all on the array of all databases (policy BAK-01)."""
    schedule: str = Field(default="*-*-* 02:00:00 UTC", min_length=1)
    """When a base backup is made: systemd's calendar (systemd.time(7))."""
    keep: int = Field(default=7, ge=1, le=1000)
    """Base backups to keep; the database can be restored to any moment since the oldest."""


class HealthCheck(Model):
    """When a balancer stops sending requests to an application server (mod_proxy_hcheck)."""

    interval_seconds: PositiveSeconds = 0.5
    """Seconds between two checks of a node."""
    failures: int = Field(default=2, ge=1, le=100)
    """Failed checks until a node gets no more requests."""
    passes: int = Field(default=1, ge=1, le=100)
    """Good checks until it gets them again."""


class WildFly(Model):
    """The application server. Where the template lacks it, guests fetch `url` and check it against `sha256`."""

    version: str = Field(default="36.0.1.Final", pattern=forms.VERSION.pattern)
    """Release."""
    url: str = Field(default="", pattern=forms.URL.pattern)
    """Where servers fetch it if the template lacks it."""
    sha256: Sha256 | None = None
    """Checksum of what `url` must deliver."""
    heap_mib: int = Field(default=256, ge=128)
    """The Java heap's greatest size, MiB."""


class Service(Model):
    """Something that runs on the platform.

    `artifact` is a path below the project or an https URL; a URL needs `sha256`, a path may have one. A service with
    `database` gets a database, a role and a datasource of its own name (`java:jboss/datasources/<name>`).
    """

    artifact: str = Field(min_length=1)
    """The WAR: path below the project, or https URL that the servers can reach."""
    sha256: Sha256 | None = None
    """Its checksum; required for a URL."""
    context_path: ContextPath
    """Where it appears below the site's name."""
    health_path: ContextPath
    """What the balancers ask to see whether a node serves it."""
    database: bool
    """Whether it gets a database, a role and a datasource of its own name."""


class Settings(Model):
    """A whole site, as one stack file describes it."""

    environment: Literal["dev", "prod"]
    """`dev` lives in the embedded lab, `prod` on a site; policies go by the stack's name, whatever stands here."""
    domain: Domain
    """DNS domain of hosts and servers; no DNS server is needed, every server carries the same complete hosts file."""
    vcenter: VCenter
    """The vCenter Server."""
    networks: Networks
    """The networks."""
    switches: Switches = Switches()
    """The virtual switches."""
    hosts: dict[Name, Host] = Field(min_length=1)
    """The ESXi hosts, by short name; not `client`, `database`, `localhost` or `vcenter`, which others are called."""
    host_keys: dict[Name, SshKey] = Field(default_factory=dict)
    """Each host's public SSH key (`ecdsa-sha2-nistp256 …`, not `ssh-rsa`); `init` writes them."""
    cluster: Cluster
    """The cluster."""
    storage: dict[Name, Array] = Field(min_length=1)
    """The storage arrays, by name; not `client` or `vcenter`, nor `mutual-<array>` beside that array."""
    template: Template
    """What servers are cloned from."""
    servers: dict[Name, Server] = Field(min_length=1)
    """The servers, by name; not `authority`, `client`, `database`, `localhost`, `site` or `vcenter`."""
    site: Site
    """What users reach."""
    database: Database
    """The database tier."""
    fencing: Fencing = Fencing()
    """Making sure that a lost primary is off."""
    backup: Backup = Backup()
    """Backups of the database."""
    health_check: HealthCheck = HealthCheck()
    """The balancers' health check."""
    wildfly: WildFly = WildFly()
    """The application servers."""
    services: dict[Name, Service] = Field(min_length=1)
    """What runs on the platform, by name."""
    logins: dict[Name, str] = Field(default_factory=dict)
    """The database role by which a service logs in, if not by that of its own name; `rotate` writes them."""
    ntp: tuple[IPv4Address | Domain, ...] = ()
    """Time sources of hosts and servers; empty: hosts keep theirs, and servers the time that vSphere gives them."""
    administrators: tuple[SshKey, ...] = ()
    """Further public SSH keys that may log in on the servers."""
    protect: bool
    """Whether Pulumi refuses to delete cluster, hosts, datastores, databases and who keeps their backups."""

    @model_validator(mode="after")
    def _is_one_consistent_site(self) -> Self:
        mistakes = list(consistency.mistakes_of(self))
        if mistakes:
            raise MistakesError(mistakes)
        return self

    def servers_of(self, role: Role) -> dict[str, Server]:
        """The servers of one tier, by name and in the order of their names."""
        return {name: server for name, server in sorted(self.servers.items()) if server.role is role}

    @property
    def vcenter_name(self) -> str:
        """The full name of vCenter: `vcenter.server`, or one of the site's where that is an address."""
        return self.vcenter.host if self.vcenter.is_named else self.fqdn("vcenter")

    @property
    def has_fencing(self) -> bool:
        """Whether a lost primary is made sure of."""
        return bool(self.fencing.user)

    @property
    def quorum(self) -> dict[str, Server]:
        """The servers with an etcd vote: databases and witnesses."""
        return self.servers_of(Role.DATABASE) | self.servers_of(Role.WITNESS)

    @property
    def luns(self) -> dict[str, Lun]:
        """Every LUN of every array by its datastore's name."""
        return {name: lun for array in self.storage.values() for name, lun in array.luns.items()}

    @property
    def local_datastores(self) -> dict[str, str]:
        """The host of every datastore that is on a host's own disk, by the datastore's name."""
        return {host.local_datastore: name for name, host in self.hosts.items() if host.local_datastore}

    def login_of(self, service: str) -> str:
        """The database role by which a service logs in."""
        return self.logins.get(service, service)

    def fqdn(self, name: str) -> str:
        """The full name of a host or server."""
        return f"{name}.{self.domain}"
