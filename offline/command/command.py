"""What local and remote commands share: properties, and when which command runs."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from offline.provider.resource import Call, Property, Resource, State

if TYPE_CHECKING:
    from offline.provider.values import Properties

TEXT: Final = Property()
TEXTS: Final = Property("array", items=TEXT)
TRIGGERS: Final = Property("array", items=Property("any"), replaces=True)
LOGGING: Final = Property(choices=("stdout", "stderr", "stdoutAndStderr", "none"))

PROCESS: Final = {
    "addPreviousOutputInEnv": Property("boolean"),
    "environment": Property("object", items=TEXT),
    "logging": LOGGING,
    "stdin": TEXT,
}
"""How a process is run."""
LIFE: Final = {"create": TEXT, "update": TEXT, "delete": TEXT, "triggers": TRIGGERS}
"""What is run when."""
OUTPUT: Final = {"stdout": TEXT, "stderr": TEXT}


class Command(Resource):
    """A command that runs when the resource is created, one for changes, one for deletion.

    Without `update`, `create` runs again on any change of inputs; a change of `triggers` replaces the resource. If any
    input is secret, so are the outputs; a remote connection always is. All of this is what pulumi-command does.
    """

    secrets_spread: ClassVar[bool] = True

    @abstractmethod
    async def run(self, command: str, inputs: Properties, previous: Properties, call: Call) -> Properties:
        """Runs a command; returns what it adds to the outputs. `previous` are the outputs of the last run."""

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Runs `create`, if there is one."""
        return new_id(call.name), {**inputs, **await self._run("create", inputs, {}, call)}

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Runs `update`, else `create`, if there is one."""
        verb = "update" if "update" in inputs else "create"
        return {**inputs, **await self._run(verb, inputs, old.outputs, call)}

    async def delete(self, old: State, call: Call) -> None:
        """Runs the `delete` of the last inputs, if there was one."""
        await self._run("delete", old.outputs, old.outputs, call)

    async def read(self, old: State, call: Call) -> State | None:
        """What the state has: a command's effect can't be read back."""
        del call
        return old

    async def _run(self, verb: str, inputs: Properties, previous: Properties, call: Call) -> Properties:
        if verb in inputs:
            return await self.run(inputs[verb], inputs, previous, call)
        return {key: previous.get(key, "") for key in OUTPUT}


def new_id(name: str) -> str:
    """An id that no other resource has."""
    return name + secrets.token_hex(4)


def previous_output(inputs: Properties, previous: Properties) -> dict[str, str]:
    """The variables in which a command finds the output of the run before it."""
    if not inputs.get("addPreviousOutputInEnv", True):
        return {}
    return {f"PULUMI_COMMAND_{key.upper()}": previous[key] for key in OUTPUT if previous.get(key)}


class Capture:
    """Collects what a process writes and shows its complete lines as they come, as far as `logging` wants them."""

    def __init__(self, logging: str | None, call: Call) -> None:
        logged = {"stdout", "stderr"} if logging in {None, "stdoutAndStderr"} else {logging}
        self._call = call
        self._logged: dict[str, Any] = {name: name in logged for name in OUTPUT}
        self._pending = dict.fromkeys(OUTPUT, "")
        self._text = dict.fromkeys(OUTPUT, "")
        self._both: list[str] = []

    def feed(self, name: str, text: str) -> None:
        """More text of standard output or error."""
        self._text[name] += text
        self._both.append(text)
        if self._logged[name]:
            *lines, self._pending[name] = (self._pending[name] + text).split("\n")
            for line in lines:
                self._call.log(line)

    def end(self) -> Properties:
        """The outputs, each without its last line break."""
        for line in self._pending.values():
            if line:
                self._call.log(line)
        return {name: text.removesuffix("\n") for name, text in self._text.items()}

    @property
    def both(self) -> str:
        """Standard output and error in the order in which they came, for error messages."""
        return "".join(self._both)
