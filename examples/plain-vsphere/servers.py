"""What cloud-init puts on the servers at their first boot. Secrets are not among it: people bring them."""

import json

import database

BALANCERS = {"lb1": "192.0.2.21", "lb2": "192.0.2.22"}
WEB = {"web1": "192.0.2.31", "web2": "192.0.2.32"}
SERVERS = {**BALANCERS, **WEB, **database.SERVERS, **database.VOTE}
TIERS = {
    "balancers": list(BALANCERS),
    "web": list(WEB),
    "database": list(database.SERVERS),
    "votes": [*database.SERVERS, *database.VOTE],
}
SITE = "192.0.2.20"

_CHRONY = "server 192.0.2.1 iburst\nserver 192.0.2.2 iburst\n"
_CHECK = "#!/bin/sh\nexec curl --fail --silent --max-time 1 --output /dev/null https://127.0.0.1/health\n"
_CLUSTER = '    <Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster"/>\n'


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
    files = {"/etc/chrony/chrony.conf": _CHRONY.partition("\n")[0] if fault == "one-time-source" else _CHRONY}
    packages = ["chrony"]
    if name in BALANCERS:
        packages += ["haproxy", "keepalived", "curl"]
        files |= {
            "/etc/haproxy/haproxy.cfg": _haproxy(fault),
            "/etc/keepalived/keepalived.conf": _keepalived(name, fault),
            "/usr/local/bin/check-haproxy": _CHECK,
        }
    elif name in WEB:
        packages.append("tomcat10")
        files |= {
            "/etc/tomcat10/server.xml": _tomcat(name, fault),
            "/etc/tomcat10/Catalina/localhost/site.xml": _context(fault),
        }
    else:
        packages += ["patroni", "etcd-server"] if name in database.SERVERS else ["etcd-server", "postgresql-client"]
        files |= database.files(name, fault)
    written = [{"path": path, "content": content} for path, content in files.items()]
    return "#cloud-config\n" + json.dumps({"packages": packages, "write_files": written})


def _haproxy(fault: str) -> str:
    check = "" if fault == "unchecked-server" else " check"
    members = list(WEB)[: 1 if fault == "forgotten-server" else None]
    servers = "".join(
        f"    server {name} {WEB[name]}:8443 ssl verify required cookie {name}{check}\n" for name in members
    )
    certificate = "" if fault == "clear-text" else " ssl crt /etc/haproxy/site.pem"
    return (
        "defaults\n    mode http\n"
        f"frontend site\n    bind :443{certificate}\n    default_backend web\n"
        "backend web\n    balance roundrobin\n    cookie SERVER insert indirect\n    option httpchk GET /health\n"
        f"{servers}"
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


def _tomcat(name: str, fault: str) -> str:
    sessions = "" if fault == "local-sessions" else _CLUSTER
    return (
        '<Server port="-1">\n  <Service name="Catalina">\n'
        '    <Connector port="8443" SSLEnabled="true" scheme="https" secure="true"/>\n'
        f'    <Engine name="Catalina" defaultHost="localhost" jvmRoute="{name}">\n'
        f'{sessions}      <Host name="localhost" appBase="webapps"/>\n    </Engine>\n  </Service>\n</Server>\n'
    )


def _context(fault: str) -> str:
    """Tomcat's pool of database connections; it logs in by certificate."""
    names = ",".join(list(database.SERVERS)[: 1 if fault == "one-database-known" else None])
    options = ["targetServerType=primary", "sslmode=verify-full", "connectTimeout=2"]
    options += [] if fault == "patient-client" else ["socketTimeout=10"]
    url = f"jdbc:postgresql://{names}/site?{'&amp;'.join(options)}"
    return f'<Context>\n  <Resource name="jdbc/site" type="javax.sql.DataSource" url="{url}"/>\n</Context>\n'
