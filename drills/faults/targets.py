"""What faults may cost at most, at the 95th percentile, and where the figure comes from."""

from blueprint.terms import Measure
from drills.model import Target

DATABASE_KILLED = Target(1.5, Measure.PAUSED_WRITES, "CloudNativePG: below 10 s; a spike of the database alone: 1.1 s")
APPLICATION_LOST = Target(1.0, Measure.OUTAGE, "by default: JGroups' silence 40 s, hcheck 30 s")
BALANCER_LOST = Target(1.0, Measure.OUTAGE, "keepalived's default: 3.6 s")
ADDRESS_HANDED_OVER = Target(
    1.0, Measure.OUTAGE, "a planned move: a SYN that is dropped is repeated after 1 s (RFC 6298)"
)
HOST_LOST = Target(
    24.0, Measure.OUTAGE, "without a fencing agent; Proxmox about 120 s; a spike of the database alone: 22.8 s"
)
HOST_LOST_FENCED = Target(
    7.0, Measure.OUTAGE, "with fencing; an RDS cluster: below 35 s; a spike of the database alone: 5.5 to 6.6 s"
)
SWITCHOVER = Target(1.0, Measure.PAUSED_WRITES, "RDS Proxy: 1 s")
SHORT_FREEZE = Target(6.5, Measure.OUTAGE, "5 s of freeze, in which nobody may fail over, and 1.5 s to go on")
PLANNED = Target(1.0, Measure.PAUSED_WRITES, "what operators do on purpose: no failed request, as a planned switchover")
