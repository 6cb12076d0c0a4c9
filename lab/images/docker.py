"""The few calls of Docker's command line that building images takes."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.images.errors import ImageError
from lab.images.process import run

LABEL = "perenne.image"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
REMEDY = "See whether the Docker engine runs (docker info) and has space on its disk (docker system df)."


def exists(image: str) -> bool:
    """Return whether the engine has the image.

    Raises:
        ImageError: The engine doesn't answer.
    """
    try:
        found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError("docker image inspect", str(error), "Install Docker's command line.") from error
    if found.returncode != 0 and "no such image" not in found.stderr.lower():
        raise ImageError("docker image inspect", found.stderr, REMEDY)
    return found.returncode == 0


def build(image: str, context: Path, arguments: Mapping[str, str]) -> None:
    """Build the image from the folder `context` and its Dockerfile.

    The classic builder is asked for: every engine has it, and it finds images that were only imported.
    Proxies in this process's environment hold for the build and are not kept in the image.
    """
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--build-arg={name}" for name in PROXY_VARIABLES if name in os.environ]
    run(
        ["docker", "build", "--force-rm", f"--label={LABEL}={image}", f"--tag={image}", *options, context],
        tried=f"docker build of {image}",
        remedy=REMEDY,
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
    )


def import_root(image: str, archive: Path) -> None:
    """Make an image of one layer out of a root file system's tar archive."""
    change = f"--change=LABEL {LABEL}={image}"
    run(["docker", "import", change, archive, image], tried=f"docker import of {archive}", remedy=REMEDY)


def pull(image: str) -> None:
    """Pull the image from the registry that its name stands for."""
    run(
        ["docker", "pull", "--quiet", image],
        tried=f"docker pull {image}",
        remedy="Let the Docker engine reach Docker Hub, or use a Debian machine, whose package sources serve as well.",
        timeout=300,
    )


def remove_all() -> None:
    """Remove every image that was built here; images that containers use make it fail."""
    listing = [
        "docker",
        "image",
        "ls",
        f"--filter=label={LABEL}",
        "--filter=dangling=false",
        "--format={{.Repository}}:{{.Tag}}",
    ]
    if images := run(listing, tried="docker image ls", remedy=REMEDY).split():
        run(
            ["docker", "image", "rm", *images],
            tried="docker image rm",
            remedy="Take the lab down first: its containers use the images.",
        )
