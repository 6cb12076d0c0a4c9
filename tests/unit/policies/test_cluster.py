"""Rules about the vSphere HA cluster: each passes, is violated, waits for what is unknown, and asks nothing else."""

from typing import Any

import pytest

from policies.judging.configuration import Configuration
from policies.judging.judgement import Judgement
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Rule
from policies.rules import cluster
from tests.unit.policies.stacks import judged, vsphere

SOUND: dict[str, Any] = {
    "name": "ha",
    "haEnabled": True,
    "haHostMonitoring": "enabled",
    "hostManaged": True,
    "haAdmissionControlPolicy": "resourcePercentage",
    "haHostIsolationResponse": "powerOff",
    "haVmMonitoring": "vmMonitoringOnly",
    "haVmComponentProtection": "enabled",
    "haDatastorePdlResponse": "restartAggressive",
    "haDatastoreApdResponse": "restartConservative",
}
SIZES = Configuration.model_validate({"hosts": {"esx*": {"cpus": 8, "memory_gib": 32}}})


def site(hosts: int = 3, datastores: int = 2, **changes: Any) -> list[Resource]:  # noqa: ANN401
    """A sound cluster with its hosts and datastores, and with what a test changes."""
    made = vsphere("ComputeCluster", "cluster", **{**SOUND, **changes})
    members = [
        vsphere("Host", f"host{number}", hostname=f"esx{number}", cluster=UNKNOWN, refers={"cluster": [made]})
        for number in range(hosts)
    ]
    return [made, *members, *(vsphere("VmfsDatastore", f"store{number}") for number in range(datastores))]


def said(rule: Rule[Any], *resources: Resource) -> list[str]:
    return [violation.finding.problem for violation in judged(rule, *resources, configuration=SIZES).violations]


@pytest.mark.parametrize("rule", [item for item in vars(cluster).values() if isinstance(item, Rule)])
def test_a_sound_cluster_passes(rule: Rule[Any]) -> None:
    judgement = judged(rule, *site(), configuration=SIZES)
    assert judgement == Judgement()


@pytest.mark.parametrize(
    ("rule", "changes", "problem"),
    [
        (cluster.high_availability, {"haEnabled": False}, "vSphere HA is off"),
        (cluster.high_availability, {"haEnabled": None}, "vSphere HA is off"),
        (cluster.high_availability, {"haHostMonitoring": "disabled"}, "host monitoring is off"),
        (cluster.enough_hosts, {"hosts": 2}, "it has 2 of at least 3 hosts"),
        (cluster.admission_control, {"haAdmissionControlPolicy": "disabled"}, "admission control is off"),
        (
            cluster.admission_control,
            {"haAdmissionControlPolicy": "failoverHosts"},
            "0 of 1 failover hosts are named",
        ),
        (
            cluster.admission_control,
            {"haAdmissionControlPolicy": "slotPolicy", "haAdmissionControlHostFailureTolerance": 0.0},
            "it tolerates 0 of 1 lost hosts",
        ),
        (
            cluster.admission_control,
            {
                "haAdmissionControlResourcePercentageAutoCompute": False,
                "haAdmissionControlResourcePercentageCpu": 25.0,
                "haAdmissionControlResourcePercentageMemory": 34.0,
            },
            "it keeps 25 % of cpu free, and one host of 3 is 33 %",
        ),
        (cluster.heartbeat_datastores, {"datastores": 1}, "1 of 2 shared datastores are there to beat on"),
        (
            cluster.heartbeat_datastores,
            {"haHeartbeatDatastorePolicy": "userSelectedDs", "haHeartbeatDatastoreIds": ["datastore-1"]},
            "1 of 2 heartbeat datastores are named",
        ),
        (
            cluster.heartbeat_datastores,
            {"haAdvancedOptions": {"das.ignoreInsufficientHbDatastore": "true"}},
            "the warning about too few heartbeat datastores is silenced",
        ),
        (
            cluster.isolation_and_monitoring,
            {"haHostIsolationResponse": "none"},
            "VMs of an isolated host are left running there",
        ),
        (cluster.isolation_and_monitoring, {"haVmMonitoring": None}, "a hung guest is not noticed"),
        (
            cluster.component_protection,
            {"haVmComponentProtection": "disabled"},
            "VM Component Protection is off",
        ),
        (
            cluster.component_protection,
            {"haDatastorePdlResponse": "warning"},
            "nothing is done about a lost datastore (PDL)",
        ),
        (
            cluster.component_protection,
            {"haDatastoreApdResponse": None},
            "nothing is done about an unreachable datastore (APD)",
        ),
        (
            cluster.one_owner_of_membership,
            {"hostSystemIds": ["host-1"]},
            "hostManaged is true and hostSystemIds names hosts: both sides own the membership",
        ),
        (
            cluster.one_owner_of_membership,
            {"hostManaged": False},
            "hosts join by themselves and the cluster does not know: it would take them out",
        ),
        (cluster.restarts, {"haVmRestartPriority": "disabled"}, "the default restart priority is disabled"),
        (
            cluster.restarts,
            {"haAdvancedOptions": {"das.respectVmVmAntiAffinityRules": "false"}},
            "vSphere HA ignores anti-affinity rules",
        ),
    ],
)
def test_a_violation_is_named(rule: Rule[Any], changes: dict[str, Any], problem: str) -> None:
    assert said(rule, *site(**changes)) == [problem]


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (cluster.high_availability, "haEnabled"),
        (cluster.admission_control, "haAdmissionControlPolicy"),
        (cluster.heartbeat_datastores, "haHeartbeatDatastorePolicy"),
        (cluster.isolation_and_monitoring, "haVmMonitoring"),
        (cluster.component_protection, "haDatastoreApdResponse"),
        (cluster.one_owner_of_membership, "hostManaged"),
        (cluster.restarts, "haVmRestartPriority"),
    ],
)
def test_unknown_is_decided_later(rule: Rule[Any], key: str) -> None:
    judgement = judged(rule, *site(**dict[str, Any]({key: UNKNOWN})))
    assert not judgement.refused
    assert f"{key} of ha" in str(judgement.undecided[0])


