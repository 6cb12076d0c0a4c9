"""What stands in a server room besides virtual machines, each as a container: vCenter, ESXi hosts, arrays, a client."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from blueprint.settings import Array, Settings
from lab.errors import LabError
from lab.images.build import Images
from lab.label import Kind
from lab.machine import FILES, Machine, Port

LAB_API_PORT = 8080
HTTPS_PORT = 443
ISCSI_PORT = 3260
SSH_PORT = 22

_LAB_NAA = re.compile(r"naa\.3([0-9a-f]{7})[0-9a-f]{8}")
"""Locally assigned: the number of the array, then that of the LUN (lab/images/san/serve_luns.py)."""

_CLIENT_OFFSET = 200
"""The client is the 200th address of the guests' network where that is free."""


@dataclass(frozen=True)
class LabSecrets:
    """The secrets of the lab's equipment, out of the stack's encrypted configuration.

    `chap` has per array the secret by which hosts prove themselves, and the one by which the array does.
    """

    vcenter_password: str = field(repr=False)
    esxi_password: str = field(repr=False)
    chap: Mapping[str, tuple[str, str]] = field(repr=False)
    ssh_public_key: str
    fencing_password: str = field(default="", repr=False)
    """Of the fencing agents' account in vCenter."""
    bmc_passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By host."""


@dataclass(frozen=True)
class Plan:
    """Everything that the lab's equipment is made from."""

    settings: Settings
    secrets: LabSecrets
    images: Images
    lab: str
    port: int
    ha_speed: float
    docker_socket: str
    vcenter_certificate: bytes
    vcenter_key: bytes = field(repr=False)
    host_keys: Mapping[str, Mapping[str, bytes]] = field(repr=False)
    """By host, the files of its SSH keys."""
    bmc_certificates: Mapping[str, tuple[bytes, bytes]] = field(repr=False)
    """By host, certificate and key."""


def names(settings: Settings) -> dict[str, Kind]:
    """Which machines the lab has, by name."""
    return {
        "vcenter": Kind.VCENTER,
        **dict.fromkeys(settings.storage, Kind.SAN),
        **dict.fromkeys(settings.hosts, Kind.ESXI),
        **{bmc_name(host): Kind.BMC for host in bmcs(settings)},
        "client": Kind.CLIENT,
    }


def machines(plan: Plan) -> Iterator[Machine]:
    """Lay out all machines."""
    yield _vcenter(plan)
    for name in plan.settings.storage:
        yield array(name, plan.settings.storage[name], plan.secrets.chap[name], plan.images.san)
    for name in plan.settings.hosts:
        yield _host(plan, name)
    for name in bmcs(plan.settings):
        yield _bmc(plan, name)
    yield _client(plan)


def bmcs(settings: Settings) -> dict[str, IPv4Address]:
    """The addresses of the hosts' BMCs, by host; of those that have one."""
    return {name: host.bmc.address for name, host in settings.hosts.items() if host.bmc.address}


def bmc_name(host: str) -> str:
    """What the BMC of a host is called in the lab."""
    return f"{host}-bmc"


def check(settings: Settings) -> None:
    """Check what a lab asks of a stack file beyond what every site does.

    Raises:
        LabError: vCenter or a BMC has no address of the lab's, or a LUN has an identifier that tgt can't give it.
    """
    vcenter_address(settings)
    for host, address in bmcs(settings).items():
        management = settings.networks.management.cidr
        if address not in management:
            why = f"perenne:hosts.{host}.bmc.address is outside perenne:networks.management.cidr, {management}"
            raise LabError(
                f"the lab can't have a BMC of {host} at {address}", why, f"Give it a free address in {management}."
            )
    for array_name, array in settings.storage.items():
        numbers = set()
        for name, lun in array.luns.items():
            match = _LAB_NAA.fullmatch(lun.naa)
            if not match:
                raise LabError(
                    f"the lab's array {array_name} can't serve {name}",
                    f"perenne:storage.{array_name}.luns.{name}.naa = {lun.naa} is not an identifier that tgt gives out",
                    "Write naa.3 and 15 hexadecimal digits.",
                )
            numbers.add(match[1])
        if len(numbers) > 1:
            raise LabError(
                f"the lab's array {array_name} can't serve its LUNs",
                f"the digits after naa.3 in perenne:storage.{array_name}.luns, {' and '.join(sorted(numbers))}, differ",
                "They stand for the array: make the first seven the same for all of its LUNs.",
            )


def vcenter_address(settings: Settings) -> IPv4Address:
    """The lab's vCenter has to have an address of its own.

    Raises:
        LabError: The stack file gives it a name, or an address of another network.
    """
    server, management = settings.vcenter.server, settings.networks.management.cidr
    try:
        address = IPv4Address(server)
    except ValueError:
        why, address = "is not an IPv4 address", None
    else:
        why = f"is outside perenne:networks.management.cidr, {management}"
    if address is None or address not in management:
        raise LabError(
            f"the lab can't have a vCenter at {server}",
            f"perenne:vcenter.server = {server} {why}",
            f"Give it a free address in {management}; names are for a real vCenter.",
        )
    return address


def client_address(settings: Settings) -> IPv4Address:
    """Choose an address for the client in the guests' network that nobody else has."""
    network = settings.networks.guests
    taken = {server.address for server in settings.servers.values()}
    taken |= {settings.site.address, settings.database.address, network.gateway}
    last = min(_CLIENT_OFFSET, network.cidr.num_addresses - 2)
    free = (network.cidr.network_address + offset for offset in range(last, 0, -1))
    address = next((address for address in free if address not in taken), None)
    if address is None:
        raise LabError(
            "the lab has no room for its client",
            f"every address of perenne:networks.guests.cidr, {network.cidr}, is taken",
            "Give the guests a larger network.",
        )
    return address


