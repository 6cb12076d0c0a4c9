"""A stack without its site: what differs from the stack file."""

import pytest

from blueprint.loading import settings_from_config
from cli import simulation
from stack.workspace import Stack


@pytest.mark.usefixtures("clone")
def test_another_vcenter_takes_the_place_of_the_sites() -> None:
    stack = Stack("prod")
    assert stack.settings.vcenter.address, "or this shows nothing"
    vcenter = settings_from_config(simulation._config(stack, "127.0.0.1:8989", {}), "test").vcenter
    assert (vcenter.server, vcenter.address) == ("127.0.0.1:8989", None)
    assert vcenter.user == stack.settings.vcenter.user
