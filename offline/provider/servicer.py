"""The resource provider protocol of Pulumi (pulumi/provider.proto) over `Resource` and `Provider`."""

from __future__ import annotations

import asyncio
import json
from abc import ABC
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from offline.provider.redaction import Redactor
from offline.provider.resource import (
    Call,
    Change,
    Failure,
    Property,
    ProviderError,
    Resource,
    State,
    changes,
    check,
    schema,
)
from offline.provider.values import (
    UNKNOWN,
    Properties,
    Secret,
    Value,
    decode,
    encode,
    has_secret,
    has_unknown,
    reveal,
    same,
)

_T = TypeVar("_T")
Log = Callable[[str, str], None]
"""Shows a line at the resource with that URN."""

_ENGINE_CONFIG: Final = frozenset({"version", "pluginDownloadURL"})
_KINDS: Final = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Function(ABC):
    """A function of a provider, called while the program runs."""

    urn_type: ClassVar[str]
    inputs: ClassVar[Mapping[str, Property]]
    outputs: ClassVar[Mapping[str, Property]]

    async def invoke(self, inputs: Properties, call: Call) -> Properties:
        """The function's result."""
        raise NotImplementedError


class Provider:
    """A package: its resources, functions and configuration."""

    name: ClassVar[str]
    version: ClassVar[str]
    config: ClassVar[Mapping[str, Property]] = {}

    def __init__(self, resources: list[Resource], functions: list[Function] | None = None) -> None:
        self.resources = resources
        self.functions = functions or []

    def configure(self, config: Properties) -> None:
        """Takes the configuration; values may be `UNKNOWN` during a preview."""


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine for one `Provider`; `interrupt` ends what is running."""

    def __init__(self, provider: Provider, log: Log, flush: Callable[[], Awaitable[None]]) -> None:
        self._provider = provider
        self._log = log
        self._flush = flush
        self._resources = {token: item for item in provider.resources for token in (item.urn_type, *item.aliases)}
        self._functions = {item.urn_type: item for item in provider.functions}
        self._running: set[asyncio.Task[Any]] = set()
        self._interrupted = False

    def interrupt(self) -> None:
        """Ends running operations with an error, and lets no other begin."""
        self._interrupted = True
        for task in self._running:
            task.cancel()

    # The protocol's methods, in the order in which the engine calls them.

    async def Handshake(  # noqa: N802
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Settles what both sides understand: secrets yes; resource references and outputs as values no."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    async def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.aio.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The version of the official provider whose behaviour this is."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._provider.version)

    async def GetSchema(  # noqa: N802
        self, request: provider_pb2.GetSchemaRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """The package's schema."""
        del request, context
        provider = self._provider
        text = schema(provider.name, provider.version, provider.config, provider.resources)
        return provider_pb2.GetSchemaResponse(schema=text)

    async def Parameterize(  # noqa: N802
        self, request: provider_pb2.ParameterizeRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.ParameterizeResponse:
        """Refused: one package only."""
        del request
        await _fail(context, f"the provider {self._provider.name} takes no parameters", grpc.StatusCode.UNIMPLEMENTED)

    async def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """What is wrong with the provider's configuration."""
        del context
        news = decode(request.news)
        _, failures = check(self._provider.config, self._config(news), f"the provider {self._provider.name}")
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(failures))

    async def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Changes of configuration; none of them replaces a resource."""
        del context
        olds = reveal(self._config(decode(request.old_inputs if request.HasField("old_inputs") else request.olds)))
        found = changes(self._provider.config, olds, reveal(self._config(decode(request.news))))
        return _diff(found, deletes_first=False)

    async def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Hands the configuration to the provider."""
        owner = f"the provider {self._provider.name}"
        config, failures = check(self._provider.config, self._config(decode(request.args)), owner)
        if failures:
            await _fail(context, "; ".join(failure.reason for failure in failures), grpc.StatusCode.INVALID_ARGUMENT)
        self._provider.configure(reveal(config))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Inputs with defaults, and what is wrong with them."""
        resource = await self._resource(request.urn, context)
        news, olds = decode(request.news), reveal(decode(request.olds))
        for key, value in resource.default_name(_name(request.urn), request.randomSeed).items():
            if news.get(key) is None:
                news[key] = olds.get(key, value)
        inputs, failures = check(resource.inputs, news, resource.urn_type)
        if not failures:
            failures = resource.validate(reveal(inputs))
        return provider_pb2.CheckResponse(inputs=encode(inputs), failures=_failures(failures))

    async def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Which inputs changed, and whether the change needs a new resource."""
        resource = await self._resource(request.urn, context)
        olds, news = reveal(_old_inputs(resource, request)), reveal(decode(request.news))
        found = changes(resource.inputs, olds, news)
        if resource.always_replaces:
            found = [Change(change.path, change.kind, replaces=True) for change in found]
        return _diff(found, deletes_first=resource.replaces_in_place(olds, news))

    async def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Makes a resource, or says in a preview what is known of it already."""
        resource = await self._resource(request.urn, context)
        inputs = decode(request.properties)
        if request.preview or has_unknown(inputs):
            return provider_pb2.CreateResponse(properties=encode(_predict(resource, {}, inputs)))
        call = self._call(request.urn, resource.inputs, inputs)
        made, outputs = await self._run(context, request.timeout, call, resource.create(reveal(inputs), call[0]))
        return provider_pb2.CreateResponse(id=made, properties=encode(_mark(resource, inputs, outputs)))

    async def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """How a resource is now; an empty id says that it is gone."""
        resource = await self._resource(request.urn, context)
        inputs, outputs = decode(request.inputs), decode(request.properties)
        call = self._call(request.urn, resource.inputs, inputs)
        state = State(request.id, reveal(inputs), reveal(outputs))
        now = await self._run(context, request.timeout, call, resource.read(state, call[0]))
        if now is None:
            return provider_pb2.ReadResponse()
        marked, _ = check(resource.inputs, _keep_marks(inputs, now.inputs), resource.urn_type)
        return provider_pb2.ReadResponse(
            id=now.id, inputs=encode(marked), properties=encode(_mark(resource, {**outputs, **marked}, now.outputs))
        )

    async def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Changes a resource in place, or says in a preview what will then be known of it."""
        resource = await self._resource(request.urn, context)
        inputs, olds = decode(request.news), decode(request.olds)
        if request.preview or has_unknown(inputs):
            return provider_pb2.UpdateResponse(properties=encode(_predict(resource, olds, inputs)))
        call = self._call(request.urn, resource.inputs, {**olds, **inputs})
        old = State(request.id, reveal(_old_inputs(resource, request)), reveal(olds))
        outputs = await self._run(context, request.timeout, call, resource.update(old, reveal(inputs), call[0]))
        return provider_pb2.UpdateResponse(properties=encode(_mark(resource, inputs, outputs)))

    async def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.aio.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Removes a resource."""
        resource = await self._resource(request.urn, context)
        inputs, outputs = decode(request.old_inputs), decode(request.properties)
        call = self._call(request.urn, resource.inputs, outputs)
        state = State(request.id, reveal(inputs), reveal(outputs))
        await self._run(context, request.timeout, call, resource.delete(state, call[0]))
        return empty_pb2.Empty()

    async def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.aio.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        """Calls a function."""
        function = self._functions.get(request.tok)
        if function is None:
            await _fail(context, f"{self._provider.name} has no function {request.tok} offline")
        inputs, failures = check(function.inputs, decode(request.args), function.urn_type)
        if failures:
            return provider_pb2.InvokeResponse(failures=_failures(failures))
        call = self._call("", function.inputs, inputs)
        result = await self._run(context, 0, call, function.invoke(reveal(inputs), call[0]))
        secret = has_secret(inputs)
        marked = {
            key: inputs.get(key, Secret(value) if secret and key in function.outputs else value)
            for key, value in result.items()
        }
        return provider_pb2.InvokeResponse(**{"return": encode(marked)})

    async def Cancel(self, request: empty_pb2.Empty, context: grpc.aio.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Ends what is running, for Ctrl-C."""
        del request, context
        self.interrupt()
        return empty_pb2.Empty()

    # Helpers.

    def _config(self, values: Properties) -> Properties:
        """Configuration with the JSON texts undone in which SDKs send everything that isn't a string."""
        return {
            key: _from_json(value, self._provider.config.get(key))
            for key, value in values.items()
            if key not in _ENGINE_CONFIG
        }

    async def _resource(self, urn: str, context: grpc.aio.ServicerContext) -> Resource:
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        resource = self._resources.get(token)
        if resource is None:
            known = ", ".join(sorted(self._resources))
            await _fail(context, f"{self._provider.name} has no resource {token} offline; it has {known}")
        return resource

    def _call(self, urn: str, spec: Mapping[str, Property], inputs: Properties) -> tuple[Call, Redactor]:
        redact = Redactor(spec, inputs)
        name = _name(urn) if urn else ""
        return Call(name, lambda line: self._log(urn, redact(line))), redact

    async def _run(
        self,
        context: grpc.aio.ServicerContext,
        timeout: float,  # noqa: ASYNC109
        call: tuple[Call, Redactor],
        work: Awaitable[_T],
    ) -> _T:
        """Does the work so that `interrupt` can end it; every failure becomes the call's error, without secrets."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        if self._interrupted:
            task.cancel()
        try:
            async with asyncio.timeout(timeout or None) as limit:
                return await task
        except ProviderError as error:
            message = call[1](str(error))
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"not done within {timeout:g} s, which is the resource's own limit (custom_timeouts)"
        except asyncio.CancelledError:
            if not self._interrupted:  # the engine gave the call up
                raise
            message = "interrupted before it was done"
        finally:
            self._running.discard(task)
            await self._flush()
        return await _fail(context, message)


async def _fail(
    context: grpc.aio.ServicerContext, message: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
) -> NoReturn:
    await context.abort(code, message)
    raise AssertionError("abort returned")


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _failures(failures: list[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=item.property, reason=item.reason) for item in failures]


def _old_inputs(resource: Resource, request: provider_pb2.DiffRequest | provider_pb2.UpdateRequest) -> Properties:
    """The last inputs; an engine that doesn't keep them leaves those that the outputs repeat."""
    if request.HasField("old_inputs"):
        return decode(request.old_inputs)
    return {key: value for key, value in decode(request.olds).items() if key in resource.inputs}


