"""`./perenne rotate`: interrupted anywhere it goes on, and it deploys what each step needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from blueprint import rotation
from blueprint.rotation import Change
from blueprint.secrets import SITE_AUTHORITIES, Stage, secrets_of
from cli import rotate
from cli.initialise import initialise
from machine.failure import Failure
from stack import hostkeys, keys, vault
from stack.checks import Check
from stack.vault import Vault
from stack.workspace import Stack
from tests.unit.company import KEY, Company, certificate, key

COMPANY = Company()
Killed = KeyboardInterrupt


class Site:
    """A pretended site: what each deployment and each server was given, and where a kill strikes."""

    def __init__(self) -> None:
        self.deployed: list[dict[str, str]] = []
        self.equipped: list[dict[str, str]] = []
        self.kill_at = -1
        self.moment = 0

    def strike(self) -> None:
        """A moment at which this process may be killed."""
        self.moment += 1
        if self.moment == self.kill_at:
            raise Killed

    def deploy(self, engine: SimpleNamespace, _display: object) -> None:
        """Take what the stack file says."""
        self.strike()
        self.deployed.append(Vault.open(engine.stack).values)
        self.strike()

    def equip(self, opened: Vault) -> None:
        """Give the arrays their secrets."""
        self.equipped.append(opened.values)

    def change_host_keys(self, opened: Vault, _progress: object) -> None:
        """Show new host keys, one server after the other."""
        begun = rotation.names_in(opened.values, Stage.NEXT)
        for name in [one for one in begun if one.startswith("ssh-host-key-")]:
            self.strike()
            settings = opened.stack.settings
            opened.keep(rotation.use(settings, secrets_of(settings), opened.values, [name]))


@pytest.fixture
def site(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The lab's stack with all its secrets, and a site that does as it is told."""
    initialise(dev, None, {})
    pretended = Site()
    monkeypatch.setattr(
        rotate, "_ready", lambda stack, _display: (SimpleNamespace(stack=Stack(stack.name)), pretended.equip)
    )
    monkeypatch.setattr(rotate, "check_site", lambda _stack: [Check("the page answers", "200")])
    monkeypatch.setattr(rotate, "deploy", pretended.deploy)
    monkeypatch.setattr(hostkeys, "change", pretended.change_host_keys)
    return pretended


def run(*only: str, answer: bool = False) -> int:
    return rotate.rotate(Stack("dev"), only, yes=False, prompt=None, confirm=lambda _question: answer)


def values() -> dict[str, str]:
    return Vault.open(Stack("dev")).values


def test_all_at_once_takes_three_deployments(site: Site) -> None:
    before = values()
    assert run() == 0
    assert [rotation.step_of(deployed) for deployed in site.deployed] == list(rotation.Step)
    after = values()
    assert rotation.step_of(after) is None
    assert after["ssh-key"] != before["ssh-key"]
    assert after["jgroups-key"] == before["jgroups-key"]
    assert Stack("dev").settings.logins == {"pnp-manager": "pnp-manager_b"}


def test_killed_at_any_moment_it_goes_on_to_the_same_end(site: Site) -> None:
    """Every new value that was made is the one that is used in the end: none is made twice."""
    moments = 0
    for moment in range(1, 100):
        before = values()
        site.deployed.clear()
        site.moment, site.kill_at = 0, moment
        try:
            run("tls-authority", "ssh-key", "ssh-host-key-lb01", "database-pnp-manager-password")
        except Killed:
            moments += 1
            begun = {**values(), **{name.removeprefix("next-"): value for name, value in values().items()}}
            site.kill_at = -1
            run("tls-authority", "ssh-key", "ssh-host-key-lb01", "database-pnp-manager-password")
            after = values()
            assert rotation.step_of(after) is None
            assert after["ssh-key"] == begun["ssh-key"] != before["ssh-key"]
            assert after["tls-authority"] == begun["tls-authority"] != before["tls-authority"]
            assert after["ssh-host-key-lb01"] != before["ssh-host-key-lb01"]
            assert all(deployed["tls-authority"] for deployed in site.deployed)
        else:
            break
    assert moments == 7  # before and after each of three deployments, and the host key


def test_what_was_begun_is_finished_first_and_then_the_rest_is_done(site: Site) -> None:
    site.kill_at = 1
    with pytest.raises(Killed):
        run("tls-site", "ssh-key")
    began = values()
    site.kill_at = -1
    run("patroni-api-password")
    after = values()
    assert after["ssh-key"] == began["next-ssh-key"]
    assert after["patroni-api-password"] != began["patroni-api-password"]
    assert after["database-rewind-password"] == began["database-rewind-password"]


def test_a_certificate_alone_takes_one_deployment(site: Site) -> None:
    run("tls-app01")
    assert len(site.deployed) == 1


def test_a_site_that_is_not_whole_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "_WHOLE_SECONDS", 0.0)
    monkeypatch.setattr(rotate, "_PAUSE_SECONDS", 0.0)
    lacking = Check("every server serves", "", ("app02 does not serve",))
    monkeypatch.setattr(rotate, "check_site", lambda _stack: [lacking])
    with pytest.raises(Failure, match="app02 does not serve"):
        run("tls-app01")
    assert not site.deployed


def test_the_lab_s_array_is_given_a_new_secret_before_hosts_use_it(site: Site) -> None:
    before = values()
    run("chap-san01", "chap-mutual-san01")
    (equipped,), (deployed,) = site.equipped, site.deployed
    assert equipped["chap-san01"] == deployed["chap-san01"] == values()["chap-san01"] != before["chap-san01"]


