"""Kills deployments and removals at random moments: `.venv/bin/python -m tests.benchmarks.interruptions --seed S`.

Needs the lab's memory, and some 15 minutes of an otherwise idle machine; begins with no lab, and ends with none. A
round is a deployment that is killed again and again until it may end, and a removal of all of it (`pulumi destroy`,
which `down` does on a real stack) that is treated alike. In between it is looked whether vCenter has exactly what
Pulumi's state has. Prints Markdown; ends with status 1 if anything was wrong.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import DockerException
from pyVmomi import vim

from cli import pending
from stack.inventory import KINDS, Inventory, inventory
from stack.vault import Vault
from stack.vcenter import moid
from stack.workspace import LOGS, REPOSITORY, STATE, Stack, have_private, lab_name
from tests import killing

STACK = Stack("dev")
UP_SECONDS, DESTROY_SECONDS = (0.0, 12.0), (0.0, 6.0)
"""Between which a run is killed, counted from the engine's first operation."""
MOST_KILLS = 20
"""In a row: a deployment that gets no further is a mistake."""

_TOLD = {
    "taken over": "was made: it is taken over",
    "not made yet": "was not made yet",
    "half made, made again": "was half made",
    "gone": " is gone",
    "still there": "is still there",
}
_DESTROY = (sys.executable, "-m", "tests.benchmarks.interruptions", "--destroy")
_SETTLE = (sys.executable, "-m", "tests.benchmarks.interruptions", "--settle")
_UP = ("./perenne", "up")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20, help="at least so many of `up`, and as many of `destroy`")
    parser.add_argument("--destroy", action="store_true", help="be the removal that is killed")
    parser.add_argument("--settle", action="store_true", help="be what a removal begins with")
    given = parser.parse_args()
    if given.destroy or given.settle:
        sys.exit(_remove(only_settle=given.settle))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the lab is taken down all the same
    have_private()
    bench = Bench(random.Random(given.seed))  # noqa: S311 (a series that can be repeated, no secret)
    try:
        bench.run(given.kills)
    finally:
        subprocess.run(["./perenne", "down"], cwd=REPOSITORY, check=False, capture_output=True)
    bench.check("Pulumi.dev.yaml is as before", STACK.file.read_text() == bench.stack_file)
    bench.check("no containers are left", not _containers())
    bench.report(given.seed)
    sys.exit(1 if bench.wrong else 0)


def _remove(*, only_settle: bool) -> int:
    """What `./perenne down` does to a real stack; the environment is that of `./perenne env`."""
    from cli.attach import working_engine  # noqa: PLC0415
    from cli.console import Display  # noqa: PLC0415
    from cli.down import destroy_site  # noqa: PLC0415
    from stack.workspace import log_file  # noqa: PLC0415

    if only_settle:
        working_engine(STACK, Display(log_file("down")), destroy=True)
        return 0
    return destroy_site(STACK, lambda _question: True, destroy=True)


