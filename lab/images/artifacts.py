"""What guests take from Maven's repository and from PyPI, each checked against the checksum that is pinned."""

import os
import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.images.content import sha256
from lab.images.errors import ImageError
from lab.images.process import run
from lab.images.progress import Progress, timed

DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


@dataclass(frozen=True)
class Artifact:
    """A file in Maven's repository."""

    coordinates: str
    """group:artifact:version:packaging"""
    sha256: str

    @property
    def filename(self) -> str:
        """The name that Maven gives the file."""
        _, artifact, version, packaging = self.coordinates.split(":")
        return f"{artifact}-{version}.{packaging}"


WILDFLY = Artifact(
    "org.wildfly:wildfly-dist:36.0.1.Final:tar.gz", "1a0f71680cac962cef03173e81f5ff8886175f18292db158b75c8077cf4ac38d"
)
POSTGRESQL_JDBC = Artifact(
    "org.postgresql:postgresql:42.7.12:jar", "31fbf6f06b2217fb51d5100cee51b22625cc81640da0679b47914e54c1e6377c"
)
_GUEST = Path(__file__).parents[2] / "components" / "guest"
RELEASES = (_GUEST / "database" / "patroni.txt", _GUEST / "fencing" / "pyvmomi.txt")
"""Requirements with their hashes, of which servers install the same."""
WILDFLY_UID = 900
"""User and group of the guest image that own WildFly (guest/prepare.sh makes them)."""


def ensure_artifact(artifact: Artifact, cache: Path, progress: Progress) -> Path:
    """Return the artifact's file in the cache; fetch it with Maven unless it is there.

    Raises:
        ImageError: Maven could not fetch it, or what it fetched has another checksum.
    """
    file = cache / artifact.filename
    if file.exists() and sha256(file) == artifact.sha256:
        return file
    if shutil.which("mvn") is None:
        raise ImageError(f"mvn for {artifact.coordinates}", "Maven is missing.", "Run apt-get install maven.")
    with timed(progress, f"{artifact.filename} by Maven"), tempfile.TemporaryDirectory(dir=cache) as folder:
        run(
            [
                "mvn",
                "--batch-mode",
                "--no-transfer-progress",
                f"{DEPENDENCY_PLUGIN}:copy",
                f"-Dartifact={artifact.coordinates}",
                f"-DoutputDirectory={folder}",
            ],
            tried=f"mvn dependency:copy of {artifact.coordinates}",
            remedy="See whether Maven reaches its repository (~/.m2/settings.xml names mirrors and proxies).",
        )
        fetched = Path(folder) / artifact.filename
        found = sha256(fetched)
        if found != artifact.sha256:
            raise ImageError(
                f"checking {artifact.filename}",
                f"Its SHA-256 is {found}, not {artifact.sha256}.",
                f"Remove {artifact.coordinates} from ~/.m2/repository and run again; if it stays so, don't use it.",
            )
        fetched.replace(file)
    return file


def install_release(requirement: Path, folder: Path, progress: Progress) -> None:
    """Install one of RELEASES below a folder by its name and release, as components/guest/common.sh looks for it.

    Raises:
        ImageError: pip could not fetch it, or it has another hash.
    """
    (name,) = re.findall(r"^([a-z]+)==([0-9.]+) ", requirement.read_text(), re.MULTILINE)
    with timed(progress, f"{'-'.join(name)} by pip"):
        run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
                *("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", requirement),
                *("--target", folder / "-".join(name)),
            ],
            tried=f"pip install of {'=='.join(name)}",
            remedy="See whether pip reaches its index (pip config list names mirrors and proxies).",
        )


def give_to(uid: int, source: Path, target: Path) -> None:
    """Copy a tar archive, made to belong to one user and group."""

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = uid
        member.uname = member.gname = ""
        return member

    part = target.with_name(f"{target.name}.{os.getpid()}")
    with tarfile.open(source) as old, tarfile.open(part, "w") as new:
        for member in old:
            new.addfile(owned(member), old.extractfile(member) if member.isreg() else None)
    part.replace(target)
