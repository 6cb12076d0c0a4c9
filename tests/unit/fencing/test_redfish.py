"""The agent's questions to a BMC, against one in memory."""

from collections.abc import Iterator
from typing import Any

import pytest

from components.guest.fencing.agent import redfish
from components.guest.fencing.agent.redfish import Access, Bmc, BmcError, same_machine
from tests.unit.fencing.gateway import serving

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
UUID = "4c4c4544-0038-3510-8052-b4c04f4e4b31"


class Controller:
    """A BMC that takes some questions to power off."""

    def __init__(self) -> None:
        self.state, self.slowness, self.status, self.asked = "On", 0, 200, 0

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a call."""
        self.asked += 1
        if self.status != 200:
            return self.status, {}
        if method == "POST":
            assert path == f"{SYSTEM}/Actions/ComputerSystem.Reset"
            self.state = {"ForceOff": "PoweringOff", "On": "On"}[sent["ResetType"]]
            return 204, {}
        if path == "/redfish/v1/Systems":
            return 200, {"Members": [{"@odata.id": f"{SYSTEM}/"}]}
        assert path == SYSTEM
        if self.state == "PoweringOff":
            self.slowness -= 1
            if self.slowness < 0:
                self.state = "Off"
        return 200, {"PowerState": self.state, "UUID": UUID.upper()}


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def bmc(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bmc]:
    monkeypatch.setattr(redfish, "_trust", lambda _access: None)
    monkeypatch.setattr(redfish, "_POLL_SECONDS", 0.001)
    with serving(controller.answer, monkeypatch) as port:
        yield Bmc(Access("127.0.0.1", port, "fencing", "secret", "", ""))


def test_power_state_and_uuid_are_read(bmc: Bmc, controller: Controller) -> None:
    assert bmc.state() == (False, UUID)
    controller.state = "Off"
    assert bmc.state() == (True, UUID)


def test_off_is_off_only_when_the_bmc_says_so(bmc: Bmc, controller: Controller) -> None:
    controller.slowness = 5
    bmc.power_off(10.0)
    assert controller.state == "Off"
    assert controller.slowness == -1


def test_one_that_never_goes_off_is_not_called_off(bmc: Bmc, controller: Controller) -> None:
    controller.slowness = 10**9
    with pytest.raises(BmcError, match="no effect"):
        bmc.power_off(0.05)


def test_a_host_that_is_on_is_not_switched(bmc: Bmc, controller: Controller) -> None:
    bmc.power_on(1.0)
    controller.state = "Off"
    bmc.power_on(1.0)
    assert controller.state == "On"


def test_a_refused_password_is_not_tried_again_and_again(bmc: Bmc, controller: Controller) -> None:
    controller.status = 401
    for _ in range(3):
        with pytest.raises(BmcError):
            bmc.state()
    assert controller.asked == 1


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_is_no_answer(bmc: Bmc, controller: Controller, status: int) -> None:
    controller.status = status
    with pytest.raises(BmcError):
        bmc.power_off(1.0)


def test_a_bmc_that_is_not_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redfish, "_trust", lambda _access: None)
    with pytest.raises(BmcError):
        Bmc(Access("127.0.0.1", 9, "fencing", "secret", "", "")).state()


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (UUID, True),
        (UUID.upper(), True),
        ("44454c4c-3800-1035-8052-b4c04f4e4b31", True),
        ("44454c4c-3800-1035-8052-b4c04f4e4b32", False),
        ("", False),
        ("none", False),
    ],
)
def test_machines_are_known_by_their_uuid_in_either_byte_order(other: str, *, same: bool) -> None:
    assert same_machine(UUID, other) is same
