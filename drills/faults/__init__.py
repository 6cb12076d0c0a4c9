"""Every fault, by name."""

from drills.faults import control, disk, guest, host, network, operation, process, storage, without_rule
from drills.faults.fault import Fault

CATALOGUE: dict[str, Fault] = {
    fault.name: fault
    for module in (process, guest, disk, host, storage, network, operation, control, without_rule)
    for fault in module.faults()
}

__all__ = ["CATALOGUE", "Fault"]
