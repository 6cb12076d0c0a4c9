"""What is unknown inside of a value: a rule waits for it, and neither refuses nor fails."""

from typing import Any

import pytest

from policies.judging.resource import UNKNOWN
from policies.judging.rule import Rule
from policies.rules import cluster, machines, network, security
from tests.unit.policies.servers import command, undecided
from tests.unit.policies.stacks import judged, vsphere

OPTIONS = ("das.ignoreInsufficientHbDatastore", "das.respectVmVmAntiAffinityRules")


def test_what_was_found_before_something_unknown_stands() -> None:
    judgement = judged(security.nothing_in_clear, command("one", create="password=hunter22", environment=UNKNOWN))
    assert [one.finding.problem for one in judgement.violations] == ["create holds a key or a password"]
    assert len(judgement.undecided) == 1
    assert judgement.refused


@pytest.mark.parametrize(
    ("rule", "kind", "key", "value"),
    [
        (network.two_uplinks, "DistributedVirtualSwitch", "hosts", [UNKNOWN]),
        (network.two_uplinks, "DistributedVirtualSwitch", "hosts", [{"devices": UNKNOWN}]),
        (network.two_uplinks, "HostVirtualSwitch", "networkAdapters", ["vmnic0", UNKNOWN]),
        (machines.free_to_move, "VirtualMachine", "cdroms", [UNKNOWN]),
        (machines.free_to_move, "VirtualMachine", "cdroms", [{"clientDevice": UNKNOWN}]),
        (machines.free_to_move, "VirtualMachine", "disks", [{"diskSharing": UNKNOWN}]),
        (cluster.heartbeat_datastores, "ComputeCluster", "haAdvancedOptions", {OPTIONS[0]: UNKNOWN}),
        (cluster.restarts, "ComputeCluster", "haAdvancedOptions", {OPTIONS[1]: UNKNOWN}),
        (cluster.high_availability, "ComputeCluster", "haEnabled", UNKNOWN),
    ],
)
def test_a_rule_waits(rule: Rule[Any], kind: str, key: str, value: object) -> None:
    assert undecided(rule, vsphere(kind, "one", **{key: value}))  # type: ignore[arg-type]
