"""Which Pulumi is chosen, by what is there and what answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import toolchain
from cli.toolchain import Pulumi
from machine.failure import Failure


@dataclass
class Machine:
    """What a machine has; `ensure` is asked on it."""

    on_path: bool = False
    has_plugins: bool = False
    answers: bool = False
    downloaded: bool = False
    built: bool = False
    forced: str = ""


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], Pulumi]:
    def choose(machine: Machine) -> Pulumi:
        folder = tmp_path / "pulumi"
        if machine.downloaded:
            folder.mkdir()
        monkeypatch.setenv("PERENNE_PULUMI", machine.forced)
        monkeypatch.setattr(toolchain, "_on_path", lambda: Path("/usr/bin/pulumi") if machine.on_path else None)
        monkeypatch.setattr(toolchain, "_has_plugins", lambda _pulumi: machine.has_plugins)
        monkeypatch.setattr(toolchain, "_version", lambda _pulumi: "v3.259.0")
        monkeypatch.setattr(toolchain, "_downloads_answer", lambda: machine.answers)
        monkeypatch.setattr(toolchain, "_folder", lambda: folder)
        monkeypatch.setattr(toolchain, "_is_built", lambda: machine.built)
        monkeypatch.setattr(toolchain, "_download", lambda folder, _progress: folder.mkdir())
        monkeypatch.setattr(toolchain, "_offline", lambda reason, _: Pulumi("offline", tmp_path, tmp_path, reason))
        return toolchain.ensure(lambda _line: None)

    return choose


@pytest.mark.parametrize(
    ("machine", "kind", "reason"),
    [
        (Machine(on_path=True, has_plugins=True), "official", "found on the PATH (v3.259.0)"),
        (Machine(on_path=True, answers=True), "official", "found on the PATH (v3.259.0)"),
        (Machine(on_path=True), "offline", "get.pulumi.com does not answer"),
        (Machine(on_path=True, forced="official"), "official", "found on the PATH (v3.259.0)"),
        (Machine(on_path=True, answers=True, forced="offline"), "offline", "PERENNE_PULUMI=offline"),
        (Machine(downloaded=True, built=True), "official", "downloaded before"),
        (Machine(answers=True), "official", "get.pulumi.com answers"),
        (Machine(answers=True, built=True), "offline", "built before"),
        (Machine(), "offline", "get.pulumi.com does not answer"),
    ],
    ids=str,
)
def test_the_choice_and_why(choose: Callable[[Machine], Pulumi], machine: Machine, kind: str, reason: str) -> None:
    chosen = choose(machine)
    assert (chosen.kind, chosen.reason) == (kind, reason)


def test_an_official_one_that_is_asked_for_and_can_t_be_had_is_an_error(choose: Callable[[Machine], Pulumi]) -> None:
    with pytest.raises(Failure, match="no official Pulumi"):
        choose(Machine(forced="official"))


def test_a_wrong_word_is_an_error(choose: Callable[[Machine], Pulumi]) -> None:
    with pytest.raises(Failure, match="PERENNE_PULUMI=offical"):
        choose(Machine(forced="offical"))


def test_our_own_build_on_the_path_is_not_an_official_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "BIN", tmp_path)
    (tmp_path / "pulumi").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain._on_path() is None