def array(name: str, described: Array, chap: tuple[str, str], image: str) -> Machine:
    """One storage array; `chap` has the secret by which hosts prove themselves, and the one by which the array does."""
    luns = [{"name": lun_name, "naa": lun.naa, "size_gib": lun.size_gib} for lun_name, lun in described.luns.items()]
    accounts = {
        "chap": {"user": described.chap.user, "secret": chap[0]},
        "chap_mutual": {"user": described.chap.mutual_user, "secret": chap[1]},
    }
    return Machine(
        name=name,
        kind=Kind.SAN,
        image=image,
        addresses=tuple(described.portals.values()),
        files={"san.json": json.dumps({"iqn": described.iqn, "luns": luns}, indent=2).encode()},
        live_files={"chap.json": json.dumps(accounts, indent=2).encode()},
        answers_on=tuple((address, ISCSI_PORT) for address in described.portals.values()),
        announces=f"{described.iqn} serves",  # tgt listens before it has its LUNs
    )


def _vcenter(plan: Plan) -> Machine:
    settings, address = plan.settings, vcenter_address(plan.settings)
    if plan.images.vcenter is None:
        raise LabError("the lab has no vCenter", "its image was not built", "Build the images with vCenter's binary.")
    hosts = settings.hosts.values()
    fencing = (f"-fencing-user={settings.fencing.user}", f"-fencing-password-file={FILES}/fencing-password")
    command = (
        f"-listen={address}:{HTTPS_PORT}",
        f"-lab-listen={address}:{LAB_API_PORT}",
        f"-lab={plan.lab}",
        f"-user={settings.vcenter.user}",
        f"-password-file={FILES}/password",
        f"-esxi-password-file={FILES}/esxi-password",
        f"-cert={FILES}/vcenter.crt",
        f"-key={FILES}/vcenter.key",
        f"-image={settings.template.name}={plan.images.guest}",
        f"-ha-speed={plan.ha_speed:g}",
        *(f"-local-datastore={host}={name}" for name, host in settings.local_datastores.items()),
        # The simulator knows one size of host; no host may seem larger than it is.
        f"-host-cpus={min(host.cpus for host in hosts)}",
        f"-host-memory={min(host.memory_gib for host in hosts) * 2**30}",
        *(fencing if settings.has_fencing else ()),
    )
    return Machine(
        name="vcenter",
        kind=Kind.VCENTER,
        image=plan.images.vcenter,
        addresses=(address,),
        command=command,
        files={
            "password": plan.secrets.vcenter_password.encode(),
            "esxi-password": plan.secrets.esxi_password.encode(),
            "vcenter.crt": plan.vcenter_certificate,
            "vcenter.key": plan.vcenter_key,
            **({"fencing-password": plan.secrets.fencing_password.encode()} if settings.has_fencing else {}),
        },
        mounts={"/var/run/docker.sock": plan.docker_socket},
        answers_on=((address, HTTPS_PORT), (address, LAB_API_PORT)),
    )


def _host(plan: Plan, name: str) -> Machine:
    address = plan.settings.hosts[name].address
    return Machine(
        name=name,
        kind=Kind.ESXI,
        image=plan.images.esxi,
        addresses=(address,),
        environment={
            "LAB_API": f"http://{vcenter_address(plan.settings)}:{LAB_API_PORT}",
            "LAB_HOST": name,
        },
        files=plan.host_keys[name],
        first_files={"authorized_keys": f"{plan.secrets.ssh_public_key.strip()}\n".encode()},
        answers_on=((address, SSH_PORT),),
    )


def _bmc(plan: Plan, host: str) -> Machine:
    """A container of its own: it goes on when the host's is lost."""
    described = plan.settings.hosts[host].bmc
    address = bmcs(plan.settings)[host]
    if plan.images.vcenter is None:
        raise LabError("the lab has no BMCs", "their image was not built", "Build the images with vCenter's binary.")
    certificate, key = plan.bmc_certificates[host]
    return Machine(
        name=bmc_name(host),
        kind=Kind.BMC,
        image=plan.images.vcenter,
        addresses=(address,),
        command=(
            "bmc",
            f"-host={host}",
            f"-listen={address}:{described.port}",
            f"-lab={plan.lab}",
            f"-lab-api=http://{vcenter_address(plan.settings)}:{LAB_API_PORT}",
            f"-ha-speed={plan.ha_speed:g}",
            f"-user={described.user}",
            f"-password-file={FILES}/password",
            f"-cert={FILES}/bmc.crt",
            f"-key={FILES}/bmc.key",
        ),
        files={"password": plan.secrets.bmc_passwords[host].encode(), "bmc.crt": certificate, "bmc.key": key},
        mounts={"/var/run/docker.sock": plan.docker_socket},
        answers_on=((address, described.port),),
    )


def _client(plan: Plan) -> Machine:
    site = plan.settings.site.address
    return Machine(
        name="client",
        kind=Kind.CLIENT,
        image=plan.images.client,
        addresses=(client_address(plan.settings),),
        command=(
            "socat",
            f"TCP-LISTEN:{HTTPS_PORT},fork,reuseaddr",
            f"TCP:{site}:{HTTPS_PORT},connect-timeout=5",
        ),
        port=Port(HTTPS_PORT, plan.port),
    )
