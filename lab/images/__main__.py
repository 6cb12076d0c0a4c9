"""`python -m lab.images`: build the lab's images and print their names."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from lab.images import ImageError, build_all


def main() -> int:
    """Build the images; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.images", description="Build the images of the embedded lab.")
    parser.add_argument("--vcenter", type=Path, metavar="PROGRAM", help="the simulated vCenter's program")
    arguments = parser.parse_args()
    cache = Path(os.environ.get("PERENNE_CACHE") or Path.home() / ".cache" / "perenne")
    try:
        images = build_all(cache, vcenter_binary=arguments.vcenter, progress=lambda line: print(line, file=sys.stderr))
    except ImageError as error:
        print(error.told, file=sys.stderr)
        return 1
    for name, image in dataclasses.asdict(images).items():
        if image:
            print(f"{name:8} {image}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
