"""The outage to expect of a fault, from a stack's settings alone: named times, added up, before anything is deployed.

Each time is the most that its step may take (blueprint/takeover.py), so that the sum is a bound and not a mean.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from blueprint.settings import Settings
from blueprint.takeover import Terms, Times, lasting
from blueprint.terms import Measure, Role


class Broken(StrEnum):
    """What a fault breaks, from the users inwards."""

    BALANCER = "a balancer"
    APPLICATION = "an application server"
    PRIMARY = "the primary"
    VOTE = "the standby, or a vote of the quorum"
    HOST = "a host"
    STORAGE = "storage"
    NETWORK = "the network between servers"
    NOTHING = "nothing: what operators do on purpose"
    FENCING = "the primary, while nothing fences it"


@dataclass(frozen=True)
class Forecast:
    """What one fault costs at most."""

    fault: str
    """The drill that makes it (`./perenne drill NAME`)."""
    title: str
    broken: Broken
    measure: Measure
    terms: Terms

    @property
    def bound(self) -> float:
        """Seconds: the sum of all terms."""
        return lasting(self.terms)


def forecast(settings: Settings) -> list[Forecast]:
    """Every fault whose outage the settings tell, from the users inwards."""
    times = Times(settings)
    return [
        *_balancer(times),
        *_application(times),
        *_primary(times),
        *_votes(times),
        *_hosts(times),
        *_storage(settings, times),
        *_network(times),
        *_operators(times),
        *(_without_fencing(times) if settings.has_fencing else ()),
    ]


def _balancer(times: Times) -> Iterator[Forecast]:
    costs = partial(_alike, Broken.BALANCER, Measure.OUTAGE)
    yield from costs(times.httpd_restarts, {"kill-httpd": "httpd dies on the balancer with the address"})
    yield from costs(times.address_is_given_up, {"hang-httpd": "httpd hangs on the balancer with the address"})
    yield from costs(
        times.address_moves,
        {
            "kill-keepalived": "keepalived dies on the balancer with the address",
            "hang-keepalived": "keepalived hangs on the balancer with the address",
            "lose-balancer": "the balancer with the address is lost",
            "power-off-balancer": "the balancer with the address is powered off in vCenter",
            "freeze-balancer-5s": "the balancer with the address stands still for 5 s",
            "freeze-balancer-60s": "the balancer with the address stands still for a minute",
            "cut-balancer": "the balancer with the address is cut from the network",
        },
    )


def _application(times: Times) -> Iterator[Forecast]:
    costs = partial(_alike, Broken.APPLICATION, Measure.OUTAGE)
    yield from costs(times.node_refuses, {"kill-wildfly": "WildFly dies on a node"})
    yield from costs(
        times.node_is_silent,
        {
            "lose-app": "an application server is lost",
            "power-off-app": "an application server is powered off in vCenter",
        },
    )
    yield from costs(
        times.node_stands_still,
        {
            "hang-wildfly": "WildFly hangs on a node",
            "freeze-app-5s": "an application server stands still for 5 s",
            "freeze-app-60s": "an application server stands still for a minute",
            "cut-app": "an application server is cut from the network",
        },
    )


def _primary(times: Times) -> Iterator[Forecast]:
    costs = partial(_alike, Broken.PRIMARY, Measure.PAUSED_WRITES)
    yield from costs(times.primary_process_ends, {"kill-postgres": "PostgreSQL dies on the primary"})
    yield from costs(times.primary_disk_fills, {"fill-disk-primary": "the disk with the primary's WAL is full"})
    yield from costs(times.nothing_moves, {"kill-patroni": "Patroni dies on the primary; PostgreSQL goes on"})
    yield from costs(times.patroni_silent, {"hang-patroni": "Patroni hangs on the primary; PostgreSQL goes on"})
    yield from costs(times.postgres_hangs, {"hang-postgres": "PostgreSQL hangs on the primary; Patroni goes on"})
    yield from costs(
        times.primary_lost,
        {"lose-primary": "the primary is lost", "power-off-primary": "the primary is powered off in vCenter"},
    )
    yield from costs(times.primary_freezes_shortly, {"freeze-primary-5s": "the primary stands still for 5 s"})
    yield from costs(
        times.primary_silent,
        {
            "cut-primary": "the primary is cut from the network",
            "freeze-primary-60s": "the primary stands still for a minute",
        },
    )


def _votes(times: Times) -> Iterator[Forecast]:
    costs = partial(_alike, Broken.VOTE, Measure.PAUSED_WRITES)
    yield from costs(
        times.nothing_moves,
        {
            "kill-etcd": "the quorum's leader dies",
            "hang-etcd": "the quorum's leader hangs",
            "lose-witness": "the witness is lost",
            "power-off-witness": "the witness is powered off in vCenter",
            "freeze-witness-5s": "the witness stands still for 5 s",
            "freeze-witness-60s": "the witness stands still for a minute",
            "cut-witness": "the witness is cut from the network",
        },
    )
    yield from costs(
        times.standby_is_dropped,
        {
            "lose-standby": "the standby is lost",
            "power-off-standby": "the standby is powered off in vCenter",
            "freeze-standby-5s": "the standby stands still for 5 s",
            "freeze-standby-60s": "the standby stands still for a minute",
            "cut-standby": "the standby is cut from the network",
            "fill-disk-standby": "the disk with the standby's WAL is full",
        },
    )


def _hosts(times: Times) -> Iterator[Forecast]:
    costs = partial(_alike, Broken.HOST, Measure.PAUSED_WRITES)
    yield from costs(
        times.primary_lost,
        {"lose-worst-host": "the host with the address, the primary and the quorum's leader is lost"},
    )
    yield from costs(times.primary_lost_with_host, {"hang-host": "the primary's host hangs, with its servers"})
    yield from costs(times.standby_is_dropped, {"lose-standby-host": "the standby's host is lost"})
    yield from costs(
        times.primary_isolated,
        {"isolate-host": "the primary's host is cut off from the others, and vSphere HA stops its servers"},
    )


def _storage(settings: Settings, times: Times) -> Iterator[Forecast]:
    """Where the rest of the quorum is elsewhere: else nobody takes over before the disks are back."""
    costs = partial(_alike, Broken.STORAGE, Measure.PAUSED_WRITES)
    if _spared(settings, {name: name for name in settings.luns}):
        yield from costs(times.postgres_hangs, {"stall-datastore": "the primary's datastore answers on no path"})
    if len(settings.storage) > 1 and _spared(
        settings, {lun: name for name, array in settings.storage.items() for lun in array.luns}
    ):
        yield from costs(times.postgres_hangs, {"lose-array": "the primary's array is gone, with every server on it"})


def _network(times: Times) -> Iterator[Forecast]:
    users = partial(_alike, Broken.NETWORK, Measure.OUTAGE)
    writers = partial(_alike, Broken.NETWORK, Measure.PAUSED_WRITES)
    yield from users(times.address_moves, {"cut-balancers-apart": "the balancers can't reach each other"})
    yield from users(
        times.node_is_silent,
        {"cut-balancer-from-app": "the balancer with the address can't reach an application server"},
    )
    yield from users(times.node_stands_still, {"cut-apps-apart": "the application servers can't reach each other"})
    yield from users(times.other_node_serves, {"cut-app-from-primary": "an application server can't reach the primary"})
    yield from writers(
        times.primary_without_quorum,
        {"cut-primary-from-quorum": "the primary can't reach the other votes; clients still reach it"},
    )
    yield from writers(
        times.standby_is_dropped,
        {
            "cut-replication": "the primary and its standby can't reach each other",
            "cut-replication-one-way": "the standby no longer hears the primary, which still hears the standby",
        },
    )


def _operators(times: Times) -> Iterator[Forecast]:
    users = partial(_alike, Broken.NOTHING, Measure.OUTAGE)
    writers = partial(_alike, Broken.NOTHING, Measure.PAUSED_WRITES)
    yield from users(
        times.address_is_handed_over,
        {
            "move-site-address": "the address is handed over",
            "reload-balancer": "httpd reloads on the balancer with the address",
            "drain-balancer": "the balancer with the address is drained, restarted, and put back",
        },
    )
    yield from users(
        times.node_refuses,
        {
            "restart-app": "WildFly is restarted on a node",
            "drain-app": "an application server is drained, restarted, and put back",
        },
    )
    yield from writers(
        times.switchover,
        {
            "switchover": "the database is switched over",
            "drain-primary": "the primary is drained after a switchover, restarted, and put back",
        },
    )
    yield from writers(times.nothing_moves, {"drain-standby": "the standby is drained, restarted, and put back"})


def _without_fencing(times: Times) -> Iterator[Forecast]:
    """What the same faults cost while no agent runs, or its devices can't be reached."""
    yield from _alike(
        Broken.FENCING,
        Measure.PAUSED_WRITES,
        times.primary_unfenced,
        {
            "lose-primary-unfenced": "the primary is lost while no agent runs",
            "power-off-primary-unfenced": "the primary is powered off in vCenter while no agent runs",
            "cut-primary-unfenced": "the primary is cut from the network while no agent runs",
            "freeze-primary-60s-unfenced": "the primary stands still for a minute while no agent runs",
            "lose-worst-host-unfenced": "the host with the address, the primary and the quorum's leader is lost while "
            "no agent runs",
            "hang-host-unfenced": "the primary's host hangs, with its servers, while no agent runs",
            "freeze-primary-without-fencing-devices": "the primary stands still for a minute, and neither vCenter nor "
            "BMCs can be reached",
            "hang-host-without-bmc": "the primary's host hangs, with its servers, and its BMC can't be reached",
        },
    )


def _alike(broken: Broken, measure: Measure, terms: Terms, titles: Mapping[str, str]) -> Iterator[Forecast]:
    """Faults that cost the same: each by its drill's name, and in words."""
    return (Forecast(fault, title, broken, measure, terms) for fault, title in titles.items())


def _spared(settings: Settings, parts: Mapping[str, str]) -> bool:
    """Whether some database server is on a part without which the quorum still has a majority.

    Args:
        settings: The site's.
        parts: To which part of the storage a datastore belongs.
    """
    votes = Counter(parts.get(server.datastore) for server in settings.quorum.values())
    own = (parts.get(server.datastore) for server in settings.servers_of(Role.DATABASE).values())
    return any(part is not None and 2 * (votes.total() - votes[part]) > votes.total() for part in own)
