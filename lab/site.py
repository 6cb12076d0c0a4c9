"""The embedded lab's life: made ready, up, looked at, down."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, ImageNotFound
from pydantic import ValidationError

from blueprint.settings import Settings
from lab import certificates, equipment, inventory, routing
from lab.engine import Engine
from lab.equipment import HTTPS_PORT, LAB_API_PORT, LabSecrets, Plan
from lab.errors import LabError
from lab.hostkey import ensure_host_keys, host_key_files
from lab.images.build import Images
from lab.images.docker import remove_all
from lab.images.progress import Progress, timed
from lab.inventory import Inventory
from lab.label import Kind, Label
from lab.lock import locked
from lab.machine import READY_SECONDS, Machine
from lab.network import check_free, networks_of, routes
from lab.ova import write_template
from lab.state import Record
from lab.status import Inventory as VCenterInventory
from lab.status import Status

NAME = "perenne"
STATE = Path(".perenne/lab")
FIRST_PORT = 8443
PORTS = 100
"""How many ports from the first one on are tried."""

_API_SECONDS = 5.0
_WITH_IPTABLES = {Kind.CLIENT, Kind.SAN, Kind.ESXI}
"""Machines whose images have the tools of root-tools."""
_REPLACEABLE = {Kind.CLIENT, Kind.SAN, Kind.BMC}
"""Machines that can be made anew below a running stack; vCenter and its hosts can't without losing what it knows."""


class Condition(StrEnum):
    """Whether there is a lab to build on."""

    ABSENT = "absent"
    HEALTHY = "healthy"
    BROKEN = "broken"


@dataclass(frozen=True)
class State:
    """The lab's condition. A broken one names its faults; a healthy one has a generation."""

    condition: Condition
    faults: tuple[str, ...] = ()
    generation: str | None = None


@dataclass(frozen=True)
class Prepared:
    """What the stack file needs before a deployment: see `Lab.prepare`."""

    host_keys: dict[str, str]
    """Per ESXi host its public SSH key, as `perenne:host_keys` has them."""
    ca_bundle: Path
    """The machine's trusted roots and the lab's authority in one PEM file."""
    authority: str
    """The certificate of the lab's authority, PEM: it signs vCenter's and the BMCs'."""
    environment: dict[str, str]
    """What programs that talk to the lab need beside this process's environment."""


@dataclass(frozen=True)
class Outcome:
    """What `Lab.up` did."""

    generation: str
    built: bool
    """Whether the lab was built anew: its vCenter then knows nothing of any earlier deployment."""
    replaced: tuple[str, ...]
    """Machines that were made anew in a lab that stayed."""
    url: str
    """Where a browser on this machine finds the site, once there is one."""