@pytest.mark.parametrize("name", ["vcenter-password", "esxi-password"])
@pytest.mark.usefixtures("site")
def test_the_lab_s_equipment_keeps_its_secrets(name: str) -> None:
    with pytest.raises(Failure, match=name):
        run(name)


@pytest.mark.usefixtures("site")
def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(Failure, match="tls-lb09"):
        run("tls-lb09")


@pytest.mark.usefixtures("site")
def test_what_costs_sessions_is_asked_about_even_in_the_lab() -> None:
    before = values()
    assert run("jgroups-key", answer=False) == 1
    assert values() == before
    assert run("jgroups-key", answer=True) == 0
    assert values()["jgroups-key"] != before["jgroups-key"]


@pytest.mark.usefixtures("site")
def test_a_password_that_vcenter_refuses_is_not_kept(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every later rotation would go on with it, and ask nobody."""
    asked: list[str] = []

    @contextmanager
    def refuse(_stack: Stack, opened: Vault, _what: str) -> Iterator[None]:
        asked.append(opened.values["vcenter-password"])
        raise Failure("vCenter refuses it", "", "")
        yield

    monkeypatch.setattr(Stack, "is_lab", False)
    monkeypatch.setattr("stack.vcenter.reached", refuse)
    before = values()
    with pytest.raises(Failure, match="vCenter refuses it"):
        rotate.rotate(dev, ["vcenter-password"], yes=True, prompt=lambda _: "a typo", confirm=lambda _: True)
    assert asked == ["a typo"]
    assert values() == before


def test_down_takes_out_what_a_rotation_wrote(site: Site, dev: Stack) -> None:
    site.kill_at = 3
    with pytest.raises(Killed):
        run("ssh-key", "database-pnp-manager-password")
    assert "previous-ssh-key" in dev.file.read_text()
    vault.discard(Stack("dev"))
    assert "secure:" not in dev.file.read_text()
    assert "logins" not in dev.file.read_text()


def test_an_authority_that_ends_soon_is_left_to_rotate(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(keys, "AUTHORITY_VALIDITY", keys.RENEWAL - timedelta(minutes=1))
        initialise(dev, None, {})
    assert initialise(Stack("dev"), None, {}).made == []
    opened = Vault.open(Stack("dev"))
    assert keys.certificates_to_renew(opened.stack.settings, opened.values) == ["tls-authority"]


def test_a_real_site_waits_until_users_trust_the_new_authority(
    site: Site, dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "is_lab", False)
    answers = iter([True, False])
    with pytest.raises(Failure, match="waits"):
        rotate.rotate(dev, ["tls-authority"], yes=False, prompt=None, confirm=lambda _question: next(answers))
    assert [rotation.step_of(deployed) for deployed in site.deployed] == [rotation.Step.ACCEPT]
    assert "next-tls-authority" in values()


@pytest.fixture
def given_site(dev: Stack, site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The same with a certificate that the company gave."""
    text = dev.file.read_text().replace("name: pnp.vmlabs.int", "name: pnp.vmlabs.int\n    certificate: given")
    dev.file.write_text(text)
    opened = Vault.open(Stack("dev"))
    opened.keep(Change({"tls-site": COMPANY.site(), SITE_AUTHORITIES: COMPANY.root}))
    monkeypatch.setattr(Stack, "is_lab", False)
    return site


def ask_for(only: list[str], answers: dict[str, str]) -> None:
    """Rotate what belongs to the company, and answer by the first words of the question."""

    def answer(question: str) -> str:
        return next(answers[begins] for begins in answers if question.startswith(f"file (PEM) with the {begins}"))

    rotate.rotate(Stack("dev"), only, yes=True, prompt=answer, confirm=lambda _question: False)


def test_a_given_certificate_is_asked_for_and_takes_one_deployment(given_site: Site, tmp_path: Path) -> None:
    file = tmp_path / "site.pem"
    file.write_text(COMPANY.site("*.vmlabs.int"))
    ask_for(["tls-site"], {"private key": str(file)})
    assert [deployed["tls-site"] for deployed in given_site.deployed] == [file.read_text()]
    assert values()["tls-site"] == file.read_text()
    assert rotation.step_of(values()) is None


def test_one_of_another_authority_comes_with_that(given_site: Site, tmp_path: Path) -> None:
    (tmp_path / "site.pem").write_text(key() + certificate("Site", "Other", "pnp.vmlabs.int", of=KEY))
    (tmp_path / "root.pem").write_text(certificate("Other", "Other"))
    answers = {"private key": str(tmp_path / "site.pem"), "certificates of": str(tmp_path / "root.pem")}
    before = values()
    with pytest.raises(Failure, match="would refuse the certificate of pnp"):
        ask_for(["tls-site"], answers)
    assert (values(), given_site.deployed) == (before, [])
    ask_for(["tls-site", SITE_AUTHORITIES], answers)
    assert [rotation.step_of(deployed) for deployed in given_site.deployed] == list(rotation.Step)
    assert values()[SITE_AUTHORITIES] == (tmp_path / "root.pem").read_text()


def test_users_who_never_see_the_stack_s_authority_are_not_waited_for(given_site: Site) -> None:
    before = values()
    rotate.rotate(
        Stack("dev"), ["tls-authority"], yes=False, prompt=None, confirm=lambda question: "Rotate" in question
    )
    assert [rotation.step_of(deployed) for deployed in given_site.deployed] == list(rotation.Step)
    assert values()["tls-authority"] != before["tls-authority"]
    assert values()["tls-site"] == before["tls-site"]


@pytest.mark.usefixtures("site")
def test_every_secret_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rotate.show(Stack("dev")) == 0
    shown = capsys.readouterr().out
    assert all(secret.name[:12] in shown for secret in secrets_of(Stack("dev").settings))
    assert not [value for value in values().values() if value in shown]
