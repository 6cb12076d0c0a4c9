"""`esxcli iscsi`: the software adapter, its network portals, CHAP, discovery and sessions."""

import ipaddress
import sys
from collections.abc import Callable

from . import initiator
from .commands import Option, Options, boolean, command
from .errors import EsxcliError
from .host import ADAPTER, Chap, ChapPair, Device, Host, StoragePath, Target
from .initiator import InitiatorError, Lun
from .labapi import Vmkernel
from .output import Blocks, Fields, Table, Text

PORT = 3260  # RFC 7143
DESCRIPTION = "iSCSI Software Adapter"
OPTIONAL_ADAPTER = Option("adapter", "A")
THE_ADAPTER = Option("adapter", "A", required=True)
ADDRESS = Option("address", "a", required=True)
NAME = Option("name", "n", required=True)
DIRECTION = Option("direction", "d", choices=("uni", "mutual"))
REQUIRED_DIRECTION = Option("direction", "d", required=True, choices=("uni", "mutual"))
CHAP = (
    REQUIRED_DIRECTION,
    Option("authname", "N"),
    Option("secret", "S"),
    Option("level", "l", choices=("prohibited", "discouraged", "preferred", "required")),
    Option("default", "D", flag=True),
    Option("inherit", "I", flag=True),
)


@command("iscsi software get")
def software_get(host: Host, _: Options) -> Text:
    """Say whether software iSCSI is on."""
    return Text(str(host.state.iscsi_enabled).lower())


@command("iscsi software set", Option("enabled", "e", required=True), Option("name", "n"))
def software_set(host: Host, options: Options) -> Text:
    """Turn software iSCSI on or off."""
    host.state.iscsi_enabled = boolean(options["enabled"])
    if not host.state.iscsi_enabled:
        host.state.devices, host.state.targets = {}, _static(host)
    host.report_if_possible()
    return Text(f"Software iSCSI {'Enabled' if host.state.iscsi_enabled else 'Disabled'}")


@command("iscsi adapter list", OPTIONAL_ADAPTER)
def adapter_list(host: Host, options: Options) -> Table:
    """List the iSCSI adapters."""
    adapters = [
        {
            "Adapter": ADAPTER,
            "Driver": "iscsi_vmk",
            "State": "online",
            "UID": host.iqn,
            "Description": DESCRIPTION,
        }
    ]
    if not host.state.iscsi_enabled:
        adapters = []
    if "adapter" in options:
        host.require_adapter(options["adapter"])
    return Table(("Adapter", "Driver", "State", "UID", "Description"), adapters)


@command("iscsi adapter get", THE_ADAPTER)
def adapter_get(host: Host, options: Options) -> Blocks:
    """Show an adapter."""
    host.require_adapter(options["adapter"])
    fields: Fields = {
        "Name": host.iqn,
        "Alias": "",
        "Vendor": "VMware",
        "Model": DESCRIPTION,
        "Description": DESCRIPTION,
        "Is NIC": False,
        "Is Root": True,
        "Can Be NIC": False,
        "Is Parent": True,
        "Using TCP Offload Engine": False,
        "Using ISCSI Offload Engine": False,
    }
    return Blocks([(ADAPTER, fields)])


@command("iscsi adapter auth chap get", THE_ADAPTER, DIRECTION)
def chap_get(host: Host, options: Options) -> Blocks:
    """Show CHAP's settings; never its secrets."""
    host.require_adapter(options["adapter"])
    return _chap_shown(host.state.chap, options)


@command("iscsi adapter auth chap set", THE_ADAPTER, *CHAP)
def chap_set(host: Host, options: Options) -> Text:
    """Set CHAP for every target that has no settings of its own."""
    host.require_adapter(options["adapter"])
    _set_chap(host.state.chap, options)
    return Text()


@command("iscsi adapter discovery sendtarget list", OPTIONAL_ADAPTER)
def sendtarget_list(host: Host, _: Options) -> Table:
    """List the portals that are asked for targets."""
    return Table(
        ("Adapter", "Sendtarget"), [{"Adapter": ADAPTER, "Sendtarget": portal} for portal in host.state.send_targets]
    )


