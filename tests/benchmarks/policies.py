"""What the policy pack costs: `.venv/bin/python -m tests.benchmarks.policies` prints Markdown.

Stacks of 250 to 2,000 resources are copies of the site prod side by side, and one cluster with as many servers of one
tier: what is compared in pairs shows there. Judging is timed twice, in processor time,
which other work on the machine does not change: the rules alone, and the whole of what the engine waits for
(`AnalyzeStack`, with the SDK's two copies of the stack). With `--previews`, the preview of dev, new on a simulated
vCenter, is timed with the pack and without, by the clock on the wall: the machine should have nothing else to do.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from cli import artifacts, toolchain
from cli.engine import POLICIES, Engine
from cli.simulation import simulated
from mutation.score import stack_of
from mutation.variants import variants
from policies.judging import configuration
from policies.judging.judgement import judge
from policies.judging.pack import NAME, Pack
from policies.judging.resource import Resource, Unknown
from policies.judging.stack import Stack
from policies.rules import RULES
from stack.workspace import Stack as StackFile

SIZES = (250, 500, 1_000, 2_000)
RUNS = 5
_HOSTS = 8
SETTINGS = configuration.load(configuration.DEFAULT, frozenset(rule.id for rule in RULES))


def main() -> None:
    """Measure and print."""
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; medians of {RUNS} runs"
    )
    (site,) = [stack_of(variant) for variant in variants() if variant.name == "prod"]
    stacks: dict[str, Callable[[int], Iterator[Resource]]] = {
        "copies of prod": partial(_copies, site),
        "one tier": _one_tier,
    }
    for name, made in stacks.items():
        print(f"\n| {name}: resources | rules | everything that the engine waits for |\n|---|---|---|")
        for size in SIZES:
            resources = list(made(size))
            request = proto.AnalyzeStackRequest(resources=[_shown(one) for one in resources])
            alone = _median(partial(_judge, resources), time.process_time)
            whole = _median(partial(_analyze, request), time.process_time)
            print(f"| {size:,} | {alone:.2f} s | {whole:.2f} s |")
    if "--previews" in sys.argv:
        _previews()


def _judge(resources: list[Resource]) -> None:
    judgement = judge(Stack(resources), RULES, SETTINGS, "prod", datetime.now(tz=UTC).date())
    if judgement.failed:
        raise RuntimeError(str(judgement.failed[0]))


def _analyze(request: proto.AnalyzeStackRequest) -> None:
    pack = Pack(RULES, SETTINGS, None, lambda _line: None)
    server = _PolicyAnalyzerServicer(NAME, "0.0.1", pack.policies, EnforcementLevel.MANDATORY)
    server.AnalyzeStack(request, None)  # type: ignore[no-untyped-call]  # as the SDK has it


def _median(work: Callable[[], None], clock: Callable[[], float]) -> float:
    seconds = []
    for _ in range(RUNS):
        began = clock()
        work()
        seconds.append(clock() - began)
    return statistics.median(seconds)


def _copies(site: Stack, size: int) -> Iterator[Resource]:
    """As many resources as asked for: whole sites side by side, the last one cut short."""
    number = 0
    while size > 0:
        for one in site.resources[:size]:
            yield _copy(one, f"-{number}")
        size -= len(site.resources)
        number += 1


def _one_tier(size: int) -> Iterator[Resource]:
    """A cluster without DRS, its hosts, and servers that are pinned to them by turns."""
    cluster = _vsphere("ComputeCluster", "site", haEnabled=True)
    hosts = [
        _vsphere("Host", f"esx{number}", {"cluster": cluster}, hostname=f"esx{number}") for number in range(_HOSTS)
    ]
    yield from (cluster, *hosts)
    for number in range(size - len(hosts) - 1):
        name = f"web{number:04}"
        home = {"resourcePoolId": cluster, "hostSystemId": hosts[number % _HOSTS]}
        yield _vsphere("VirtualMachine", name, home, name=name, extraConfig={"guestinfo.metadata": f"hostname: {name}"})


def _vsphere(kind: str, logical: str, refers: Mapping[str, Resource] | None = None, /, **rest: object) -> Resource:
    token = f"vsphere:index/{kind[0].lower()}{kind[1:]}:{kind}"
    references = {key: (one.urn,) for key, one in (refers or {}).items()}
    return Resource(f"urn:pulumi:prod::p::{token}::{logical}", token, logical, rest, property_dependencies=references)


def _copy(one: Resource, suffix: str) -> Resource:
    return replace(
        one,
        urn=one.urn + suffix,
        name=one.name + suffix,
        parent=one.parent and one.parent + suffix,
        dependencies=tuple(urn + suffix for urn in one.dependencies),
        property_dependencies={
            key: tuple(urn + suffix for urn in urns) for key, urns in one.property_dependencies.items()
        },
    )


def _shown(one: Resource) -> proto.AnalyzerResource:
    properties = struct_pb2.Struct()
    json_format.ParseDict(_plain(dict(one.properties)), properties)
    return proto.AnalyzerResource(
        urn=one.urn,
        type=one.type,
        name=one.name,
        properties=properties,
        parent=one.parent or "",
        dependencies=list(one.dependencies),
        propertyDependencies={
            key: proto.AnalyzerPropertyDependencies(urns=list(urns)) for key, urns in one.property_dependencies.items()
        },
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 (any property)
    if isinstance(value, Unknown):
        return UNKNOWN_STRING_VALUE
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | float | int | bool | None) else str(value)


def _previews() -> None:
    with simulated(StackFile("dev"), toolchain.ensure(_quiet), artifacts.vcenter(_quiet), _quiet) as engine:
        without = _median(lambda: _preview(engine), time.perf_counter)
        judged = _median(lambda: _preview(engine, *POLICIES), time.perf_counter)
    print(f"\nPreview of dev: {without:.2f} s without the pack, {judged:.2f} s with it: {judged - without:.2f} s more.")


def _preview(engine: Engine, *options: str) -> None:
    command = [str(engine.pulumi.executable), "preview", "--stack", "dev", *options]
    subprocess.run(command, cwd=engine.folder, env=engine.environment, check=True, stdout=subprocess.DEVNULL)


def _quiet(_line: str) -> None:
    """Progress is not asked for."""


if __name__ == "__main__":
    main()
