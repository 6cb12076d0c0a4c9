"""`esxcli network`: VMkernel adapters, which the simulated vCenter knows."""

import ipaddress

from .commands import Option, Options, command
from .errors import EsxcliError
from .host import Host
from .labapi import Vmkernel
from .output import Blocks, Fields, Table

NAME = Option("interface-name", "i")


@command("network ip interface list")
def interface_list(host: Host, _: Options) -> Blocks:
    """List the VMkernel adapters."""
    blocks: list[tuple[str, Fields]] = [
        (
            each.device,
            {
                "Name": each.device,
                "Enabled": True,
                "Portset": "vSwitch0",
                "Portgroup": each.portgroup,
                "Netstack Instance": "defaultTcpipStack",
                "MTU": each.mtu,
                "TSO MSS": 65535,
            },
        )
        for each in host.lab.vmkernels()
    ]
    return Blocks(blocks)


@command("network ip interface ipv4 get", NAME)
@command("network ip interface ipv4 address list", NAME)
def ipv4_get(host: Host, options: Options) -> Table:
    """List the VMkernel adapters' addresses."""
    vmkernels = host.lab.vmkernels()
    if name := options.get("interface-name"):
        vmkernels = [each for each in vmkernels if each.device == name]
        if not vmkernels:
            raise EsxcliError(f"Unable to find VMkernel interface {name}")
    columns = ("Name", "IPv4 Address", "IPv4 Netmask", "IPv4 Broadcast", "Address Type", "Gateway", "DHCP DNS")
    return Table(columns, [_address(each) for each in vmkernels])


def _address(vmkernel: Vmkernel) -> Fields:
    network = ipaddress.IPv4Network(f"{vmkernel.ip}/{vmkernel.mask}", strict=False)
    return {
        "Name": vmkernel.device,
        "IPv4 Address": vmkernel.ip,
        "IPv4 Netmask": vmkernel.mask,
        "IPv4 Broadcast": str(network.broadcast_address),
        "Address Type": "STATIC",
        "Gateway": "0.0.0.0",  # noqa: S104  # how ESXi writes that there is none
        "DHCP DNS": False,
    }
