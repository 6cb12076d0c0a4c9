"""Facts about the machine that figures depend on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from drills.model import Machine

_KIB_PER_GIB = 1024 * 1024


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_value("/proc/cpuinfo", "model name") or platform.machine(),
        memory_gib=round(int((_value("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / _KIB_PER_GIB, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        load_average=os.getloadavg(),
    )


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """What all processors together did since the machine began, in the kernel's ticks."""

    total: int
    busy: int
    stolen: int

    @classmethod
    def now(cls) -> Self:
        """Read it (proc(5), /proc/stat)."""
        told = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:9]
        user, nice, system, idle, waiting, interrupts, soft_interrupts, stolen = map(int, told)
        busy = user + nice + system + interrupts + soft_interrupts
        return cls(busy + idle + waiting + stolen, busy, stolen)

    def shares_since(self, earlier: Self) -> tuple[float, float]:
        """Which share was busy, and which was stolen, between two looks."""
        total = max(self.total - earlier.total, 1)
        return (self.busy - earlier.busy) / total, (self.stolen - earlier.stolen) / total


def _value(file: str, key: str) -> str:
    """The first value of a key in a file of lines such as `key : value`."""
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
