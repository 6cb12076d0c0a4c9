"""A failure says everything that a user needs, in one shape."""

from pathlib import Path

from machine.failure import Failure


def test_a_failure_is_told_in_lines() -> None:
    failure = Failure("it failed", "one\ntwo", "Mend it.", log=Path("/var/log/it.log"))

    assert failure.told == "it failed\n  one\n  two\n  to do: Mend it.\n  details: /var/log/it.log"
