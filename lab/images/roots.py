"""Debian 12 root file systems, which the images start from.

There are two: `guest` with every role's packages, `tools` for the lab's own containers. Where Docker Hub answers,
`debian:12` is their base; elsewhere mmdebstrap makes the same from a Debian machine's own package sources.
"""

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.images import docker
from lab.images.content import digest
from lab.images.errors import EndedError, ImageError
from lab.images.process import run
from lab.images.progress import Progress, timed

CODENAME = "bookworm"
BASE = "debian:12"
BASE_VARIABLE = "PERENNE_BASE"
"""Environment variable that forces the way: `hub` or `mmdebstrap`."""
FILES = Path(__file__).parent / "root"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def ensure_root(kind: str, cache: Path, progress: Progress) -> str:
    """Return the name of the image that holds the root `kind` (guest or tools); build it unless it is there.

    Raises:
        ImageError: Neither Docker Hub nor the machine's package sources served.
    """
    names = ("Dockerfile", "createcluster.conf", "dpkg.cfg", "finish.sh", f"{kind}.packages")
    content = digest((FILES / name for name in names), CODENAME)
    image = f"perenne/root-{kind}:{content}"
    if docker.exists(image):
        return image
    archive = cache / f"root-{kind}-{content}.tar"
    if not archive.exists() and _hub_answers(progress):
        with timed(progress, f"{image} from {BASE}"):
            docker.build(image, FILES, {"PACKAGES": " ".join(packages(kind))})
        return image
    if not archive.exists():
        with timed(progress, f"{archive.name} by mmdebstrap"):
            _bootstrap(kind, archive)
    with timed(progress, f"{image} from {archive.name}"):
        docker.import_root(image, archive)
    return image


def packages(kind: str) -> list[str]:
    """Return the Debian packages of a root."""
    lines = (FILES / f"{kind}.packages").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def source_lines(index_targets: str, host_codename: str) -> list[str]:
    """Return the lines of a sources.list for Debian 12 after a Debian machine's own sources.

    Args:
        index_targets: Lines `REPO_URI|RELEASE|COMPONENT`, as `apt-get indextargets` formats them.
        host_codename: The machine's release, whose name a later Debian's sources carry.
    """
    pockets = {f"{host_codename}{pocket}": f"{CODENAME}{pocket}" for pocket in ("", "-updates", "-security")}
    lines = dict.fromkeys(  # the targets of several architectures give the same line
        f"deb {uri} {pockets[release]} {component}"
        for uri, release, component in (line.split("|") for line in index_targets.splitlines())
        if release in pockets
    )
    return list(lines)


def _hub_answers(progress: Progress) -> bool:
    forced = os.environ.get(BASE_VARIABLE)
    if forced == "mmdebstrap":
        progress(f"{BASE} is not asked for: {BASE_VARIABLE}={forced}")
        return False
    if docker.exists(BASE):
        return True
    try:
        docker.pull(BASE)
    except EndedError:
        raise
    except ImageError as error:
        if forced == "hub" or not _is_debian():
            raise
        reason = (error.why.splitlines() or ["it said nothing"])[-1]
        progress(f"Docker Hub doesn't answer ({reason}): this machine's own Debian package sources are used")
        return False
    return True


def _is_debian() -> bool:
    return platform.freedesktop_os_release()["ID"] == "debian"


def _bootstrap(kind: str, archive: Path) -> None:
    """Make a root with mmdebstrap; the archive appears under its name only when it is whole."""
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        raise ImageError(
            "mmdebstrap", "It is missing, or not run as root.", "Run apt-get install mmdebstrap, and this as root."
        )
    # Older roots of the kind, and what an interrupted run left.
    for stale in archive.parent.glob(f"root-{kind}-*"):
        stale.unlink()
    sources = archive.with_suffix(".list")
    sources.write_text("\n".join(_machine_sources()) + "\n")
    part = archive.with_suffix(".part")
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--format=tar",
            f"--include={','.join(packages(kind))}",
            *([f"--keyring={KEYRING}"] if KEYRING.exists() else []),
            f"--dpkgopt={FILES / 'dpkg.cfg'}",
            "--aptopt=APT::Install-Recommends false",
            *(f"--aptopt={setting}" for setting in _apt_proxies()),
            '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
            f"--essential-hook=copy-in {FILES / 'createcluster.conf'} /etc/postgresql-common",
            f"--customize-hook=copy-in {FILES / 'finish.sh'} /tmp",
            '--customize-hook=chroot "$1" sh /tmp/finish.sh',
            '--customize-hook=rm "$1/tmp/finish.sh"',
            CODENAME,
            part,
            sources,
        ],
        tried=f"mmdebstrap of the {kind} root",
        remedy="See whether apt-get update works on this machine, and whether /tmp has 3 GiB of space.",
    )
    part.rename(archive)
    sources.unlink(missing_ok=True)


def _machine_sources() -> list[str]:
    remedy = "See whether apt-get update works on this machine."
    targets = run(
        ["apt-get", "indextargets", "--format=$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"],
        tried="apt-get indextargets",
        remedy=remedy,
    )
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if lines := source_lines(targets, codename):
        return lines
    raise ImageError("apt-get indextargets", f"No package source of the release {codename!r} is configured.", remedy)


def _apt_proxies() -> Iterable[str]:
    settings = run(["apt-config", "dump"], tried="apt-config dump", remedy="Repair this machine's apt configuration.")
    return [line.removesuffix(";") for line in settings.splitlines() if "::proxy " in line.lower()]