class Lab:
    """The equipment of one site as containers on this machine.

    Args:
        settings: The stack that is to live in it.
        name: Distinguishes labs on one machine.
        state_dir: The lab's files, `.perenne/lab` below the working copy. Secrets are in it only while the lab is up.
        first_port: The port on 127.0.0.1 that leads to the site, or the next free one.
        ha_speed: Divides the delays of vSphere HA.
    """

    def __init__(
        self,
        settings: Settings,
        name: str = NAME,
        state_dir: Path = STATE,
        *,
        first_port: int = FIRST_PORT,
        ha_speed: float = 1.0,
    ) -> None:
        self.settings = settings
        self.name = name
        self.state_dir = state_dir.resolve()
        self.engine = Engine(clone_of(state_dir))
        self._first_port = first_port
        self._ha_speed = ha_speed

    @property
    def _authority(self) -> certificates.Pair:
        return certificates.Pair.at(self.state_dir / "authority")

    @property
    def _vcenter_certificate(self) -> certificates.Pair:
        return certificates.Pair.at(self.state_dir / "vcenter")

    def prepare(self) -> Prepared:
        """Make what the stack file needs before a deployment, without Docker; what is there and good stays as it is.

        That is the lab's certificate authority, vCenter's certificate, the ESXi hosts' SSH keys, and the template's OVA
        if the stack file has it below the lab's directory.

        Raises:
            LabError: The stack file describes no site that a lab can be.
        """
        equipment.check(self.settings)
        address = equipment.vcenter_address(self.settings)
        with locked(self.name):
            authority = certificates.ensure_authority(self.state_dir / "authority", f"Perenne lab {self.name}")
            names = (str(address), self.settings.fqdn("vcenter"), "vcenter")
            certificates.ensure_server(self.state_dir / "vcenter", names, authority)
            for host, bmc in equipment.bmcs(self.settings).items():
                certificates.ensure_server(self._bmc_stem(host), (str(bmc),), authority)
            bundle = self.state_dir / "ca-bundle.crt"
            certificates.write_bundle(bundle, authority)
            template = self.settings.template
            ova = self.engine.clone / template.ova
            if ova.is_relative_to(self.state_dir):
                write_template(ova, template.name, template.guest_id)
            keys = {name: ensure_host_keys(self._host_keys(name)) for name in self.settings.hosts}
        pem = authority.certificate.read_text()
        return Prepared(keys, bundle, pem, {"SSL_CERT_FILE": str(bundle)} | self._past_proxies())

    def _past_proxies(self) -> dict[str, str]:
        """Keep requests to the lab off proxies, beside those that the user keeps off them."""
        networks = [str(network.cidr) for network in networks_of(self.settings)]
        variables = ("NO_PROXY", "no_proxy")
        given = next((value for name in variables if (value := os.environ.get(name))), "")
        own = [entry for entry in given.split(",") if entry and entry not in networks]
        return dict.fromkeys(variables, ",".join(own + networks))

    def _host_keys(self, host: str) -> Path:
        return self.state_dir / "ssh" / host

    def _bmc_stem(self, host: str) -> Path:
        return self.state_dir / "bmc" / host

    def _bmc_certificate(self, host: str) -> tuple[bytes, bytes]:
        pair = certificates.Pair.at(self._bmc_stem(host))
        return pair.certificate.read_bytes(), pair.key.read_bytes()

    def state(self) -> State:
        """Ask Docker for the lab's condition, changing nothing.

        Raises:
            LabError: Docker can't be used, or the lab is another working copy's.
        """
        record = Record.read(self.state_dir)
        client = self.engine.find()
        if client is None:
            return State(Condition.BROKEN, ("Docker does not run",)) if record.exists else State(Condition.ABSENT)
        with _answers_of_docker():
            found = Inventory.read(client, self.name)
            found.check_owner(self.engine.clone)
            return self._state(client, found, record)

    def _state(self, client: DockerClient, found: Inventory, record: Record) -> State:
        if not found:
            return State(Condition.ABSENT)
        faults = []
        for name in equipment.names(self.settings):
            machine = found.machine(name)
            state = machine.state if machine else "missing"
            if state != "running":
                faults.append(f"{name} is {state}")
        present = {network.name for network in found.networks}
        faults += [f"network {n.name} is missing" for n in networks_of(self.settings) if n.name not in present]
        vcenter = found.machine("vcenter")
        if faults or vcenter is None:
            return State(Condition.BROKEN, tuple(faults))
        generation = inventory.generation_of(client, vcenter)
        if record.generation is None:
            return State(Condition.BROKEN, ("it was never finished",))
        if record.generation != generation:
            return State(Condition.BROKEN, ("vcenter was restarted and has lost its inventory",))
        return State(Condition.HEALTHY, generation=generation)

    def up(self, secrets: LabSecrets, images: Images, progress: Progress) -> Outcome:
        """Bring the lab up, as the settings have it.

        A healthy lab stays, and of it only what differs is made anew. A broken one is removed and built again, since
        nothing can be known of what half of it still holds. May be interrupted at any time and called again.

        Raises:
            LabError: Something on this machine is in the way; nothing was started then, or the next call goes on.
        """
        self.prepare()
        with locked(self.name), _answers_of_docker():
            client = self.engine.ensure(progress)
            found = Inventory.read(client, self.name)
            found.check_owner(self.engine.clone)
            record = Record.read(self.state_dir)
            plan = self._plan(secrets, images, record.port or self._first_port)
            state = self._state(client, found, record)
            if state.condition is Condition.HEALTHY and state.generation:
                stale = self._stale(client, found, plan)
                if stale is not None:
                    self._replace(client, plan, stale, progress)
                    self._tell(client, Inventory.read(client, self.name), secrets, progress)
                    self._open_way(client, plan)
                    replaced = tuple(machine.name for machine in stale)
                    return Outcome(state.generation, built=False, replaced=replaced, url=_url(plan.port))
                reason = "its equipment has changed"
            else:
                reason = "it is broken: " + ", ".join(state.faults)
            if state.condition is not Condition.ABSENT:
                progress(f"lab: remove the lab that is there and build it anew, because {reason}")
                self._remove(client)
            return self._build(client, plan, progress)

    def _plan(self, secrets: LabSecrets, images: Images, port: int) -> Plan:
        return Plan(
            settings=self.settings,
            secrets=secrets,
            images=images,
            lab=self.name,
            port=port,
            ha_speed=self._ha_speed,
            docker_socket=str(self.engine.socket),
            vcenter_certificate=self._vcenter_certificate.certificate.read_bytes(),
            vcenter_key=self._vcenter_certificate.key.read_bytes(),
            host_keys={name: dict(host_key_files(self._host_keys(name))) for name in self.settings.hosts},
            bmc_certificates={name: self._bmc_certificate(name) for name in equipment.bmcs(self.settings)},
        )

    def _stale(self, client: DockerClient, found: Inventory, plan: Plan) -> list[Machine] | None:
        """Machines to be made anew; None if that takes a whole new lab."""
        networks = {network.name: network.fingerprint for network in networks_of(self.settings)}
        if networks != {network.name: network.labels.get(Label.FINGERPRINT) for network in found.networks}:
            return None
        machines = list(equipment.machines(plan))
        kinds = set(Kind)
        if {machine.name for machine in machines} != {
            member.name for member in found.containers if member.kind in kinds
        }:
            return None
        stale = []
        for machine in machines:
            member = found.machine(machine.name)
            if member and member.labels.get(Label.FINGERPRINT) != machine.fingerprint(_image_id(client, machine.image)):
                stale.append(machine)
        return stale if all(machine.kind in _REPLACEABLE for machine in stale) else None

    def _replace(self, client: DockerClient, plan: Plan, stale: list[Machine], progress: Progress) -> None:
        if not stale:
            return
        with timed(progress, f"lab: replace {', '.join(machine.name for machine in stale)}"):
            found = Inventory.read(client, self.name)
            for machine in stale:
                if member := found.machine(machine.name):
                    inventory.remove_container(client, member.id)
            self._start(client, plan, stale)

    def tell(self, secrets: LabSecrets, progress: Progress) -> None:
        """Give running arrays the secrets that they have now, as an administrator would; sessions that are there go on.

        Raises:
            LabError: The lab is another working copy's or busy, or an array does not run.
        """
        with locked(self.name), _answers_of_docker():
            client = self.engine.ensure(progress)
            found = Inventory.read(client, self.name)
            found.check_owner(self.engine.clone)
            self._tell(client, found, secrets, progress)

    def _tell(self, client: DockerClient, found: Inventory, secrets: LabSecrets, progress: Progress) -> None:
        for name, described in self.settings.storage.items():
            member = found.machine(name)
            if member is None:
                raise LabError(f"the array {name} can't be given its secrets", "it is missing", "Run ./perenne up.")
            array = equipment.array(name, described, secrets.chap[name], image="")
            if array.tell(client.containers.get(member.id), self.state_dir / "run" / name):
                progress(f"lab: {name} takes its new secrets")

    def _build(self, client: DockerClient, plan: Plan, progress: Progress) -> Outcome:
        networks = networks_of(self.settings)
        names = {*equipment.names(self.settings), *self.settings.servers, *(network.name for network in networks)}
        inventory.check_names(client, self.name, names)
        check_free(networks, client, routes())
        port = _free_port(plan.port)
        if port != plan.port:
            progress(f"lab: port {plan.port} of 127.0.0.1 is taken; the site is on {port}")
        plan = replace(plan, port=port)
        machines = list(equipment.machines(plan))
        for machine in machines:
            _image_id(client, machine.image)
        Record(exists=True, port=port).write(self.state_dir)
        with timed(progress, f"lab: start {', '.join(machine.name for machine in machines)}"):
            for network in networks:
                network.create(client, self._labels)
            self._start(client, plan, machines)
            # After there are machines: without one, nothing would take it away again.
            self._open_way(client, plan)
            self._await_vcenter()
        vcenter = Inventory.read(client, self.name).machine("vcenter")
        if vcenter is None:
            raise LabError("the lab is not complete", "its vCenter was removed", "Run ./perenne up again.")
        generation = inventory.generation_of(client, vcenter)
        Record(exists=True, port=port, generation=generation).write(self.state_dir)
        return Outcome(generation, built=True, replaced=(), url=_url(port))

    def _open_way(self, client: DockerClient, plan: Plan) -> None:
        if self.settings.has_fencing:
            routing.open_way(client, plan.images.client, self.name, self.settings)

    @property
    def _labels(self) -> dict[str, str]:
        return {Label.LAB: self.name, Label.CLONE: str(self.engine.clone)}

    def _start(self, client: DockerClient, plan: Plan, machines: list[Machine]) -> None:
        networks = networks_of(plan.settings)

        def start(machine: Machine) -> None:
            directory = self.state_dir / "run" / machine.name
            machine.write_files(directory)
            labels = self._labels | {Label.FINGERPRINT: machine.fingerprint(_image_id(client, machine.image))}
            machine.await_ready(machine.start(client, networks, directory, labels))

        with ThreadPoolExecutor() as pool:
            list(pool.map(start, machines))

    def _await_vcenter(self) -> None:
        """Wait until vCenter answers with a certificate of the lab's authority."""
        address = str(equipment.vcenter_address(self.settings))
        trust = ssl.create_default_context(cafile=str(self._authority.certificate))
        deadline = time.monotonic() + READY_SECONDS
        while True:
            connection = http.client.HTTPSConnection(address, HTTPS_PORT, timeout=_API_SECONDS, context=trust)
            try:
                connection.request("GET", "/sdk/vimServiceVersions.xml")
                if (status := connection.getresponse().status) == http.HTTPStatus.OK:
                    return
                why = f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                why = str(error)
            finally:
                connection.close()
            if time.monotonic() > deadline:
                remedy = f"See: docker logs {self.name}-vcenter"
                raise LabError("vCenter is not ready", f"https://{address} answers with {why}", remedy)
            time.sleep(0.05)

    def _remove(self, client: DockerClient) -> None:
        _dismantle(client, Inventory.read(client, self.name))
        _forget(self.state_dir)

    def down(self, progress: Progress) -> bool:
        """Take the lab down: see `take_down`."""
        return take_down(self.name, self.state_dir, progress)

    def status(self) -> Status:
        """Look at the lab, changing nothing; works in any condition.

        Raises:
            LabError: Docker can't be used, or the lab is another working copy's.
        """
        record, state = Record.read(self.state_dir), self.state()
        states = dict.fromkeys(equipment.names(self.settings), "missing")
        if client := self.engine.find():
            found = Inventory.read(client, self.name)
            states |= {name: machine.state for name in states if (machine := found.machine(name))}
        known = self._ask_vcenter() if states["vcenter"] == "running" else None
        url = _url(record.port) if record.port and record.exists else None
        return Status(condition=state.condition, machines=states, generation=state.generation, url=url, vcenter=known)

    def _ask_vcenter(self) -> VCenterInventory | None:
        address = str(equipment.vcenter_address(self.settings))
        connection = http.client.HTTPConnection(address, LAB_API_PORT, timeout=_API_SECONDS)
        try:
            connection.request("GET", "/lab/status")
            return VCenterInventory.model_validate(json.loads(connection.getresponse().read()))
        except (OSError, http.client.HTTPException, ValidationError, json.JSONDecodeError):
            return None
        finally:
            connection.close()