@dataclass
class Bench:
    """A series of kills, and what became of it."""

    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Unfinished operations that the next run found, by verb and kind."""
    told: Counter[str] = field(default_factory=Counter)
    seconds: list[tuple[str, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    checked: int = 0
    stack_file: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, kills: int) -> None:
        """Deploy and remove, until either has been killed so many times, or something is wrong."""
        self.stack_file = STACK.file.read_text()
        number = 0
        while min(self.killed("up"), self.killed("destroy")) < kills and not self.wrong:
            number += 1
            name = f"round {number}"
            turns = [killing.kill_launcher, killing.kill_engine, killing.kill_launcher, killing.kill_session]
            self.disturb("up", lambda _turn: _UP, turns, UP_SECONDS)
            self.to_end(f"{name}: the up that may end", _UP)
            self.deployed(name)
            self.environment = _environment()
            self.disturb("destroy", self._removal, [killing.kill_engine, killing.kill_session], DESTROY_SECONDS)
            self.to_end(f"{name}: the destroy that may end", _DESTROY)
            self.removed(name)
            self.environment = {}

    def killed(self, verb: str) -> int:
        """How often runs of a verb were killed."""
        return sum(number for what, number in self.kills.items() if what.startswith(f"{verb}: "))

    def check(self, what: str, held: object) -> None:
        """Note whether something is as it must be."""
        self.checked += 1
        print(f"  {'ok' if held else 'WRONG'}: {what}", file=sys.stderr, flush=True)
        if not held:
            self.wrong.append(what)

    def disturb(
        self,
        verb: str,
        command: Callable[[int], tuple[str, ...]],
        turns: Sequence[killing.Killer],
        between: tuple[float, float],
    ) -> None:
        """Kill runs, each at a moment of its own, until one has nothing left to do."""
        done = 0
        for _ in range(MOST_KILLS):
            target = turns[done % len(turns)]
            seconds = self.chance.uniform(*between)
            with self.started(command(done)) as process:
                engine = killing.await_engine(process, STACK)
                if engine and killing.runs_for(process, seconds) and (killed := target(process, engine)):
                    self.kills[f"{verb}: {killed}"] += 1
                    done += 1
                    (LOGS / f"interruptions-{verb}-{done}.json").write_text(json.dumps(_state()))
                process.wait(killing.PATIENCE_SECONDS)
            print(f"  {verb}, {done} killed: status {process.returncode}", file=sys.stderr, flush=True)
            self.read_log()
            if process.returncode == 0 or (verb == "destroy" and not pending.records(_state())):
                return

    def to_end(self, what: str, command: tuple[str, ...]) -> None:
        """A run that nobody kills has to succeed."""
        began = time.monotonic()
        with self.started(command) as process:
            status = process.wait(killing.PATIENCE_SECONDS)
        self.read_log()
        self.seconds.append((what, time.monotonic() - began))
        self.check(f"{what} succeeds", status == 0)

    @contextmanager
    def started(self, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A run, what it says in a file."""
        with (LOGS / "interruptions.log").open("ab") as log, killing.started(command, self.environment, log) as process:
            yield process

    def read_log(self) -> None:
        """Count what the last run said of what the one before had left."""
        file = LOGS / "interruptions.log"
        for line in file.read_text().splitlines():
            if match := re.search(r"an earlier run was killed while (.*)", line):
                self.left.update(" ".join(one.split()[:2]) for one in match[1].split(", "))
            self.told.update(name for name, words in _TOLD.items() if words in line)
        with (LOGS / "interruptions-all.log").open("a") as everything:
            everything.write(file.read_text())
        file.unlink()

    def deployed(self, when: str) -> None:
        """Look whether a deployment is whole, and nothing is beside it."""
        again = subprocess.run(
            _UP, cwd=REPOSITORY, env=os.environ | {"CI": "1"}, capture_output=True, text=True, check=False
        )
        self.check(f"{when}: a second up changes nothing", "Nothing was changed" in again.stdout + again.stderr)
        drift = subprocess.run(
            ["./perenne", "drift", "--json"], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        self.check(f"{when}: no drift", drift.returncode == 0)
        if drift.returncode:
            self.wrong.append(drift.stdout[-2000:] + drift.stderr[-2000:])
        state = _state()
        self.check(f"{when}: nothing is unfinished", not pending.operations(state))
        marks = ("delete", "pendingReplacement", "taint", "refreshBeforeUpdate")
        marked = [one["urn"] for one in pending.records(state) if any(one.get(mark) for mark in marks)]
        self.check(f"{when}: nothing in the state waits for anything", not marked)
        with inventory(STACK, Vault.open(STACK.reread())) as vcenter:
            for one in pending.records(state):
                if one["type"] in KINDS and vcenter.find(one["type"], one["inputs"]) != [one["id"]]:
                    self.check(f"{when}: {one['urn']} is in vCenter, once", held=False)
            there, known = Counter(_there(vcenter)), Counter(_known(pending.records(state)))
        self.check(f"{when}: vCenter has exactly what the state has", there == known)
        self.wrong += [f"only in vCenter: {one}" for one in there - known]
        self.wrong += [f"only in the state: {one}" for one in known - there]
        self.check(f"{when}: a container for each server", _containers("guest") == set(STACK.settings.servers))
        self._nobody_is_left(when)

    def removed(self, when: str) -> None:
        """Look whether nothing is left of a deployment."""
        self.check(f"{when}: the state is empty", not pending.records(_state()))
        with inventory(STACK, Vault.open(STACK.reread())) as vcenter:
            names = list(_there(vcenter))
        self.check(f"{when}: vCenter is empty", not names)
        if names:
            self.wrong.append(str(names))
        self.check(f"{when}: no server's container is left", not _containers("guest"))
        self._nobody_is_left(when)

    def report(self, seed: int) -> None:
        """Print it all."""
        print(f"Seed {seed}, commit {_commit()}.\n\n| killed | times |\n|---|---|")
        for name, number in sorted(self.kills.items()):
            print(f"| {name} | {number} |")
        print("\n| left unfinished | times |\n|---|---|")
        for name, number in sorted(self.left.items()):
            print(f"| {name} | {number} |")
        print("\n| found | times |\n|---|---|")
        for name in _TOLD:
            print(f"| {name} | {self.told[name]} |")
        print("\n| run | seconds |\n|---|---|")
        for name, seconds in self.seconds:
            print(f"| {name} | {seconds:.0f} |")
        print(f"\n{self.checked} checks, {len(self.wrong)} failed.")
        for one in self.wrong:
            print(f"- {one}")

    def _removal(self, turn: int) -> tuple[str, ...]:
        """Every other removal is plain `pulumi destroy`, which is Pulumi's own; what was left is settled before."""
        if turn % 4 < 2:
            return _DESTROY
        with self.started(_SETTLE) as process:
            process.wait(killing.PATIENCE_SECONDS)
        self.read_log()
        return ("pulumi", "destroy", "--stack", STACK.name, "--yes")

    def _nobody_is_left(self, when: str) -> None:
        self.check(f"{when}: no engine or plugin is left", not killing.survivors())
        self.check(f"{when}: the stack is not locked", not list(killing.lock_holders(STACK)))


def _environment() -> dict[str, str]:
    done = subprocess.run(["./perenne", "env", STACK.name], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    shown = subprocess.run(
        ["sh", "-c", f"{done.stdout}\nexec env -0"], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    pairs = (one.partition("=") for one in shown.stdout.split("\0") if one)
    return {name: value for name, _, value in pairs if os.environ.get(name) != value and name not in {"_", "PWD"}}


def _state() -> dict[str, Any]:
    """The state as the engine left it, without asking it."""
    file = STATE / ".pulumi" / "stacks" / "perenne" / f"{STACK.name}.json"
    return {"deployment": json.loads(file.read_text())["checkpoint"].get("latest") or {}}


def _containers(kind: str = "") -> set[str]:
    try:
        client = docker.from_env()
    except DockerException:
        return set()  # `down` has stopped the engine that `up` had started
    try:
        labels = [f"perenne.lab={lab_name()}", *([f"perenne.kind={kind}"] if kind else [])]
        found = client.containers.list(all=True, filters={"label": labels})
        return {(one.name or "").removeprefix(f"{lab_name()}-") for one in found}
    finally:
        client.close()


_OWN_SWITCH = "vSwitch0"
"""What ESXi's installer makes; Perenne leaves it alone."""
_OWN_FOLDERS = {"Datacenters", "vm", "host", "datastore", "network"}
_CLASSES = {
    "Datacenter": "datacenter",
    "ClusterComputeResource": "cluster",
    "VirtualMachine": "VM",
    "Datastore": "datastore",
    "HostSystem": "host",
}


def _there(vcenter: Inventory) -> Iterator[str]:
    """All that vCenter has but for what it and ESXi make themselves, by name; what a host has by the host's."""
    content = vcenter.content
    kinds = [vim.Datacenter, vim.ClusterComputeResource, vim.HostSystem, vim.VirtualMachine, vim.Datastore, vim.Folder]
    view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
    found = list(view.view)
    view.Destroy()
    for one in found:
        kind = type(one).__name__.rpartition(".")[2]
        if kind != "Folder":
            yield f"{_CLASSES[kind]} {one.name}"
        elif one.name not in _OWN_FOLDERS:
            yield f"folder {one.name}"
        if kind == "HostSystem":
            network = one.config.network
            own = {each.spec.name for each in network.portgroup if each.spec.vswitchName == _OWN_SWITCH}
            host = moid(one)
            yield from (f"{host} switch {each.name}" for each in network.vswitch if each.name != _OWN_SWITCH)
            yield from (
                f"{host} port group {each.spec.name}" for each in network.portgroup if each.spec.name not in own
            )
            yield from (f"{host} adapter in {each.portgroup}" for each in network.vnic if each.portgroup not in own)
        elif kind == "ClusterComputeResource":
            config = one.configurationEx
            yield from (f"rule {each.name}" for each in config.rule)
            yield from (f"group {each.name}" for each in config.group)
            yield from (f"override of {each.key.config.uuid}" for each in config.dasVmConfig)
    yield from (f"library {one}" for one in vcenter.library.libraries(""))
    yield from (f"item {one}" for one in vcenter.library.items("", ""))


_KNOWN = {
    "Datacenter": "datacenter {name}",
    "ComputeCluster": "cluster {name}",
    "Host": "host {hostname}",
    "HostVirtualSwitch": "{hostSystemId} switch {name}",
    "HostPortGroup": "{hostSystemId} port group {name}",
    "Vnic": "{host} adapter in {portgroup}",
    "VmfsDatastore": "datastore {name}",
    "VirtualMachine": "VM {name}",
    "HaVmOverride": "override of {virtualMachineId}",
    "ComputeClusterVmGroup": "group {name}",
    "ComputeClusterHostGroup": "group {name}",
    "ComputeClusterVmAntiAffinityRule": "rule {name}",
    "ComputeClusterVmHostRule": "rule {name}",
    "ContentLibrary": "library {id}",
    "ContentLibraryItem": "item {id}",
}


def _known(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The same of what the state has."""
    for one in records:
        if one["type"] in KINDS:
            yield _KNOWN[one["type"].rpartition(":")[2]].format_map({**one["inputs"], "id": one["id"]})


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
