"""What somebody should look at before it breaks."""

import pytest

from stack import ssh, upkeep
from stack.crypter import Crypter
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
            "gap 20261130T010203Z\n",
            ["db01 has no WAL after 20261130T010203Z until its next base backup (systemctl start perenne-backup)"],
        ),
        ("df: something unexpected\n", []),
    ],
)
def test_each_thing_is_a_sentence(dev: Stack, monkeypatch: pytest.MonkeyPatch, said: str, found: list[str]) -> None:
    async def answer(_stack: Stack, _vault: Vault, name: str, _question: str, _seconds: float) -> str:
        return said if name == "db01" else "disk 5\n"

    monkeypatch.setattr(ssh, "said", answer)
    monkeypatch.setattr(Vault, "open", lambda stack: Vault(stack, {}, Crypter.new("x")))
    monkeypatch.setattr(Stack, "is_lab", False)
    assert upkeep.needs(dev) == found
