"""A twin's folder, its stack file, and how other commands are given it."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from blueprint import loading
from cli import twin, twin_folder
from cli.app import app
from cli.twin import Order
from cli.twin_folder import write_stack_file
from machine.failure import Failure
from stack import workspace
from stack.workspace import Stack

REPOSITORY = Path(__file__).resolve().parents[3]


class BecameError(Exception):
    """Another process would have taken over."""


@pytest.fixture
def working_copy(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working copy in which the process stays what it is."""
    (clone / "components").mkdir()
    for module in (workspace, twin_folder):
        monkeypatch.setattr(module, "REPOSITORY", clone)

    def execve(_program: str, arguments: list[str], environment: dict[str, str]) -> None:
        raise BecameError(arguments[3:], environment["PERENNE_TWIN"])

    monkeypatch.setattr(os, "execve", execve)
    return clone


def prepared(working_copy: Path, order: Order) -> Path:
    """The folder of a twin of prod, as the command makes it."""
    with pytest.raises(BecameError) as became:
        twin.twin(Stack("prod"), order)
    assert became.value.args == (["twin", "prod", *(["--keep"] if order.keep else [])], "prod")
    return working_copy / ".perenne" / "twin" / "prod"


def test_a_rehearsal_that_is_under_way_has_the_folder_to_itself(working_copy: Path) -> None:
    folder = prepared(working_copy, Order())
    file = folder / "Pulumi.prod.yaml"
    file.write_text("what the rehearsal has made of it\n")
    with (
        workspace.only_command(folder / ".perenne"),
        pytest.raises(Failure, match="at work in this folder"),
    ):
        twin.twin(Stack("prod"), Order())
    assert file.read_text() == "what the rehearsal has made of it\n"
    assert (folder / "components").is_symlink()


def test_folder_has_the_program_and_a_stack_file_of_its_own(working_copy: Path) -> None:
    before = (working_copy / "Pulumi.prod.yaml").read_text()
    folder = prepared(working_copy, Order(keep=True))
    assert (folder / "components").is_symlink()
    assert not (folder / "Pulumi.dev.yaml").exists()
    file = folder / "Pulumi.prod.yaml"
    assert not file.is_symlink()
    settings = loading.settings_from_file(file)
    assert all(str(host.address).startswith("198.18.128.") for host in settings.hosts.values())
    assert (working_copy / "Pulumi.prod.yaml").read_text() == before
    for private in (working_copy / ".perenne", folder, folder / ".perenne"):
        assert private.stat().st_mode & 0o077 == 0


def test_a_change_s_equipment_is_there_from_the_beginning(working_copy: Path, tmp_path: Path) -> None:
    text = (working_copy / "Pulumi.prod.yaml").read_text()
    host = next(line for line in text.splitlines() if line.startswith("    psexi04:"))
    later = host.replace("psexi04", "psexi05").replace(".83", ".84").replace(".183", ".184")
    change = tmp_path / "changed.yaml"
    change.write_text(text.replace(host, f"{host}\n{later}"))
    folder = prepared(working_copy, Order(change))
    plan = json.loads((folder / "rehearsal.json").read_text())
    hosts = [list(plan[which]["perenne:hosts"]) for which in ("equipment", "present", "changed")]
    assert [("psexi05" in names) for names in hosts] == [True, False, True]
    assert "psexi05" in loading.settings_from_file(folder / "Pulumi.prod.yaml").hosts


def test_a_wrong_change_is_found_before_anything_is_made(working_copy: Path, tmp_path: Path) -> None:
    change = tmp_path / "changed.yaml"
    shutil.copy(working_copy / "Pulumi.prod.yaml", change)
    change.write_text(change.read_text().replace("172.16.110.141", "172.16.99.141"))
    with pytest.raises(Exception, match=r"changed\.yaml: perenne:servers\.app01\.address"):
        twin.twin(Stack("prod"), Order(change))
    assert not (working_copy / ".perenne" / "twin").exists()


def test_the_lab_s_own_stack_needs_no_twin(working_copy: Path) -> None:
    with pytest.raises(Failure, match="needs no twin"):
        twin.twin(Stack("dev"), Order())
    assert not (working_copy / ".perenne" / "twin").exists()


def test_a_new_description_keeps_secrets_and_the_keys_of_hosts_that_stay(tmp_path: Path) -> None:
    """What `init` made for the twin stays: otherwise a rerun would build the whole lab anew."""
    file = tmp_path / "Pulumi.prod.yaml"
    config = loading.config_of(REPOSITORY / "Pulumi.prod.yaml")
    config = copy.deepcopy(config)
    write_stack_file(file, config)
    document = yaml.safe_load(file.read_text())
    document["config"] |= {
        "perenne:vcenter-password": {"secure": "v1:abc"},
        "perenne:host_keys": {"psexi02": "ssh-ed25519 AAAA", "psexi09": "ssh-ed25519 BBBB"},
    }
    file.write_text(yaml.safe_dump(document | {"encryptionsalt": "v1:salt"}))
    config["perenne:cluster"]["name"] = "other"
    write_stack_file(file, config)
    again = yaml.safe_load(file.read_text())
    assert again["encryptionsalt"] == "v1:salt"
    assert again["config"]["perenne:vcenter-password"] == {"secure": "v1:abc"}
    assert again["config"]["perenne:host_keys"] == {"psexi02": "ssh-ed25519 AAAA"}
    assert again["config"]["perenne:cluster"]["name"] == "other"


def test_other_commands_can_be_given_a_twin(working_copy: Path) -> None:
    (working_copy / ".perenne" / "twin" / "prod").mkdir(parents=True)
    result = CliRunner().invoke(app, ["twin", "prod", "status", "--json"])
    assert isinstance(result.exception, BecameError)
    assert result.exception.args == (["status", "--json"], "prod")


def test_a_twin_that_is_not_there_is_named(working_copy: Path) -> None:
    assert working_copy.exists()
    result = CliRunner().invoke(app, ["twin", "prod", "status"])
    assert isinstance(result.exception, Failure)
    assert "has no twin" in str(result.exception)


def test_a_twin_s_process_works_in_the_twin_s_folder() -> None:
    asked = "from stack import workspace as w; print(w.Stack('prod').file, w.LAB, w.lab_name(), w.Stack('prod').is_lab)"
    environment = {name: value for name, value in os.environ.items() if name != "PERENNE_LAB"}
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=REPOSITORY, env=environment | {"PERENNE_TWIN": "prod"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = REPOSITORY / ".perenne" / "twin" / "prod"
    assert done.stdout.split() == [f"{folder}/Pulumi.prod.yaml", f"{folder}/.perenne/lab", "twin-prod", "True"]


@pytest.mark.parametrize(
    ("twin", "command"), [("", "./perenne undrain db01 prod"), ("prod", "./perenne twin prod undrain db01")]
)
def test_remedies_name_the_command_that_reaches_the_twin(
    monkeypatch: pytest.MonkeyPatch, twin: str, command: str
) -> None:
    monkeypatch.setattr(workspace, "TWIN", twin)
    assert workspace.Stack("prod").command("undrain", "db01") == command
