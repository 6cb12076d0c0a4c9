"""`pulumi-language-python [flags] ENGINE`: prints the port it serves on, and ends with its engine."""

import asyncio
import sys

from offline.language.host import serve

asyncio.run(serve(engine=sys.argv[-1]))  # the engine puts its flags (logging, tracing) before its address
