"""The protocol's message and service classes, taken from the SDK without loading the SDK.

`pulumi/__init__.py` imports the whole SDK, 0.1 s of every preview, and the host needs none of it: the programs that it
starts import it in processes of their own.
"""

import importlib.util
import sys
from types import ModuleType


def _skip_package_code(*names: str) -> None:
    for name in names:
        if name in sys.modules:
            continue
        parent, _, child = name.rpartition(".")
        if parent:
            folders = [f"{folder}/{child}" for folder in sys.modules[parent].__path__]
        else:
            spec = importlib.util.find_spec(name)
            folders = list(spec.submodule_search_locations or []) if spec else []
        package = ModuleType(name)
        package.__path__ = folders
        sys.modules[name] = package


_skip_package_code("pulumi", "pulumi.runtime", "pulumi.runtime.proto")

from pulumi.runtime.proto import language_pb2 as messages  # noqa: E402
from pulumi.runtime.proto import language_pb2_grpc as services  # noqa: E402
from pulumi.runtime.proto import plugin_pb2 as plugin_messages  # noqa: E402

__all__ = ["messages", "plugin_messages", "services"]
