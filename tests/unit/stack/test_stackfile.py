"""Values come into a stack file and go again, and nothing else in it moves."""

from pathlib import Path

import yaml

from stack import stackfile

TEXT = """\
# A comment at the top.
config:
  perenne:domain: vmlabs.int # why

  perenne:hosts:
    psexi02: { address: 198.18.10.80 }
"""


def test_values_go_to_the_end_of_the_configuration() -> None:
    text = stackfile.with_values(
        TEXT, "v1:salt", {"esxi-password": "v1:a:b"}, {"host_keys": {"psexi02": "ssh-ed25519 A"}}
    )
    assert text.startswith(TEXT)
    assert yaml.safe_load(text) == {
        "config": {
            **yaml.safe_load(TEXT)["config"],
            "perenne:host_keys": {"psexi02": "ssh-ed25519 A"},
            "perenne:esxi-password": {"secure": "v1:a:b"},
        },
        "encryptionsalt": "v1:salt",
    }


def test_what_was_added_can_be_taken_out_again() -> None:
    text = stackfile.with_values(TEXT, "v1:salt", {"esxi-password": "v1:a:b"}, {"host_keys": {"psexi02": "A"}})
    assert stackfile.without(text, ["esxi-password", "host_keys"], salt=True) == TEXT


def test_a_second_value_takes_the_place_of_the_first() -> None:
    once = stackfile.with_values(TEXT, "v1:salt", {"esxi-password": "v1:a:b"}, {})
    twice = stackfile.with_values(once, "v1:salt", {"esxi-password": "v1:c:d"}, {})
    assert twice == once.replace("v1:a:b", "v1:c:d")


def test_sections_after_the_configuration_stay_after_it() -> None:
    text = stackfile.with_values(TEXT + "environment:\n  - shared\n", "v1:salt", {"x": "v1:a:b"}, {})
    assert yaml.safe_load(text)["environment"] == ["shared"]
    assert yaml.safe_load(text)["config"]["perenne:x"] == {"secure": "v1:a:b"}


def test_keys_that_begin_alike_are_not_confused() -> None:
    text = stackfile.with_values(TEXT, "v1:salt", {"tls-lb01": "v1:a:b", "tls-lb011": "v1:c:d"}, {})
    left = yaml.safe_load(stackfile.without(text, ["tls-lb01"]))["config"]
    assert "perenne:tls-lb01" not in left
    assert "perenne:tls-lb011" in left


def test_a_file_that_pulumi_has_rewritten_is_understood(tmp_path: Path) -> None:
    rewritten = "encryptionsalt: v1:first\nconfig:\n  perenne:domain: vmlabs.int\n  perenne:x:\n    secure: v1:a:b\n"
    assert stackfile.salt_of(rewritten) == "v1:first"
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(rewritten)
    file.chmod(0o640)
    stackfile.write(file, stackfile.with_values(rewritten, "v1:first", {"x": "v1:e:f"}, {}))
    assert yaml.safe_load(file.read_text())["config"]["perenne:x"] == {"secure": "v1:e:f"}
    assert file.stat().st_mode & 0o777 == 0o640
