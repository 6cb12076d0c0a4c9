"""Builds the lab's images: whatever is not there yet, each under a name made from the content that it is built from."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.images import docker
from lab.images.artifacts import (
    POSTGRESQL_JDBC,
    RELEASES,
    WILDFLY,
    WILDFLY_UID,
    ensure_artifact,
    give_to,
    install_release,
)
from lab.images.content import digest, sha256
from lab.images.progress import Progress, timed
from lab.images.roots import ensure_root
from machine import locks

FOLDERS = Path(__file__).parent


@dataclass(frozen=True)
class Images:
    """The names of the lab's images, as `docker run` takes them."""

    guest: str
    esxi: str
    san: str
    client: str
    vcenter: str | None
    """None if no binary was given."""


def build_all(cache: Path, *, vcenter_binary: Path | None, progress: Progress) -> Images:
    """Build whatever image is missing.

    It may be interrupted at any time and run again; a second caller waits for the first one's results.

    Args:
        cache: Folder of the user's that outlives the clone (`$PERENNE_CACHE`); `images/` in it is used.
        vcenter_binary: The simulated vCenter, a static Linux program.
        progress: Told about each step's beginning, and its end with the seconds that it took.

    Raises:
        ImageError: A download or a build failed.
    """
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # Mostly waiting for downloads: the two roots, each with its images, go side by side.
    with locks.exclusive(folder / "lock"), ThreadPoolExecutor() as pool:
        guest = pool.submit(_guest, folder, progress)
        tools = pool.submit(ensure_root, "tools", folder, progress)
        vcenter = _vcenter(vcenter_binary, progress) if vcenter_binary else None
        esxi, san, client = (_image(name, progress, tools.result()) for name in ("esxi", "san", "client"))
        return Images(guest=guest.result(), esxi=esxi, san=san, client=client, vcenter=vcenter)


def _guest(cache: Path, progress: Progress) -> str:
    root = ensure_root("guest", cache, progress)

    def add_software(context: Path) -> None:
        give_to(WILDFLY_UID, ensure_artifact(WILDFLY, cache, progress), context / "wildfly.tar")
        shutil.copy(ensure_artifact(POSTGRESQL_JDBC, cache, progress), context / "postgresql-jdbc.jar")
        for requirement in RELEASES:
            install_release(requirement, context / "opt", progress)

    inputs = (WILDFLY.sha256, POSTGRESQL_JDBC.sha256, *map(sha256, RELEASES))
    return _image("guest", progress, root, *inputs, complete=add_software)


def _vcenter(binary: Path, progress: Progress) -> str:
    return _image(
        "vcenter", progress, None, sha256(binary), complete=lambda context: shutil.copy(binary, context / "vcenter")
    )


def _image(
    name: str,
    progress: Progress,
    root: str | None,
    *inputs: str,
    complete: Callable[[Path], object] = lambda _context: None,
) -> str:
    """Build one image unless it is there.

    Args:
        name: Its folder here.
        progress: Told about the build.
        root: The image that it starts from, if it starts from one.
        inputs: Checksums of what `complete` adds.
        complete: Adds to the build's folder what the repository doesn't hold.
    """
    folder = FOLDERS / name
    # Whoever has imported what is in it may have left compiled files there.
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    image = f"perenne/{name}:{digest(files, root or '', *inputs)}"
    if not docker.exists(image):
        with timed(progress, image), tempfile.TemporaryDirectory() as temporary:
            context = Path(temporary) / name
            shutil.copytree(folder, context, ignore=shutil.ignore_patterns("__pycache__"))
            complete(context)
            docker.build(image, context, {"ROOT": root} if root else {})
    return image
