"""What is read from the ways in which programs put files on VMs."""

import base64
import gzip
from pathlib import Path

import pulumi
import pytest

from policies.judging.resource import UNKNOWN, UndecidedError
from policies.judging.stack import Stack
from policies.reading import guests, scripts
from tests.unit.policies.servers import command, encoded, files_of, server
from tests.unit.policies.stacks import made, vsphere

CLOUD_CONFIG = "#cloud-config\nwrite_files:\n- {path: /etc/a.conf, content: text}\n"
MULTIPART = (
    'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/cloud-config\n\n'
    f"{CLOUD_CONFIG}\n--b--\n"
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CLOUD_CONFIG, None),
        (encoded(CLOUD_CONFIG), "base64"),
        (encoded(CLOUD_CONFIG)[:40] + "\n" + encoded(CLOUD_CONFIG)[40:], "b64"),
        (base64.b64encode(gzip.compress(CLOUD_CONFIG.encode())).decode(), "gzip+base64"),
        (f"## template: jinja\n{CLOUD_CONFIG}", None),
        ("#cloud-config\nwrite_files:\n- {path: /etc/a.conf, encoding: b64, content: dGV4dA==}\n", None),
        ("#cloud-config\nwrite_files:\n- {path: /etc/a.conf, content: !!binary dGV4dA==}\n", None),
        ("#cloud-config\nruncmd:\n- |\n  cat > /etc/a.conf <<EOF\n  text\n  EOF\n", None),
        ("#!/bin/sh\ncat > /etc/a.conf <<'EOF'\ntext\nEOF\n", None),
        (MULTIPART, None),
    ],
)
def test_cloud_init(text: str, encoding: str | None) -> None:
    settings = {"guestinfo.userdata": text} | ({"guestinfo.userdata.encoding": encoding} if encoding else {})
    found = files_of(server("web01", extraConfig=settings))
    assert {path: content.strip() for path, content in found.contents.items()} == {"/etc/a.conf": "text"}
    assert not found.unreadable


def test_user_data_of_a_vapp() -> None:
    machine = vsphere("VirtualMachine", "web01", vapp={"properties": {"user-data": encoded(CLOUD_CONFIG)}})
    assert files_of(machine).contents == {"/etc/a.conf": "text"}


@pytest.mark.parametrize(
    "settings",
    [
        {"guestinfo.userdata": "hunter2!", "guestinfo.userdata.encoding": "base64"},
        {"guestinfo.userdata": encoded("hunter2"), "guestinfo.userdata.encoding": "gzip+base64"},
        {"guestinfo.userdata": base64.b64encode(b"hunter2\xff").decode(), "guestinfo.userdata.encoding": "base64"},
        {"guestinfo.userdata": "#cloud-config\npassword: [hunter2"},
        {"guestinfo.userdata": "#cloud-config\n- hunter2"},
        {"guestinfo.userdata": "#cloud-config\nwrite_files: [{path: /a, encoding: gz, content: hunter2}]"},
    ],
)
def test_what_cannot_be_read_is_said_without_its_content(settings: dict[str, str]) -> None:
    found = files_of(server("web01", extraConfig=settings))
    assert len(found.unreadable) == 1
    assert "hunter2" not in found.unreadable[0]


@pytest.mark.parametrize(
    "text", ["#cloud-config\n", "#cloud-config\nwrite_files: nothing", "#cloud-config\nwrite_files: [{content: x}, 3]"]
)
def test_odd_user_data_holds_no_files(text: str) -> None:
    found = files_of(server("web01", extraConfig={"guestinfo.userdata": text}))
    assert not found.contents
    assert not found.unreadable


@pytest.mark.parametrize(
    "script",
    [
        "cat > /etc/a.conf <<EOF\ntext\nEOF",
        "cat >/etc/a.conf << 'EOF'\ntext\nEOF\nsystemctl restart a",
        'cat <<"EOF" >"/etc/a.conf"\ntext\nEOF',
        "cat <<-EOF | sudo tee /etc/a.conf > /dev/null\n\ttext\n\tEOF",
        "sudo tee /etc/a.conf >/dev/null <<EOF\ntext\nEOF",
        "WORD=text\ncat > /etc/a.conf <<EOF\n$WORD\nEOF",
        "cat > /etc/a.conf <<EOF\nEOF\ncat >> /etc/a.conf <<EOF\ntext\nEOF",
        "install -m 600 /dev/stdin /etc/a.conf <<EOF\ntext\nEOF",
    ],
)
def test_here_documents(script: str) -> None:
    assert {path: text.strip() for path, text in scripts.files(script).items()} == {"/etc/a.conf": "text"}


def test_a_quoted_here_document_keeps_its_variables() -> None:
    assert scripts.files("WORD=x\ncat > /a <<'EOF'\n$WORD\nEOF") == {"/a": "$WORD\n"}


