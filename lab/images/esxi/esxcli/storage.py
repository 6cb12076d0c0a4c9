"""`esxcli storage`: devices, paths, multipathing and file systems."""

import socket

from .commands import Option, Options, command
from .errors import EsxcliError
from .host import ADAPTER, DEFAULT_IOPS, Device, Host, Policy, SatpRule, StoragePath
from .iscsi import DESCRIPTION, rescan, session_id
from .output import Blocks, Fields, Table, Text

DEVICE = Option("device", "d")
THE_DEVICE = Option("device", "d", required=True)
POLICIES = ("VMW_PSP_FIXED", "VMW_PSP_MRU", "VMW_PSP_RR")
SATP = "VMW_SATP_DEFAULT_AA"
MIB = 2**20
PROBE_SECONDS = 1


@command("storage core adapter rescan", Option("adapter", "A"), Option("all", "a", flag=True), Option("type", "t"))
def adapter_rescan(host: Host, options: Options) -> Text:
    """Look for LUNs."""
    if "adapter" not in options and "all" not in options:
        raise EsxcliError("Must specify one of --adapter or --all")
    if "adapter" in options:
        host.require_adapter(options["adapter"])
    rescan(host)
    return Text()


@command("storage core adapter list")
def adapter_list(host: Host, _: Options) -> Table:
    """List the storage adapters."""
    adapter = {
        "HBA Name": ADAPTER,
        "Driver": "iscsi_vmk",
        "Link State": "online",
        "UID": host.iqn,
        "Capabilities": "Second Level Lun ID",
        "Description": DESCRIPTION,
    }
    return Table(tuple(adapter), [adapter] if host.state.iscsi_enabled else [])


@command("storage core device list", DEVICE)
def device_list(host: Host, options: Options) -> Blocks:
    """List the LUNs, or one."""
    return Blocks(
        [
            (
                naa,
                {
                    "Display Name": _display_name(naa, device),
                    "Has Settable Display Name": True,
                    "Size": device.size_bytes // MIB,
                    "Device Type": "Direct-Access",
                    "Multipath Plugin": "NMP",
                    "Devfs Path": f"/vmfs/devices/disks/{naa}",
                    "Vendor": device.vendor,
                    "Model": device.model,
                    "Revision": device.revision,
                    "SCSI Level": 5,
                    "Is Pseudo": False,
                    "Status": "on" if any(_answers(path) for path in device.paths) else "dead",
                    "Is RDM Capable": True,
                    "Is Local": False,
                    "Is Removable": False,
                    "Is SSD": False,
                    "Is Offline": False,
                    "Thin Provisioning Status": "unknown",
                    "VAAI Status": "unknown",
                    "Is Shared Clusterwide": True,
                },
            )
            for naa, device in _devices(host, options)
        ]
    )


@command("storage core path list", DEVICE, Option("path", "p"))
def path_list(host: Host, options: Options) -> Blocks:
    """List the paths, each with its state at this moment."""
    blocks = []
    for naa, device in _devices(host, options):
        for path in device.paths:
            isid = session_id(host, path.target, path.vmk, path.portal)
            uid = f"{host.iqn}-{isid},{path.target},t,1-{naa}"
            fields: Fields = {
                "UID": uid,
                "Runtime Name": _runtime_name(device, path),
                "Device": naa,
                "Device Display Name": _display_name(naa, device),
                "Adapter": ADAPTER,
                "Channel": device.paths.index(path),
                "Target": 0,
                "LUN": path.lun,
                "Plugin": "NMP",
                "State": "active" if _answers(path) else "dead",
                "Transport": "iscsi",
                "Adapter Identifier": host.iqn,
                "Target Identifier": f"{isid},{path.target},t,1",
                "Adapter Transport Details": host.iqn,
                "Target Transport Details": f"IQN={path.target} Alias= Session={isid} PortalTag=1",
                "Maximum IO Size": 131072,
            }
            if options.get("path") in (None, uid, fields["Runtime Name"]):
                blocks.append((uid, fields))
    return Blocks(blocks)


@command("storage nmp device list", DEVICE)
def nmp_device_list(host: Host, options: Options) -> Blocks:
    """List how the LUNs' paths are used."""
    blocks = []
    for naa, device in _devices(host, options):
        policy = host.policy(naa)
        round_robin = policy.psp == "VMW_PSP_RR"
        working = device.paths if round_robin else device.paths[:1]
        fields: Fields = {
            "Device Display Name": _display_name(naa, device),
            "Storage Array Type": SATP,
            "Storage Array Type Device Config": "{action_OnRetryErrors=on}",
            "Path Selection Policy": policy.psp,
            "Path Selection Policy Device Config": _round_robin_config(policy) if round_robin else "{}",
            "Path Selection Policy Device Custom Config": "",
            "Working Paths": [_runtime_name(device, path) for path in working],
            "Is USB": False,
        }
        blocks.append((naa, fields))
    return Blocks(blocks)


@command("storage nmp device set", THE_DEVICE, Option("psp", "P", choices=POLICIES), Option("default", "E", flag=True))
def nmp_device_set(host: Host, options: Options) -> Text:
    """Choose a LUN's path selection policy."""
    naa = options["device"]
    host.device(naa)
    if "default" in options:
        host.state.policies.pop(naa, None)
    elif "psp" in options:
        host.state.policies[naa] = Policy(options["psp"], host.policy(naa).iops)
    else:
        raise EsxcliError("Must specify one of --psp or --default")
    host.report_if_possible()
    return Text()


