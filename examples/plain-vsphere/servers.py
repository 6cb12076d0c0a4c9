"""What cloud-init puts on the servers at their first boot."""

import json

BALANCERS = {"lb1": "192.0.2.21", "lb2": "192.0.2.22"}
SERVERS = {**BALANCERS, "web1": "192.0.2.31", "web2": "192.0.2.32"}
SITE = "192.0.2.20"

_CHRONY = "server 192.0.2.1 iburst\nserver 192.0.2.2 iburst\n"
_CHECK = "#!/bin/sh\nexec curl --fail --silent --max-time 1 --output /dev/null https://127.0.0.1/health\n"


def metadata(name: str, address: str) -> str:
    """Name and network of a server, as cloud-init's VMware datasource reads them."""
    ethernet = {
        "match": {"name": "e*"},
        "addresses": [f"{address}/24"],
        "routes": [{"to": "default", "via": "192.0.2.1"}],
        "nameservers": {"addresses": ["192.0.2.2", "192.0.2.3"]},
    }
    return json.dumps({"local-hostname": name, "network": {"version": 2, "ethernets": {"nics": ethernet}}})


def user_data(name: str, fault: str) -> str:
    """Packages and files of a server."""
    files = {"/etc/chrony/chrony.conf": _CHRONY}
    packages = ["chrony"]
    if name in BALANCERS:
        packages += ["haproxy", "keepalived", "curl"]
        files |= {
            "/etc/haproxy/haproxy.cfg": _haproxy(fault),
            "/etc/keepalived/keepalived.conf": _keepalived(name, fault),
            "/usr/local/bin/check-haproxy": _CHECK,
        }
    else:
        packages.append("nginx")
    written = [{"path": path, "content": content} for path, content in files.items()]
    return "#cloud-config\n" + json.dumps({"packages": packages, "write_files": written})


def _haproxy(fault: str) -> str:
    check = "" if fault == "unchecked-server" else " check"
    members = [name for name in SERVERS if name not in BALANCERS][: 1 if fault == "forgotten-server" else None]
    servers = "".join(f"    server {name} {SERVERS[name]}:443 ssl verify required{check}\n" for name in members)
    return (
        "frontend site\n    bind :443 ssl crt /etc/haproxy/site.pem\n    default_backend web\n"
        f"backend web\n    balance roundrobin\n    option httpchk GET /health\n{servers}"
    )


def _keepalived(name: str, fault: str) -> str:
    priority = 100 if fault == "equal-priorities" else 100 + list(BALANCERS).index(name)
    addresses = "" if fault == "no-virtual-address" and name == "lb2" else f"{SITE}/24"
    (peer,) = [address for other, address in BALANCERS.items() if other != name]
    tracked = "" if fault == "unwatched-proxy" else "    track_script {\n        haproxy\n    }\n"
    return (
        "vrrp_script haproxy {\n    script /usr/local/bin/check-haproxy\n    interval 1\n    fall 2\n}\n"
        "vrrp_instance site {\n    state BACKUP\n    interface ens192\n    virtual_router_id 20\n"
        f"    priority {priority}\n    unicast_peer {{\n        {peer}\n    }}\n"
        f"    virtual_ipaddress {{\n        {addresses}\n    }}\n{tracked}}}\n"
    )
