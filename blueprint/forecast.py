"""The outage to expect of a fault, from a stack's settings alone: named times, added up, before anything is deployed.

The times are those that the site is given: settings, and numbers in the files that are put on servers, which are read
where they stand. Each is the most that its step may take, so that the sum is a bound and not a mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from blueprint import guests
from blueprint.guest_files import File
from blueprint.guests import GuestRole
from blueprint.settings import Settings
from blueprint.terms import Measure, Role

_MISSED_ADVERTISEMENTS = 3
"""A backup declares the master down after three intervals and its skew (RFC 9568, 6.1)."""
_SKEW_DIVISOR = 256
"""VRRP's skew time is (256 - priority) / 256 of an interval (RFC 9568, 6.1)."""
_ELECTION_ROUNDS = 2
"""etcd's members wait between one and two election timeouts (Raft, 5.2)."""

_PATRONI_ASKS = 2.0
"""Seconds that Patroni waits for each other member's answer before it takes the lease (Ha.fetch_node_status)."""

_ESTIMATED = "an estimate; drills are to measure it"
_PROMOTION = 0.6
"""Seconds in which a standby that has everything becomes primary; its checkpoint is put off."""
_RESTART = 0.3
"""Seconds from the start of httpd or keepalived to service."""
_ASKED = 0.5
"""Seconds in which a vCenter or a BMC with a session answers, or pulls a plug."""
_ANSWER = 0.5
"""Seconds that an answer itself may take on a site that has just been hit: in the lab, on two processors, up to 0.6 s
pass between two good ones also where nothing has to move (drills kill-etcd, kill-patroni)."""
_BETWEEN_VISITS = 0.2
"""Seconds from the last good answer before a fault to the first request after it, as drills ask for a page."""


@dataclass(frozen=True)
class Term:
    """One step on the way back to service."""

    name: str
    seconds: float
    """The most it may take."""
    where: str
    """The setting or the file that it comes from."""


@dataclass(frozen=True)
class Forecast:
    """What one fault costs at most."""

    fault: str
    """The drill that makes it (`./perenne drill NAME`)."""
    title: str
    measure: Measure
    terms: tuple[Term, ...]

    @property
    def bound(self) -> float:
        """Seconds: the sum of all terms."""
        return sum(term.seconds for term in self.terms)


def forecast(settings: Settings) -> list[Forecast]:
    """Every fault whose outage the settings tell, from the users inwards."""
    times = _Times(settings)
    after = (*times.promotion, *times.clients_follow)
    if settings.has_fencing:
        primary_off = (*times.seen_off, *times.applications_ask_in_vain, *after)
        primary_silent = (*times.fenced, *times.applications_ask_in_vain, *after)
    else:
        asked_in_vain = (*times.patroni_asks_in_vain, *times.applications_ask_in_vain)
        primary_off = primary_silent = (*times.quorum_elects, *times.lease_runs_out, *asked_in_vain, *after)
    return [
        Forecast("kill-httpd", "httpd dies on the balancer with the address", Measure.OUTAGE, times.httpd_restarts),
        Forecast(
            "kill-keepalived", "keepalived dies on the balancer with the address", Measure.OUTAGE, times.address_moves
        ),
        Forecast("lose-balancer", "the balancer with the address is lost", Measure.OUTAGE, times.address_moves),
        Forecast(
            "freeze-balancer-5s",
            "the balancer with the address stands still for 5 s",
            Measure.OUTAGE,
            times.address_moves,
        ),
        Forecast(
            "cut-balancer", "the balancer with the address is cut from the network", Measure.OUTAGE, times.address_moves
        ),
        Forecast("move-site-address", "the address is handed over", Measure.OUTAGE, times.address_is_handed_over),
        Forecast(
            "reload-balancer",
            "httpd reloads on the balancer with the address",
            Measure.OUTAGE,
            times.address_is_handed_over,
        ),
        Forecast("kill-wildfly", "WildFly dies on a node", Measure.OUTAGE, times.node_refuses),
        Forecast("lose-app", "an application server is lost", Measure.OUTAGE, times.node_is_silent),
        Forecast(
            "cut-app",
            "an application server is cut from the network",
            Measure.OUTAGE,
            (*times.member_is_suspected, *times.node_is_silent),
        ),
        Forecast(
            "kill-postgres",
            "PostgreSQL dies on the primary",
            Measure.PAUSED_WRITES,
            (*times.patroni_notices, *times.promotion, *times.clients_follow),
        ),
        Forecast(
            "kill-patroni",
            "Patroni dies on the primary; PostgreSQL goes on",
            Measure.PAUSED_WRITES,
            times.nothing_moves,
        ),
        Forecast("kill-etcd", "the quorum's leader dies", Measure.PAUSED_WRITES, times.nothing_moves),
        Forecast("switchover", "the database is switched over", Measure.PAUSED_WRITES, times.switchover),
        Forecast("lose-primary", "the primary is lost", Measure.PAUSED_WRITES, primary_off),
        Forecast("cut-primary", "the primary is cut from the network", Measure.PAUSED_WRITES, primary_silent),
        Forecast("freeze-primary-60s", "the primary stands still for a minute", Measure.PAUSED_WRITES, primary_silent),
        Forecast("lose-standby", "the standby is lost", Measure.PAUSED_WRITES, times.standby_is_dropped),
        Forecast(
            "lose-worst-host",
            "the host with the address, the primary and the quorum's leader is lost",
            Measure.PAUSED_WRITES,
            primary_off,
        ),
    ]


