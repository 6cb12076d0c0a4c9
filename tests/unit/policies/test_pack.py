"""The pack as the engine asks it: what it reports, tells and writes, and when it does not start."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies.judging import report
from policies.judging.configuration import Configuration, schema
from policies.judging.deployed import stack_of
from policies.judging.pack import NAME, Pack
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Context, Finding, Rule
from policies.rules import cluster

POLICIES = Path(__file__).parents[3] / "policies"
CLUSTER = "vsphere:index/computeCluster:ComputeCluster"
URN = f"urn:pulumi:dev::perenne::{CLUSTER}::esxi"


class Asked:
    """A pack that was asked about one cluster, over the protocol."""

    def __init__(
        self,
        tmp_path: Path,
        properties: Mapping[str, object],
        rules: Sequence[Rule[Any]] = (cluster.high_availability,),
        said: Mapping[str, object] | None = None,
        **configuration: Any,  # noqa: ANN401 (as in the file)
    ) -> None:
        self.file = tmp_path / "report.json"
        self.said: list[str] = []
        pack = Pack(rules, Configuration.model_validate(configuration), self.file, self.said.append)
        server = _PolicyAnalyzerServicer(NAME, "0.0.1", pack.policies, EnforcementLevel.MANDATORY)
        self._tell(server, said or {})
        shown = struct_pb2.Struct()
        shown.update(dict(properties))
        resource = proto.AnalyzerResource(urn=URN, type=CLUSTER, name="esxi", properties=shown)
        request = proto.AnalyzeStackRequest(resources=[resource])
        found = server.AnalyzeStack(request, None)  # type: ignore[no-untyped-call]  # as the SDK has it
        self.diagnostics = json_format.MessageToDict(found).get("diagnostics", [])
        self.report = report.Report.model_validate_json(self.file.read_text())

    @staticmethod
    def _tell(server: _PolicyAnalyzerServicer, said: Mapping[str, object]) -> None:
        """The engine shows what the program says of the cluster, before it shows the whole stack."""
        properties = struct_pb2.Struct()
        properties.update(dict(said))
        request = proto.AnalyzeRequest(urn=URN, type=CLUSTER, name="esxi", properties=properties)
        found = server.Analyze(request, None)  # type: ignore[no-untyped-call]  # as the SDK has it
        assert list(found.diagnostics) == []


@pytest.mark.parametrize(
    ("configuration", "level"),
    [({}, "MANDATORY"), ({"environments": {"dev": {"levels": {"all": "advisory"}}}}, None)],
    ids=["mandatory", "advisory in this stack"],
)
def test_a_violation_reaches_the_engine_at_its_level(
    tmp_path: Path, configuration: dict[str, Any], level: str | None
) -> None:
    asked = Asked(tmp_path, {"name": "ha", "haEnabled": False}, **configuration)
    (found,) = asked.diagnostics
    assert found.get("enforcementLevel") == level  # advisory is the protocol's default, which isn't sent
    assert found["urn"] == URN
    assert "CLU-01 ha: vSphere HA is off. " in found["message"]
    assert found["message"].endswith("To do: Set haEnabled: true.")
    assert asked.report.refused is (level is not None)
    assert [one.rule for one in asked.report.violations] == ["CLU-01"]


def test_a_sound_stack_passes_in_silence(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"haEnabled": True})
    assert (asked.diagnostics, asked.said, asked.report.refused) == ([], [], False)


def test_a_valid_waiver_is_told_at_every_run(tmp_path: Path) -> None:
    waiver = {"rule": "CLU-01", "resource": "ha", "reason": "moves", "owner": "ops", "expires": "2999-01-01"}
    asked = Asked(tmp_path, {"name": "ha", "haEnabled": False}, waivers=[waiver])
    assert asked.diagnostics == []
    assert asked.said == ["policies: CLU-01 ha: vSphere HA is off. Accepted until 2999-01-01 by ops: moves"]
    assert [one.waiver.owner for one in asked.report.waived if one.waiver] == ["ops"]


def test_what_is_unknown_is_told_in_one_line(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"haEnabled": UNKNOWN_STRING_VALUE})
    assert asked.diagnostics == []
    assert asked.said == ["policies: decided at the update, when more is known: CLU-01"]


def test_what_a_provider_leaves_out_is_what_the_program_says(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"name": "ha"}, said={"haEnabled": True})
    assert (asked.diagnostics, asked.report.undecided) == ([], [])
    asked = Asked(tmp_path, {"name": "ha"}, said={"haEnabled": False})
    assert len(asked.diagnostics) == 1
    asked = Asked(tmp_path, {"name": "ha", "haEnabled": False}, said={"haEnabled": True})
    assert len(asked.diagnostics) == 1


def test_a_rule_that_raises_refuses_the_stack_and_hides_no_other(tmp_path: Path) -> None:
    def broken(_cluster: Resource, _context: Context) -> Iterator[Finding]:
        raise KeyError("a secret")

    rules = (replace(cluster.high_availability, id="CLU-99", judge=broken), cluster.high_availability)
    asked = Asked(tmp_path, {"haEnabled": False}, rules)
    assert [one["enforcementLevel"] for one in asked.diagnostics] == ["MANDATORY", "MANDATORY"]
    assert "CLU-99 itself failed (KeyError); the stack was not judged by it" in asked.diagnostics[0]["message"]
    assert "CLU-01" in asked.diagnostics[1]["message"]
    assert asked.report.refused
    assert "a secret" not in asked.file.read_text()


def test_it_does_not_start_with_a_configuration_that_it_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "configuration.yaml"
    file.write_text("waivers: [{rule: CLU-01, resource: x, expires: soon}]")
    done = subprocess.run(
        [sys.executable, POLICIES / "__main__.py"],
        env=os.environ | {"PERENNE_POLICIES": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{file}: waivers.0.expires (rule CLU-01)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_deployed_stack_reads_like_the_previewed_one() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    state = {
        "urn": URN,
        "type": CLUSTER,
        "id": "domain-c1",
        "inputs": {"haEnabled": False, "drsEnabled": True},
        "outputs": {"haEnabled": True, "clear": secret | {"plaintext": '"a"'}, "sealed": secret | {"ciphertext": "x"}},
        "protect": True,
        "ignoreChanges": ["tags"],
        "provider": "urn:pulumi:dev::perenne::pulumi:providers:vsphere::vcenter::1234",
        "propertyDependencies": {"haEnabled": None},
    }
    leaving = {**state, "urn": f"{URN}-old", "delete": True}
    (found,) = stack_of({"deployment": {"resources": [state, leaving]}}).resources
    assert found.properties == {"drsEnabled": True, "haEnabled": True, "clear": "a", "sealed": UNKNOWN}
    assert (found.id, found.protect, found.ignore_changes, found.name) == ("domain-c1", True, ("tags",), "esxi")
    assert found.provider == "urn:pulumi:dev::perenne::pulumi:providers:vsphere::vcenter"


def test_an_empty_deployment_has_no_resources() -> None:
    assert stack_of({"version": 3}).resources == ()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (POLICIES / "configuration.schema.json", schema()),
        (POLICIES.parent / "docs" / "policies" / "report.schema.json", report.schema()),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_schemas_are_the_models(file: Path, text: str) -> None:
    assert json.loads(file.read_text()) == json.loads(text), f"python -m policies.pages renews {file}"


def test_it_needs_nothing_but_its_own_requirements_and_nothing_of_the_program() -> None:
    imported = {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else name.name.partition(".")[0]
        for file in POLICIES.rglob("*.py")
        if ".venv" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    needed = {_PACKAGES.get(name, name) for name in imported - sys.stdlib_module_names - {"policies"}}
    pinned = _pins(POLICIES / "requirements.in")
    assert needed == pinned.keys(), "correct policies/requirements.in, and renew requirements.txt as its head says"
    of_the_program = _pins(POLICIES.parent / "requirements.txt")
    assert _pins(POLICIES / "requirements.txt").items() <= of_the_program.items()
    assert pinned.items() <= of_the_program.items()


_PACKAGES = {"yaml": "pyyaml", "pulumi_policy": "pulumi-policy"}


def _pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", file.read_text(), re.MULTILINE))
