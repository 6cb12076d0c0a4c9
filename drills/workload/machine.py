"""Facts about the machine that figures depend on."""

import os
import platform
from pathlib import Path

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


def _value(file: str, key: str) -> str:
    """The first value of a key in a file of lines such as `key : value`."""
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
