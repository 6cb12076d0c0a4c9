"""What a stack's configuration gives the program: settings as text, secrets as secret outputs."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from blueprint import keys
from blueprint.loading import NAMESPACE
from blueprint.mistakes import StackFileError
from blueprint.secrets import Secret, keys_of, missing
from blueprint.settings import Settings


def configuration() -> dict[str, str]:
    """All of the stack's configuration, keys with their namespace; encrypted values are decrypted by the engine."""
    return dict(runtime_config.CONFIG.get())


def secrets(needed: Iterable[Secret], source: str) -> dict[str, pulumi.Output[str]]:
    """Every secret that the stack needs, by name, and its values in the stages of a rotation, as far as there are any.

    Raises:
        StackFileError: Some are not in the stack's configuration.
    """
    config = pulumi.Config()
    needed = list(needed)
    present = {key.removeprefix(NAMESPACE) for key in configuration() if key.startswith(NAMESPACE)}
    if mistakes := missing(needed, present, f"./perenne init {pulumi.get_stack()} makes it"):
        raise StackFileError(source, mistakes)
    return {key: config.require_secret(key) for secret in needed for key in keys_of(present, secret.name)}


def chap(settings: Settings, values: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[dict[str, tuple[str, str]]]:
    """By array, the CHAP secret that hosts show to it and the one that it shows to hosts."""
    names = [name for array in settings.storage for name in (f"chap-{array}", f"chap-mutual-{array}")]
    return pulumi.Output.all(**{name: values[name] for name in names}).apply(
        lambda chap: {array: (chap[f"chap-{array}"], chap[f"chap-mutual-{array}"]) for array in settings.storage}
    )


def authority_file(values: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """Write the certificate (not the key) of the site's authority where providers and browsers can read it.

    While the authority is rotated, these are two certificates.
    """
    path = Path(".perenne") / f"{pulumi.get_stack()}-ca.pem"

    def write(bundles: dict[str, str]) -> str:
        trusted = keys.authorities(bundles)
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != trusted:
            path.write_text(trusted)
        return str(path)

    known = {key: values[key] for key in keys_of(values, "tls-authority")}
    return pulumi.Output.unsecret(pulumi.Output.all(**known).apply(write))


async def settle(last: Iterable[pulumi.Resource]) -> None:
    """Wait, by `pulumi.run`, until these resources are there, or have failed, which Pulumi reports by itself.

    They are those that come last. What is outstanding when a program ends is waited for by Pulumi's SDK, which looks at
    all of it each time that one is there (3.259, `wait_for_rpcs`): that grows with the square of the resources.
    """
    await asyncio.gather(*(resource.urn.future() for resource in last), return_exceptions=True)
