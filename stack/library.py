"""vCenter's content libraries by name, through the REST calls that the provider makes; pyVmomi doesn't know them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from machine.failure import Failure
from stack.vault import Vault
from stack.vcenter import trust
from stack.workspace import Stack

_SECONDS = 30.0
_SESSION = "/com/vmware/cis/session"
_LIBRARY = "/com/vmware/content/library"
_ITEM = f"{_LIBRARY}/item"


class Library:
    """A session at the REST interface."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def libraries(self, name: str) -> list[str]:
        """Ids of the libraries of that name; names need not be unique."""
        return self._find(_LIBRARY, {"name": name})

    def items(self, library: str, name: str) -> list[str]:
        """Ids of the items of that name in a library."""
        return self._find(_ITEM, {"library_id": library, "name": name})

    def remove_item(self, item: str) -> None:
        """Delete an item with its files; what is left of an upload ends with it."""
        self._client.delete(f"{_ITEM}/id:{item}").raise_for_status()

    def _find(self, path: str, spec: dict[str, str]) -> list[str]:
        answer = self._client.post(path, params={"~action": "find"}, json={"spec": spec})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []  # the library that an item would be in is gone
        answer.raise_for_status()
        return list(answer.json()["value"] or [])


@contextmanager
def opened(stack: Stack, vault: Vault) -> Iterator[Library]:
    """Log in, and log out.

    Raises:
        Failure: vCenter can't be reached, or refuses something.
    """
    vcenter = stack.settings.vcenter
    try:
        with httpx.Client(
            base_url=f"https://{vcenter.server}/rest",
            verify=trust(stack),
            timeout=_SECONDS,
            trust_env=not stack.is_lab,  # a proxy has no way into a lab
        ) as client:
            session = client.post(_SESSION, auth=(vcenter.user, vault.values["vcenter-password"])).raise_for_status()
            client.headers["vmware-api-session-id"] = _value(session)
            try:
                yield Library(client)
            finally:
                client.delete(_SESSION)
    except httpx.HTTPError as error:
        remedy = "Look whether vCenter's Content Library Service runs (vCenter Server Management, Services)."
        raise Failure(f"vCenter {vcenter.server} can't be asked for its libraries", str(error), remedy) from error


def _value(answer: httpx.Response) -> Any:  # noqa: ANN401 (as vCenter has it)
    return answer.json()["value"]
