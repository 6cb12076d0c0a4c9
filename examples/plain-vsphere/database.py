"""PostgreSQL under Patroni, with etcd for its elections, on three servers; the third one makes the backups."""

import json

SERVERS = {"db1": "192.0.2.41", "db2": "192.0.2.42"}
VOTE = {"vote1": "192.0.2.43"}

_TIMER = "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n"
_SERVICE = "[Service]\nType=oneshot\nExecStart=/usr/bin/pg_basebackup --dbname=service=site --pgdata=/srv/backup/%i\n"


def files(name: str, fault: str) -> dict[str, str]:
    """A database server's files, or those of the third vote, by path."""
    found = {"/etc/default/etcd": _etcd(name, fault)}
    if name in SERVERS:
        return found | {"/etc/patroni/patroni.yml": _patroni(name, fault)}
    if fault == "no-backup":
        return found
    return found | {
        "/etc/systemd/system/site-backup.timer": _TIMER,
        "/etc/systemd/system/site-backup.service": _SERVICE,
    }


def _votes(fault: str) -> dict[str, str]:
    return SERVERS if fault == "two-votes" else {**SERVERS, **VOTE}


def _etcd(name: str, fault: str) -> str:
    address = {**SERVERS, **VOTE}[name]
    members = ",".join(f"{one}=https://{where}:2380" for one, where in _votes(fault).items())
    return (
        f"ETCD_NAME={name}\nETCD_INITIAL_CLUSTER={members}\n"
        f"ETCD_LISTEN_PEER_URLS=https://{address}:2380\nETCD_LISTEN_CLIENT_URLS=https://{address}:2379\n"
    )


def _patroni(name: str, fault: str) -> str:
    """Patroni's YAML, written as JSON, which is a part of it."""
    votes = list(_votes(fault).values())[: 1 if fault == "one-vote-known" else None]
    tls = {"certfile": f"/etc/patroni/{name}.pem", "keyfile": f"/etc/patroni/{name}.key"}
    document = {
        "scope": "site",
        "name": name,
        "etcd3": {"hosts": [f"{vote}:2379" for vote in votes], "protocol": "https"},
        "restapi": {"listen": f"{SERVERS[name]}:8008", **tls},
        "bootstrap": {
            "dcs": {
                "ttl": 30,
                "loop_wait": 5,
                "retry_timeout": 5,
                "synchronous_mode": fault != "asynchronous",
            }
        },
        "postgresql": {
            "listen": f"{SERVERS[name]}:5432",
            "parameters": {"ssl": "on", "ssl_cert_file": tls["certfile"], "ssl_key_file": tls["keyfile"]},
            "pg_hba": ["hostssl all all 192.0.2.0/24 cert", "hostssl replication all 192.0.2.0/24 cert"],
        },
        "watchdog": {"mode": "off" if fault == "no-watchdog" else "required"},
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items())
