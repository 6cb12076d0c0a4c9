"""Rules about storage: scripts as administrators write them, and sites with two clusters."""

import re
from collections.abc import Sequence

import pytest

from policies.judging.resource import Resource
from policies.rules import cluster, storage
from tests.unit.policies.servers import command, problems, undecided
from tests.unit.policies.stacks import made, vsphere

LUN = "naa.600140500000000000000000000001"
LOOPS = f"""
for nic in vmk1 vmk2; do
    esxcli iscsi networkportal add --adapter vmhba64 --nic "$nic"
done
for portal in 10.0.1.1 10.0.2.1
do
    for direction in uni mutual; do
        esxcli iscsi adapter discovery sendtarget auth chap set -A vmhba64 -a ${{portal}}:3260 \\
            --direction $direction --secret "$(get_secret $direction)"
    done
    esxcli iscsi adapter discovery sendtarget add -A vmhba64 -a ${{portal}}:3260
done
esxcli storage nmp device set -d {LUN} -P VMW_PSP_RR
"""
PLAIN = f"""
esxcli iscsi networkportal add -A vmhba64 -n vmk1
esxcli iscsi networkportal add -A vmhba64 -n vmk2
esxcli iscsi adapter discovery sendtarget add --adapter=vmhba64 --address="10.0.1.1:3260"
esxcli iscsi adapter discovery sendtarget add --adapter=vmhba64 --address="10.0.2.1:3260"
esxcli iscsi adapter auth chap set -A vmhba64 -d uni -l required -N esx -S "$UNI"
esxcli iscsi adapter auth chap set -A vmhba64 -d mutual -l required -N array -S "$MUTUAL"
esxcli storage nmp satp rule add -s VMW_SATP_ALUA -V LIO-ORG -P VMW_PSP_RR
echo {LUN}
"""

BIND = "esxcli iscsi networkportal add -A vmhba64 -n "
UNBOUND = re.sub(rf"{BIND}.*\n", "", PLAIN)
STATIC = re.sub(r"sendtarget add (.*)", r"statictarget add \1 --name iqn.2026-11.com.example:array", LOOPS).replace(
    "discovery sendtarget auth", "target portal auth"
)
SCRIPTS = pytest.mark.parametrize("script", [LOOPS, PLAIN, STATIC], ids=["loops", "line by line", "static targets"])


def site(script: str, name: str = "site") -> list[Resource]:
    """A cluster of two hosts whose iSCSI is set up by commands that name the host, and a datastore."""
    home = vsphere("ComputeCluster", name, name=name)
    found = [home]
    for number in (1, 2):
        hostname = f"esx{number}.{name}.example.com"
        found.append(vsphere("Host", hostname, hostname=hostname, refers={"cluster": [home]}))
        found.append(command(f"iscsi-{hostname}", create=script, connection={"host": hostname, "hostKey": "k"}))
    store = vsphere(
        "VmfsDatastore", f"lun-{name}", name=f"lun-{name}", disks=[LUN], refers={"hostSystemId": [found[1]]}
    )
    references = {"dependsOn": [store]}
    rescan = {
        "create": "esxcli storage core adapter rescan --all",
        "connection": {"host": found[3].properties["hostname"]},
    }
    return [*found, store, made("command:remote:Command", f"rescan-{name}", rescan, references)]


def with_adapters(script: str, *addresses: str, uplinks: Sequence[str] = ("vmnic2", "vmnic3")) -> list[Resource]:
    """A site on whose hosts VMkernel adapters have these addresses, each in a port group of its own."""
    found = site(script)
    for host in [one for one in found if one.type.endswith(":Host")]:
        for number, (address, uplink) in enumerate(zip(addresses, uplinks, strict=True)):
            name = f"{host.name}-{number}"
            group = vsphere(
                "HostPortGroup", name, name=name, activeNics=[uplink], standbyNics=[], refers={"hostSystemId": [host]}
            )
            ipv4 = {"ip": address, "netmask": "255.255.255.0"}
            found += [group, vsphere("Vnic", name, ipv4=ipv4, refers={"host": [host], "portgroup": [group]})]
    return found


RULES = (
    storage.two_portals,
    storage.two_adapters,
    storage.seen_by_every_host,
    storage.active_multipath,
    storage.mutual_chap,
)


@SCRIPTS
def test_scripts_are_understood(script: str) -> None:
    for rule in RULES:
        assert problems(rule, *site(script)) == [], rule.id