class _Times:
    """The steps that faults have in common."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._balancer = _files(settings, Role.BALANCER, GuestRole.BALANCER)
        self._application = _files(settings, Role.APPLICATION, GuestRole.APPLICATION)
        self._database = _files(settings, Role.DATABASE, GuestRole.DATABASE)
        self._quorum = _files(settings, Role.DATABASE, GuestRole.QUORUM)

    @property
    def httpd_restarts(self) -> tuple[Term, ...]:
        """Systemd is faster than keepalived: the address stays."""
        path = "/etc/systemd/system/apache2.service.d/perenne.conf"
        return (
            Term("systemd starts it again", _milliseconds(self._balancer, path, r"RestartSec=(\d+)ms"), path),
            Term("httpd starts", _RESTART, _ESTIMATED),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def address_moves(self) -> tuple[Term, ...]:
        """VRRP: three advertisements missed, and the skew of the one with the lowest priority."""
        interval = self._settings.site.vrrp.advertisement_seconds
        return (
            Term("advertisements missed", _MISSED_ADVERTISEMENTS * interval, "site.vrrp.advertisement_seconds"),
            self._skew,
            Term("neighbours learn the address, answer", _ANSWER, _ESTIMATED),
        )

    @property
    def address_is_handed_over(self) -> tuple[Term, ...]:
        """New connections wait for requests in progress to end; an advertisement of priority 0 leaves the skew."""
        path = "/usr/local/lib/perenne/hand-over"
        return (
            Term("new connections held", _number(self._balancer, path, r"HOLD_SECONDS = ([\d.]+)"), path),
            self._skew,
            Term("neighbours learn the address, answer", _ANSWER, _ESTIMATED),
        )

    @property
    def _skew(self) -> Term:
        """What a balancer with a low priority waits longer than others before it takes the address."""
        path = "/etc/keepalived/keepalived.conf"
        priority = min(
            _number(_files_of(self._settings, name, GuestRole.BALANCER), path, r"priority (\d+)")
            for name in self._settings.servers_of(Role.BALANCER)
        )
        skew = (_SKEW_DIVISOR - priority) / _SKEW_DIVISOR
        return Term("skew", skew * self._settings.site.vrrp.advertisement_seconds, path)

    @property
    def node_refuses(self) -> tuple[Term, ...]:
        """A process that has died refuses connections: the next node gets the request at once."""
        return (
            Term("next request", _BETWEEN_VISITS, _ESTIMATED),
            Term("repeated at another node", _ANSWER, "mod_proxy_balancer: a refused connection"),
        )

    @property
    def node_is_silent(self) -> tuple[Term, ...]:
        """A machine that is gone answers nothing: the connection has to time out once per request."""
        path = "/etc/apache2/apache2.conf"
        return (
            Term("connection attempt", _milliseconds(self._balancer, path, r"connectiontimeout=(\d+)ms"), path),
            Term("request repeated at another node", _ANSWER, _ESTIMATED),
        )

    @property
    def member_is_suspected(self) -> tuple[Term, ...]:
        """Whoever writes a session waits for the copy on a node that is silent, until JGroups excludes that node."""
        path = "/etc/perenne/wildfly/configuration.yml"
        return (
            Term("JGroups: silence", _milliseconds(self._application, path, r'FD_ALL3:[^}]*timeout: "(\d+)"'), path),
            Term("JGroups: next look", _milliseconds(self._application, path, r'FD_ALL3:[^}]*interval: "(\d+)"'), path),
            Term(
                "JGroups: asked once more",
                _milliseconds(self._application, path, r'VERIFY_SUSPECT2:[^}]*timeout: "(\d+)"'),
                path,
            ),
        )

    @property
    def nothing_moves(self) -> tuple[Term, ...]:
        """What has died is started again before anybody misses it."""
        return (
            Term("next write", _BETWEEN_VISITS, _ESTIMATED),
            Term("it takes longer than usual", _ANSWER, _ESTIMATED),
        )

    @property
    def patroni_notices(self) -> tuple[Term, ...]:
        """Patroni is woken (perenne-postmaster), and gives the lease up at once (primary_start_timeout 0)."""
        return (Term("Patroni is woken", 0.1, _ESTIMATED),)

    @property
    def lease_runs_out(self) -> tuple[Term, ...]:
        """Nobody may take the lease before it has run out; it was renewed at most a loop before."""
        return (
            Term("lease", self._settings.database.ttl, "database.ttl"),
            Term("etcd's lease check", 1.0, "etcd revokes leases in rounds of 0.5 s"),
        )

    @property
    def patroni_asks_in_vain(self) -> tuple[Term, ...]:
        """Before the standby takes over, its Patroni asks the lost primary once more."""
        return (Term("Patroni asks the lost primary", _PATRONI_ASKS, "patroni 4.1.5, Ha.fetch_node_status"),)

    @property
    def applications_ask_in_vain(self) -> tuple[Term, ...]:
        """So do applications, which look for the primary where it was."""
        path = "/etc/perenne/wildfly/configuration.yml"
        seconds = _number(self._application, path, r"connectTimeout=(\d+)")
        return (Term("applications ask the lost primary", seconds, path),)

    @property
    def seen_off(self) -> tuple[Term, ...]:
        """The standby's agent sees no renewal any more, and vCenter or the BMC shows that the primary is off.

        Where etcd's leader was lost, too, it watches the next one before it believes that.
        """
        path = "/usr/local/lib/perenne/fencing/agent/judgement.py"
        slack = _number(_fencing(self._settings), path, r"RENEWAL_SLACK_SECONDS = ([\d.]+)")
        elected, _ = self.quorum_elects
        return (
            elected,
            Term("renewal of the lease missed", self._settings.database.loop_wait + slack, "database.loop_wait"),
            Term("vCenter or BMC asked", _ASKED, _ESTIMATED),
        )

    @property
    def fenced(self) -> tuple[Term, ...]:
        """A primary that may only stand still is waited for, and then powered off."""
        return (
            Term("patience", self._settings.fencing.patience_seconds, "fencing.patience_seconds"),
            Term("vCenter powers it off", _ASKED, _ESTIMATED),
        )

    @property
    def promotion(self) -> tuple[Term, ...]:
        """The standby sees the lease free, takes it and becomes primary."""
        return (Term("promotion", _PROMOTION, _ESTIMATED),)

    @property
    def clients_follow(self) -> tuple[Term, ...]:
        """Pools find the new primary: connections are checked, and hosts that were down asked again."""
        path = "/etc/perenne/wildfly/configuration.yml"
        return (
            Term("host asked again", _number(self._application, path, r"hostRecheckSeconds=(\d+)"), path),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def quorum_elects(self) -> tuple[Term, ...]:
        """Etcd's followers wait for their leader, if that was the lost server; the next lets all leases begin anew."""
        path = "/etc/default/etcd"
        timeout = _milliseconds(self._quorum, path, r"ETCD_ELECTION_TIMEOUT=(\d+)")
        return (
            Term("etcd elects a leader", _ELECTION_ROUNDS * timeout, path),
            Term("which gives leases an election timeout more", timeout, "etcd, lessor.Promote"),
        )

    @property
    def standby_is_dropped(self) -> tuple[Term, ...]:
        """Commits wait for the standby until the primary takes it for gone and Patroni goes on without it."""
        path = "/etc/patroni/perenne/10-patroni.yml"
        return (
            Term("standby silent", _number(self._database, path, r"wal_sender_timeout: (\d+)s"), path),
            Term("Patroni's loop", 2.0 * self._settings.database.loop_wait, "database.loop_wait"),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def switchover(self) -> tuple[Term, ...]:
        """Patroni stops the old primary in good order, and the standby, which has everything, goes on."""
        return (
            Term("the old primary stops", 0.3, _ESTIMATED),
            *self.promotion,
            *self.clients_follow,
        )


def _fencing(settings: Settings) -> Mapping[str, File]:
    return _files(settings, Role.DATABASE, GuestRole.FENCING)


def _files(settings: Settings, role: Role, part: GuestRole) -> Mapping[str, File]:
    return _files_of(settings, next(iter(settings.servers_of(role))), part)


def _files_of(settings: Settings, server: str, part: GuestRole) -> Mapping[str, File]:
    return guests.files(settings, server, part, dict.fromkeys(settings.services, ""))


def _number(files: Mapping[str, File], path: str, pattern: str) -> float:
    """The number at one place of a file: a template that says it otherwise is a mistake of this module."""
    match = re.search(pattern, files[path].content)
    if match is None:
        raise LookupError(f"{path} has no {pattern}")
    return float(match.group(1))


def _milliseconds(files: Mapping[str, File], path: str, pattern: str) -> float:
    return _number(files, path, pattern) / 1000
