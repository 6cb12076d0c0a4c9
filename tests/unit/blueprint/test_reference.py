"""The page about the stack file says what the settings say."""

from pathlib import Path

from blueprint.reference import reference


def test_page_is_what_the_settings_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text() == reference(), "run: python -m blueprint.reference > docs/settings.md"


def test_every_key_is_explained() -> None:
    assert "| None |" not in reference()
