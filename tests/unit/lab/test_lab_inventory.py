"""Whose a lab is."""

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.inventory import Inventory, Member
from lab.label import Label


def lab(owner: Path, state: str) -> Inventory:
    return Inventory("perenne", (Member("1", {Label.CLONE: str(owner)}, state),), (), ())


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize("state", ["running", "paused", "exited"])
def test_a_lab_is_its_working_copys_whether_it_runs_or_not(tmp_path: Path, state: str) -> None:
    lab(tmp_path, state).check_owner(tmp_path)
    with pytest.raises(LabError, match="belongs to the working copy"):
        lab(tmp_path, state).check_owner(tmp_path / "other")


@pytest.mark.parametrize(
    ("owner", "command"),
    [
        ("company", "cd {}/company && ./perenne down"),
        ("company/.perenne/twin/prod", "cd {}/company && ./perenne twin prod down"),
    ],
)
def test_the_owners_own_command_takes_it_down(tmp_path: Path, owner: str, command: str) -> None:
    """In a twin's folder `./perenne down` would be the working copy's, and take its own lab down."""
    (tmp_path / owner).mkdir(parents=True)
    with pytest.raises(LabError) as caught:
        lab(tmp_path / owner, "running").check_owner(tmp_path / "other")
    assert caught.value.remedy == f"Take it down there first: {command.format(tmp_path)}"


def test_a_lab_whose_working_copy_is_gone_is_anyones(tmp_path: Path) -> None:
    lab(tmp_path / "gone", "running").check_owner(tmp_path)


def test_continuous_integration_takes_over_what_no_longer_runs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    lab(tmp_path, "exited").check_owner(tmp_path / "other")
    with pytest.raises(LabError, match="belongs to the working copy"):
        lab(tmp_path, "paused").check_owner(tmp_path / "other")
