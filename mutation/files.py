"""Changes of what is put on servers and hosts: configuration files and scripts, a line at a time."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mutation.changes import file_edit, file_gone, gone, script_edit, setting
from mutation.mutant import Mutant, changed
from policies.judging.resource import Resource
from policies.judging.stack import Stack

COMMAND = "command:remote:Command"


@dataclass(frozen=True)
class Substitution:
    """A text that reads otherwise; where it isn't found there is nothing to mutate."""

    rule: str
    path: str
    """The end of the file's path."""
    what: str
    pattern: str
    replacement: str


FILES = (
    Substitution(
        "BAL-01", "keepalived.conf", "no virtual address", r"virtual_ipaddress \{[^}]*\}", "virtual_ipaddress {}"
    ),
    Substitution("BAL-01", "keepalived.conf", "another router", r"virtual_router_id \d+", "virtual_router_id 99"),
    Substitution(
        "BAL-01", "keepalived.conf", "another virtual address", r"(virtual_ipaddress \{\s*\S+\.)\d+/", r"\g<1>7/"
    ),
    Substitution("BAL-01", "keepalived.conf", "another peer", r"(unicast_peer \{\s*)\S+", r"\g<1>192.0.2.9"),
    Substitution("BAL-01", "keepalived.conf", "no VRRP instance", r"(?m)^vrrp_instance (?:.*\n)*?^\}\n", ""),
    Substitution("BAL-03", "check-httpd", "asks nobody", r"\A(?:.*\n)*\Z", "#!/bin/sh\nexit 0\n"),
    Substitution("BAL-03", "keepalived.conf", "watches nothing", r"track_script \{[^}]*\}", ""),
    Substitution("BAL-02", "apache2.conf", "one member fewer", r"(?m)^\s*BalancerMember .*\n", ""),
    Substitution("BAL-02", "apache2.conf", "an unchecked member", r"hcmethod=\S+ ", ""),
    Substitution("APP-01", "apache2.conf", "a member without route", r"(BalancerMember \S+) route=\S+", r"\1"),
    Substitution(
        "APP-01", "apache2.conf", "a route that nobody has", r"(BalancerMember \S+) route=\S+", r"\1 route=nobody"
    ),
    Substitution("BAL-02", "apache2.conf", "a check that asks nothing", r"hcmethod=\S+", "hcmethod=NONE"),
    Substitution("APP-01", "apache2.conf", "no sticky sessions", r"stickysession=\S+ ", ""),
    Substitution("SEC-03", "apache2.conf", "no TLS", r"(?m)^\s*SSLEngine [Oo]n\n", ""),
    Substitution("APP-01", "configuration.yml", "local sessions", r"replicated-cache", "local-cache"),
    Substitution(
        "APP-01",
        "configuration.yml",
        "looks for itself alone",
        r"(initial_hosts: \")[^\"]*",
        r"\g<1>127.0.0.1[7600]",
    ),
    Substitution("DB-02", "configuration.yml", "one database server", r"(jdbc:postgresql://)[^/]*,", r"\1"),
    Substitution("DB-02", "configuration.yml", "takes a standby", r"targetServerType=primary&", ""),
    Substitution("DB-04", "configuration.yml", "no socketTimeout", r"&socketTimeout=\d+", ""),
    Substitution("DB-02", "configuration.yml", "takes any server", r"targetServerType=primary", "targetServerType=any"),
    Substitution("DB-04", "configuration.yml", "waits for ever", r"&socketTimeout=\d+", "&socketTimeout=0"),
    Substitution("DB-04", "configuration.yml", "no connectTimeout", r"&connectTimeout=\d+", ""),
    Substitution("DB-01", "dynamic.json", "asynchronous", r'"synchronous_mode": true', '"synchronous_mode": false'),
    Substitution(
        "DB-01",
        "10-patroni.yml",
        "answers before the standby",
        r'synchronous_commit: "on"',
        'synchronous_commit: "off"',
    ),
    Substitution("DB-01", "dynamic.json", "no mode", r'"synchronous_mode": true,', ""),
    Substitution(
        "DB-01", "10-patroni.yml", "the primary alone", r'synchronous_commit: "on"', "synchronous_commit: local"
    ),
    Substitution("DB-05", "10-patroni.yml", "knows one vote", r'(hosts: \["[^"]+")(?:, "[^"]+")+', r"\1"),
    Substitution("DB-05", "10-patroni.yml", "knows a vote fewer", r'(hosts: \["[^"]+"), "[^"]+"', r"\1"),
    Substitution("DB-01", "10-patroni.yml", "never a standby", r"\Z", "\ntags: {nosync: true}\n"),
    Substitution("DB-01", "10-patroni.yml", "never takes over", r"\Z", "\ntags: {nofailover: true}\n"),
    Substitution("DB-03", "10-patroni.yml", "watchdog off", r"mode: automatic", 'mode: "off"'),
    Substitution("DB-03", "10-patroni.yml", "no watchdog", r"(?m)^watchdog:\n.*\n", ""),
    Substitution("DB-03", "dynamic.json", "a lease shorter than its renewal", r'"ttl": \d+', '"ttl": 5'),
    Substitution("OPS-02", "10-patroni.yml", "no YAML", r"(?m)^scope:", "scope: ]"),
    Substitution("SEC-03", "10-patroni.yml", "no TLS for clients", r"hostssl all all", "host all all"),
    Substitution("SEC-03", "10-patroni.yml", "REST without TLS", r"(restapi:\n(?:  .*\n)*?)  certfile: .*\n", r"\1"),
    Substitution("SEC-03", "etcd", "no TLS", r"LISTEN_CLIENT_URLS=https:", "LISTEN_CLIENT_URLS=http:"),
    Substitution("SEC-03", "etcd", "no TLS between votes", r"LISTEN_PEER_URLS=https:", "LISTEN_PEER_URLS=http:"),
    Substitution("PLA-05", "etcd-cluster", "knows a vote fewer", r"(?m)^(ETCD_INITIAL_CLUSTER=.*),[^,\n]+$", r"\1"),
    Substitution("NET-03", "hosts", "a server fewer", r"(?m)^\S+\s+.*\bdb01\b.*\n", ""),
    Substitution("NET-03", "chrony.conf", "one time source", r"(?m)\Aserver .*\n|^server .*\n(?=server )", ""),
)

