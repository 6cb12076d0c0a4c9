"""Rules about what lets somebody in, or lets something be deleted, that takes the site down."""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache

from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.reading import cloudinit, etcd, guests, patroni, proxies, secrets, tiers
from policies.reading.balancer import LOOPBACK
from policies.reading.documents import UnreadableError, section
from policies.reading.tiers import Kind

_COMMANDS = (guests.COMMAND, "command:local:Command")
_STATEFUL = ("ComputeCluster", "VmfsDatastore", "NasDatastore", "VirtualMachine", "postgresql:index/database:Database")
_WEAK_MODES = ("disable", "allow", "prefer", "require")
_CREDULOUS = re.compile(
    r"StrictHostKeyChecking[= ](?:no|off)\b|UserKnownHostsFile[= ]/dev/null|"
    r"\bcurl\b[^\n|;]*\s(?:-[a-zA-Z]*k[a-zA-Z]*|--insecure)\b"
    r"|--no-check-certificate\b|\bGOVC_INSECURE=(?:1|true)\b|\bPGSSLMODE=(?:disable|allow|prefer|require)\b",
)
"""How scripts are told to believe anybody."""


@rule(
    id="SEC-01",
    title="vCenter, servers and the database prove who they are",
    severity=Severity.HIGH,
    outage="Whoever can answer in vCenter's or a server's place gets its passwords, and with them the site.",
    remedy="Set allowUnverifiedSsl: false, give every connection its hostKey, and sslmode: verify-full.",
    why="Without a verified certificate the provider hands vCenter's administrator password to whoever answers."
    " Without a host key, pulumi-command does the same with every secret that it puts on a server.",
    source="pulumi-vsphere, Provider; pulumi-command, Connection (hostKey)",
    reads=(
        "Provider.allowUnverifiedSsl",
        "Command.connection.hostKey and .proxy.hostKey",
        "Command.create, .update, .delete",
        "postgresql Provider.sslmode",
    ),
    subjects=resources("pulumi:providers:vsphere", "pulumi:providers:postgresql", *_COMMANDS, *guests.COPIES),
    not_shown="No outage by itself.",
)
def verified(subject: Resource, _context: Context) -> Iterator[Finding]:
    """Somebody is believed."""
    if subject.type == "pulumi:providers:vsphere":
        if str(subject.get("allowUnverifiedSsl", "false")).lower() in ("true", "1"):
            yield Finding(subject, "vCenter's certificate is not verified", "Set allowUnverifiedSsl: false.")
    elif subject.type == "pulumi:providers:postgresql":
        if subject.get("sslmode", "require") in _WEAK_MODES:
            yield Finding(subject, "the database's certificate is not verified", "Set sslmode: verify-full.")
    else:
        if subject.type != "command:local:Command" and not subject.get("connection.hostKey"):
            yield Finding(subject, "the server's SSH host key is not verified", "Set connection.hostKey.")
        if subject.get("connection.proxy") and not subject.get("connection.proxy.hostKey"):
            yield Finding(subject, "the jump host's SSH host key is not verified", "Set connection.proxy.hostKey.")
        for key in ("create", "update", "delete"):
            if _believes_anybody(str(subject.get(key, ""))):
                yield Finding(subject, f"{key} believes whoever answers", "Have it verify host keys and certificates.")


@lru_cache(maxsize=4096)
def _believes_anybody(script: str) -> bool:
    return bool(_CREDULOUS.search(script))