def test_selected_heartbeat_datastores_that_are_not_made_yet_are_counted_later() -> None:
    """At a first preview a list that is made of ids is unknown as a whole."""
    selected = dict[str, Any](haHeartbeatDatastorePolicy="userSelectedDs", haHeartbeatDatastoreIds=UNKNOWN)
    judgement = judged(cluster.heartbeat_datastores, *site(**selected))
    assert not judgement.refused
    assert "haHeartbeatDatastoreIds of ha" in str(judgement.undecided[0])


@pytest.mark.parametrize("rule", [item for item in vars(cluster).values() if isinstance(item, Rule)])
def test_other_types_are_not_asked(rule: Rule[Any]) -> None:
    assert judged(rule, vsphere("Folder", "folder", haEnabled=False)) == Judgement()


def test_hosts_that_the_program_only_names_count() -> None:
    named = vsphere("ComputeCluster", "cluster", **{**SOUND, "hostManaged": False, "hostSystemIds": ["a", "b"]})
    assert said(cluster.enough_hosts, named) == ["it has 2 of at least 3 hosts"]


def test_without_any_host_the_rule_cannot_tell() -> None:
    assert judged(cluster.enough_hosts, vsphere("ComputeCluster", "cluster", **SOUND)).undecided


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"cluster": "c", "clusterManaged": True}, "both cluster and clusterManaged are set"),
        ({}, "it is in no cluster"),
    ],
)
def test_membership_is_judged_on_the_host_too(host: dict[str, Any], problem: str) -> None:
    made = vsphere("ComputeCluster", "cluster", **SOUND)
    assert said(cluster.one_owner_of_membership, made, vsphere("Host", "host", **host)) == [problem]


def machine(site: list[Resource], memory: float, cpus: float) -> Resource:
    return vsphere(
        "VirtualMachine", "vm", memory=memory, numCpus=cpus, resourcePoolId=UNKNOWN, refers={"resourcePoolId": site[:1]}
    )


@pytest.mark.parametrize(
    ("memory", "cpus", "problems"),
    [
        (64 * 1024, 64, []),
        (65 * 1024, 1, ["its VMs want 65 GiB, the hosts left would have 64 GiB"]),
        (1024, 65, ["its VMs want 65 CPUs, the hosts left would have room for 64"]),
    ],
)
def test_capacity_without_the_largest_host(memory: float, cpus: float, problems: list[str]) -> None:
    whole = site()
    assert said(cluster.fits_without_largest_host, *whole, machine(whole, memory, cpus)) == problems


def test_capacity_of_unknown_hosts_is_not_passed_in_silence() -> None:
    whole = site()
    judgement = judged(cluster.fits_without_largest_host, *whole, machine(whole, 1024, 1))
    assert "the size of its hosts" in str(judgement.undecided[0])
