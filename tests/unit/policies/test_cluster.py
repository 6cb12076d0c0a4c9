"""Rules about the vSphere HA cluster."""

from policies.judging.resource import UNKNOWN
from policies.rules import cluster
from tests.unit.policies.stacks import judged, vsphere


def test_high_availability_on_passes() -> None:
    sound = vsphere("ComputeCluster", "cluster", haEnabled=True, haHostMonitoring="enabled")
    assert judged(cluster.high_availability, sound).violations == []


def test_high_availability_off_is_refused() -> None:
    judgement = judged(cluster.high_availability, vsphere("ComputeCluster", "cluster", name="ha", haEnabled=False))
    assert judgement.refused
    assert "CLU-01 ha: vSphere HA is off." in str(judgement.violations[0])


def test_monitoring_off_is_refused() -> None:
    blind = vsphere("ComputeCluster", "cluster", haEnabled=True, haHostMonitoring="disabled")
    assert judged(cluster.high_availability, blind).refused


def test_unknown_is_decided_later() -> None:
    judgement = judged(cluster.high_availability, vsphere("ComputeCluster", "cluster", haEnabled=UNKNOWN))
    assert not judgement.refused
    assert "haEnabled of cluster" in str(judgement.undecided[0])


def test_other_types_are_not_asked() -> None:
    assert not judged(cluster.high_availability, vsphere("Folder", "folder", haEnabled=False)).violations
