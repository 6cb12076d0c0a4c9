"""What tests on the running lab share: its settings, its certificate authority, and a way to wait for a condition."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import httpx
import pytest

from blueprint import loading
from blueprint.settings import Settings

PROJECT = Path(__file__).parents[2]
LAB = "perenne"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what breaks the lab after everything that only looks at it."""
    items.sort(key=lambda item: item.get_closest_marker("destructive") is not None)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The stack that the lab runs."""
    return loading.settings_from_file(PROJECT / "Pulumi.dev.yaml")


@pytest.fixture(scope="session")
def authority() -> Path:
    """The certificate of the site's own authority."""
    return PROJECT / ".perenne" / "dev-ca.pem"


@pytest.fixture(scope="session")
def tls(authority: Path) -> ssl.SSLContext:
    """Trusts the site's own authority and nobody else."""
    return ssl.create_default_context(cafile=authority)


@pytest.fixture
def site(settings: Settings, tls: ssl.SSLContext) -> Iterator[httpx.Client]:
    """A user's browser, as far as cookies go, at the site's virtual address."""
    with httpx.Client(base_url=f"https://{settings.site.address}/pnp-manager", verify=tls, timeout=10) as client:
        yield client


@pytest.fixture
def node(settings: Settings, tls: ssl.SSLContext) -> Iterator[Callable[[str], httpx.Client]]:
    """Clients that talk to one application server, past the balancers."""
    clients: list[httpx.Client] = []

    def client(name: str) -> httpx.Client:
        address = settings.servers[name].address
        clients.append(httpx.Client(base_url=f"https://{address}:8443/pnp-manager", verify=tls, timeout=10))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The machine's Docker engine."""
    client = docker.from_env()
    yield client
    client.close()