@command("iscsi adapter discovery sendtarget add", THE_ADAPTER, ADDRESS)
def sendtarget_add(host: Host, options: Options) -> Text:
    """Add a portal to ask for targets; they are found at the next rediscovery or rescan."""
    host.require_adapter(options["adapter"])
    portal = _portal(options["address"])
    if portal in host.state.send_targets:
        raise EsxcliError(f"Unable to add send target {portal}: it already exists")
    host.state.send_targets[portal] = None
    return Text()


@command("iscsi adapter discovery sendtarget remove", THE_ADAPTER, ADDRESS)
def sendtarget_remove(host: Host, options: Options) -> Text:
    """Remove a portal, and the targets that it named."""
    host.require_adapter(options["adapter"])
    portal = _known_portal(host, options)
    del host.state.send_targets[portal]
    host.state.targets = [target for target in host.state.targets if target.is_static or target.portal != portal]
    return Text()


@command("iscsi adapter discovery sendtarget auth chap get", THE_ADAPTER, ADDRESS, DIRECTION)
def sendtarget_chap_get(host: Host, options: Options) -> Blocks:
    """Show CHAP's settings for the targets of one portal."""
    host.require_adapter(options["adapter"])
    return _chap_shown(host.state.send_targets[_known_portal(host, options)] or host.state.chap, options)


@command("iscsi adapter discovery sendtarget auth chap set", THE_ADAPTER, ADDRESS, *CHAP)
def sendtarget_chap_set(host: Host, options: Options) -> Text:
    """Set CHAP for asking one portal, and for the targets that it names."""
    host.require_adapter(options["adapter"])
    portal = _known_portal(host, options)
    if "inherit" in options:
        host.state.send_targets[portal] = None
        return Text()
    pair = host.state.send_targets[portal] or ChapPair()
    _set_chap(pair, options)
    host.state.send_targets[portal] = pair
    return Text()


@command("iscsi adapter discovery statictarget list", OPTIONAL_ADAPTER)
def statictarget_list(host: Host, _: Options) -> Table:
    """List the targets, static ones and those that were found."""
    return Table(
        ("Adapter", "Target Address", "Target Name"),
        [
            {"Adapter": ADAPTER, "Target Address": target.portal, "Target Name": target.name}
            for target in host.state.targets
        ],
    )


@command("iscsi adapter discovery statictarget add", THE_ADAPTER, ADDRESS, NAME)
def statictarget_add(host: Host, options: Options) -> Text:
    """Add a target at a portal, which is then not asked; the host logs in at the next rediscovery or rescan."""
    host.require_adapter(options["adapter"])
    name, portal = options["name"], _portal(options["address"])
    if any((target.name, target.portal) == (name, portal) for target in host.state.targets):
        raise EsxcliError(f"Unable to add static target {name} at {portal}: it already exists")
    host.state.targets.append(Target(name, portal, is_static=True))
    return Text()


@command("iscsi adapter discovery statictarget remove", THE_ADAPTER, ADDRESS, NAME)
def statictarget_remove(host: Host, options: Options) -> Text:
    """Remove a target at a portal, and drop its paths; a send target names it again at the next rescan."""
    host.require_adapter(options["adapter"])
    gone = _known_target(host, options)
    host.state.targets.remove(gone)
    _drop_paths(host, lambda path: (path.target, path.portal) == (gone.name, gone.portal))
    return Text()


@command("iscsi adapter target portal auth chap get", THE_ADAPTER, ADDRESS, NAME, DIRECTION)
def target_chap_get(host: Host, options: Options) -> Blocks:
    """Show CHAP's settings for one target at one portal."""
    host.require_adapter(options["adapter"])
    target = _known_target(host, options)
    return _chap_shown(chap_of(host, target.name, target.portal), options)


@command("iscsi adapter target portal auth chap set", THE_ADAPTER, ADDRESS, NAME, *CHAP)
def target_chap_set(host: Host, options: Options) -> Text:
    """Set CHAP for one target at one portal; discovery takes no notice of it."""
    host.require_adapter(options["adapter"])
    target = _known_target(host, options)
    if "inherit" in options:
        target.chap = None
        return Text()
    pair = target.chap or ChapPair()
    _set_chap(pair, options)
    target.chap = pair
    return Text()


