"""SSH connections: their properties, and opening one with the patience that the program asked for."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from offline.provider.resource import Call, Property, ProviderError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncssh

_ENDPOINT: Final = {
    "host": Property(required=True),
    "port": Property("number", default=22),
    "user": Property(default="root"),
    "password": Property(secret=True),
    "privateKey": Property(secret=True),
    "privateKeyPassword": Property(secret=True),
    "agentSocketPath": Property(),
    "hostKey": Property(),
    "dialErrorLimit": Property("integer", default=10),
    "perDialTimeout": Property("integer", default=15),
}
CONNECTION: Final = Property(
    "object",
    required=True,
    secret=True,
    fields={**_ENDPOINT, "proxy": Property("object", fields=_ENDPOINT)},
)
_FIRST_PAUSE: Final = 0.1
_PAUSE_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 5.0
"""Seconds between attempts, as pulumi-command has them."""
_KEEPALIVE: Final = 15
"""Seconds of silence before the server is asked whether it is there; after three such it counts as gone."""


@asynccontextmanager
async def connect(connection: dict[str, Any], call: Call) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """An SSH connection, through the proxy if there is one.

    An attempt that fails is repeated `dialErrorLimit` times (-1: for ever), each within `perDialTimeout` seconds (0: no
    limit). Without `hostKey` the server's key is not checked.

    Raises:
        ProviderError: the connection can't be made; it names the address and the last attempt's failure.
    """
    async with AsyncExitStack() as stack:
        tunnel = None
        if "proxy" in connection:
            tunnel = await stack.enter_async_context(await _dial(connection["proxy"], None, call, "proxy "))
        yield await stack.enter_async_context(await _dial(connection, tunnel, call, ""))


async def _dial(
    endpoint: dict[str, Any], tunnel: asyncssh.SSHClientConnection | None, call: Call, what: str
) -> asyncssh.SSHClientConnection:
    import asyncssh  # noqa: PLC0415

    address = f"{what}{endpoint['user']}@{endpoint['host']}:{int(endpoint['port'])}"
    options = _options(endpoint, address)
    limit, pause, attempt = endpoint["dialErrorLimit"], _FIRST_PAUSE, 0
    while True:
        try:
            return await asyncssh.connect(**options, tunnel=tunnel)
        except (OSError, asyncssh.Error, TimeoutError) as error:
            attempt += 1
            reason = _reason(error, endpoint)
        if 0 <= limit < attempt:
            raise ProviderError(f"no SSH connection to {address} after {attempt} attempts: {reason}")
        call.log(f"SSH to {address}, attempt {attempt}/{limit if limit >= 0 else 'no limit'}: {reason}; trying again")
        await asyncio.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)


def _options(endpoint: dict[str, Any], address: str) -> dict[str, Any]:
    """What asyncssh is told; nothing comes from the user's own SSH configuration, keys or known hosts."""
    import asyncssh  # noqa: PLC0415

    options: dict[str, Any] = {
        "config": None,
        "host": endpoint["host"],
        "port": int(endpoint["port"]),
        "username": endpoint["user"],
        "password": endpoint.get("password"),
        "client_keys": None,
        "agent_path": endpoint.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK"),
        "known_hosts": None,
        "gss_host": None,
        "connect_timeout": endpoint["perDialTimeout"] or None,
        "login_timeout": endpoint["perDialTimeout"],
        "keepalive_interval": _KEEPALIVE,
    }
    if "privateKey" in endpoint:
        try:
            key = asyncssh.import_private_key(endpoint["privateKey"], endpoint.get("privateKeyPassword"))
        except asyncssh.KeyImportError as error:
            raise ProviderError(f"the privateKey for {address} can't be read: {error}") from error
        options["client_keys"] = [key]
    if "hostKey" in endpoint:
        try:
            host_key = asyncssh.import_public_key(endpoint["hostKey"])
        except asyncssh.KeyImportError as error:
            raise ProviderError(f"the hostKey of {address} can't be read: {error}") from error
        options["known_hosts"] = ([host_key], [], [])
        # As in pulumi-command: an ssh-rsa key is asked for with SHA-1 alone, which OpenSSH 8.8 and ESXi's refuse.
        options["server_host_key_algs"] = [host_key.get_algorithm()]
    return options


def _reason(error: Exception, endpoint: dict[str, Any]) -> str:  # noqa: PLR0911
    import asyncssh  # noqa: PLC0415

    match error:
        case asyncssh.HostKeyNotVerifiable():
            return "the server's host key is not the one in hostKey"
        case asyncssh.PermissionDenied():
            ways = endpoint.keys() & {"privateKey", "password"} or {"SSH agent"}
            return (
                f"authentication failed: the server accepts {endpoint['user']} with none of {', '.join(sorted(ways))}"
            )
        case asyncssh.Error():
            return f"SSH: {error.reason}"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"the name {endpoint['host']} is not known"
        case TimeoutError():
            return f"no answer within {endpoint['perDialTimeout']} s"
        case OSError():
            return error.strerror or str(error)
    return str(error)