def take_down(name: str, state_dir: Path, progress: Progress, *, images: bool = False) -> bool:
    """Remove every container, network and volume of the lab, its secrets' files, and the engine if it was its own.

    Needs neither settings nor a lab that is whole. What doesn't carry the lab's label is never touched.

    Args:
        name: The lab's.
        state_dir: Its files.
        progress: Is told what is removed.
        images: Images that were built here go, too, while their engine still runs.

    Returns:
        Whether there was anything.

    Raises:
        LabError: The lab is another working copy's or busy, or something can't be removed.
        ImageError: An image can't be removed.
    """
    engine = Engine(clone_of(state_dir))
    with locked(name), _answers_of_docker():
        client = engine.find()
        record = Record.read(state_dir)
        if client is None and record.exists:
            # The machine was restarted: what is left of the lab lies in a Docker that does not run.
            client = engine.start(progress, install=False)
        found = Inventory.read(client, name) if client else None
        if client and found:
            found.check_owner(engine.clone)
            with timed(progress, f"lab: remove {len(found.containers)} containers, {len(found.networks)} networks"):
                _dismantle(client, found)
        if client and images:
            with timed(progress, "lab: remove images"):
                remove_all()
        _forget(state_dir)
        engine.stop(progress)
        return bool(found) or record.exists


