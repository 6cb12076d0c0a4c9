"""`./perenne status`: what a user is told to do."""

import pytest

from cli import status
from stack.status import SiteStatus
from stack.workspace import Stack


def test_what_renews_a_certificate_is_said_of_each(dev: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    text = dev.file.read_text().replace("name: pnp.vmlabs.int", "name: pnp.vmlabs.int\n    certificate: given")
    dev.file.write_text(text)
    found = SiteStatus("200", None, None, None, None, [], 0, 2, None, to_renew=["tls-site", "tls-lb01"])
    status.show(found, Stack("dev"))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Certificates to renew: tls-lb01; ./perenne init dev makes new ones" in shown
    assert "Certificate to renew: tls-site; ./perenne rotate dev --only tls-site asks for the new one" in shown