@rule(
    id="SEC-02",
    title="No password and no key lies where anybody may read it",
    severity=Severity.HIGH,
    outage="Everybody who may look at a VM in vCenter, at the process list or at the outputs can take the site over.",
    remedy="Hand secrets over on standard input (stdin), as secret outputs; let cloud-init clear guestinfo.userdata.",
    why="A VM's advanced settings can be read by every user who may see the VM, a command line by every user of the"
    " server, an output by everybody who may read the stack. Standard input is seen by the program that it is for,"
    " and no one else.\n\nThe rule knows keys by their header, passwords by a name before them, and in environments and"
    " outputs also words that look drawn by chance; it can't know a secret that looks like an ordinary word. Policies"
    " aren't shown what a program marks as secret: an output, an environment or a trigger that is marked, and so"
    " encrypted in the state, is refused like one in clear. Files that are copied, and standard input, are not judged"
    " for the same reason: there a secret may be, if it is marked. What the rule found is never printed.",
    source="cloud-init, VMware data source, `cleanup-guestinfo`; pulumi-command, `stdin`",
    reads=(
        "VirtualMachine.extraConfig, .vapp, .annotation",
        "Command.create, .update, .delete, .environment, .triggers",
        "the stack's outputs",
    ),
    subjects=resources("VirtualMachine", *_COMMANDS, *guests.COPIES, "pulumi:pulumi:Stack"),
    not_shown="No outage by itself.",
)
def nothing_in_clear(subject: Resource, _context: Context) -> Iterator[Finding]:
    """A key or a password in a readable place."""
    if subject.type == "pulumi:pulumi:Stack":
        for name, value in subject.properties.items():
            if secrets.in_value(name, value):
                yield Finding(subject, f"output {name} holds a key or a password", "Remove the output.")
    elif subject.type.endswith(":VirtualMachine"):
        yield from _settings(subject)
    else:
        yield from _command(subject)


def _command(command: Resource) -> Iterator[Finding]:
    """What every user of the machine sees while the command runs, and everybody who may read the state."""
    for key in ("create", "update", "delete"):
        if isinstance(script := command.properties.get(key), str) and secrets.in_text(script):
            yield Finding(command, f"{key} holds a key or a password", "Hand it over on stdin.")
    for key in ("environment", "triggers"):
        if secrets.in_value("", command.properties.get(key)):
            yield Finding(command, f"{key} holds a key or a password", "Hand it over on stdin.")
    for key in ("create", "update", "delete", "environment"):
        if secrets.has_unknown(command.properties.get(key)):
            raise UndecidedError(command.label, key)


def _settings(machine: Resource) -> Iterator[Finding]:
    """What everybody sees who may look at a VM in vCenter."""
    prose = re.sub(r"\s*:\s+", "=", str(machine.properties.get("annotation") or ""))
    if secrets.in_text(prose):
        yield Finding(machine, "its annotation holds a key or a password", "Remove it there.")
    for name, value in section(section(machine.properties, "vapp"), "properties").items():
        if isinstance(value, str) and (secrets.in_text(f"{name}={value}") or secrets.in_text(_clear(value, "base64"))):
            yield Finding(machine, f"vapp.properties {name} holds a key or a password", "Put it there by SSH.")
    settings = section(machine.properties, "extraConfig")
    for key, value in settings.items():
        name = key.removeprefix("guestinfo.")
        if not isinstance(value, str) or not _holds_secret(key, value, str(settings.get(f"{key}.encoding") or "")):
            continue
        if name not in ("userdata", "vendordata"):
            yield Finding(machine, f"extraConfig {key} holds a key or a password", "Put it there by SSH.")
        elif name not in _cleared(machine):
            yield Finding(
                machine,
                f"{key} holds a key or a password for as long as {machine.label} exists",
                "Name it in cleanup-guestinfo of guestinfo.metadata.",
            )
    if secrets.has_unknown(machine.properties.get("extraConfig")):
        raise UndecidedError(machine.label, "extraConfig")


def _cleared(machine: Resource) -> frozenset[str]:
    try:
        if secrets.has_unknown(section(machine.properties, "extraConfig").get("guestinfo.metadata")):
            raise UndecidedError(machine.label, "guestinfo.metadata")
        return cloudinit.cleared(machine)
    except UnreadableError:
        return frozenset()