@command("iscsi adapter discovery rediscover", OPTIONAL_ADAPTER)
def rediscover(host: Host, options: Options) -> Text:
    """Ask every send target for its targets, and log in to all."""
    host.require_adapter(options.get("adapter"))
    rescan(host)
    return Text()


@command("iscsi adapter target list", OPTIONAL_ADAPTER, Option("name", "n"))
def target_list(host: Host, _: Options) -> Table:
    """List the targets."""
    targets = {target.name: target for target in host.state.targets}.values()
    return Table(
        ("Adapter", "Target", "Alias", "Discovery Method", "Last Error"),
        [
            {
                "Adapter": ADAPTER,
                "Target": target.name,
                "Alias": "",
                "Discovery Method": "STATIC" if target.is_static else "SENDTARGETS",
                "Last Error": "No Error",
            }
            for target in targets
        ],
    )


@command("iscsi adapter target portal list", OPTIONAL_ADAPTER, Option("name", "n"))
def target_portal_list(host: Host, _: Options) -> Table:
    """List the portals of the targets."""
    rows = []
    for target in host.state.targets:
        ip, number = target.portal.split(":")
        row: Fields = {"Adapter": ADAPTER, "Target": target.name, "IP": ip, "Port": int(number), "Tpgt": 1}
        rows.append(row)
    return Table(("Adapter", "Target", "IP", "Port", "Tpgt"), rows)


@command("iscsi networkportal list", OPTIONAL_ADAPTER)
def networkportal_list(host: Host, _: Options) -> Blocks:
    """List the VMkernel adapters that are bound to the iSCSI adapter."""
    if not host.state.nics:
        return Blocks([])
    vmkernels = {each.device: each for each in host.lab.vmkernels()}
    used = {path.vmk for device in host.state.devices.values() for path in device.paths}
    return Blocks([(ADAPTER, _networkportal(nic, vmkernels.get(nic), is_used=nic in used)) for nic in host.state.nics])


@command("iscsi networkportal add", THE_ADAPTER, Option("nic", "n", required=True), Option("force", "f"))
def networkportal_add(host: Host, options: Options) -> Text:
    """Bind a VMkernel adapter: sessions go out from it."""
    host.require_adapter(options["adapter"])
    nic = options["nic"]
    if nic in host.state.nics:
        raise EsxcliError(f"Add Network Portal {nic} failed: it is already bound to {ADAPTER}")
    if nic not in {each.device for each in host.lab.vmkernels()}:
        raise EsxcliError(f"Add Network Portal {nic} failed: no such VMkernel adapter on this host")
    host.state.nics.append(nic)
    return Text()


@command("iscsi networkportal remove", THE_ADAPTER, Option("nic", "n", required=True), Option("force", "f"))
def networkportal_remove(host: Host, options: Options) -> Text:
    """Unbind a VMkernel adapter, and drop its paths; without force, one that has paths stays bound."""
    host.require_adapter(options["adapter"])
    nic = options["nic"]
    if nic not in host.state.nics:
        raise EsxcliError(f"Remove Network Portal {nic} failed: it is not bound to {ADAPTER}")
    is_used = any(vmk == nic for _, vmk, _ in sessions(host))
    if is_used and not boolean(options.get("force", "false")):
        raise EsxcliError(f"Remove Network Portal {nic} failed: it has sessions; use --force true")
    host.state.nics.remove(nic)
    _drop_paths(host, lambda path: path.vmk == nic)
    return Text()


@command("iscsi session list", OPTIONAL_ADAPTER, Option("name", "n"), Option("isid", "s"))
def session_list(host: Host, _: Options) -> Blocks:
    """List the sessions: one per path to a target."""
    blocks = []
    for target, vmk, portal in sessions(host):
        isid = session_id(host, target, vmk, portal)
        chap = chap_of(host, target, portal)
        fields: Fields = {
            "Adapter": ADAPTER,
            "Target": target,
            "ISID": isid,
            "TargetPortalGroupTag": 1,
            "AuthenticationMethod": "chap" if chap.uni.secret else "none",
            "DataPduInOrder": True,
            "DataSequenceInOrder": True,
            "DefaultTime2Retain": 0,
            "DefaultTime2Wait": 2,
            "ErrorRecoveryLevel": 0,
            "FirstBurstLength": 262144,
            "ImmediateData": True,
            "InitialR2T": False,
            "MaxBurstLength": 262144,
            "MaxConnections": 1,
            "MaxOutstandingR2T": 1,
            "TSIH": 0,
            "ID": f"{ADAPTER},{target},{isid}",
        }
        blocks.append((f"{ADAPTER},{target},{isid}", fields))
    return Blocks(blocks)


