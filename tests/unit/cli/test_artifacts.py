"""Services are built when their sources have changed, and from them alone."""

from pathlib import Path

import pytest

from cli import artifacts
from stack.workspace import Stack


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose Maven compiles every source into a class, and deletes nothing."""
    (tmp_path / "src" / "main").mkdir(parents=True)
    (tmp_path / "pom.xml").touch()

    def maven(there: Path, *_goals: str) -> None:
        classes = there / "target" / "classes"
        classes.mkdir(parents=True, exist_ok=True)
        for source in (there / "src" / "main").iterdir():
            (classes / f"{source.stem}.class").touch()

    monkeypatch.setattr(artifacts, "projects", lambda _settings: [tmp_path])
    monkeypatch.setattr(artifacts, "maven", maven)
    return tmp_path


def test_a_source_that_is_gone_leaves_nothing_in_what_is_built(dev: Stack, project: Path) -> None:
    said: list[str] = []
    (project / "src" / "main" / "Old.java").touch()
    artifacts.build(dev.settings, said.append)
    (project / "src" / "main" / "Old.java").rename(project / "src" / "main" / "New.java")
    artifacts.build(dev.settings, said.append)
    artifacts.build(dev.settings, said.append)
    assert [one.name for one in (project / "target" / "classes").iterdir()] == ["New.class"]
    assert len(said) == 2, "the third time nothing has changed"