def test_a_here_document_ends_at_its_word_alone() -> None:
    assert scripts.files("cat > /a <<EOF\nEOF is not here\nEOF\n") == {"/a": "EOF is not here\n"}


def test_many_open_here_documents_are_read_in_linear_time() -> None:
    assert len(scripts.files("cat > /a <<E1\n" * 20_000)) == 1


def test_standard_input_that_goes_into_a_file() -> None:
    machine = server("web01")
    one = command("copy", machine, create="sudo tee /etc/a.conf >/dev/null", stdin="text")
    assert files_of(machine, one).contents == {"/etc/a.conf": "text"}


def test_environment_of_a_command_is_put_in() -> None:
    machine = server("web01")
    one = command("copy", machine, create="cat > /a <<EOF\n${NODE}\nEOF", environment={"NODE": "app01"})
    assert files_of(machine, one).contents == {"/a": "app01\n"}


@pytest.mark.parametrize("key", ["stdin", "create"])
def test_an_unknown_command_leaves_open_what_is_there(key: str) -> None:
    machine = server("web01")
    found = files_of(machine, command("put", machine, **{"create": "true", "stdin": "", key: UNKNOWN}))
    with pytest.raises(UndecidedError):
        found.find("nginx")


def test_copied_text_is_read(tmp_path: Path) -> None:
    local = tmp_path / "a.conf"
    local.write_text("text")
    machine = server("web01")
    for source in (pulumi.StringAsset("text"), pulumi.FileAsset(str(local))):
        copy = made(guests.COPIES[0], "copy", {"remotePath": "/a.conf", "source": source}, {"triggers": [machine]})
        assert files_of(machine, copy).contents == {"/a.conf": "text"}


def test_a_copied_file_that_is_not_shown_leaves_open_what_it_says() -> None:
    machine = server("web01")
    asset = pulumi.RemoteAsset("https://example.com/nginx.conf")
    copy = made(guests.COPIES[0], "copy", {"remotePath": "/etc/nginx.conf", "source": asset}, {"triggers": [machine]})
    found = files_of(machine, copy)
    assert found.find("haproxy") == []
    with pytest.raises(UndecidedError):
        found.find("nginx")


def test_a_command_is_for_the_host_of_its_connection() -> None:
    """Triggers often name every server: they say little."""
    web, other = server("web01", "192.0.2.1"), server("web02", "192.0.2.2")
    for host in ("192.0.2.1", "web01", "WEB01.example.com"):
        one = made(guests.COMMAND, "one", {"connection": {"host": host}}, {"triggers": [other, web]})
        assert guests.machine_of(Stack([web, other, one]), one) == web
    by_output = made(
        guests.COMMAND, "two", {"connection": {"host": UNKNOWN}}, {"connection": [web], "triggers": [web, other]}
    )
    assert guests.machine_of(Stack([web, other, by_output]), by_output) == web


def test_addresses() -> None:
    network = "network: {version: 1, config: [{type: physical, subnets: [{type: static, address: 192.0.2.4/24}]}]}"
    netplan = "network:\n  ethernets:\n    e: {addresses: [192.0.2.5/24], routes: [{to: 10.0.0.0/8}]}"
    encoded_network = f"{{network: {encoded('ethernets: {e: {addresses: [192.0.2.6/24]}}')}, network.encoding: b64}}"
    customize = {
        "networkInterfaces": [{"ipv4Address": "192.0.2.7", "ipv4Netmask": 24.0}],
        "linuxOptions": {"hostName": "web07"},
    }
    for machine, names in (
        (server("a", "192.0.2.3"), {"a", "192.0.2.3"}),
        (server("a", extraConfig={"guestinfo.metadata": network}), {"a", "192.0.2.4"}),
        (
            server(
                "a", extraConfig={"guestinfo.userdata": f"#!/bin/sh\ncat > /etc/netplan/a.yaml <<E\n{netplan}\nE\n"}
            ),
            {"a", "192.0.2.5"},
        ),
        (server("a", extraConfig={"guestinfo.metadata": encoded_network}), {"a", "192.0.2.6"}),
        (vsphere("VirtualMachine", "a", clone={"customize": customize}), {"192.0.2.7", "web07"}),
        (vsphere("VirtualMachine", "a", name="A.example.com"), {"a.example.com", "a"}),
    ):
        assert guests.addresses_of(machine) == names


def test_addresses_in_other_files_are_not_the_machines_own() -> None:
    """A virtual address, a route or a peer's: whoever takes it for a server's own refuses sound stacks."""
    keepalived = "cat > /etc/keepalived/keepalived.conf <<E\nvirtual_ipaddress { 192.0.2.100/24 }\nE\n"
    machine = server("a", extraConfig={"guestinfo.userdata": f"#!/bin/sh\n{keepalived}"})
    assert guests.addresses_of(machine) == {"a"}
