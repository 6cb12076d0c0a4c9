"""Plugin entry point: `python -m offline.command ENGINE_ADDRESS` prints the port that it listens on."""

from offline.command.package import CommandProvider
from offline.provider.serve import serve

serve(CommandProvider())
