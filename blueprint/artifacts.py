"""The files that services are made of, and their checksums."""

import hashlib
from pathlib import Path

from blueprint.mistakes import Mistake, StackFileError
from blueprint.settings import Service, Settings


def is_local(service: Service) -> bool:
    """Whether the artifact is a file of the project; else the servers fetch it by its URL."""
    return not service.artifact.startswith("https://")


def checksums(settings: Settings, project: Path, source: str) -> dict[str, str]:
    """SHA-256 of every service's artifact, in hexadecimal.

    Raises:
        StackFileError: A file is missing or is not the one whose checksum the stack file (`source`) gives.
    """
    found: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name, service in settings.services.items():
        if not is_local(service):
            found[name] = service.sha256 or ""  # settings refuse a URL without a checksum
            continue
        field = f"services.{name}"
        try:
            with (project / service.artifact).open("rb") as artifact:
                found[name] = hashlib.file_digest(artifact, "sha256").hexdigest()
        except OSError as error:
            remedy = "build it (./perenne up does) or correct the path"
            mistakes.append(Mistake(f"{field}.artifact", service.artifact, f"can't be read: {error.strerror}", remedy))
            continue
        if service.sha256 not in (None, found[name]):
            problem = f"is not the checksum of {service.artifact}, which is {found[name]}"
            remedy = "find out why the file changed; if it should have, copy its checksum"
            mistakes.append(Mistake(f"{field}.sha256", service.sha256, problem, remedy))
    if mistakes:
        raise StackFileError(source, mistakes)
    return found
