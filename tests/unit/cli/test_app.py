"""The command line, and what it says when something goes wrong."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blueprint.mistakes import Mistake, StackFileError
from cli import __main__ as edge
from cli import remote
from cli.app import app
from lab.errors import LabError
from machine.failure import Failure
from stack import workspace
from stack.workspace import Stack

REPOSITORY = Path(__file__).resolve().parents[3]
COMMANDS = (
    "up",
    "preview",
    "mutate",
    "forecast",
    "describe",
    "switchover",
    "drain",
    "undrain",
    "patch",
    "status",
    "ssh",
    "logs",
    "init",
    "doctor",
    "env",
    "test",
    "down",
)


def test_every_command_of_the_readme_is_there() -> None:
    help_text = CliRunner().invoke(app, ["--help"]).output
    for command in COMMANDS:
        assert re.search(rf"^│ {command}\s", help_text, re.MULTILINE), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_an_unknown_option_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["up", "--nonsense"]).exit_code == 2


def test_a_patch_is_of_servers_or_of_hosts() -> None:
    assert CliRunner().invoke(app, ["patch", "--only", "racks"]).exit_code == 2


def test_help_loads_neither_pulumi_nor_the_lab() -> None:
    check = "import sys, cli.app; print({'pulumi', 'docker', 'asyncssh', 'pydantic'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_stack_file_s_mistakes_are_one_line_each_and_nothing_is_started(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = dev.file.read_text().replace("198.18.20.11,", "10.0.0.1,").replace("perenne:domain", "perenne:domian")
    dev.file.write_text(text)
    monkeypatch.setattr(sys, "argv", ["perenne", "up"])
    with pytest.raises(SystemExit) as exit_:
        edge.main()
    shown = capsys.readouterr().err
    assert exit_.value.code == 1
    assert "Pulumi.dev.yaml: perenne:domian" in shown
    assert "did you mean domain?" in shown
    assert "Nothing was started or changed." in shown
    assert "Traceback" not in shown
    assert not (dev.file.parent / ".perenne" / "state").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Failure("no Docker", "none answers", "start it"), "Error: no Docker\n  none answers\n  to do: start it"),
        (LabError("no lab", "taken", "free it"), "Error: no lab\n  taken\n  to do: free it"),
        (
            StackFileError("Pulumi.dev.yaml", [Mistake("site", None, "is missing", "add it")]),
            "Pulumi.dev.yaml: perenne:site: is missing; add it\nNothing was started or changed.",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/from", None, "/to"),
            (
                "Error: nothing can be written at /to\n  No space left on device\n"
                "  to do: make room (df shows where; ./perenne doctor what is needed), then run the command again"
            ),
        ),
    ],
)
def test_what_is_foreseen_is_one_message(error: Exception, said: str) -> None:
    assert edge._explained(error) == said


def test_what_nobody_foresaw_goes_to_a_log(clone: Path) -> None:
    said = edge._explained(ZeroDivisionError("division by zero"))
    assert "Traceback" not in said
    assert str(clone / ".perenne" / "logs" / "crash.log") in said
    assert "ZeroDivisionError" in (clone / ".perenne" / "logs" / "crash.log").read_text()


@pytest.mark.parametrize("name", ["../etc/passwd", "", "-x", "a b"])
def test_a_stack_s_name_is_a_name(name: str) -> None:
    with pytest.raises(Failure, match="is no stack"):
        Stack(name)


def test_two_commands_do_not_work_at_once(clone: Path) -> None:
    assert clone.is_dir()
    with workspace.only_command(), pytest.raises(Failure, match="at work"), workspace.only_command():
        pass
    with workspace.only_command():
        pass


def test_ssh_passes_the_command_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, list[str]]] = []

    def ssh(stack: Stack, name: str, command: list[str]) -> int:
        asked.append((stack.name, name, command))
        return 7

    monkeypatch.setattr(remote, "ssh", ssh)
    result = CliRunner().invoke(app, ["ssh", "db01", "patronictl", "-c", "/etc/patroni/perenne", "list"])
    assert result.exit_code == 7
    assert asked == [("dev", "db01", ["patronictl", "-c", "/etc/patroni/perenne", "list"])]


@pytest.mark.parametrize(
    "arguments",
    [["app01", "df", "-h"], ["app01", "--", "df", "-h"], ["--stack", "prod", "app01", "curl", "-s", "https://x"]],
)
def test_what_comes_after_the_server_is_for_the_server(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    asked: list[str] = []

    def ssh(stack: Stack, name: str, command: list[str]) -> int:
        asked.extend([stack.name, name, *command])
        return 0

    monkeypatch.setattr(remote, "ssh", ssh)
    assert CliRunner().invoke(app, ["ssh", *arguments]).exit_code == 0
    stack = "prod" if "prod" in arguments else "dev"
    assert asked == [stack, *(one for one in arguments if one not in ("--", "--stack", "prod"))]


def test_two_stacks_at_once_are_asked_about() -> None:
    result = CliRunner().invoke(app, ["down", "oslo", "--stack", "prod"])
    assert result.exit_code == 2
    assert "oslo or prod?" in result.output
