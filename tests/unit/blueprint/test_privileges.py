"""The page about a real vCenter lists exactly the privileges that are asked for."""

import re
from pathlib import Path

from blueprint.privileges import PRIVILEGES

PAGE = Path(__file__).parents[3] / "docs" / "real-vcenter.md"


def test_page_lists_every_privilege_and_no_other() -> None:
    (section,) = re.findall(r"### The user's role\n(.*?)\n### ", PAGE.read_text(), re.DOTALL)
    assert set(re.findall(r"`([A-Z][A-Za-z]+(?:\.[A-Za-z]+)+)`", section)) == set(PRIVILEGES)