def rescan(host: Host) -> None:
    """Ask every send target for its targets, log in to all on every path and note the LUNs; tell the simulated vCenter.

    As on ESXi, a portal or a target that refuses doesn't make the command fail: its LUNs are missing afterwards. What
    it said is printed to standard error.

    Raises:
        EsxcliError: The lab's vCenter doesn't answer.
    """
    if not host.state.iscsi_enabled:
        return
    vmkernels = host.lab.vmkernels()
    targets = {(target.name, target.portal): target for target in host.state.targets}
    found = {key: target for key, target in targets.items() if target.is_static}
    for portal in host.state.send_targets:
        for nic in _routes(host, portal, vmkernels):
            found.update({each: targets.get(each) or Target(*each) for each in _discover(host, nic, portal)})
    host.state.targets = list(found.values())
    devices: dict[str, Device] = {}
    for target, portal in found:
        for nic in _routes(host, portal, vmkernels):
            for lun in _luns(host, nic, target, portal):
                device = devices.setdefault(lun.naa, Device(lun.vendor, lun.model, lun.revision, lun.size_bytes, []))
                device.paths.append(StoragePath(nic.device, portal, target, lun.number))
    host.state.devices = dict(sorted(devices.items()))
    host.report()


def sessions(host: Host) -> list[tuple[str, str, str]]:
    """Return (target, VMkernel adapter, portal) of every session."""
    return list(
        dict.fromkeys(
            (path.target, path.vmk, path.portal) for device in host.state.devices.values() for path in device.paths
        )
    )


def session_id(host: Host, target: str, vmk: str, portal: str) -> str:
    """Return a session's ISID, which ESXi counts."""
    return f"00023d{sessions(host).index((target, vmk, portal)) + 1:06x}"


def chap_of(host: Host, target: str, portal: str) -> ChapPair:
    """Return the CHAP settings for a target at a portal: its own, else the send target's, else the adapter's."""
    own = next((each.chap for each in host.state.targets if (each.name, each.portal) == (target, portal)), None)
    return own or _discovery_chap(host, portal)


def _discovery_chap(host: Host, portal: str) -> ChapPair:
    return host.state.send_targets.get(portal) or host.state.chap


def _static(host: Host) -> list[Target]:
    return [target for target in host.state.targets if target.is_static]


def _drop_paths(host: Host, is_gone: Callable[[StoragePath], bool]) -> None:
    """Forget paths, and the devices that none is left to."""
    for device in host.state.devices.values():
        device.paths = [path for path in device.paths if not is_gone(path)]
    host.state.devices = {naa: device for naa, device in host.state.devices.items() if device.paths}
    host.report_if_possible()


def _routes(host: Host, portal: str, vmkernels: list[Vmkernel]) -> list[Vmkernel]:
    """Return the VMkernel adapters from which the host tries to reach a portal.

    With port binding that is every bound one, in the portal's subnet or not. Without, the routing table chooses one
    ("vSphere Storage", "Best Practices for Configuring Networking with Software iSCSI").
    """
    if host.state.nics:
        return [each for each in vmkernels if each.device in host.state.nics]
    beside = [each for each in vmkernels if _is_beside(each, portal)]
    if not beside:
        _say(f"No VMkernel adapter is in the subnet of {portal}.")
    return beside[:1]


def _is_beside(nic: Vmkernel, portal: str) -> bool:
    """Whether a portal is in the adapter's subnet: no router stands between the storage networks."""
    address = ipaddress.IPv4Address(portal.rpartition(":")[0])
    return address in ipaddress.IPv4Network(f"{nic.ip}/{nic.mask}", strict=False)


def _discover(host: Host, nic: Vmkernel, portal: str) -> list[tuple[str, str]]:
    try:
        return initiator.discover(_login(host, nic, portal, _discovery_chap(host, portal)))
    except InitiatorError as error:
        _say(f"iSCSI discovery to {portal} on {ADAPTER} @ {nic.device} failed. {error}")
        return []


