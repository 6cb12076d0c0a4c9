"""`esxcli system`: name, version, time and maintenance mode."""

import socket

from .commands import Option, Options, boolean, command
from .host import Host
from .output import Structure, Text


@command("system hostname get")
def hostname_get(host: Host, _: Options) -> Structure:
    """Show the host's name."""
    domain = socket.gethostname().partition(".")[2]
    full = f"{host.name}.{domain}" if domain else host.name
    return Structure({"Domain Name": domain, "Fully Qualified Domain Name": full, "Host Name": host.name})


@command("system version get")
def version_get(_host: Host, _: Options) -> Structure:
    """Show the version that this lab behaves like."""
    return Structure(
        {
            "Product": "VMware ESXi",
            "Version": "8.0.3",
            "Build": "Releasebuild-24022510",
            "Update": "3",
            "Patch": "0",
        }
    )


@command("system ntp get")
def ntp_get(host: Host, _: Options) -> Structure:
    """Show the time servers."""
    return Structure(
        {
            "Enabled": host.state.ntp_enabled,
            "Loglevel": "warning",
            "PID": "",
            "Runtime Enabled": host.state.ntp_enabled,
            "Servers": host.state.ntp_servers,
        }
    )


@command("system ntp set", Option("enabled", "e"), Option("server", "s", repeats=True), Option("reset", "r", flag=True))
def ntp_set(host: Host, options: Options) -> Text:
    """Set the time servers; the container's clock is the machine's all the same."""
    if "reset" in options:
        host.state.ntp_enabled, host.state.ntp_servers = False, []
    if "server" in options:
        host.state.ntp_servers = options["server"].split()
    if "enabled" in options:
        host.state.ntp_enabled = boolean(options["enabled"])
    return Text()


@command("system maintenanceMode get")
def maintenance_get(host: Host, _: Options) -> Text:
    """Say whether the host is in maintenance mode."""
    return Text("Enabled" if host.state.maintenance else "Disabled")


@command("system maintenanceMode set", Option("enable", "e", required=True), Option("timeout", "t"))
def maintenance_set(host: Host, options: Options) -> Text:
    """Enter or leave maintenance mode, as far as this host's own shell shows; vCenter's is the simulator's."""
    host.state.maintenance = boolean(options["enable"])
    return Text()