SCRIPTS = (
    ("STO-01", "one portal", r"(for portal in \S+) [^;]+;", r"\1;"),
    (
        "STO-02",
        "one bound adapter",
        r"(?m)^esxcli storage core adapter rescan",
        r'esxcli iscsi networkportal add --adapter="$adapter" --nic=vmk1\n\g<0>',
    ),
    ("STO-03", "another LUN", r"--device=(\S+)", "--device=naa.0000000000000000"),
    ("STO-04", "no path policy", r"(?m)^esxcli storage nmp device set .*\n", ""),
    ("STO-04", "one path at a time", r"VMW_PSP_RR", "VMW_PSP_MRU"),
    ("STO-04", "a fixed path", r"VMW_PSP_RR", "VMW_PSP_FIXED"),
    ("STO-05", "the array proves nothing", r"--direction=mutual", "--direction=uni"),
    ("STO-05", "hosts prove nothing", r"--direction=uni", "--direction=mutual"),
)


def of_files(stack: Stack) -> Iterator[Mutant]:
    """Every substitution, once at each place where it applies."""
    for command in stack.of_type(COMMAND):
        for path, content in _files(command).items():
            for one in FILES:
                if not path.endswith(f"/{one.path}") or (one.rule.startswith("BAL") and not _is_balancer(command)):
                    continue
                for place in range(len(re.findall(one.pattern, content)) if one.pattern != r"\Z" else 1):
                    edit = file_edit(path, _at(place, one.pattern, one.replacement))
                    yield changed(one.rule, stack, command, f"{path}: {one.what}", edit)


