"""The workflows: least privileges, pinned actions, no secret where others' code runs; actionlint does the rest."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yml"))


def read(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    assert isinstance(found, dict)
    return found


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_three() -> None:
    assert [file.stem for file in WORKFLOWS] == ["ci", "drift", "preview"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit(file: Path) -> None:
    used = [step["uses"] for step in steps(read(file)) if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_token_may_read_and_no_more(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    allowed = {"check": {"contents": "read", "pull-requests": "write"}} if file.stem == "preview" else {}
    assert more == allowed, "a comment is all that is written"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_the_token_is_not_left_behind(file: Path) -> None:
    checkouts = [step for step in steps(read(file)) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_pull_requests_get_no_secret(file: Path) -> None:
    events = read(file)[True]  # YAML takes `on` for yes
    assert "pull_request_target" not in events
    assert "workflow_run" not in events
    if "pull_request" in events:
        assert not re.search(r"\bsecrets\b\s*[.\[]", file.read_text())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_no_script_is_put_together_from_what_a_stranger_writes(file: Path) -> None:
    scripts = [step["run"] for step in steps(read(file)) if "run" in step]
    assert [one for one in scripts if "${{" in one] == [], "hand it over in env"


def test_only_a_branch_of_the_repository_is_commented_on() -> None:
    (preview,) = [read(file) for file in WORKFLOWS if file.stem == "preview"]
    (comment,) = [step for step in steps(preview) if step.get("name") == "Comment"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in comment["if"]
