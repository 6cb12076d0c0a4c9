"""`./perenne status`: what a user is told to do."""

import pytest

from cli import status
from cli.console import out
from stack.status import Answer, SiteStatus
from stack.workspace import Stack


def test_what_renews_a_certificate_is_said_of_each(dev: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    text = dev.file.read_text().replace("name: pnp.vmlabs.int", "name: pnp.vmlabs.int\n    certificate: given")
    dev.file.write_text(text)
    found = SiteStatus("200", None, None, None, None, [], 0, 2, None, to_renew=["tls-site", "tls-lb01"])
    status.show(found, Stack("dev"))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Certificates to renew: tls-lb01; ./perenne init dev makes new ones" in shown
    assert "Certificate to renew: tls-site; ./perenne rotate dev --only tls-site asks for the new one" in shown


@pytest.mark.parametrize(
    ("primary", "upkeep", "said"),
    [
        ("db02", [], ""),
        (None, [], "missing: the database has no primary"),
        ("db02", ["the disk of db01 is 91 % full"], "look at it: the disk of db01 is 91 % full"),
    ],
)
def test_the_exit_status_tells_a_line_of_cron(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, primary: str | None, upkeep: list[str], said: str
) -> None:
    settings = dev.settings
    answers = [Answer(name, one.role, str(one.address), one.host, True) for name, one in settings.servers.items()]
    by_name = {answer.name: answer for answer in answers}
    by_name["lb01"].addresses = [str(settings.site.address)]
    by_name["db02"].addresses = [str(settings.database.address)]
    found = SiteStatus("200", primary, "db01", "lb01", "db02", answers, 3, 2, None)
    monkeypatch.setattr(status, "ask", lambda _stack: found)
    monkeypatch.setattr(status, "needs", lambda _stack: upkeep)
    with out.capture() as capture:
        assert status.status(dev, json=False) == bool(said)
    assert said in " ".join(capture.get().split())