def of_equal_priorities(stack: Stack) -> Iterator[Mutant]:
    """A balancer with the priority of another."""
    balancers = [command for command in stack.of_type(COMMAND) if _is_balancer(command)]
    for command, other in zip(balancers, balancers[1:] + balancers[:1], strict=True):
        path = "/etc/keepalived/keepalived.conf"
        theirs = re.findall(r"priority \d+", _files(other)[path])[0]
        edit = file_edit(path, lambda text, theirs=theirs: re.sub(r"priority \d+", theirs, text))  # type: ignore[misc]
        yield changed("BAL-01", stack, command, "the priority of the other balancer", edit)


def of_missing_files(stack: Stack) -> Iterator[Mutant]:
    """Files that aren't put on the server at all."""
    for command in stack.of_type(COMMAND):
        for path in _files(command):
            rule = {"keepalived.conf": "BAL-01", "perenne-backup.timer": "BAK-01", "hosts": "NET-03"}.get(
                path.rpartition("/")[2]
            )
            if rule and (rule != "BAL-01" or _is_balancer(command)):
                yield changed(rule, stack, command, f"without {path}", file_gone(path))


def of_scripts(stack: Stack) -> Iterator[Mutant]:
    """Hosts' iSCSI set-up, a line at a time."""
    for command in stack.of_type(COMMAND):
        script = command.properties["create"]
        if "statictarget" not in script:
            continue
        for rule, what, pattern, replacement in SCRIPTS:
            every = rule in ("STO-04", "STO-05", "STO-03")
            count = 1 if every else len(re.findall(pattern, script))
            for place in range(count):
                change = _everywhere(pattern, replacement) if every else _at(place, pattern, replacement)
                yield changed(rule, stack, command, what, script_edit(change))
        for rule, what, pattern, replacement in SCRIPTS:
            later = re.sub(pattern, replacement, script)
            yield changed(rule, stack, command, f"{what}, from the next change on", setting("update", later))
        same = re.sub(r"(?m)^(\S+) (\S+) \S+$", r"\1 \2 \2", command.properties["stdin"])
        yield changed("STO-05", stack, command, "one secret for both directions", setting("stdin", same))
        near = _everywhere(r"(for portal in ((?:\d+\.){3})\d+ )\S+;", r"\g<1>\g<2>99;")
        yield changed("STO-01", stack, command, "both portals on one subnet", script_edit(near))


def of_backups(stack: Stack) -> Iterator[Mutant]:
    """Nothing makes backups."""
    for command in stack.of_type(COMMAND):
        if any(path.endswith("perenne-backup.timer") for path in _files(command)):
            yield changed("BAK-01", stack, command, "gone", gone)


def of_clear_text(stack: Stack) -> Iterator[Mutant]:
    """A password in a command line; a key that stays in a VM's settings."""
    for command in stack.of_type(COMMAND):
        added = script_edit(lambda text: f"export PGPASSWORD=open-sesame\n{text}")
        yield changed("SEC-02", stack, command, "a password in the script", added)
    for machine in stack.of_type("VirtualMachine"):
        settings = machine.properties["extraConfig"]
        kept = {key: value for key, value in settings.items() if not key.startswith("guestinfo.metadata")}
        yield changed("SEC-02", stack, machine, "the host key stays in guestinfo", setting("extraConfig", kept))


def _files(command: Resource) -> dict[str, str]:
    stdin = command.properties.get("stdin")
    if not isinstance(stdin, str) or not stdin.startswith("{"):
        return {}
    return {path: entry["content"] for path, entry in json.loads(stdin).items()}


def _is_balancer(command: Resource) -> bool:
    return any(path.endswith("apache2.conf") for path in _files(command))


def _at(place: int, pattern: str, replacement: str) -> Callable[[str], str]:
    """Replace the match number `place` alone."""

    def change(text: str) -> str:
        seen = iter(range(len(text) + 1))
        return re.sub(pattern, lambda match: match.expand(replacement) if next(seen) == place else match.group(), text)

    return change


def _everywhere(pattern: str, replacement: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text)


MUTATIONS = (
    of_files,
    of_equal_priorities,
    of_missing_files,
    of_scripts,
    of_backups,
    of_clear_text,
)
