"""Rules about what lets somebody in, or lets something be deleted, that takes the site down."""

import json
import re
from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.reading import guests, httpd, patroni, tiers
from policies.reading.tiers import Kind

_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_PASSWORD = re.compile(
    r"(?:password|passwd|secret|token)[\"']?\s*[=:]\s*[\"']?(?![\"'$%{<\s]|\$\(|true\b|false\b|null\b|none\b)([^\s\"']{6,})",
    re.IGNORECASE,
)
_ETCD_URL = re.compile(r"^\s*(?:ETCD_)?LISTEN[_-](?:CLIENT|PEER)[_-]URLS[=:]\s*(\S+)", re.MULTILINE | re.IGNORECASE)
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_STATEFUL = ("ComputeCluster", "VmfsDatastore", "NasDatastore", "VirtualMachine", "postgresql:index/database:Database")
_WEAK_MODES = ("disable", "allow", "prefer", "require")


@rule(
    id="SEC-01",
    title="vCenter, servers and the database prove who they are",
    severity=Severity.HIGH,
    outage="Whoever can answer in vCenter's or a server's place gets its passwords, and with them the site.",
    remedy="Set allowUnverifiedSsl: false, give every connection its hostKey, and sslmode: verify-full.",
    why="Without a verified certificate the provider hands vCenter's administrator password to whoever answers."
    " Without a host key, pulumi-command does the same with every secret that it puts on a server.",
    source="pulumi-vsphere, Provider; pulumi-command, Connection (hostKey)",
    reads=("Provider.allowUnverifiedSsl", "remote.Command.connection.hostKey", "postgresql Provider.sslmode"),
    subjects=resources("pulumi:providers:vsphere", "pulumi:providers:postgresql", guests.COMMAND, *guests.COPIES),
)
def verified(subject: Resource, _context: Context) -> Iterator[Finding]:
    """Somebody is believed."""
    if subject.type == "pulumi:providers:vsphere":
        if str(subject.get("allowUnverifiedSsl", "false")).lower() == "true":
            yield Finding(subject, "vCenter's certificate is not verified", "Set allowUnverifiedSsl: false.")
    elif subject.type == "pulumi:providers:postgresql":
        if subject.get("sslmode", "require") in _WEAK_MODES:
            yield Finding(subject, "the database's certificate is not verified", "Set sslmode: verify-full.")
    elif not subject.get("connection.hostKey"):
        yield Finding(subject, "the server's SSH host key is not verified", "Set connection.hostKey.")


@rule(
    id="SEC-02",
    title="No password and no key lies where anybody may read it",
    severity=Severity.HIGH,
    outage="Everybody who may look at a VM in vCenter, at the process list or at the outputs can take the site over.",
    remedy="Hand secrets over on standard input (stdin), as secret outputs; let cloud-init clear guestinfo.userdata.",
    why="A VM's advanced settings can be read by every user who may see the VM, a command line by every user of the"
    " server, an output by everybody who may read the stack. Standard input is seen by the program that it is for,"
    " and no one else.\n\nThe rule knows keys by their header and passwords by a name before them; it can't know a"
    " secret that looks like nothing. Whether a property is marked secret in the program isn't shown to policies."
    " What it found is never printed.",
    source="cloud-init, VMware data source, `cleanup-guestinfo`; pulumi-command, `stdin`",
    reads=(
        "VirtualMachine.extraConfig",
        "Command.create",
        "Command.update",
        "Command.environment",
        "the stack's outputs",
    ),
    subjects=resources(
        "VirtualMachine", guests.COMMAND, "command:local:Command", *guests.COPIES, "pulumi:pulumi:Stack"
    ),
)
def nothing_in_clear(subject: Resource, context: Context) -> Iterator[Finding]:
    """A key or a password in a readable place."""
    if subject.type == "pulumi:pulumi:Stack":
        for name, value in subject.properties.items():
            if _is_secret(json.dumps(value, default=str)):
                yield Finding(subject, f"output {name} holds a key or a password", "Remove the output.")
    elif subject.type.endswith(":VirtualMachine"):
        yield from _guestinfo(subject, context)
    else:
        for key in ("create", "update", "delete", "environment"):
            value = subject.properties.get(key)
            if value is not None and _is_secret(value if isinstance(value, str) else json.dumps(value, default=str)):
                yield Finding(subject, f"{key} holds a key or a password", "Hand it over on stdin.")


