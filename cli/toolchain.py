"""Which Pulumi is used: an official one where it can be had, else the one that offline/ builds."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from machine import locks
from machine.failure import Failure
from stack.workspace import BIN, PRIVATE, REPOSITORY, cache, have_private

VARIABLE = "PERENNE_PULUMI"
DOWNLOADS = "https://get.pulumi.com/releases/sdk"
"""Pulumi's own downloads; the same host has the plugins."""
PLUGINS = {"command": "pulumi_command", "postgresql": "pulumi_postgresql", "vsphere": "pulumi_vsphere"}
"""Plugins that the program needs, and the SDKs whose versions they must have."""

_ANSWER_SECONDS = 4.0
_DOWNLOAD_SECONDS = 60.0
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Pulumi:
    """An engine with all that it needs, and why it was chosen."""

    kind: Literal["official", "offline"]
    folder: Path
    """Comes first on the PATH."""
    home: Path | None
    """Where it keeps plugins; None: where the user's own Pulumi does."""
    reason: str

    @property
    def executable(self) -> Path:
        """The engine."""
        return self.folder / "pulumi"

    def __str__(self) -> str:
        """The choice in one line."""
        return f"{self.kind} Pulumi in {self.folder}: {self.reason}"


def ensure(progress: Callable[[str], None]) -> Pulumi:
    """Choose a Pulumi, and download or build what it lacks.

    Raises:
        Failure: An official one is asked for and can't be had, or PERENNE_PULUMI says something else.
        BuildError: The offline one can't be built.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", "official", "offline"):
        raise Failure(
            f"{VARIABLE}={forced} says nothing", "it must be official or offline", f"Correct or unset {VARIABLE}."
        )
    if forced == "offline":
        return _offline(f"{VARIABLE}=offline", progress)
    on_path = _on_path()
    if on_path and (forced or _has_plugins(on_path) or _downloads_answer()):
        return Pulumi("official", on_path.parent, None, f"found on the PATH ({_version(on_path)})")
    downloaded = _folder()
    if downloaded.is_dir():
        return _downloaded("downloaded before")
    if not forced and _is_built():
        return _offline("built before", progress)
    if _downloads_answer():
        _download(downloaded, progress)
        return _downloaded(f"{DOWNLOADS.split('/')[2]} answers")
    if forced:
        raise Failure(
            "there is no official Pulumi",
            f"none is on the PATH, and {DOWNLOADS.split('/')[2]} does not answer",
            f"Install Pulumi, or unset {VARIABLE}: it is then built from its Go modules.",
        )
    return _offline(f"{DOWNLOADS.split('/')[2]} does not answer", progress)


def likely() -> str:
    """Which Pulumi `ensure` would choose, in words; downloads and builds nothing."""
    if on_path := _on_path():
        return f"{on_path} ({_version(on_path)})"
    if _folder().is_dir():
        return f"official, downloaded before into {_folder()}"
    return f"offline, built before into {BIN}" if _is_built() else "none yet; ./perenne up downloads or builds it"


def venv_python() -> Path:
    """The virtual environment's interpreter by the name that stays when the environment is renewed."""
    link = REPOSITORY / ".venv" / "bin" / "python"
    return link if link.exists() else Path(sys.executable)


def _offline(reason: str, progress: Callable[[str], None]) -> Pulumi:
    from offline.build import build  # noqa: PLC0415 (only here)

    have_private()
    toolchain = build(cache(), venv_python(), BIN, progress)
    return Pulumi("offline", toolchain.bin, PRIVATE / "pulumi", reason)


def _is_built() -> bool:
    return (BIN / "pulumi").exists()


def _on_path() -> Path | None:
    """The PATH's own Pulumi; `eval "$(./perenne env)"` puts ours there, too."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder).resolve() != BIN]
    found = shutil.which("pulumi", path=os.pathsep.join(folders))
    if found and Path(found).resolve().is_relative_to(cache()):
        return None
    return Path(found) if found else None


def _version(pulumi: Path) -> str:
    return subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False).stdout.strip()


def _has_plugins(pulumi: Path) -> bool:
    """Whether the engine has everything already, and needs no downloads."""
    listing = subprocess.run([pulumi, "plugin", "ls", "--json"], capture_output=True, text=True, check=False)
    if listing.returncode:
        return False
    installed = {(one["name"], one.get("version", "").removeprefix("v")) for one in json.loads(listing.stdout or "[]")}
    return all((plugin, version(sdk)) in installed for plugin, sdk in PLUGINS.items())


def _downloads_answer() -> bool:
    import httpx  # noqa: PLC0415 (only where Pulumi is not there yet)

    try:
        return httpx.head(_url(), timeout=_ANSWER_SECONDS, follow_redirects=True).is_success
    except httpx.HTTPError:
        return False


def _url() -> str:
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return f"{DOWNLOADS}/pulumi-v{version('pulumi')}-linux-{architecture}.tar.gz"


def _folder() -> Path:
    return cache() / "pulumi" / version("pulumi")


def _downloaded(reason: str) -> Pulumi:
    return Pulumi("official", _folder(), cache() / "pulumi" / "home", reason)


def _download(folder: Path, progress: Callable[[str], None]) -> None:
    """Fetch Pulumi's archive; the folder appears when it is whole."""
    import httpx  # noqa: PLC0415

    url = _url()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(folder.with_suffix(".lock")):
        if folder.is_dir():
            return
        progress(f"download {url}")
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = Path(scratch) / "pulumi.tar.gz"
            try:
                with httpx.stream("GET", url, timeout=_DOWNLOAD_SECONDS, follow_redirects=True) as response:
                    response.raise_for_status()
                    with archive.open("wb") as file:
                        for part in response.iter_bytes():
                            file.write(part)
            except httpx.HTTPError as error:
                remedy = f"Run this again, or set {VARIABLE}=offline to build Pulumi from its Go modules."
                raise Failure("Pulumi can't be downloaded", f"{url}: {error}", remedy) from error
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
            (Path(scratch) / "pulumi").rename(folder)
