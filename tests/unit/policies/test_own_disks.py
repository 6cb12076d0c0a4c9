"""Rules about a host's own disks: who may be there, and what a vote there is good for."""

from dataclasses import replace

import pytest

from policies.judging.configuration import Configuration, Thresholds
from policies.judging.resource import UNKNOWN, Resource
from policies.reading import guests
from policies.rules import backup, machines, placement, storage
from tests.unit.policies.servers import command, problems, undecided, with_files
from tests.unit.policies.stacks import judged, made, vsphere

TWO_ARRAYS = Configuration(thresholds=Thresholds(arrays=2))
STORES = [
    vsphere("VmfsDatastore", f"store{number}", name=f"store{number}", disks=[f"naa.{number}"]) for number in (1, 2)
]
STORAGE = made("perenne:index:IscsiDatastores", "storage", {"arrays": {"san1": ["naa.1"], "san2": ["naa.2"]}}, {})
ETCD = {"/etc/default/etcd": "ETCD_INITIAL_CLUSTER=db01=https://a:2380,db02=https://b:2380,wit01=https://c:2380\n"}
PATRONI = {"/etc/patroni.yml": "scope: main\npostgresql: {}\n"}
BACKUPS = {"/etc/cron.d/backup": "0 2 * * * postgres pg_basebackup -D /backup"}


def component(name: str, **outputs: object) -> Resource:
    return made("perenne:index:VirtualMachine", name, outputs, {})


def machine(name: str, store: Resource | None, files: dict[str, str], **outputs: object) -> list[Resource]:
    """A server below a component that declares `outputs`, with these files."""
    parent = component(name, **outputs)
    refers = {"datastoreId": [store]} if store else {"datastoreId": [vsphere("Host", "esx3", hostname="esx3")]}
    made_ = made(guests.MACHINE, name, {"name": name, "datastoreId": UNKNOWN}, refers, parent=parent.urn)
    return [parent, *with_files(made_, files)]


def site(*vote: Resource) -> list[Resource]:
    """Two database servers on two arrays, and the third vote."""
    first = machine("db01", STORES[0], ETCD | PATRONI)
    second = machine("db02", STORES[1], ETCD | PATRONI)
    return [*STORES, STORAGE, vsphere("Host", "esx3", hostname="esx3"), *first, *second, *vote]


def on_own_disk(files: dict[str, str]) -> list[Resource]:
    return machine("wit01", None, files, localDiskOf="esx3.example.com")


@pytest.mark.parametrize(("store", "array"), [(0, "san1"), (1, "san2")])
def test_two_of_three_votes_on_one_array_are_refused(store: int, array: str) -> None:
    votes = site(*machine("wit01", STORES[store], ETCD))
    label = f"db0{store + 1}, wit01"
    assert problems(storage.stateful_apart, *votes, configuration=TWO_ARRAYS) == [
        f"array {array} has 2 of 3 votes, {label}: none is elected without it"
    ]
    assert problems(storage.stateful_apart, *votes) == []


def test_a_vote_on_a_hosts_own_disk_is_on_no_array() -> None:
    found = site(*on_own_disk(ETCD))
    assert problems(storage.stateful_apart, *found, configuration=TWO_ARRAYS) == []
    assert problems(storage.shared_storage, *found) == []


@pytest.mark.parametrize("more", [PATRONI, BACKUPS, {"/etc/jgroups.xml": "jgroups"}], ids=["data", "backups", "more"])
def test_who_does_more_than_vote_may_not_be_there(more: dict[str, str]) -> None:
    more = {path.replace("jgroups.xml", "wildfly/jgroups.xml"): text for path, text in more.items()}
    found = site(*on_own_disk(ETCD | more))
    assert problems(storage.shared_storage, *found) == ["it is on esx3.example.com's own disk"]


def test_a_server_that_is_no_vote_may_not_be_there() -> None:
    assert problems(storage.shared_storage, *site(*on_own_disk({}))) == ["it is on esx3.example.com's own disk"]


def test_votes_there_must_not_be_the_majority() -> None:
    one, two = (machine(f"wit0{number}", None, ETCD, localDiskOf=f"esx{number}") for number in (1, 2))
    lone = machine("db01", STORES[0], ETCD | PATRONI)
    found = [*STORES, STORAGE, vsphere("Host", "esx3", hostname="esx3"), *lone, *one, *two]
    assert len(problems(storage.shared_storage, *found)) == 2


def test_what_is_not_known_yet_is_not_refused() -> None:
    vote = on_own_disk(ETCD)
    later = command("later", vote[1], create="install", stdin=UNKNOWN)
    assert undecided(storage.shared_storage, *site(*vote, later))


def test_only_a_vote_on_its_hosts_own_disk_may_be_left_on_an_isolated_host() -> None:
    def override(vote: list[Resource]) -> Resource:
        return vsphere("HaVmOverride", "wit01", haHostIsolationResponse="none", refers={"virtualMachineId": [vote[1]]})

    own, shared = on_own_disk(ETCD), machine("wit01", STORES[0], ETCD)
    assert problems(machines.restarted, *site(*own), override(own)) == []
    assert problems(machines.restarted, *site(*shared), override(shared)) == ["wit01 is left on an isolated host"]


def test_backups_on_a_hosts_own_disk_are_on_no_array() -> None:
    lone = machine("db01", STORES[0], PATRONI)
    keeper = machine("bak01", None, BACKUPS, localDiskOf="esx3")
    found = [*STORES, STORAGE, vsphere("Host", "esx3", hostname="esx3"), *lone, *keeper]
    assert problems(backup.backed_up, *found, configuration=TWO_ARRAYS) == []


def test_one_server_that_keeps_backups_is_enough() -> None:
    assert problems(placement.two_servers, *machine("bak01", STORES[0], BACKUPS)) == []
    own = {"/etc/cron.d/backup": "0 2 * * * root restic backup /srv"}
    assert problems(placement.two_servers, *machine("nas01", STORES[0], own)) == ["tier nas has one server, nas01"]


def databases(*datastores: object) -> list[Resource]:
    """Database servers on datastores that the program looks up."""
    named = [vsphere("VirtualMachine", f"db0{number}", name=f"db0{number}") for number, _ in enumerate(datastores, 1)]
    placed = [
        replace(one, properties={**one.properties, "datastoreId": id_})
        for one, id_ in zip(named, datastores, strict=True)
    ]
    return [one for machine in placed for one in with_files(machine, PATRONI)]


def test_databases_on_one_datastore_that_was_there_before_are_refused() -> None:
    problem = "db01, db02 are all on datastore datastore-17"
    assert problems(storage.stateful_apart, *databases("datastore-17", "datastore-17")) == [problem]
    assert problems(storage.stateful_apart, *databases("datastore-17", "datastore-18")) == []


def test_databases_on_a_datastore_that_is_not_known_yet_are_judged_later() -> None:
    assert undecided(storage.stateful_apart, *databases("datastore-17", UNKNOWN))
    judgement = judged(storage.stateful_apart, *databases("datastore-17", "datastore-18"), configuration=TWO_ARRAYS)
    assert "which array" in str(judgement.undecided[0])
