"""What esxcli refuses."""


class EsxcliError(Exception):
    """A command can't be carried out; esxcli prints the message and ends with status 1."""

    def __init__(self, message: str, prefix: str = "Error: ") -> None:
        super().__init__(f"{prefix}{message}")
