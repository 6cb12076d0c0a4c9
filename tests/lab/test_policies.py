"""The policy pack under the real engine: what it is shown, what it stops, and programs of others."""

import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blueprint import loading, secrets
from cli import artifacts, toolchain
from cli.engine import Engine
from cli.simulation import simulated
from mutation.program import PROGRAM, recorded
from policies.judging.resource import UNKNOWN, Resource
from stack.workspace import Stack
from tests.lab.conftest import PROJECT

pytestmark = pytest.mark.lab

SHOWN = PROJECT / "tests" / "lab" / "shown"
EXAMPLE = PROJECT / "examples" / "plain-vsphere"
POLICIES = PROJECT / "policies"


@pytest.fixture(scope="module")
def new_site() -> Iterator[Engine]:
    """An engine for the stack dev as it would be made at first, on a simulated vCenter."""

    def say(_line: str) -> None:
        """Nobody listens."""

    stack = Stack("dev")
    with simulated(stack, toolchain.ensure(say), artifacts.vcenter(say), say) as engine:
        yield engine


def pulumi(
    engine: Engine, *arguments: str | Path, folder: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the engine's own command line."""
    return subprocess.run(
        [engine.pulumi.executable, *arguments],
        cwd=folder or engine.folder,
        env=engine.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_mutations_start_from_what_the_engine_shows(new_site: Engine, tmp_path: Path) -> None:
    """Whatever the recorded program has, the engine shows: same values, unknowns and references.

    It shows more besides: the providers' defaults for what a program doesn't say.
    """
    file = tmp_path / "shown.pickle"
    done = pulumi(new_site, "preview", "--stack", "dev", "--policy-pack", SHOWN, PERENNE_SHOWN=str(file))
    assert file.exists(), done.stdout + done.stderr
    engines: list[Resource] = pickle.loads(file.read_bytes())  # noqa: S301 (this test's own)
    config = loading.config_of(new_site.folder / "Pulumi.dev.yaml")
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    secret = [key for key in texts if secrets.is_secret_name(key.removeprefix(loading.NAMESPACE))]
    folder = Path.cwd()
    os.chdir(new_site.folder)
    try:
        captured = recorded(PROGRAM / "__main__.py", "perenne", "dev", texts, secret).resources
    finally:
        os.chdir(folder)
    shown = {_name(one.urn): one for one in engines}
    assert {_name(one.urn) for one in captured} == shown.keys()
    differences = [line for one in captured for line in _differences(one, shown[_name(one.urn)])]
    assert differences == []


def _differences(mine: Resource, shown: Resource) -> Iterator[str]:
    facts = {
        "protect": (mine.protect, shown.protect),
        "ignore_changes": (mine.ignore_changes, shown.ignore_changes),
        "dependencies": ({*map(_name, mine.dependencies)}, {*map(_name, shown.dependencies)}),
    }
    for key, urns in mine.property_dependencies.items():
        others = shown.property_dependencies.get(key, ())
        facts[f"what {key} refers to"] = ({*map(_name, urns)}, {*map(_name, others)})
    yield from (f"{mine.name}: {what}: {one} and {other}" for what, (one, other) in facts.items() if one != other)
    for key, value in mine.properties.items():
        if key == "fileUrl":
            continue  # a path below the folder from which the program is run: here another one
        if not _shows(shown.properties.get(key), value):
            yield f"{mine.name}: {key}"  # its value may be secret


def _shows(shown: Any, mine: Any) -> bool:  # noqa: ANN401 (any property)
    """Whether a shown value is mine, but for defaults that were added."""
    if mine is UNKNOWN or isinstance(mine, type(UNKNOWN)):
        return isinstance(shown, type(UNKNOWN))
    if isinstance(mine, dict):
        return isinstance(shown, dict) and all(_shows(shown.get(key), value) for key, value in mine.items())
    if isinstance(mine, list):
        return isinstance(shown, list) and len(shown) == len(mine) and all(map(_shows, shown, mine))
    if type(mine).__module__.startswith("pulumi"):  # an asset
        return type(shown) is type(mine)
    return bool(shown == mine)


def _name(urn: str) -> str:
    """Type and name: the parts of a URN that do not depend on who made it."""
    return "::".join((urn.split("::")[2].rpartition("$")[2], urn.split("::")[3]))


def test_up_stops_before_anything_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "strict.yaml"
    file.write_text("thresholds: {minimum_hosts: 7}\nenvironments: {dev: {levels: {SEC-04: disabled}}}\n")
    done = subprocess.run(
        ["./perenne", "up"],
        cwd=PROJECT,
        env=os.environ | {"PERENNE_POLICIES": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the policies refuse stack dev, and nothing was changed" in done.stderr
    assert "it has 3 of at least 7 hosts" in done.stderr


def test_a_configuration_that_cannot_be_used_stops_plain_pulumi(new_site: Engine, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("waivers: [{rule: CLU-01}]")
    done = pulumi(new_site, "preview", "--stack", "dev", "--policy-pack", POLICIES, PERENNE_POLICIES=str(file))
    assert done.returncode != 0
    assert "waivers.0.resource (rule CLU-01): field required" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("fault", "rule"), [("none", ""), ("one-uplink", "NET-01"), ("same-host", "PLA-02")])
def test_a_plain_program_is_judged(new_site: Engine, tmp_path: Path, fault: str, rule: str) -> None:
    config = loading.config_of(new_site.folder / "Pulumi.dev.yaml")
    values = {
        "vcenter": config["perenne:vcenter"]["server"],
        "user": config["perenne:vcenter"]["user"],
        "password": config["perenne:vcenter-password"],
        "esxi-password": config["perenne:esxi-password"],
        "esxi-host-key": "ssh-ed25519 AAAA",
        "chap": "not-used-by-a-preview",
        "mutual-chap": "not-used-by-a-preview-either",
        "fault": fault,
    }
    example = Path(shutil.copytree(EXAMPLE, tmp_path / "examples" / "plain-vsphere"))
    (tmp_path / ".venv").symlink_to(PROJECT / ".venv")
    (tmp_path / "state").mkdir()
    own = {"PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(), "PERENNE_POLICIES": str(example / "policies.yaml")}
    made = pulumi(new_site, "stack", "init", "trial", folder=example, **own)
    assert made.returncode == 0, made.stderr
    for key, value in values.items():
        kind = "--secret" if "password" in key or "chap" in key else "--plaintext"
        done = pulumi(new_site, "config", "set", kind, key, value, "--stack", "trial", folder=example, **own)
        assert done.returncode == 0, done.stderr
    done = pulumi(new_site, "preview", "--stack", "trial", "--policy-pack", POLICIES, folder=example, **own)
    assert (done.returncode == 0) is (rule == ""), done.stdout + done.stderr
    assert rule in done.stdout
