"""The lab's container images: guests, ESXi hosts, storage arrays, the client and the simulated vCenter.

`build_all` builds them; each folder here that has a Dockerfile is one image's.
"""

from lab.images.build import Images, build_all
from lab.images.docker import remove_all
from lab.images.errors import ImageError

__all__ = ["ImageError", "Images", "build_all", "remove_all"]
