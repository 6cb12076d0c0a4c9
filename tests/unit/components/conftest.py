"""Runs the whole program against recording mocks, once for all tests that ask."""

import asyncio
import contextlib
import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import pytest
from pulumi.runtime import mocks

from blueprint import loading
from blueprint.secrets import secrets_of
from mutation.program import throw_away

PROJECT = Path(__file__).parents[3]


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource that the program registers, by type and name."""

    resources: dict[tuple[str, str], mocks.MockResourceArgs] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """A resource is made: its outputs are its inputs, and ids made from its name."""
        self.resources[args.typ, args.name] = args
        return f"{args.name}-id", args.inputs | {"uuid": f"{args.name}-uuid", "moid": f"{args.name}-moid"}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """Every look-up finds what it asks for."""
        kind = args.token.rpartition(":get")[2].lower()
        return args.args | {"id": f"{kind}-1"}, []

    def of_type(self, suffix: str) -> dict[str, dict[str, Any]]:
        """The inputs of every resource whose type ends so, by name."""
        return {name: made.inputs for (typ, name), made in self.resources.items() if typ.endswith(suffix)}


@pytest.fixture(scope="session")
def run_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recorder]:
    """Run `__main__.py` for a stack and return what it registered, which tests only look at."""
    folder = tmp_path_factory.mktemp("program")

    @cache
    def run(stack: str) -> Recorder:
        config = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in loading.config_of(PROJECT / f"Pulumi.{stack}.yaml").items()
        }
        described = loading.settings_from_config(config, stack)
        artifact = folder / "apps" / "pnp-manager" / "target" / "pnp-manager.war"
        artifact.parent.mkdir(parents=True, exist_ok=True)
        artifact.write_bytes(b"war")
        values = {f"perenne:{secret.name}": throw_away(secret.kind, secret.name) for secret in secrets_of(described)}
        recorder = Recorder()
        asyncio.set_event_loop(asyncio.new_event_loop())
        pulumi.runtime.set_mocks(recorder, project="perenne", stack=stack, preview=False)
        pulumi.runtime.set_all_config(config | values, list(values))

        def program() -> None:
            runpy.run_path(str(PROJECT / "__main__.py"))

        # Pulumi's mocks run nothing at a program's end, and refuse to be asked to.
        with contextlib.chdir(folder), patch.object(pulumi, "run"):
            pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # as the SDK has it
        return recorder

    return run