def _diff(found: list[Change], *, deletes_first: bool) -> provider_pb2.DiffResponse:
    replaces = [change.path for change in found if change.replaces]
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and deletes_first,
        diffs=sorted({change.path.split(".")[0].split("[")[0] for change in found}),
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replaces], inputDiff=True)
            for change in found
        },
        hasDetailedDiff=True,
    )


def _predict(resource: Resource, olds: Properties, inputs: Properties) -> Properties:
    """What is known in a preview: inputs as they are, computed ones as they were, outputs not at all."""
    computed = {key: olds.get(key, UNKNOWN) for key, prop in resource.inputs.items() if prop.computed}
    outputs = dict.fromkeys(resource.outputs, UNKNOWN)
    return _mark(resource, inputs, {**computed, **inputs, **outputs})


def _mark(resource: Resource, inputs: Properties, outputs: Properties) -> Properties:
    """Outputs with secret marks: those of the inputs that they repeat, and what follows from secret inputs."""
    spread = resource.secrets_spread and has_secret(inputs)
    spec = {**resource.inputs, **resource.outputs}
    marked: Properties = {}
    for key, value in outputs.items():
        given = inputs.get(key)
        if isinstance(value, Secret) or (given is not None and same(reveal(given), reveal(value))):
            marked[key] = value if given is None else given
        elif spec[key].secret or has_secret(given) or (spread and key in resource.outputs):
            marked[key] = Secret(value)
        else:
            marked[key] = value
    return marked


def _keep_marks(olds: Properties, news: Properties) -> Properties:
    return {key: Secret(value) if has_secret(olds.get(key)) else value for key, value in news.items()}


def _from_json(value: Value, prop: Property | None) -> Value:
    if isinstance(value, Secret):
        return Secret(_from_json(value.value, prop))
    if prop is None or prop.type == "string" or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value  # of the wrong type: `check` says so
