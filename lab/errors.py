"""What keeps the lab from starting or stopping, told in a way that a user can act on."""


class LabError(Exception):
    """The machine, or something on it, stands in the lab's way.

    Attributes:
        what: what could not be done.
        why: what was found.
        remedy: what the user can do about it.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        super().__init__(f"{what}: {why}. {remedy}")
