"""The page about the stack file says what the settings say."""

from pathlib import Path

import yaml

from blueprint.reference import reference
from blueprint.settings import Backup


def test_page_is_what_the_settings_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text() == reference(), "run: python -m blueprint.reference > docs/settings.md"


def test_every_key_is_explained() -> None:
    assert "| None |" not in reference()


def test_a_key_is_one_row_of_its_table() -> None:
    """A line break in a description would end the table there."""
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.count(" | ") < 3 or not row.endswith(" |")] == []


def test_a_default_can_be_written_into_a_stack_file_as_it_is_shown() -> None:
    """A backup's schedule begins with `*`: without quotes YAML takes it for an alias."""
    (row,) = [line for line in reference().splitlines() if line.startswith("| `schedule` |")]
    assert yaml.safe_load(row.split(" | ")[2].strip("`")) == Backup().schedule