def _guestinfo(machine: Resource, _context: Context) -> Iterator[Finding]:
    cleared = "cleanup-guestinfo" in (guests.guestinfo(machine, "metadata") or "")
    settings = machine.properties.get("extraConfig")
    for key, value in settings.items() if isinstance(settings, dict) else ():
        if key in ("guestinfo.userdata", "guestinfo.vendordata"):
            text = guests.guestinfo(machine, key.removeprefix("guestinfo.")) or ""
            if _is_secret(text) and not cleared:
                yield Finding(
                    machine,
                    f"{key} holds a key or a password for as long as {machine.label} exists",
                    "Name it in cleanup-guestinfo of guestinfo.metadata.",
                )
        elif isinstance(value, str) and _is_secret(value):
            yield Finding(machine, f"extraConfig {key} holds a key or a password")


def _is_secret(text: str) -> bool:
    return bool(_KEY.search(text) or _PASSWORD.search(text))


@rule(
    id="SEC-03",
    title="Every listener outside the storage network speaks TLS",
    severity=Severity.MEDIUM,
    outage="Sessions and passwords are read, or answers changed, by whoever is on the network between.",
    remedy="Give the listener a certificate, or bind it to 127.0.0.1.",
    why="A company's own network is full of machines that nobody patches. The platform's parts reach each other over"
    " it, and so do its users. A listener on port 80 that does nothing but send browsers to HTTPS is no listener in"
    " this sense.",
    source="RFC 9325, 3.1",
    reads=("files of VMs: httpd's virtual hosts, Patroni's restapi and pg_hba, etcd's listen URLs",),
    subjects=resources("VirtualMachine"),
)
def tls_everywhere(machine: Resource, context: Context) -> Iterator[Finding]:
    """A listener in clear."""
    files = guests.files_of(context.stack, machine)
    if any("httpd" in path or "apache2" in path for path in files.contents):
        for host in httpd.virtual_hosts(files):
            outside = [one for one in host.addresses if not one.startswith(_LOCAL)]
            if outside and not host.tls and not host.only_redirects:
                yield Finding(
                    files.source(host.path), f"httpd on {machine.label} serves {', '.join(outside)} without TLS"
                )
    for path, text in files.contents.items():
        for urls in _ETCD_URL.findall(text):
            if any(url.startswith("http://") and not url[7:].startswith(_LOCAL) for url in urls.split(",")):
                yield Finding(files.source(path), f"etcd on {machine.label} listens without TLS", "Use https:// URLs.")
    if any("patroni" in path for path in files.contents):
        yield from _patroni(machine, files)


def _patroni(machine: Resource, files: guests.GuestFiles) -> Iterator[Finding]:
    member = patroni.patroni(files)
    if member is None:
        return
    where = files.source(member.path)
    if not (member.local.get("restapi") or {}).get("certfile"):
        yield Finding(where, f"Patroni's REST API on {machine.label} has no certificate", "Set restapi.certfile.")
    for line in (member.local.get("postgresql") or {}).get("pg_hba") or ():
        kind, *rest = str(line).split()
        if kind in ("host", "hostnossl") and not any(one.startswith(("127.", "::1", "samehost")) for one in rest):
            yield Finding(
                where, f"PostgreSQL on {machine.label} takes connections without TLS", "Use hostssl in pg_hba."
            )
            break


@rule(
    id="SEC-04",
    title="What holds data can't be deleted by mistake",
    severity=Severity.MEDIUM,
    outage="A mistyped destroy, a rename without alias or a changed key deletes the database with its disks.",
    remedy="Set protect: true in the resource's options.",
    why="Pulumi deletes what is no longer in the program, and replaces what can't be changed in place. `protect`"
    " makes it ask, in form of an error, for those resources that can't be made again from the program.",
    source="Pulumi, “protect” resource option",
    reads=("protect of ComputeCluster, VmfsDatastore, NasDatastore, Database, and VMs with a database",),
    subjects=resources(*_STATEFUL),
)
def protected(subject: Resource, context: Context) -> Iterator[Finding]:
    """Stateful, and not protected."""
    if subject.type.endswith(":VirtualMachine") and Kind.DATABASE not in tiers.kinds_of(context.stack, subject):
        return
    if not subject.protect:
        yield Finding(subject, f"{subject.label} is not protected from deletion")