def _luns(host: Host, nic: Vmkernel, target: str, portal: str) -> list[Lun]:
    try:
        return initiator.luns(_login(host, nic, portal, chap_of(host, target, portal)), target)
    except InitiatorError as error:
        _say(f"Login to iSCSI target {target} at {portal} on {ADAPTER} @ {nic.device} failed. {error}")
        return []


def _login(host: Host, nic: Vmkernel, portal: str, chap: ChapPair) -> initiator.Login:
    interface = host.interface_of(nic.ip)
    if interface is None:
        raise InitiatorError(f"{nic.device} is not connected to its network ({nic.ip}).")
    if not _is_beside(nic, portal):
        raise InitiatorError("The iSCSI initiator could not establish a network connection to the target.")
    return initiator.Login(host.iqn, interface, portal, _credentials(chap.uni), _credentials(chap.mutual))


def _credentials(chap: Chap) -> initiator.Chap | None:
    return None if chap.level == "prohibited" else initiator.Chap(chap.name, chap.secret)


def _say(message: str) -> None:
    """Say what went wrong, in the words of ESXi's /var/log/vobd.log."""
    print(message, file=sys.stderr)


def _portal(address: str) -> str:
    """Complete an address with iSCSI's port."""
    host, _, port = address.partition(":")
    try:
        return f"{ipaddress.IPv4Address(host)}:{int(port or PORT)}"
    except ValueError as error:
        raise EsxcliError(f"Invalid address {address}. Expected ADDRESS or ADDRESS:PORT") from error


def _known_portal(host: Host, options: Options) -> str:
    portal = _portal(options["address"])
    if portal not in host.state.send_targets:
        raise EsxcliError(f"Unable to find send target {portal} on {ADAPTER}")
    return portal


def _known_target(host: Host, options: Options) -> Target:
    name, portal = options["name"], _portal(options["address"])
    for target in host.state.targets:
        if (target.name, target.portal) == (name, portal):
            return target
    raise EsxcliError(f"Unable to find target {name} at {portal} on {ADAPTER}")


def _set_chap(pair: ChapPair, options: Options) -> None:
    """Change one direction.

    Raises:
        EsxcliError: A name or a secret is missing, or the direction needs the other one.
    """
    direction = options["direction"]
    if "default" in options or options.get("level") == "prohibited":
        setattr(pair, direction, Chap())
        if direction == "uni":
            pair.mutual = Chap()
        return
    missing = [name for name in ("authname", "secret", "level") if not options.get(name)]
    if missing:
        raise EsxcliError(f"Missing required parameter --{missing[0]}")
    if direction == "mutual":
        if options["level"] != "required" or pair.uni.level != "required":
            raise EsxcliError("Mutual CHAP needs level 'required', in this and in the uni direction")
        if options["secret"] == pair.uni.secret:
            raise EsxcliError("The secrets of the two CHAP directions must differ")
    setattr(pair, direction, Chap(options["level"], options["authname"], options["secret"]))


def _chap_shown(pair: ChapPair, options: Options) -> Blocks:
    directions = [options["direction"]] if "direction" in options else ["uni", "mutual"]
    return Blocks(
        [
            (ADAPTER, {"Direction": direction, "Name": chap.name, "Level": chap.level})
            for direction, chap in (("uni", pair.uni), ("mutual", pair.mutual))
            if direction in directions
        ]
    )


def _networkportal(nic: str, vmkernel: Vmkernel | None, *, is_used: bool) -> Fields:
    return {
        "Adapter": ADAPTER,
        "Vmknic": nic,
        "IPv4": vmkernel.ip if vmkernel else "",
        "IPv4 Subnet Mask": vmkernel.mask if vmkernel else "",
        "IPv6": "",
        "MTU": vmkernel.mtu if vmkernel else 0,
        "MTU Supported": True,
        "Link Up": vmkernel is not None,
        "Compliant Status": "compliant" if vmkernel else "noncompliant",
        "NonCompliant Message": "" if vmkernel else "The VMkernel adapter is gone.",
        "PortGroup": vmkernel.portgroup if vmkernel else "",
        "Path Status": "active" if is_used else "unused",
    }
