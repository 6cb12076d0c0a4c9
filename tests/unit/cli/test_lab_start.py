"""Going on from what an earlier lab left."""

import pytest

from cli import lab_start
from cli.console import Display, Progress
from lab.site import Outcome
from stack.workspace import Stack


@pytest.mark.parametrize(("known", "kept"), [("same", True), ("other", False), (None, False)])
def test_state_lives_as_long_as_its_lab(dev: Stack, known: str | None, *, kept: bool) -> None:
    progress = Progress(Display(plain=True), "test")
    dev.file.parent.joinpath(".perenne").mkdir()
    stacks = dev.file.parent / ".perenne" / "state" / ".pulumi" / "stacks" / "perenne"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").touch()
    if known:
        dev.generation_file.write_text(known)
    lab_start._adopt(dev, Outcome("same", built=False, replaced=(), url="https://127.0.0.1:8443"), progress)
    assert (stacks / "dev.json").exists() == kept
    assert dev.generation_file.read_text() == "same"
