"""How rules are applied: waivers, levels, rules that fail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from policies.judging.configuration import Configuration, ConfigurationError, Waiver, load
from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding
from policies.rules import RULES, cluster
from tests.unit.policies.stacks import judged, vsphere

UNSOUND = vsphere("ComputeCluster", "cluster", name="ha", haEnabled=False)


def waiver(**changes: object) -> Configuration:
    facts = {"rule": "CLU-01", "resource": "ha", "reason": "moves next week", "owner": "ops", "expires": "2026-12-01"}
    return Configuration.model_validate({"waivers": [facts | changes]})


def test_valid_waiver_accepts() -> None:
    judgement = judged(cluster.high_availability, UNSOUND, configuration=waiver())
    assert not judgement.refused
    assert [str(one.waiver.expires) for one in judgement.waived if one.waiver] == ["2026-12-01"]


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "2026-11-22"},
        {"expires": None},
        {"reason": " "},
        {"owner": ""},
        {"resource": "other"},
        {"environment": "dev"},
    ],
)
def test_other_waivers_do_not(change: dict[str, object]) -> None:
    assert judged(cluster.high_availability, UNSOUND, configuration=waiver(**change)).refused


def test_waiver_holds_on_its_last_day() -> None:
    assert not Waiver(rule="CLU-01", resource="ha", reason="r", owner="o", expires=date(2026, 11, 23)).flaw(
        date(2026, 11, 23)
    )


def test_rule_that_raises_fails_the_run() -> None:
    def broken(_cluster: Resource, _context: Context) -> Iterator[Finding]:
        raise KeyError("secret value")

    judgement = judged(replace(cluster.high_availability, judge=broken), UNSOUND)
    assert judgement.refused
    assert str(judgement.failed[0]) == "CLU-01 itself failed (KeyError); the stack was not judged by it"


def test_rule_that_cannot_even_find_its_subjects_fails_the_run() -> None:
    def broken(_context: Context) -> Iterator[Resource]:
        yield UNSOUND
        raise RecursionError

    judgement = judged(replace(cluster.high_availability, subjects=broken), UNSOUND)
    assert judgement.refused
    assert (len(judgement.violations), len(judgement.failed)) == (1, 1)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None], ids=["not text", "missing"])
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "configuration.yaml"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="can't be read"):
        load(file, frozenset())


def test_a_waiver_is_no_way_around_a_rule_that_fails() -> None:
    def broken(_cluster: Resource, _context: Context) -> Iterator[Finding]:
        raise KeyError

    assert judged(replace(cluster.high_availability, judge=broken), UNSOUND, configuration=waiver(resource="*")).refused


def test_thresholds_of_an_environment_are_beside_the_general_ones() -> None:
    configuration = Configuration.model_validate(
        {"thresholds": {"host_failures_to_tolerate": 2}, "environments": {"prod": {"thresholds": {"arrays": 2}}}}
    )
    found = configuration.thresholds_of("prod")
    assert (found.host_failures_to_tolerate, found.arrays) == (2, 2)
    assert configuration.thresholds_of("dev").arrays == 1


def test_level_of_an_environment() -> None:
    lenient = Configuration.model_validate({"environments": {"pro*": {"levels": {"all": "advisory"}}}})
    judgement = judged(cluster.high_availability, UNSOUND, configuration=lenient)
    assert judgement.violations
    assert not judgement.refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("waivers: [{rule: CLU-01}]", ["waivers.0.resource (rule CLU-01)", "field required"]),
        ("waivers: [{rule: CLU-77, resource: x}]", ["waivers.0.rule", "no rule CLU-77"]),
        ("environments: {prod: {levels: {CLU-01: perhaps}}}", ["environments.prod.levels.CLU-01", "'mandatory'"]),
        ("environments: {prod: {levels: {CLU-99: advisory}}}", ["no rule CLU-99"]),
        ("thresholds: {minimum_votes: two}", ["thresholds.minimum_votes", "integer"]),
        ("tresholds: {}", ["tresholds", "not permitted"]),
        ("waivers: [{rule: CLU-01, resource: x, expires: 2026-13-40}]", ["waivers.0.expires (rule CLU-01)", "date"]),
        ("waivers: [{rule: cluster, resource: x}]", ["waivers.0.rule (rule cluster)", "match pattern"]),
        ("waivers: [{rule: CLU-01, resource: ' '}]", ["waivers.0.resource (rule CLU-01)"]),
        ("waivers: {rule: CLU-01}", ["waivers", "list"]),
        ("waivers: [CLU-01]", ["waivers.0", "dictionary"]),
        ("environments: {prod: {levels: {CLU-01: off}}}", ["environments.prod.levels.CLU-01"]),
        ("environments: {prod: {level: {}}}", ["environments.prod.level", "not permitted"]),
        ("environments: {prod: {levels: {CLU-01: advisory, CLU-01: disabled}}}", ["CLU-01 stands twice"]),
        ("waivers: []\nwaivers: []", ["waivers stands twice", "line 1"]),
        ("- CLU-01", ["the whole file"]),
        ("a: [", ["can't be read"]),
    ],
)
def test_malformed_configuration_names_the_field_and_the_rule(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "configuration.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load(file, frozenset(rule.id for rule in RULES))
    for word in [str(file), *words]:
        assert word in str(raised.value)
