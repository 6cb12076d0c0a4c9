"""What takes over, and within which time: the steps that faults have in common.

The times are those that the site is given: settings, numbers in the files that are put on servers, which are read where
they stand, and what the programs' own sources and manuals say. Each is the most that its step may take.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from blueprint import guests
from blueprint.guest_files import File
from blueprint.guests import GuestRole
from blueprint.settings import Settings
from blueprint.terms import Isolation, Role

_MISSED_ADVERTISEMENTS = 3
"""A backup declares the master down after three intervals and its skew (RFC 9568, 6.1)."""
_SKEW_DIVISOR = 256
"""VRRP's skew time is (256 - priority) / 256 of an interval (RFC 9568, 6.1)."""
_ELECTION_ROUNDS = 2
"""etcd's members wait between one and two election timeouts (Raft, 5.2)."""

_PATRONI_ASKS = 2.0
"""Seconds that Patroni waits for each other member's answer before it takes the lease (Ha.fetch_node_status)."""
_REST_THREADS = 5
"""That answer what Patroni's REST interface is asked (RestApiServer, restapi.thread_pool_size). Each waits for
PostgreSQL for as long as that takes: its limit of 2 s is one that PostgreSQL has to keep (statement_timeout)."""
_LEAST_REPETITION = 0.2
"""Seconds until Linux first repeats what a peer nearby has not acknowledged (TCP_RTO_MIN); doubled each time."""

SHORT_FREEZE_SECONDS = 5.0
"""For so long a server may stand still, as for a snapshot or a vMotion that goes badly, without a fail-over."""

_ESTIMATED = "an estimate"
_PROMOTION = 0.6
"""Seconds in which a standby that has everything becomes primary; its checkpoint is put off."""
_RESTART = 0.3
"""Seconds from the start of httpd or keepalived to service."""
_CRASH = 1.0
"""Seconds in which PostgreSQL ends its sessions, begins to recover, and finds its disk still full."""
_ASKED = 0.5
"""Seconds in which a vCenter or a BMC with a session answers, or pulls a plug."""
_ANSWER = 0.5
"""Seconds that an answer itself may take on a site that has just been hit: in the lab, on two processors, up to 0.6 s
pass between two good ones also where nothing has to move (drills kill-etcd, kill-patroni)."""
_ROUND = 0.5
"""Seconds in which an application asks all database servers that answer, with TLS and a password each."""
_BETWEEN_VISITS = 0.2
"""Seconds from the last good answer before a fault to the first request after it, as drills ask for a page."""

_HTTPD = "/etc/apache2/apache2.conf"
_KEEPALIVED = "/etc/keepalived/keepalived.conf"
_CHECK_HTTPD = "/usr/local/lib/perenne/check-httpd"
_SYSCTL = "/etc/sysctl.d/60-perenne.conf"
_NEIGHBOURS = "/etc/sysctl.d/60-perenne-neighbours.conf"
_WILDFLY = "/etc/perenne/wildfly/configuration.yml"
_PATRONI = "/etc/patroni/perenne/10-patroni.yml"


@dataclass(frozen=True)
class Term:
    """One step on the way back to service."""

    name: str
    seconds: float
    """The most it may take."""
    where: str
    """The setting, file or source that it comes from."""


Terms = tuple[Term, ...]


def lasting(terms: Iterable[Term]) -> float:
    """Seconds of all of them, one after the other."""
    return sum(term.seconds for term in terms)


def _later(*ways: Terms) -> Terms:
    """What goes on at the same time, where the next step needs all of it: the one that takes longest counts."""
    return max(ways, key=lasting)