@command("storage nmp psp roundrobin deviceconfig get", THE_DEVICE)
def roundrobin_get(host: Host, options: Options) -> Blocks:
    """Show when round robin changes to the next path."""
    policy = _round_robin(host, options["device"])
    fields: Fields = {
        "Device": options["device"],
        "IOOperation Limit": policy.iops,
        "Limit Type": "Default" if policy.iops == DEFAULT_IOPS else "Iops",
        "Use Active Unoptimized Paths": False,
    }
    return Blocks([(options["device"], fields)])


@command(
    "storage nmp psp roundrobin deviceconfig set",
    THE_DEVICE,
    Option("type", "t", choices=("iops", "default")),
    Option("iops", "I"),
)
def roundrobin_set(host: Host, options: Options) -> Text:
    """Set after how many commands round robin changes to the next path."""
    policy = _round_robin(host, options["device"])
    iops = options.get("iops", str(DEFAULT_IOPS))
    if not iops.isdecimal() or int(iops) < 1:
        raise EsxcliError(f"Invalid value for option -I|--iops: {iops}")
    host.state.policies[options["device"]] = Policy(policy.psp, int(iops))
    return Text()


@command(
    "storage nmp satp rule add",
    Option("satp", "s", required=True),
    Option("psp", "P", choices=POLICIES),
    Option("vendor", "V"),
    Option("model", "M"),
    Option("description", "e"),
)
def satp_rule_add(host: Host, options: Options) -> Text:
    """Have all LUNs of an array use a policy, unless set otherwise."""
    rule = SatpRule(**options)
    if any((rule.vendor, rule.model) == (each.vendor, each.model) for each in host.state.satp_rules):
        raise EsxcliError("SATP rule already exists: a rule for this vendor and model is there")
    host.state.satp_rules.append(rule)
    host.report_if_possible()
    return Text()


@command("storage nmp satp rule list", Option("satp", "s"))
def satp_rule_list(host: Host, options: Options) -> Table:
    """List the rules that were added."""
    rows = [
        {
            "Name": rule.satp,
            "Vendor": rule.vendor,
            "Model": rule.model,
            "Rule Group": "user",
            "Default PSP": rule.psp,
            "Description": rule.description,
        }
        for rule in host.state.satp_rules
        if options.get("satp") in (None, rule.satp)
    ]
    return Table(("Name", "Vendor", "Model", "Rule Group", "Default PSP", "Description"), rows)


@command("storage vmfs extent list")
def vmfs_extent_list(host: Host, _: Options) -> Table:
    """List the LUNs below the VMFS volumes."""
    columns = ("Volume Name", "VMFS UUID", "Extent Number", "Device Name", "Partition")
    values = [(each["name"], each["uuid"], 0, each["naa"], 1) for each in _mounted(host)]
    rows: list[Fields] = [dict(zip(columns, each, strict=True)) for each in values]
    return Table(columns, rows)


@command("storage filesystem list")
def filesystem_list(host: Host, _: Options) -> Table:
    """List the mounted VMFS volumes."""
    columns = ("Mount Point", "Volume Name", "UUID", "Mounted", "Type", "Size", "Free")
    rows: list[Fields] = []
    for each in _mounted(host):
        size = host.state.devices[each["naa"]].size_bytes
        values = (f"/vmfs/volumes/{each['uuid']}", each["name"], each["uuid"], True, "VMFS-6", size, size)
        rows.append(dict(zip(columns, values, strict=True)))
    return Table(columns, rows)


@command("storage filesystem rescan")
@command("storage filesystem automount")
def filesystem_rescan(host: Host, _: Options) -> Text:
    """Mount the VMFS volumes on visible LUNs: the simulated vCenter does it when it hears what the host sees."""
    host.report()
    return Text()


def _devices(host: Host, options: Options) -> list[tuple[str, Device]]:
    if naa := options.get("device"):
        return [(naa, host.device(naa))]
    return list(host.state.devices.items())


def _mounted(host: Host) -> list[dict[str, str]]:
    return [each for each in host.lab.vmfs() if each["mounted"] and each["naa"] in host.state.devices]


def _display_name(naa: str, device: Device) -> str:
    return f"{device.vendor} iSCSI Disk ({naa})"


def _runtime_name(device: Device, path: StoragePath) -> str:
    return f"{ADAPTER}:C{device.paths.index(path)}:T0:L{path.lun}"


def _answers(path: StoragePath) -> bool:
    """Whether the portal can be reached now."""
    address, _, port = path.portal.rpartition(":")
    try:
        socket.create_connection((address, int(port)), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _round_robin(host: Host, naa: str) -> Policy:
    host.device(naa)
    policy = host.policy(naa)
    if policy.psp != "VMW_PSP_RR":
        raise EsxcliError(f"Device {naa} is not using VMW_PSP_RR")
    return policy


def _round_robin_config(policy: Policy) -> str:
    return (
        f"{{policy=rr,iops={policy.iops},bytes=10485760,useANO=0; lastPathIndex=0: NumIOsPending=0,numBytesPending=0}}"
    )
