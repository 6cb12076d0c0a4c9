"""The rules' pages say what the rules say."""

import re
from dataclasses import replace
from typing import Any

import pytest

from policies import pages
from policies.judging.rule import Rule
from policies.rules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_page(rule: Rule[Any]) -> None:
    written = (pages.FOLDER / f"{rule.id}.md").read_text()
    assert written == pages.page(rule), "run: python -m policies.pages"


def test_the_index_is_complete() -> None:
    assert (pages.FOLDER / "rules.md").read_text() == pages.pages()["rules.md"], "run: python -m policies.pages"


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    written = {file.stem for file in pages.FOLDER.glob("*-[0-9][0-9].md")}
    assert written == {rule.id for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_metadata_is_whole(rule: Rule[Any]) -> None:
    assert re.fullmatch(r"[A-Z]+-\d\d", rule.id)
    assert not rule.title.endswith(".")
    for sentence in (rule.outage, rule.remedy, rule.why):
        assert sentence.endswith("."), sentence
    assert rule.reads


@pytest.mark.parametrize(("drill", "not_shown"), [("", ""), ("kill-httpd", "No outage by itself.")])
def test_a_rule_has_either_a_drill_or_the_reason_why_there_is_none(drill: str, not_shown: str) -> None:
    with pytest.raises(ValueError, match="needs either a drill or not_shown"):
        replace(RULES[0], drill=drill, not_shown=not_shown)
