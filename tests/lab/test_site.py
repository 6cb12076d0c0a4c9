"""What users get: the page, their data, their session, through the virtual address."""

import base64
import hashlib
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import docker
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from blueprint.settings import Settings
from blueprint.terms import Role
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

LAB = "perenne"


def test_page_in_a_browser_through_the_virtual_address(settings: Settings, tmp_path: Path) -> None:
    """Chromium shows the page, and accepts no other key than the one that the site has."""
    address = str(settings.site.address)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "Chromium is missing: ./perenne test installs it"
    shown = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path}", f"--host-resolver-rules=MAP {settings.site.name} {address}",
            f"--ignore-certificate-errors-spki-list={public_key_pin(address)}",
            "--dump-dom", f"https://{settings.site.name}/",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "PNP Manager" in shown.stdout
    assert 'id="main"' in shown.stdout or "<main" in shown.stdout


def public_key_pin(address: str) -> str:
    """SHA-256 of the key that the site shows, as Chromium wants it."""
    certificate = load_pem_x509_certificate(ssl.get_server_certificate((address, 443)).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def test_plain_http_is_sent_to_https(settings: Settings) -> None:
    answer = httpx.get(f"http://{settings.site.address}/pnp-manager/", timeout=10)
    assert answer.is_redirect
    assert answer.headers["Location"].startswith("https://")


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 0, httpx.codes.FORBIDDEN),
        ({"Origin": "https://elsewhere.example"}, 0, httpx.codes.FORBIDDEN),
        ({"Sec-Fetch-Site": "same-origin"}, 0, httpx.codes.UNPROCESSABLE_ENTITY),
        ({}, 11_000_000, httpx.codes.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_forms_are_taken_from_the_site_s_own_pages_and_up_to_a_size(
    site: httpx.Client, headers: dict[str, str], size: int, status: int
) -> None:
    """A form without a name is read, and refused with the field to correct."""
    assert site.post("/people/new", data={"other": "x" * size}, headers=headers).status_code == status


def test_both_nodes_serve(settings: Settings, site: httpx.Client) -> None:
    seen: set[str] = set()

    def all_seen() -> bool:
        site.cookies.clear()
        seen.add(site.get("/health").json()["node"])
        return seen == set(settings.servers_of(Role.APPLICATION))

    wait_until(all_seen, seconds=20, what="both nodes answer through the balancer")


def test_row_written_at_one_node_is_read_at_the_other(settings: Settings, node: Callable[[str], httpx.Client]) -> None:
    first, second = settings.servers_of(Role.APPLICATION)
    row = {"id": str(uuid.uuid4()), "client": "test"}
    assert node(first).post("/api/ledger", json=row).status_code == httpx.codes.CREATED
    read = node(second).get(f"/api/ledger/{row['id']}")
    assert read.status_code == httpx.codes.OK
    assert read.json()["node"] == first


@pytest.mark.destructive
def test_session_goes_on_at_the_other_node(
    site: httpx.Client, node: Callable[[str], httpx.Client], engine: docker.DockerClient
) -> None:
    """The node that holds the session is killed; the same cookie finds the same value at the other one."""
    value = str(uuid.uuid4())
    written = site.post("/api/session", json={"value": value})
    assert written.status_code == httpx.codes.OK
    holder = written.json()["node"]
    # The node answers before the session is at the other one; the next answer comes after it.
    assert site.get("/api/session").json()["node"] == holder
    guest = engine.containers.get(f"{LAB}-{holder}")
    guest.kill()

    def answered() -> httpx.Response | None:
        try:
            answer = site.get("/api/session")
        except httpx.TransportError:
            return None
        return answer if answer.status_code == httpx.codes.OK else None

    answer = wait_until(answered, seconds=20, what="the other node answers")
    assert answer is not None
    after = answer.json()
    assert after["value"] == value
    assert after["node"] != holder

    def serves_again() -> bool:
        try:
            return node(holder).get("/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_until(serves_again, seconds=120, what=f"vSphere HA brings {holder} back and it serves")
