"""Every fault, by name."""

from drills.faults import clock, control, disk, fencing, guest, host, network, operation, process, storage, without_rule
from drills.faults.fault import Fault

_PLAIN = [
    fault
    for module in (process, guest, disk, clock, host, storage, network, operation, fencing, control, without_rule)
    for fault in module.faults()
]
CATALOGUE: dict[str, Fault] = {fault.name: fault for fault in (*_PLAIN, *fencing.unfenced(_PLAIN))}

__all__ = ["CATALOGUE", "Fault"]
