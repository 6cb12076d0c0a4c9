"""What keeps the lab from starting or stopping, told in a way that a user can act on."""

from machine.failure import Failure


class LabError(Failure):
    """The machine, or something on it, stands in the lab's way."""
