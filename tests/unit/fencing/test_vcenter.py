"""What the agent makes of vCenter's answers."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from components.guest.fencing.agent import vcenter
from components.guest.fencing.agent.vcenter import Access, Placement, VCenter, VCenterError

_FAULT: Any = vim.fault.InvalidPowerState
REFUSED = _FAULT(msg="no")
UUID = "4c4c4544-0038-3510-8052-b4c04f4e4b31"


class Machine:
    """A VM whose power tasks do what the test wants."""

    def __init__(self, site: "Inventory") -> None:
        self._site = site

    def PowerOffVM_Task(self) -> str:  # noqa: N802 (pyVmomi's name)
        """Begin a task."""
        self._site.begun.append("off")
        return "task"

    def PowerOnVM_Task(self, _host: None) -> str:  # noqa: N802 (pyVmomi's name)
        """Begin a task."""
        self._site.begun.append("on")
        return "task"


class Inventory(VCenter):
    """A session whose properties the test has in hand."""

    def __init__(self) -> None:
        super().__init__(Access("198.18.10.10", 443, "fencing", "", ""))
        self._service = object()
        self.machine = {
            "runtime.connectionState": "connected",
            "runtime.powerState": "poweredOn",
            "runtime.host": "host",
        }
        self.host = {
            "runtime.connectionState": "connected",
            "name": "psexi04.vmlabs.int",
            "summary.hardware.uuid": UUID,
        }
        self.task: list[dict[str, Any]] = [{"info.state": "running"}, {"info.state": "success"}]
        self.goes_off_after = 0
        self.begun: list[str] = []

    def _vm(self, server: str) -> Any:  # noqa: ANN401
        assert server == "db01"
        return Machine(self)

    def _read(self, thing: Any, *paths: str) -> dict[str, Any]:  # noqa: ANN401
        if isinstance(thing, Machine):
            if self.begun and not self.task[1:]:
                self.goes_off_after -= 1
                if self.goes_off_after < 0:
                    self.machine["runtime.powerState"] = "poweredOff" if self.begun[-1] == "off" else "poweredOn"
            return {path: self.machine[path] for path in paths}
        if thing == "task":
            return self.task.pop(0) if self.task[1:] else self.task[0]
        return {path: self.host[path] for path in paths if path in self.host}


@pytest.fixture
def site() -> Inventory:
    return Inventory()


def test_a_server_is_where_its_host_is(site: Inventory) -> None:
    assert site.placement("db01") == Placement("psexi04.vmlabs.int", UUID, is_off=False)


@pytest.mark.parametrize("part", ["machine", "host"])
@pytest.mark.parametrize("state", ["disconnected", "notResponding"])
def test_what_vcenter_can_t_see_now_it_does_not_tell(site: Inventory, part: str, state: str) -> None:
    site.machine["runtime.powerState"] = "poweredOff"
    getattr(site, part)["runtime.connectionState"] = state
    with pytest.raises(VCenterError, match="not connected"):
        site.placement("db01")


def test_a_host_without_uuid_has_none(site: Inventory) -> None:
    del site.host["summary.hardware.uuid"]
    assert site.placement("db01").host_uuid == ""


def test_off_is_off_when_the_task_has_ended_and_the_server_is_shown_off(site: Inventory) -> None:
    site.goes_off_after = 3
    site.power_off("db01", 5.0)
    assert site.begun == ["off"]
    assert site.goes_off_after < 0


def test_a_task_that_fails_is_told(site: Inventory) -> None:
    site.task = [{"info.state": "error", "info.error": REFUSED}]
    with pytest.raises(VCenterError, match="no"):
        site.power_off("db01", 5.0)


@pytest.mark.parametrize("task", [[{"info.state": "running"}], [{"info.state": "success"}]], ids=["task", "server"])
def test_what_takes_too_long_is_not_certain(site: Inventory, task: list[dict[str, Any]]) -> None:
    site.task, site.goes_off_after = task, 10**9
    began = time.monotonic()
    with pytest.raises(VCenterError):
        site.power_off("db01", 0.2)
    assert time.monotonic() - began < 3.0


def test_a_server_that_is_off_or_on_already_is_left_alone(site: Inventory) -> None:
    site.power_on("db01", 1.0)
    site.machine["runtime.powerState"] = "poweredOff"
    site.power_off("db01", 1.0)
    assert site.begun == []


def test_answers_that_can_t_be_read_end_the_session(site: Inventory) -> None:
    del site.machine["runtime.host"]
    with pytest.raises(VCenterError):
        site.placement("db01")
    assert site._service is None


def answering(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Have vCenter answer the first question with a status."""
    connection = SimpleNamespace(
        request=lambda *_: None, getresponse=lambda: SimpleNamespace(status=status), close=lambda: None
    )
    monkeypatch.setattr("ssl.create_default_context", lambda **_: None)
    monkeypatch.setattr(vcenter, "HTTPSConnection", lambda *_, **__: connection)


def test_a_vcenter_that_starts_is_none_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyVmomi would raise a plain Exception, and end the agent."""
    answering(monkeypatch, 503)
    session = VCenter(Access("198.18.10.10", 443, "fencing", "", ""))
    with pytest.raises(VCenterError, match="503"):
        session.placement("db01")


def test_one_call_waits_for_the_other(site: Inventory) -> None:
    """A look and a power-off at the same time would find the session half made by each other."""
    began, goes_on = threading.Event(), threading.Event()
    looked = site._read

    def slow(thing: Any, *paths: str) -> dict[str, Any]:  # noqa: ANN401
        began.set()
        assert goes_on.wait(5)
        return looked(thing, *paths)

    site._read = slow  # type: ignore[method-assign]
    look = threading.Thread(target=site.placement, args=("db01",))
    look.start()
    assert began.wait(5)
    off = threading.Thread(target=site.power_off, args=("db01", 5.0))
    off.start()
    off.join(0.1)
    assert site.begun == []
    goes_on.set()
    off.join(5)
    assert site.begun == ["off"]
    look.join(5)


def test_a_refused_login_is_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def refuse(**login: Any) -> None:  # noqa: ANN401
        tries.append(login["user"])
        raise vim.fault.InvalidLogin

    monkeypatch.setattr(vcenter, "SmartConnect", refuse)
    answering(monkeypatch, 200)
    session = VCenter(Access("198.18.10.10", 443, "fencing", "", ""))
    for _ in range(3):
        with pytest.raises(VCenterError, match="refuse"):
            session.placement("db01")
    assert tries == ["fencing"]