def _holds_secret(key: str, value: str, encoding: str) -> bool:
    text = _clear(value, encoding)
    if secrets.in_text(text) or ("guestinfo." not in key and secrets.in_value(key, value)):
        return True
    try:
        written = list(cloudinit.files(text, key)) if key.endswith("data") else []
    except UnreadableError:
        return False
    return any(secrets.in_text(content) for _path, content in written)


def _clear(value: str, encoding: str) -> str:
    """A setting as it is meant: some programs (Ignition, Talos) take base64 without saying so."""
    try:
        if encoding:
            return cloudinit.decoded(value, encoding, "")
        return base64.b64decode("".join(value.split()), validate=True).decode() if len(value) > 40 else value  # noqa: PLR2004
    except (UnreadableError, binascii.Error, UnicodeDecodeError):
        return value


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
    reads=(
        "files of VMs: listeners and nodes of httpd, HAProxy and nginx",
        "files of VMs: Patroni's restapi, ssl and pg_hba; etcd's listen URLs",
    ),
    subjects=resources("VirtualMachine"),
    not_shown="No outage by itself.",
)
def tls_everywhere(machine: Resource, context: Context) -> Iterator[Finding]:
    """A listener in clear, or a request that is passed on in clear."""
    files = guests.files_of(context.stack, machine)
    for program, listener in proxies.listeners(context.stack, machine):
        if listener.outside and not listener.tls and not listener.only_redirects:
            yield Finding(
                files.source(listener.path),
                f"{program} on {machine.label} serves {', '.join(listener.outside)} without TLS",
            )
    for balancer in proxies.balancers(context.stack, machine):
        clear = [one.host for one in balancer.members if not one.tls and not one.host.startswith(LOOPBACK)]
        if clear:
            yield Finding(
                files.source(balancer.path),
                f"{machine.label} passes requests on to {', '.join(sorted(set(clear)))} without TLS",
                "Give the nodes certificates, and use https:// (HAProxy: ssl verify required).",
            )
    for path, url in etcd.listening(files):
        if url.startswith("http://") and not url.removeprefix("http://").startswith(LOOPBACK):
            yield Finding(files.source(path), f"etcd on {machine.label} listens without TLS", "Use https:// URLs.")
            break
    if any("patroni" in path for path in files.contents):
        yield from _patroni(machine, files)
    if not files.complete:
        raise UndecidedError(machine.label, "what is put on it")


def _patroni(machine: Resource, files: guests.GuestFiles) -> Iterator[Finding]:
    member = patroni.patroni(files)
    if member is None:
        return
    where = files.source(member.path)
    api = section(member.local, "restapi")
    if not api.get("certfile") and not str(api.get("listen", "")).startswith(LOOPBACK):
        yield Finding(where, f"Patroni's REST API on {machine.label} has no certificate", "Set restapi.certfile.")
    if member.parameter("ssl") != "on":
        yield Finding(where, f"PostgreSQL on {machine.label} doesn't speak TLS", "Set the parameter ssl: on.")
    if any(_in_clear(words) for words in member.access):
        yield Finding(where, f"PostgreSQL on {machine.label} takes connections without TLS", "Use hostssl in pg_hba.")


def _in_clear(words: list[str]) -> bool:
    """Whether a line of pg_hba lets other machines in without TLS."""
    kind, *rest = words
    if kind not in ("host", "hostnossl", "hostnogssenc") or "reject" in rest:
        return False
    return not any(one.startswith(("127.", "::1", "samehost", "localhost")) for one in rest[2:])


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
    not_shown="No outage by itself.",
)
def protected(subject: Resource, context: Context) -> Iterator[Finding]:
    """Stateful, and not protected."""
    if subject.protect:
        return
    if subject.type.endswith(":VirtualMachine") and Kind.DATABASE not in tiers.kinds_of(context.stack, subject):
        if not guests.files_of(context.stack, subject).complete:
            raise UndecidedError(subject.label, "what is put on it")
    else:
        yield Finding(subject, f"{subject.label} is not protected from deletion")