def _dismantle(client: DockerClient, found: Inventory) -> None:
    """Remove what carries the lab's label, and its rules in the machine's packet filter."""
    if member := next((one for one in found.containers if one.kind in _WITH_IPTABLES), None):
        image = client.containers.get(member.id).attrs["Image"]
        routing.close_way(client, image, found.lab)
    inventory.remove(client, found.lab)


def clone_of(state_dir: Path) -> Path:
    """The working copy that a lab's directory, `.perenne/lab`, is in."""
    return state_dir.resolve().parents[1]


def _forget(state_dir: Path) -> None:
    """Remove the lab's secrets, and the memory of all but its port."""
    run = state_dir / "run"
    if run.is_dir():
        shutil.rmtree(run)
    record = Record.read(state_dir)
    if record.exists:
        Record(port=record.port).write(state_dir)


def _image_id(client: DockerClient, image: str) -> str:
    try:
        return str(client.images.get(image).id)
    except ImageNotFound as error:
        raise LabError("the lab can't start", f"Docker has no image {image}", "Build the images first.") from error


def _free_port(first: int) -> int:
    for port in range(first, first + PORTS):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LabError(
        "the site can't be published on this machine",
        f"ports {first} to {first + PORTS - 1} of 127.0.0.1 are all taken",
        "End what uses one of them.",
    )


def _url(port: int) -> str:
    return f"https://127.0.0.1:{port}"


@contextlib.contextmanager
def _answers_of_docker() -> Iterator[None]:
    """Tell a refusal of Docker's as what it is: something on the machine that the user has to know of."""
    try:
        yield
    except APIError as error:
        why = error.explanation or str(error)
        raise LabError("Docker refused a request of the lab's", why, "Mend that, then run this again.") from error
    except requests.RequestException as error:
        raise LabError("Docker stopped answering", str(error), "See to it that Docker runs, then go on.") from error
