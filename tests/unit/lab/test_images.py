"""Building the lab's images, with stand-ins for the tools that it runs."""

import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from lab.images import ImageError, build_all
from lab.images.artifacts import Artifact, ensure_artifact, give_to
from lab.images.build import FOLDERS
from lab.images.content import digest
from lab.images.errors import EndedError
from lab.images.process import run
from lab.images.roots import ensure_root, packages, source_lines

ENGINE = """
case "$1 $2" in
"image inspect") grep -qxF "$3" "$HERE/images" 2>/dev/null || { echo "Error: No such image: $3" >&2; exit 1; } ;;
"pull --quiet") echo "no such host" >&2; exit 1 ;;
build*) for option; do case $option in --tag=*) echo "${option#--tag=}" >>"$HERE/images"; esac; done ;;
import*) echo "$4" >>"$HERE/images" ;;
esac
"""
"""A Docker engine without Docker Hub, which remembers the names of images."""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of stand-ins, which come first on the PATH and note how they were called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("HERE", str(folder))
    monkeypatch.delenv("PERENNE_BASE", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
    add(folder, "docker", ENGINE)
    add(folder, "apt-get", "echo 'http://mirror.invalid/debian/|bookworm|main'")
    add(folder, "apt-config", "true")
    add(folder, "mmdebstrap", 'for last; do part=$before; before=$last; done; echo root >"$part"')
    return folder


def add(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f'#!/bin/sh\necho "{name} $*" >>"$HERE/calls"\n{script}\n')
    tool.chmod(0o755)


def calls(tools: Path) -> list[str]:
    return (tools / "calls").read_text().splitlines()


def test_a_name_changes_with_content_mode_and_values(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text("true\n")
    names = [digest([file]), digest([file], "bookworm")]
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    names.append(digest([file]))
    file.write_text("false\n")
    names.append(digest([file]))

    assert len(set(names)) == len(names)
    assert digest([file]) == names[-1]


def test_package_lists_hold_names_only() -> None:
    for kind in ("guest", "tools"):
        assert packages(kind)
        assert all(name.replace("-", "").replace(".", "").isalnum() for name in packages(kind))


def test_sources_are_the_machines_own_in_debian_12s_release() -> None:
    targets = "\n".join(
        [
            "http://mirror.invalid/debian/|trixie|main",
            "http://mirror.invalid/debian/|trixie|main",
            "http://mirror.invalid/debian-security/|trixie-security|main",
            "http://mirror.invalid/debian/|trixie-backports|main",
            "http://elsewhere.invalid/node/|nodistro|main",
        ]
    )

    assert source_lines(targets, "trixie") == [
        "deb http://mirror.invalid/debian/ bookworm main",
        "deb http://mirror.invalid/debian-security/ bookworm-security main",
    ]


def test_without_docker_hub_a_root_is_made_once_from_the_machines_packages(tools: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    image = ensure_root("tools", tmp_path, lines.append)
    again = ensure_root("tools", tmp_path, lines.append)

    assert again == image
    assert any("no such host" in line for line in lines)
    assert sum(call.startswith("mmdebstrap") for call in calls(tools)) == 1
    assert [path.name for path in tmp_path.glob("root-*")] == [f"root-tools-{image.rpartition(':')[2]}.tar"]


def test_a_root_that_the_engine_lost_comes_from_the_cache(tools: Path, tmp_path: Path) -> None:
    image = ensure_root("tools", tmp_path, lambda _: None)
    (tools / "images").unlink()

    assert ensure_root("tools", tmp_path, lambda _: None) == image
    assert sum(call.startswith("mmdebstrap") for call in calls(tools)) == 1


def test_a_failed_root_leaves_nothing_that_passes_for_one(tools: Path, tmp_path: Path) -> None:
    add(tools, "mmdebstrap", 'for last; do part=$before; before=$last; done; echo half >"$part"; echo broken; exit 1')

    with pytest.raises(ImageError, match="broken") as caught:
        ensure_root("tools", tmp_path, lambda _: None)

    assert "apt-get update" in caught.value.remedy
    assert not list(tmp_path.glob("*.tar"))


@pytest.mark.parametrize("ending", ["kill -TERM $$", "exit 143"])
def test_a_pull_that_is_interrupted_says_nothing_of_docker_hub(tools: Path, tmp_path: Path, ending: str) -> None:
    add(tools, "docker", f'[ "$1" = pull ] && {ending}\n{ENGINE}')

    with pytest.raises(EndedError):
        ensure_root("tools", tmp_path, pytest.fail)

    assert not any(call.startswith("mmdebstrap") for call in calls(tools))


def test_a_pull_that_fails_without_a_word_is_a_hub_that_does_not_answer(tools: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    add(tools, "docker", f'[ "$1" = pull ] && exit 1\n{ENGINE}')

    ensure_root("tools", tmp_path, lines.append)

    assert any("it said nothing" in line for line in lines)


def test_no_debian_and_no_docker_hub_is_said(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "ubuntu", "VERSION_CODENAME": "noble"})

    with pytest.raises(ImageError, match="no such host") as caught:
        ensure_root("guest", tmp_path, lambda _: None)

    assert "Docker Hub" in caught.value.remedy
    assert not any(call.startswith("mmdebstrap") for call in calls(tools))


def test_an_engine_that_does_not_answer_is_not_an_image_that_is_missing(tools: Path, tmp_path: Path) -> None:
    add(tools, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")

    with pytest.raises(ImageError, match="Cannot connect"):
        ensure_root("tools", tmp_path, lambda _: None)


def test_a_second_build_builds_nothing(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "vcenter"
    binary.write_bytes(b"program")
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    monkeypatch.setattr("lab.images.build.ensure_artifact", lambda *_: archive)
    first = build_all(tmp_path / "cache", vcenter_binary=binary, progress=lambda _: None)
    built = [call for call in calls(tools) if call.startswith("docker build")]
    (tools / "calls").unlink()

    second = build_all(tmp_path / "cache", vcenter_binary=binary, progress=lambda _: None)

    assert second == first
    assert len(built) == len({first.guest, first.esxi, first.san, first.client, first.vcenter}) == 5
    assert {call.split()[1] for call in calls(tools)} == {"image"}


@pytest.mark.usefixtures("tools")
def test_what_python_has_compiled_is_no_part_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    monkeypatch.setattr("lab.images.build.ensure_artifact", lambda *_: archive)
    folders = tmp_path / "images"
    shutil.copytree(FOLDERS, folders, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("lab.images.build.FOLDERS", folders)
    first = build_all(tmp_path / "cache", vcenter_binary=archive, progress=lambda _: None)
    compiled = folders / "esxi" / "esxcli" / "__pycache__" / "host.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")

    assert build_all(tmp_path / "cache", vcenter_binary=archive, progress=lambda _: None) == first


def test_an_artifact_with_another_checksum_is_refused(tools: Path, tmp_path: Path) -> None:
    add(tools, "mvn", 'for last; do :; done; echo forged >"${last#-DoutputDirectory=}/thing-1.jar"')

    with pytest.raises(ImageError, match="SHA-256") as caught:
        ensure_artifact(Artifact("org.example:thing:1:jar", "0" * 64), tmp_path, lambda _: None)

    assert "org.example:thing:1:jar" in caught.value.remedy
    assert not (tmp_path / "thing-1.jar").exists()


def test_an_artifact_is_fetched_once(tools: Path, tmp_path: Path) -> None:
    add(tools, "mvn", 'for last; do :; done; printf good >"${last#-DoutputDirectory=}/thing-1.jar"')
    artifact = Artifact("org.example:thing:1:jar", "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c")

    assert ensure_artifact(artifact, tmp_path, lambda _: None).read_text() == "good"
    ensure_artifact(artifact, tmp_path, lambda _: None)

    assert len(calls(tools)) == 1


def test_an_archive_is_given_to_one_user(tmp_path: Path) -> None:
    content = tmp_path / "wildfly" / "bin"
    content.mkdir(parents=True)
    (content / "standalone.sh").write_text("#!/bin/sh\n")
    (content / "standalone.sh").chmod(0o755)
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as old:
        old.add(tmp_path / "wildfly", "wildfly")

    give_to(900, tmp_path / "old.tar.gz", tmp_path / "new.tar")

    with tarfile.open(tmp_path / "new.tar") as new:
        assert {(member.uid, member.gid, member.uname) for member in new} == {(900, 900, "")}
        script = new.getmember("wildfly/bin/standalone.sh")
        assert script.mode == 0o755
        stream = new.extractfile(script)
        assert stream is not None
        assert stream.read() == b"#!/bin/sh\n"


def test_a_failure_tells_what_was_tried_the_last_lines_and_a_remedy() -> None:
    with pytest.raises(ImageError) as caught:
        run(["sh", "-c", "seq 100; exit 3"], tried="counting", remedy="Count less.")

    assert caught.value.what == "counting failed"
    assert caught.value.why.splitlines() == [str(number) for number in range(81, 101)]
    assert caught.value.remedy == "Count less."


def test_a_tool_that_does_not_end_is_stopped() -> None:
    with pytest.raises(ImageError, match="did not end within"):
        run(["sleep", "60"], tried="sleeping", remedy="Wake up.", timeout=0.1)
