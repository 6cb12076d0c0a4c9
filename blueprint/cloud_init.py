"""What cloud-init starts a server from: its identity, its network, and who may log in."""

import yaml

from blueprint.settings import Settings

INTERFACE = "guests"
"""What cloud-init and netplan call a server's interface in their files."""


def metadata(settings: Settings, name: str) -> str:
    """cloud-init's `guestinfo.metadata`: identity and network (VMware data source, network configuration version 2)."""
    server = settings.servers[name]
    network = settings.networks.guests
    resolvers = {"nameservers": {"addresses": [str(one) for one in network.nameservers]}} if network.nameservers else {}
    return yaml.safe_dump(
        {
            "instance-id": settings.fqdn(name),
            "local-hostname": settings.fqdn(name),
            # Once read, the guest overwrites it: it holds the host's private key, and vCenter shows it to every user.
            "cleanup-guestinfo": ["userdata"],
            "network": {
                "version": 2,
                "ethernets": {
                    INTERFACE: {
                        "match": {"name": "e*"},
                        "dhcp4": False,
                        "mtu": network.mtu,
                        "addresses": [f"{server.address}/{network.cidr.prefixlen}"],
                        "routes": [{"to": "0.0.0.0/0", "via": str(network.gateway)}],
                        **resolvers,
                    }
                },
            },
        },
        sort_keys=False,
    )


def user_data(settings: Settings, name: str, public_key: str, host_key: str) -> str:
    """cloud-init's `guestinfo.userdata`: who may log in, and the key by which the server proves itself.

    `public_key` is Perenne's own (one line, as in `authorized_keys`), `host_key` the server's private key (OpenSSH's
    format): the text holds a secret.
    """
    configuration = {
        "fqdn": settings.fqdn(name),
        "hostname": name,
        "prefer_fqdn_over_hostname": False,
        "manage_etc_hosts": False,
        "disable_root": False,
        "ssh_pwauth": False,
        "users": [{"name": "root", "lock_passwd": True, "ssh_authorized_keys": [public_key]}],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key},
        "package_update": False,
    }
    return "#cloud-config\n" + yaml.safe_dump(configuration, sort_keys=False)
