"""Rules about the vSphere HA cluster."""

from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, resources, rule


@rule(
    id="CLU-01",
    title="vSphere HA and its host monitoring are on",
    severity=Severity.CRITICAL,
    outage="Servers of a lost host stay down until somebody starts them by hand.",
    remedy="Set haEnabled: true and haHostMonitoring: enabled.",
    why="vSphere HA restarts the virtual machines of a failed host on the hosts that are left. With host monitoring"
    " off, it is configured but watches nobody.",
    source="VMware, vSphere Availability, “How vSphere HA Works”",
    reads=("ComputeCluster.haEnabled", "ComputeCluster.haHostMonitoring"),
    subjects=resources("ComputeCluster"),
    drill="lose-worst-host",
)
def high_availability(cluster: Resource, _context: Context) -> Iterator[Finding]:
    """HA off, or blind."""
    if not cluster.get("haEnabled", default=False):
        yield Finding(cluster, "vSphere HA is off", "Set haEnabled: true.")
    elif cluster.get("haHostMonitoring", "enabled") != "enabled":
        yield Finding(cluster, "host monitoring is off", "Set haHostMonitoring: enabled.")
