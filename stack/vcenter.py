"""A session at a stack's vCenter through VMware's own library: what is asked in it, and what Perenne's user may do."""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

from blueprint.privileges import PRIVILEGES, PURPOSES
from machine.failure import Failure
from stack.vault import Vault
from stack.workspace import LAB, Stack

ANSWER_SECONDS = 30.0
"""How long vCenter may take for an answer: one that is busy takes seconds."""
TASK_SECONDS = 120.0
_POLL_SECONDS = 0.2
_OTHER_NAMES = {62, 64}
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (OpenSSL, x509_vfy.h)."""

Found = tuple[Any, dict[str, Any]]
"""An object, and what it has of the properties that were asked for, by their paths: `runtime.powerState`."""


@contextmanager
def session(stack: Stack, vault: Vault) -> Iterator[Any]:
    """Log in, give vCenter's service content, log out. pyVmomi has no types."""
    vcenter = stack.settings.vcenter
    server, _, given = vcenter.server.partition(":")
    port, context = int(given or 443), trust(stack)
    _check_serves(server, port, context)
    service = SmartConnect(  # type: ignore[no-untyped-call]
        host=server,
        port=port,
        user=vcenter.user,
        pwd=vault.values["vcenter-password"],
        sslContext=context,
        httpConnectionTimeout=ANSWER_SECONDS,
    )
    try:
        yield service.RetrieveContent()
    finally:
        Disconnect(service)  # type: ignore[no-untyped-call]


def _check_serves(server: str, port: int, context: ssl.SSLContext) -> None:
    """Ask what pyVmomi asks first: it would wait for ever, and raise a plain Exception while vCenter starts."""
    connection = HTTPSConnection(server, port, timeout=ANSWER_SECONDS, context=context)
    try:
        connection.request("GET", "/sdk/vimServiceVersions.xml")
        answer = connection.getresponse()
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        why = f"it answers {answer.status} ({answer.reason}): it has not started yet, or is no vCenter"
        raise Failure(f"vCenter {server} does not serve", why, f"See whether https://{server}/ui does, then try again.")


def trust(stack: Stack) -> ssl.SSLContext:
    """Whose certificates are believed: a lab's own authority, or whom this machine believes."""
    return ssl.create_default_context(cafile=LAB / "ca-bundle.crt" if stack.is_lab else None)


@contextmanager
def reached(stack: Stack, vault: Vault, what: str) -> Iterator[Any]:
    """The same session; whatever stands in its way is told to the user.

    Args:
        stack: Whose vCenter.
        vault: Has the password.
        what: What can't be done if vCenter refuses something.

    Raises:
        Failure: vCenter can't be reached, its certificate or the password is refused, or it refuses something.
    """
    vcenter = stack.settings.vcenter
    try:
        with session(stack, vault) as content:
            yield content
    except ssl.SSLCertVerificationError as error:
        if getattr(error, "verify_code", None) in _OTHER_NAMES:
            remedy = f"Write the name that it is made out to under perenne:vcenter.server in {stack.file.name}."
        else:
            remedy = f"Trust vCenter's authority on this machine; it is in https://{vcenter.server}/certs/download.zip."
        raise Failure(f"the certificate of vCenter {vcenter.server} is refused", str(error), remedy) from error
    except vim.fault.InvalidLogin as error:
        remedy = (
            f"Check perenne:vcenter.user in {stack.file.name}; the password is the secret vcenter-password: "
            f"{stack.command('rotate', '--only', 'vcenter-password')} asks for another one, or, before the first "
            f"deployment, {stack.command('init')} once perenne:vcenter-password is taken out of the file."
        )
        raise Failure(
            f"vCenter {vcenter.server} refuses {vcenter.user}", "user or password is wrong", remedy
        ) from error
    except (OSError, HTTPException) as error:
        remedy = f"Check perenne:vcenter.server in {stack.file.name}, and the way there (VPN, firewall)."
        why = str(error) or type(error).__name__
        raise Failure(f"vCenter {vcenter.server} can't be reached", why, remedy) from error
    except vmodl.MethodFault as error:
        why = f"vCenter says: {getattr(error, 'msg', '') or type(error).__name__}"
        raise Failure(what, why, "Look at vCenter's events and recent tasks.") from error


def properties(content: Any, kind: type, things: Sequence[Any], paths: Sequence[str]) -> Iterator[Found]:  # noqa: ANN401
    """Each of these things with its properties, those that it has, by one question."""
    if things:
        types: Any = vmodl.query.PropertyCollector
        yield from _collected(content, kind, [types.ObjectSpec(obj=thing) for thing in things], paths)


def properties_of_all(content: Any, within: Any, kind: type, paths: Sequence[str]) -> Iterator[Found]:  # noqa: ANN401
    """Every object of a kind `within` a folder or a datacenter, with its properties, likewise."""
    types: Any = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(within, [kind], True)
    through = types.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
    return _collected(content, kind, [types.ObjectSpec(obj=view, skip=True, selectSet=[through])], paths)


def _collected(content: Any, kind: type, objects: list[Any], paths: Sequence[str]) -> Iterator[Found]:  # noqa: ANN401
    types: Any = vmodl.query.PropertyCollector
    wanted = types.PropertySpec(type=kind, pathSet=list(paths))
    for one in content.propertyCollector.RetrieveContents([types.FilterSpec(objectSet=objects, propSet=[wanted])]):
        yield one.obj, {found.name: found.val for found in one.propSet}


def moid(thing: Any) -> str:  # noqa: ANN401
    """A thing's managed object id: `host-21`."""
    return str(thing._moId)  # noqa: SLF001 (pyVmomi has no other way)


def await_task(task: Any, what: str, seconds: float = TASK_SECONDS) -> None:  # noqa: ANN401
    """Wait until a task of vCenter's has succeeded; `what` says what can't be done if it does not in time.

    Raises:
        Failure: It did not end within so many seconds.
        vmodl.MethodFault: It failed; the fault says why.
    """
    deadline = time.monotonic() + seconds
    while (info := task.info).state not in {vim.TaskInfo.State.success, vim.TaskInfo.State.error}:
        if time.monotonic() > deadline:
            raise Failure(what, f"vCenter's task did not end within {seconds:g} s", "Look at it in vCenter.")
        time.sleep(_POLL_SECONDS)
    if info.state == vim.TaskInfo.State.error:
        raise info.error


def check_user(stack: Stack, vault: Vault) -> None:
    """Log in as Perenne's user, and ask vCenter for every privilege that a deployment needs.

    Raises:
        Failure: vCenter can't be reached, its certificate or the password is refused, or a privilege is missing.
    """
    with reached(stack, vault, "Perenne's privileges can't be asked for") as content:
        missing = missing_privileges(content)
    if missing:
        lines = "\n".join(f"{privilege}: to {PURPOSES[privilege]}" for privilege in missing)
        remedy = "Add them to the user's role, given as a global permission that propagates (docs/real-vcenter.md)."
        number = f"{len(missing)} privilege{'s' if len(missing) > 1 else ''}"
        raise Failure(f"{stack.settings.vcenter.user} lacks {number} in vCenter", lines, remedy)


def missing_privileges(content: Any) -> list[str]:  # noqa: ANN401
    """Which of the privileges that Perenne needs the session's user lacks on vCenter's root."""
    key = content.sessionManager.currentSession.key
    (answer,) = content.authorizationManager.HasPrivilegeOnEntities([content.rootFolder], key, list(PRIVILEGES))
    return [one.privId for one in answer.privAvailability if not one.isGranted]