@SCRIPTS
@pytest.mark.parametrize(
    ("text", "instead", "rule"),
    [
        ("10.0.2.1", "10.0.1.2", storage.two_portals),
        ("10.0.2.1", "10.0.1.1", storage.two_portals),
        ("vmk2", "vmk1", storage.two_adapters),
        ("VMW_PSP_RR", "VMW_PSP_MRU", storage.active_multipath),
        ("mutual", "uni", storage.mutual_chap),
    ],
)
def test_faults_in_scripts_are_found(script: str, text: str, instead: str, rule: object) -> None:
    assert problems(rule, *site(script.replace(text, instead))) != []  # type: ignore[arg-type]


def test_each_path_in_a_subnet_of_its_own_needs_no_binding() -> None:
    assert problems(storage.two_adapters, *with_adapters(UNBOUND, "10.0.1.2", "10.0.2.2")) == []


@pytest.mark.parametrize(
    ("script", "addresses", "problem"),
    [
        (UNBOUND, ("10.0.1.2", "10.0.3.2"), "reaches the array from 1 of 2 VMkernel adapters"),
        (UNBOUND, ("10.0.1.2", "10.0.1.3"), "reaches the array from 1 of 2 VMkernel adapters"),
        (f"{UNBOUND}{BIND}vmk1\n", ("10.0.1.2", "10.0.2.2"), "one VMkernel adapter is bound to the iSCSI adapter"),
        (f"{UNBOUND}{BIND}vmk1\n{BIND}vmk2\n", ("10.0.1.2", "10.0.3.2"), "from 1 of 2 VMkernel adapters"),
    ],
    ids=["another subnet", "one subnet", "one bound", "two bound, one towards the array"],
)
def test_one_adapter_towards_an_array_is_found(script: str, addresses: tuple[str, str], problem: str) -> None:
    found = problems(storage.two_adapters, *with_adapters(script, *addresses))
    assert len(found) == 2
    assert all(problem in one for one in found)


def test_every_array_is_looked_at() -> None:
    script = f"case $array in\nsan01)\n{UNBOUND}\nsan02)\n{UNBOUND.replace('10.0.2.1', '10.0.3.1')}\nesac"
    host = "esx1.site.example.com"
    found = problems(storage.two_adapters, *with_adapters(script, "10.0.1.2", "10.0.2.2"))
    assert found[0] == f"{host} reaches array san02 from 1 of 2 VMkernel adapters"
    assert len(found) == 2


def test_bound_adapters_may_share_the_portals_subnet() -> None:
    script = f"{UNBOUND.replace('10.0.2.1', '10.0.1.9')}{BIND}vmk1\n{BIND}vmk2\n"
    assert problems(storage.two_adapters, *with_adapters(script, "10.0.1.2", "10.0.1.3")) == []


def test_both_adapters_on_one_uplink_are_found() -> None:
    stack = with_adapters(UNBOUND, "10.0.1.2", "10.0.2.2", uplinks=("vmnic2", "vmnic2"))
    found = problems(storage.two_adapters, *stack)
    assert found[0] == "all storage paths of esx1.site.example.com are on uplink vmnic2"


def test_three_paths_may_take_two_uplinks_in_turn() -> None:
    script = f"{UNBOUND}\n{UNBOUND.replace('10.0.2.1', '10.0.3.1')}"
    uplinks = ("vmnic2", "vmnic3", "vmnic2")
    assert (
        problems(storage.two_adapters, *with_adapters(script, "10.0.1.2", "10.0.2.2", "10.0.3.2", uplinks=uplinks))
        == []
    )


def test_adapters_that_the_stack_does_not_show_leave_it_open() -> None:
    assert undecided(storage.two_adapters, *site(UNBOUND))
    assert undecided(storage.two_adapters, *with_adapters(UNBOUND, "192.0.2.1", "192.0.2.2"))


def test_a_host_that_does_not_rescan() -> None:
    *rest, _rescan = site(PLAIN)
    assert problems(storage.seen_by_every_host, *rest) == [
        "host esx2.site.example.com does not rescan after it is made"
    ]


def test_two_clusters_with_storage_of_their_own() -> None:
    both = [*site(PLAIN, "north"), *site(PLAIN.replace(LUN, "naa.6001405f"), "south")]
    for rule in RULES:
        assert problems(rule, *both) == [], rule.id


def test_a_cluster_beats_on_its_own_datastores() -> None:
    both = [*site(PLAIN, "north"), *site(PLAIN, "south")]
    assert problems(cluster.heartbeat_datastores, *both) == ["1 of 2 shared datastores are there to beat on"] * 2


def test_a_datastore_that_somebody_else_made_counts_as_one_to_beat_on() -> None:
    home, *rest = site(PLAIN)
    known = vsphere("VirtualMachine", "a", name="a", datastoreId="datastore-17", refers={"resourcePoolId": [home]})
    assert problems(cluster.heartbeat_datastores, home, *rest, known) == []