class Times:
    """The steps on a site with these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._balancer = _files(settings, Role.BALANCER, GuestRole.BALANCER)
        self._application = _files(settings, Role.APPLICATION, GuestRole.APPLICATION)
        self._database = _files(settings, Role.DATABASE, GuestRole.DATABASE)
        self._quorum = _files(settings, Role.DATABASE, GuestRole.QUORUM)

    # Balancers

    @property
    def httpd_restarts(self) -> Terms:
        """Systemd is faster than keepalived: the address stays."""
        path = "/etc/systemd/system/apache2.service.d/perenne.conf"
        return (
            Term("systemd starts it again", _milliseconds(self._balancer, path, r"RestartSec=(\d+)ms"), path),
            Term("httpd starts", _RESTART, _ESTIMATED),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def address_moves(self) -> Terms:
        """VRRP: three advertisements missed, and the skew of the one with the lowest priority."""
        interval = self._settings.site.vrrp.advertisement_seconds
        return (
            Term("advertisements missed", _MISSED_ADVERTISEMENTS * interval, "site.vrrp.advertisement_seconds"),
            *self._address_taken,
        )

    @property
    def address_is_given_up(self) -> Terms:
        """Its keepalived finds that httpd doesn't serve and another balancer does; priority 0 leaves the skew."""
        interval = _number(self._balancer, _KEEPALIVED, r"vrrp_script httpd \{[^}]*\n *interval ([\d.]+)")
        failures = _number(self._balancer, _KEEPALIVED, r"vrrp_script httpd \{[^}]*\n *fall (\d+)")
        here = _number(self._balancer, _CHECK_HTTPD, r"! serves ([\d.]+) 127\.0\.0\.1")
        there = _number(self._balancer, _CHECK_HTTPD, r'serves ([\d.]+) "\$peer"')
        return (
            Term(f"keepalived's check begins, {failures:g} times", failures * interval, _KEEPALIVED),
            Term("the last check waits for httpd, and asks the other balancer", here + there, _CHECK_HTTPD),
            *self._address_taken,
        )

    @property
    def address_is_handed_over(self) -> Terms:
        """New connections wait for requests in progress to end; an advertisement of priority 0 leaves the skew."""
        path = "/usr/local/lib/perenne/hand-over"
        return (
            Term("new connections held", _number(self._balancer, path, r"HOLD_SECONDS = ([\d.]+)"), path),
            *self._address_taken,
        )

    @property
    def _address_taken(self) -> Terms:
        """A balancer with a low priority waits longer than others before it takes the address (VRRP's skew)."""
        priority = min(
            _number(_files_of(self._settings, name, GuestRole.BALANCER), _KEEPALIVED, r"priority (\d+)")
            for name in self._settings.servers_of(Role.BALANCER)
        )
        skew = (_SKEW_DIVISOR - priority) / _SKEW_DIVISOR
        return (
            Term("skew", skew * self._settings.site.vrrp.advertisement_seconds, _KEEPALIVED),
            Term("neighbours learn the address, answer", _ANSWER, _ESTIMATED),
        )

    # Application servers

    @property
    def node_refuses(self) -> Terms:
        """A process that has died, or a closed gate, refuses connections: the next node gets the request at once."""
        return (
            Term("next request", _BETWEEN_VISITS, _ESTIMATED),
            Term("repeated at another node", _ANSWER, "mod_proxy_balancer: a refused connection"),
        )

    @property
    def node_is_silent(self) -> Terms:
        """A machine that is gone answers nothing: the connection has to time out once per request."""
        return (
            Term("connection attempt", _milliseconds(self._balancer, _HTTPD, r"connectiontimeout=(\d+)ms"), _HTTPD),
            Term("request repeated at another node", _ANSWER, _ESTIMATED),
        )

    @property
    def node_stands_still(self) -> Terms:
        """Whoever writes a session waits for the copy on a node that is silent, until JGroups excludes that node."""
        detection, verification = r"FD_ALL3:[^}]*", r"VERIFY_SUSPECT2:[^}]*"
        return (
            Term("JGroups: silence", self._jgroups(detection + r'timeout: "(\d+)"'), _WILDFLY),
            Term("JGroups: next look", self._jgroups(detection + r'interval: "(\d+)"'), _WILDFLY),
            Term("JGroups: asked once more", self._jgroups(verification + r'timeout: "(\d+)"'), _WILDFLY),
            *self.node_is_silent,
        )

    def _jgroups(self, pattern: str) -> float:
        return _milliseconds(self._application, _WILDFLY, pattern)

    @property
    def other_node_serves(self) -> Terms:
        """A node that can't work keeps its requests, so that the next ones go to the one that has fewer."""
        return (
            Term("next request", _BETWEEN_VISITS, _ESTIMATED),
            Term("one that the node keeps, and the next after it", _BETWEEN_VISITS, f"{_HTTPD}: bybusyness"),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    # The database: what is over soon

    @property
    def nothing_moves(self) -> Terms:
        """What has died is started again, or does without it, before anybody misses it."""
        return (
            Term("next write", _BETWEEN_VISITS, _ESTIMATED),
            Term("it takes longer than usual", _ANSWER, _ESTIMATED),
        )

    @property
    def primary_process_ends(self) -> Terms:
        """Patroni is woken (perenne-postmaster), and gives the lease up at once (primary_start_timeout 0)."""
        return (Term("Patroni is woken", 0.1, _ESTIMATED), *self._promotion, *self._clients_follow)

    @property
    def primary_disk_fills(self) -> Terms:
        """PostgreSQL ends its sessions (PANIC), recovers, needs room once more, and ends itself."""
        return (Term("PostgreSQL recovers in vain", _CRASH, _ESTIMATED), *self.primary_process_ends)

    @property
    def primary_freezes_shortly(self) -> Terms:
        """Nobody takes over; the standby has given the primary up meanwhile, and commits wait for it no longer.

        What clients sent into the freeze is repeated 1.2 s after it at the latest (TCP, from 0.2 s on, doubled), while
        Patroni still looks.
        """
        return (
            Term("it stands still", SHORT_FREEZE_SECONDS, "the fault itself"),
            Term("Patroni's loop", 2.0 * self._settings.database.loop_wait, "database.loop_wait"),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def standby_is_dropped(self) -> Terms:
        """Commits wait for the standby until the primary takes it for gone and Patroni goes on without it."""
        return (
            Term("standby silent", _number(self._database, _PATRONI, r"wal_sender_timeout: (\d+)s"), _PATRONI),
            Term("Patroni's loop", 2.0 * self._settings.database.loop_wait, "database.loop_wait"),
            Term("answer", _ANSWER, _ESTIMATED),
        )

    @property
    def switchover(self) -> Terms:
        """Patroni stops the old primary in good order, and the standby, which has everything, goes on."""
        return (Term("the old primary stops", 0.3, _ESTIMATED), *self._promotion, *self._clients_follow)

    # The database: the primary is lost

    @property
    def primary_lost(self) -> Terms:
        """Its machine is off. The standby's agent sees no renewal any more, and vCenter or the BMC shows it off."""
        if not self._settings.has_fencing:
            return self.primary_unfenced
        return self._machine_gone(*self._renewal_missed, Term("vCenter or BMC asked", _ASKED, _ESTIMATED))

    @property
    def primary_lost_with_host(self) -> Terms:
        """Its host hangs, and so do its servers: it is powered off by its BMC before anybody takes over."""
        if not self._settings.has_fencing:
            return self.primary_unfenced
        patience = self._settings.fencing.host_patience_seconds
        silent = _later(self._renewal_missed, (Term("host silent", patience, "fencing.host_patience_seconds"),))
        return self._machine_gone(*silent, Term("BMC powers its host off", _ASKED, _ESTIMATED))

    @property
    def primary_silent(self) -> Terms:
        """It is cut off, or stands still: as it may only stand still, it is waited for, and then powered off."""
        if not self._settings.has_fencing:
            return self.primary_unfenced
        return self._machine_gone(*self._fenced)

    @property
    def primary_without_quorum(self) -> Terms:
        """It is silent to its standby only: clients reach it, and what it can't commit keeps their connections."""
        if not self._settings.has_fencing:
            return self.primary_unfenced
        taken = (*self._fenced, *self._promotion, self._applications_ask(self._connect_timeout))
        return (*_later(taken, self._waits_end), *self._clients_follow)

    @property
    def patroni_silent(self) -> Terms:
        """PostgreSQL goes on without Patroni, until the agent powers the server off, or the watchdog resets it.

        Writes pause only then. Without fencing it is a watchdog that sees to it that PostgreSQL does not outlive its
        lease; where the machine has none (the lab's), this is no forecast.
        """
        if self._settings.has_fencing:
            return self._machine_gone(self._powered_off, self._elected)
        margin = _number(self._database, _PATRONI, r"safety_margin: (\d+)")
        return (
            Term("the watchdog resets it, before its lease ends by", margin, f"{_PATRONI}, watchdog"),
            *self._elected_anew,
            *self._lease_checked,
            *self._asked_in_vain(self._connect_timeout),
        )

    @property
    def postgres_hangs(self) -> Terms:
        """Patroni lives and waits for PostgreSQL, in its loop and in every answer of its REST interface.

        So its lease is renewed no more; and once keepalived's questions have taken every thread that answers, Patroni
        is as silent as one that stands still. Applications' connections are acknowledged by the kernel all the time,
        and end by their own time only.
        """
        if not self._settings.has_fencing:
            return self.postgres_hangs_unfenced
        interval = _number(self._database, _KEEPALIVED, r"vrrp_script primary \{[^}]*\n *interval ([\d.]+)")
        answering = f"{_KEEPALIVED}; patroni 4.1.5, RestApiServer"
        silent = Term(
            f"{_REST_THREADS} checks take Patroni's {_REST_THREADS} threads", _REST_THREADS * interval, answering
        )
        # Its etcd lives until then: if that leads the quorum, the key can't be given away before another does.
        taken = (silent, *self._fenced, self._elected, *self._promotion, self._applications_ask(self._answer_timeout))
        return (*_later(taken, self._waits_end), *self._clients_follow)

    @property
    def postgres_hangs_unfenced(self) -> Terms:
        """Its lease runs out, as its Patroni waits for it; its kernel goes on taking connections."""
        return (*self._elected_anew, *self._lease_ends, *self._asked_in_vain(self._answer_timeout))

    @property
    def primary_unfenced(self) -> Terms:
        """Nobody may take the lease before it has run out; then everybody asks the lost primary once more, in vain."""
        return (*self._elected_anew, *self._lease_ends, *self._asked_in_vain(self._connect_timeout))

    @property
    def primary_isolated(self) -> Terms:
        """Servers of a host that can't be reached serve, until vSphere HA stops them.

        Fencing doesn't help a primary that is powered off so: vCenter has not seen its host for longer than the agent
        believes what it knew (`judgement.KNOWN_SECONDS`). One that is shut down hands its lease over.
        """
        shut_down = self._settings.cluster.isolation_response is Isolation.SHUTDOWN
        return self.switchover if shut_down else self.primary_unfenced

    def _machine_gone(self, *seen: Term) -> Terms:
        """A machine that is gone closes no connection: clients wait until TCP gives up what it did not acknowledge.

        Args:
            seen: Until its standby may take over.
        """
        taken = (*seen, *self._promotion, self._applications_ask(self._connect_timeout))
        return (*_later(taken, self._connections_end), *self._clients_follow)

    @property
    def _connections_end(self) -> Terms:
        """Linux ends a connection two repetitions after `tcp_retries2` of them."""
        retries = int(_number(self._application, _SYSCTL, r"tcp_retries2 = (\d+)"))
        waits = sum(_LEAST_REPETITION * 2**repetition for repetition in range(retries + 2))
        return (Term("connections to it end", waits, f"{_SYSCTL}: tcp_retries2"), self._new_one_fails)

    @property
    def _waits_end(self) -> Terms:
        """What a kernel has acknowledged is repeated no more; the answer is waited for as long as the driver does."""
        waits = self._url(r"socketTimeout=(\d+)")
        return (Term("connections wait for an answer", waits, _WILDFLY), self._new_one_fails)

    @property
    def _new_one_fails(self) -> Term:
        """By then it is off, and its neighbours know that it answers no ARP, so that nobody waits `connectTimeout`."""
        asked = _number(self._application, _NEIGHBOURS, r"mcast_solicit = (\d+)")
        apart = _milliseconds(self._application, _NEIGHBOURS, r"retrans_time_ms = (\d+)")
        return Term(
            "new ones to it fail, by address and by name", 2 * asked * apart, f"{_NEIGHBOURS}: no answer to ARP"
        )

    @property
    def _renewal_missed(self) -> Terms:
        """Where etcd's leader was lost, too, the agent watches the next one before it believes that."""
        path = "/usr/local/lib/perenne/fencing/agent/judgement.py"
        agent = _files(self._settings, Role.DATABASE, GuestRole.FENCING)
        slack = _number(agent, path, r"RENEWAL_SLACK_SECONDS = ([\d.]+)")
        return (
            self._elected,
            Term("renewal of the lease missed", self._settings.database.loop_wait + slack, "database.loop_wait"),
        )

    @property
    def _fenced(self) -> Terms:
        patience = self._settings.fencing.patience_seconds
        return (Term("patience", patience, "fencing.patience_seconds"), self._powered_off)

    @property
    def _powered_off(self) -> Term:
        return Term("vCenter powers it off", _ASKED, _ESTIMATED)

    @property
    def _elected(self) -> Term:
        """Etcd's followers wait for their leader, if that was the lost server."""
        path, timeout = self._election_timeout
        return Term("etcd elects a leader", _ELECTION_ROUNDS * timeout, path)

    @property
    def _elected_anew(self) -> Terms:
        """The next leader lets all leases begin anew."""
        _, timeout = self._election_timeout
        return (
            self._elected,
            Term("which gives leases an election timeout more", timeout, "etcd, lessor.Promote"),
        )

    @property
    def _election_timeout(self) -> tuple[str, float]:
        path = "/etc/default/etcd"
        return path, _milliseconds(self._quorum, path, r"ETCD_ELECTION_TIMEOUT=(\d+)")

    @property
    def _lease_ends(self) -> Terms:
        """It was renewed at most a loop before."""
        return (Term("lease", self._settings.database.ttl, "database.ttl"), *self._lease_checked)

    @property
    def _lease_checked(self) -> Terms:
        return (Term("etcd's lease check", 1.0, "etcd revokes leases in rounds of 0.5 s"),)

    def _asked_in_vain(self, application_seconds: float) -> Terms:
        """The standby's Patroni asks the lost primary, becomes primary, and applications ask the lost one first."""
        return (
            Term("Patroni asks the lost primary", _PATRONI_ASKS, "patroni 4.1.5, Ha.fetch_node_status"),
            *self._promotion,
            self._applications_ask(application_seconds),
            *self._clients_follow,
        )

    def _applications_ask(self, seconds: float) -> Term:
        """They look for the primary at its address, which nobody has taken over yet, and where it was."""
        return Term("applications ask the lost primary, by address and by name", 2 * seconds, _WILDFLY)

    @property
    def _connect_timeout(self) -> float:
        """Seconds that a server which is off, or stands still, is waited for."""
        return self._url(r"connectTimeout=(\d+)")

    @property
    def _answer_timeout(self) -> float:
        """Seconds that a server is waited for whose kernel takes connections, and whose PostgreSQL does not answer."""
        return max(self._connect_timeout, self._url(r"sslResponseTimeout=(\d+)") / 1000)

    def _url(self, pattern: str) -> float:
        """A number in the database's URL."""
        return _number(self._application, _WILDFLY, pattern)

    @property
    def _promotion(self) -> Terms:
        """The standby sees the lease free, takes it and becomes primary."""
        return (Term("promotion", _PROMOTION, _ESTIMATED),)

    @property
    def _clients_follow(self) -> Terms:
        """Pools find the new primary: they ask one place after the other, and may just have passed it by."""
        again = self._url(r"hostRecheckSeconds=(\d+)")
        return (
            Term("applications ask all servers once more", again + _ROUND, f"{_WILDFLY}; an estimate"),
            Term("answer", _ANSWER, _ESTIMATED),
        )


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
