"""Rules about storage: scripts as administrators write them, and sites with two clusters."""

import re

import pytest

from policies.judging.resource import Resource
from policies.rules import cluster, storage
from tests.unit.policies.servers import command, problems
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


RULES = (
    storage.two_portals,
    storage.two_bound_adapters,
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
        ("vmk2", "vmk1", storage.two_bound_adapters),
        ("VMW_PSP_RR", "VMW_PSP_MRU", storage.active_multipath),
        ("mutual", "uni", storage.mutual_chap),
    ],
)
def test_faults_in_scripts_are_found(script: str, text: str, instead: str, rule: object) -> None:
    assert problems(rule, *site(script.replace(text, instead))) != []  # type: ignore[arg-type]


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
