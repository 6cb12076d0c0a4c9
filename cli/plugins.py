"""Pulumi's plugins that this working copy has started."""

from machine import processes
from stack.workspace import BIN, PROGRAM, REPOSITORY


def orphans() -> list[int]:
    """Plugins of this working copy that outlived a killed engine: those of offline/, and official ones.

    An engine starts its plugins in the program's folder (sdk/go/common/resource/plugin: `ExecPlugin`).
    """
    found = []
    for process in processes.every():
        arguments = processes.arguments(process)
        ours = str(REPOSITORY) in arguments and any(one.startswith("offline.") for one in arguments)
        official = processes.name(process).startswith("pulumi-") and processes.folder(process) == PROGRAM
        if ours or official or arguments[:1] == [str(BIN / "pulumi-resource-vsphere")]:
            parent = processes.parent(process)
            if parent is not None and processes.name(parent) not in ("pulumi", "python", "python3"):
                found.append(process)
    return found
