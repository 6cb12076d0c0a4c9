"""What Perenne's user may do in vCenter is asked before anything is changed, and what is missing is named."""

import http.client
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyVmomi import vim

from blueprint.keys import certificate_of
from blueprint.privileges import PRIVILEGES, PURPOSES
from blueprint.secrets import Kind, Secret
from machine.failure import Failure
from stack import keys, vcenter
from stack.vault import Vault
from stack.workspace import Stack

NO_VAULT = cast("Vault", None)


def content(*lacking: str) -> Any:  # noqa: ANN401 (stands for pyVmomi's, which has no types)
    """A vCenter whose user lacks these privileges."""

    def ask(_entities: list[Any], _session: str, wanted: list[str]) -> list[Any]:
        return [
            SimpleNamespace(
                privAvailability=[SimpleNamespace(privId=one, isGranted=one not in lacking) for one in wanted]
            )
        ]

    return SimpleNamespace(
        rootFolder="group-d1",
        sessionManager=SimpleNamespace(currentSession=SimpleNamespace(key="session")),
        authorizationManager=SimpleNamespace(HasPrivilegeOnEntities=ask),
    )


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:  # noqa: ANN401
    """Have a session give `answer`, or raise it."""

    @contextmanager
    def session(_stack: Stack, _vault: Vault) -> Iterator[Any]:
        if isinstance(answer, BaseException):
            raise answer
        yield answer

    monkeypatch.setattr(vcenter, "session", session)


def test_each_privilege_is_there_once_and_has_a_purpose() -> None:
    assert len(set(PRIVILEGES)) == len(PRIVILEGES) == len(PURPOSES)


def test_a_user_with_all_privileges_passes(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, content())
    vcenter.check_user(dev, NO_VAULT)


def test_missing_privileges_are_named_with_what_they_are_for(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, content("Host.Config.Network", "VApp.Import"))
    with pytest.raises(Failure) as caught:
        vcenter.check_user(dev, NO_VAULT)
    assert "lacks 2 privileges" in caught.value.what
    assert "Host.Config.Network: to make switches" in caught.value.why
    assert "VApp.Import: to make servers" in caught.value.why
    assert "Datacenter.Create" not in caught.value.why


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (cast("Any", vim.fault.InvalidLogin)(), "refuses administrator@vsphere.local"),
        (ConnectionRefusedError("refused"), "can't be reached"),
        (TimeoutError("timed out"), "can't be reached"),
        (http.client.RemoteDisconnected("closed"), "can't be reached"),
        (http.client.BadStatusLine("?"), "can't be reached"),
        (ssl.SSLCertVerificationError("self-signed"), "certificate of vCenter"),
    ],
)
def test_why_there_is_no_session_is_said(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, error: Exception, what: str
) -> None:
    answering(monkeypatch, error)
    with pytest.raises(Failure) as caught:
        vcenter.check_user(dev, NO_VAULT)
    assert what in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(("code", "remedy"), [(62, "Write the name"), (64, "Write the name"), (20, "Trust vCenter's")])
def test_another_name_is_told_apart_from_an_unknown_authority(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    """An address is in vCenter's certificate only where it was installed without a name."""
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = code
    answering(monkeypatch, error)
    with pytest.raises(Failure) as caught:
        vcenter.check_user(dev, NO_VAULT)
    assert caught.value.remedy.startswith(remedy)


def asked(ask: Callable[[Any], Iterator[vcenter.Found]], *answers: Any) -> tuple[list[vcenter.Found], list[Any]]:  # noqa: ANN401
    """What is found where the property collector gives these answers, and what it was asked."""
    questions: list[Any] = []

    def retrieve(question: list[Any]) -> list[Any]:
        questions.extend(question)
        return list(answers)

    types: Any = vim.view
    view = types.ContainerView("view-1", None)
    made = SimpleNamespace(CreateContainerView=lambda *_: view)
    collector = SimpleNamespace(RetrieveContents=retrieve)
    found = ask(SimpleNamespace(rootFolder="group-d1", viewManager=made, propertyCollector=collector))
    return list(found), questions


def answer(thing: str, **told: object) -> Any:  # noqa: ANN401
    return SimpleNamespace(obj=thing, propSet=[SimpleNamespace(name=name, val=value) for name, value in told.items()])


@pytest.mark.parametrize("ask", ["these", "all"])
def test_properties_of_many_objects_are_asked_for_at_once(ask: str) -> None:
    """Just those that are named: pyVmomi refuses more of what the lab's simulator tells."""
    kind, paths = cast("Any", vim.VirtualMachine), ["name", "value"]
    things = [kind("vm-1", None), kind("vm-2", None)]

    def question(content: Any) -> Iterator[vcenter.Found]:  # noqa: ANN401
        if ask == "these":
            return vcenter.properties(content, kind, things, paths)
        return vcenter.properties_of_all(content, content.rootFolder, kind, paths)

    found, (asked_for,) = asked(question, answer("vm-1", name="db01", value=1), answer("vm-2", name="db02"))
    assert found == [("vm-1", {"name": "db01", "value": 1}), ("vm-2", {"name": "db02"})]
    assert [(one.type, one.pathSet) for one in asked_for.propSet] == [(kind, paths)]
    assert len(asked_for.objectSet) == (2 if ask == "these" else 1)


def test_of_no_objects_nothing_is_asked() -> None:
    assert asked(lambda content: vcenter.properties(content, vim.Task, [], ["info.state"])) == ([], [])


def test_one_that_has_not_started_yet_is_told_so(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, starting: tuple[str, ssl.SSLContext]
) -> None:
    """Its proxy answers 503 for minutes; pyVmomi raises a plain Exception then."""
    server, trusted = starting
    monkeypatch.setattr(vcenter, "trust", lambda _stack: trusted)
    with_it = SimpleNamespace(vcenter=SimpleNamespace(server=server, user="somebody"))
    monkeypatch.setattr(Stack, "settings", with_it)
    with pytest.raises(Failure, match="it answers 503") as caught, vcenter.reached(dev, NO_VAULT, "it"):
        pytest.fail("there is no session")
    assert caught.value.what == f"vCenter {server.partition(':')[0]} does not serve"


@pytest.fixture
def starting() -> Iterator[tuple[str, ssl.SSLContext]]:
    """A vCenter whose services have not started: its address, and who trusts it."""
    authority = keys.make(Secret("", Kind.CERTIFICATE_AUTHORITY, ""))
    shown = keys.make(Secret("", Kind.CERTIFICATE, "", names=("127.0.0.1",)), authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    keys.present(context, shown)

    class Starting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Starting) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", ssl.create_default_context(cadata=certificate_of(authority))
        server.shutdown()
