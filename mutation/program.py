"""The program of a stack, run without an engine: its resources as a policy pack is shown them at a first preview."""

import asyncio
import contextlib
import contextvars
import json
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import mocks, rpc, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import unknown_checking_proxy

from blueprint import loading
from blueprint.secrets import Kind, secrets_of
from policies.judging.resource import Resource
from policies.judging.shown import plain
from policies.judging.stack import Stack

PROGRAM = Path(__file__).parents[1]


class Recorder(mocks.MockMonitor):
    """Takes what a program registers, and answers as an engine does at a first preview: ids are not known yet."""

    def __init__(self) -> None:
        super().__init__(_Nothing())  # as the SDK has it
        self.found: dict[str, Resource] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 (the protocol's)
        """Record one resource; it gets no id."""
        urn = self.make_urn(request.parent, request.type, request.name)
        self.found[urn] = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            properties=_properties(request.object),
            protect=bool(request.protect),
            ignore_changes=tuple(request.ignoreChanges),
            parent=request.parent or None,
            provider=request.provider or None,
            dependencies=tuple(request.dependencies),
            property_dependencies={key: tuple(found.urns) for key, found in request.propertyDependencies.items()},
        )
        identity = rpc.UNKNOWN if request.custom else ""
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=request.object)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 (the protocol's)
        """Add a component's outputs, as the engine does."""
        shown = self.found[request.urn]
        outputs = _properties(request.outputs)
        self.found[request.urn] = replace(shown, properties={**shown.properties, **outputs})
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _properties(sent: Struct) -> Any:  # noqa: ANN401 (as the pack reads them)
    return plain(unknown_checking_proxy(deserialize_properties(json_format.MessageToDict(sent))))


class _Nothing(mocks.Mocks):
    """Look-ups of what the program makes are not made yet; those of what was there before find it."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return None, args.inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {**args.args, "id": "there-before"}, []


def resources_of(config: Mapping[str, Any], stack: str, folder: Path) -> Stack:
    """Run the program with this configuration (a stack file's `config`), and return what it registers.

    Args:
        config: Keys as in the file.
        stack: The stack's name.
        folder: The working directory of the run; artifacts that the services name must be there.

    Raises:
        StackFileError: The configuration can't be used.
    """
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    settings = loading.settings_from_config(texts, stack)
    values = {f"perenne:{secret.name}": throw_away(secret.kind, secret.name) for secret in secrets_of(settings)}
    with contextlib.chdir(folder):
        return recorded(PROGRAM / "__main__.py", "perenne", stack, texts | values, list(values))


def recorded(program: Path, project: str, stack: str, config: Mapping[str, str], secret: Sequence[str]) -> Stack:
    """Run any program, and return what it registers, in the order of names: it registers what doesn't wait at once.

    Args:
        program: Its file, or the folder of its `__main__.py`.
        project: Its project's name.
        stack: The stack's name.
        config: Its configuration, keys with their namespace.
        secret: Which of the keys are secret.
    """
    recorder = Recorder()

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        mocks.set_mocks(recorder.mocks, project=project, stack=stack, preview=True, monitor=recorder)
        set_all_config(dict(config), list(secret))
        # Pulumi's mocks run nothing at a program's end, and refuse to be asked to.
        with patch.object(pulumi, "run"):
            pulumi.runtime.test(lambda: runpy.run_path(str(program)))()  # type: ignore[no-untyped-call]

    # The SDK keeps the stack's own resource for a context: in a new one every run registers it, not just the first.
    contextvars.Context().run(run)
    return Stack(recorder.found[urn] for urn in sorted(recorder.found))


def throw_away(kind: Kind, name: str) -> str:
    """A secret of the right form that opens nothing."""
    if kind in (Kind.SSH_KEY, Kind.SSH_HOST_KEY):
        key = Ed25519PrivateKey.generate()
        return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    if kind in (Kind.CERTIFICATE, Kind.CERTIFICATE_AUTHORITY):
        return f"-----BEGIN PRIVATE KEY-----\nkey of {name}\n-----BEGIN CERTIFICATE-----\ncertificate of {name}\n"
    return f"throw-away-{name}"
