"""The page about the site says what its stack file says."""

import re
from pathlib import Path

import pytest

from blueprint import loading
from blueprint.description import description
from blueprint.settings import Settings
from blueprint.terms import Certificate

REPOSITORY = Path(__file__).parents[3]
PROD = REPOSITORY / "Pulumi.prod.yaml"
PAGE = REPOSITORY / "docs" / "site" / "prod.md"


@pytest.fixture(scope="module")
def prod() -> Settings:
    return loading.settings_from_file(PROD)


def section(page: str, title: str) -> list[list[str]]:
    """The cells of every row of the tables below a heading."""
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_page_is_what_the_stack_file_says(prod: Settings) -> None:
    assert PAGE.read_text() == description(prod, "prod"), "run: ./perenne describe prod > docs/site/prod.md"


def test_who_renews_a_given_certificate_is_said(prod: Settings) -> None:
    given = prod.model_copy(update={"site": prod.site.model_copy(update={"certificate": Certificate.GIVEN})})
    told = {settings.site.certificate: description(settings, "prod") for settings in (prod, given)}
    renewal = "./perenne rotate prod --only tls-site"
    assert {whose: renewal in page for whose, page in told.items()} == {"own": False, "given": True}


def test_every_address_is_there_once(prod: Settings) -> None:
    rows = section(description(prod, "prod"), "Physical design: addresses")[2:]
    addresses = [row[0] for row in rows]
    assert len(set(addresses)) == len(addresses)
    machines = [host.address for host in prod.hosts.values()] + [server.address for server in prod.servers.values()]
    portals = [portal for array in prod.storage.values() for portal in array.portals.values()]
    adapters = [address for host in prod.hosts.values() for address in (*host.storage.values(), host.vmotion)]
    virtual = [prod.site.address, prod.database.address]
    expected = {str(one) for one in (*machines, *virtual, *portals, *adapters)}
    assert set(addresses) - expected == {str(prod.networks.guests.gateway), str(prod.vcenter.address)}
    assert expected <= set(addresses)


def test_a_path_of_storage_goes_to_one_switch_at_hosts_and_at_arrays(prod: Settings) -> None:
    rows = section(description(prod, "prod"), "Physical design: cabling")[2:]
    for path in prod.networks.storage:
        assert len({row[3] for row in rows if f"storage {path} " in row[4]}) == 1, path
    letters = {row[3] for row in rows if row[4].startswith("guests")}
    assert len(letters) == len(prod.switches.guests.uplinks)


def test_an_array_with_most_of_the_votes_is_said_to_stop_the_database(prod: Settings) -> None:
    config = loading.config_of(PROD)
    config["perenne:servers"]["wit01"]["datastore"] = "datastore01"
    on_san01 = loading.settings_from_config(config, "test")
    for settings, stopping in ((prod, []), (on_san01, ["array san01"])):
        rows = section(description(settings, "prod"), "What is lost with what")[2:]
        assert [what for what, *_, then in rows if "stops" in then] == stopping
        array_of = {lun: name for name, array in settings.storage.items() for lun in array.luns}
        for what, *_, votes, _then in rows:
            kind, name = what.split()
            where = [vote.host if kind == "host" else array_of.get(vote.datastore) for vote in settings.quorum.values()]
            assert votes == f"{len(where) - where.count(name)} of {len(where)}"


def test_a_vote_on_a_hosts_own_disk_is_said_to_wait_for_it(prod: Settings) -> None:
    rows = section(description(prod, "prod"), "What is lost with what")[2:]
    assert [what for what, _servers, they, *_ in rows if "wit01 when psexi03 is back" in they] == ["host psexi03"]
