"""What somebody should look at before it breaks."""

import subprocess
from pathlib import Path

import pytest

from stack import ssh, upkeep
from stack.crypter import Crypter
from stack.status import DRAINED_MARK
from stack.vault import Vault
from stack.workspace import Stack


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("disk 43\n", []),
        ("", []),
        ("disk 80\n", ["the disk of db01 is 80 % full"]),
        (
            "disk 7\nfailed perenne-backup.service\n",
            ["perenne-backup.service has failed on db01 (systemctl status perenne-backup.service)"],
        ),
        (
            "stopped perenne-fencing.service\n",
            ["perenne-fencing.service does not run on db01 (systemctl start perenne-fencing.service)"],
        ),
        (
            "restarting perenne-wal.service\n",
            ["perenne-wal.service ends again and again on db01 (journalctl --unit perenne-wal.service)"],
        ),
        (
            "gap 20261130T010203Z\n",
            ["db01 has no WAL after 20261130T010203Z until its next base backup (systemctl start perenne-backup)"],
        ),
        ("df: something unexpected\n", []),
    ],
)
def test_each_thing_is_a_sentence(dev: Stack, monkeypatch: pytest.MonkeyPatch, said: str, found: list[str]) -> None:
    async def answer(_stack: Stack, _vault: Vault, name: str, _question: str, _seconds: float) -> str:
        return f"{said}asked\n" if name == "db01" else "disk 5\nasked\n"

    monkeypatch.setattr(ssh, "said", answer)
    monkeypatch.setattr(Vault, "open", lambda stack: Vault(stack, {}, Crypter.new("x")))
    monkeypatch.setattr(Stack, "is_lab", False)
    assert upkeep.needs(dev) == found


def test_whoever_does_not_answer_is_no_good_news(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its units may stand still: nobody knows."""

    async def answer(_stack: Stack, _vault: Vault, name: str, _question: str, _seconds: float) -> str:
        return "disk 7\n" if name == "db01" else "" if name == "app01" else "disk 5\nasked\n"

    monkeypatch.setattr(ssh, "said", answer)
    monkeypatch.setattr(Vault, "open", lambda stack: Vault(stack, {}, Crypter.new("x")))
    assert sorted(upkeep.needs(dev)) == ["app01 does not say how it is", "db01 does not say how it is"]


@pytest.mark.parametrize(
    ("states", "drained", "told"),
    [
        ({"perenne-fencing.service": "active", "etcd.service": "active"}, False, []),
        ({"perenne-fencing.service": "inactive", "etcd.service": "active"}, False, ["stopped perenne-fencing.service"]),
        ({"perenne-fencing.service": "inactive"}, True, []),
        ({"perenne-fencing.service": "failed"}, False, ["failed perenne-fencing.service"]),
    ],
)
def test_the_question_asks_for_every_unit_of_its_own(
    tmp_path: Path, states: dict[str, str], drained: bool, told: list[str]
) -> None:
    """On a server, where systemd is made up."""
    mark = tmp_path / "drained"
    if drained:
        mark.touch()
    listed = "".join(f"  echo '{unit} enabled enabled'\n" for unit in states)
    failed = "".join(f"  echo '{unit} loaded failed failed'\n" for unit, state in states.items() if state == "failed")
    active = "".join(f"  {unit}) echo {state};;\n" for unit, state in states.items())
    systemctl = (
        f"systemctl() {{ case $1 in\n list-unit-files)\n{listed}  ;;\n list-units)\n{failed}  :;;\n"
        f" is-active) case $2 in\n{active} esac;;\n esac; }}\n"
    )
    question = systemctl + upkeep._QUESTION.replace(DRAINED_MARK, str(mark))
    done = subprocess.run(["bash", "-c", question], capture_output=True, text=True, check=True)
    disk, *rest = done.stdout.splitlines()
    assert disk.startswith("disk ")
    assert rest == [*told, "asked"]


@pytest.mark.parametrize(("restarts", "told"), [(0, []), (5, []), (6, ["restarting perenne-wal.service"])])
def test_a_unit_that_never_comes_up_is_found(restarts: int, told: list[str]) -> None:
    """One that is started every 2 s is neither failed nor inactive."""
    made_up = """
        systemctl() {
            case $1 in
                list-unit-files) echo 'perenne-wal.service enabled enabled' ;;
                is-active) echo activating ;;
            esac
        }
        journalctl() {
            [[ " $* " == *" --unit=perenne-wal.service "* ]] || exit 1
            echo 'Main process exited, code=exited, status=1/FAILURE'
            for ((n = 1; n <= RESTARTS; n++)); do
                echo "perenne-wal.service: Scheduled restart job, restart counter is at $n."
            done
        }
    """
    question = made_up.replace("RESTARTS", str(restarts)) + upkeep._QUESTION
    done = subprocess.run(["bash", "-c", question], capture_output=True, text=True, check=True)
    _, *rest = done.stdout.splitlines()
    assert rest == [*told, "asked"]
