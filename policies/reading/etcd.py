"""etcd's configuration on VMs."""

import re

from policies.judging.stack import Stack
from policies.reading import guests
from policies.reading.guests import GuestFiles
from policies.reading.tiers import INITIAL_CLUSTER, Tier

_LISTEN = re.compile(
    r"^[^#\n]*?(?:ETCD_|--)?LISTEN[_-](?:CLIENT|PEER)[_-]URLS[\"']?\s*[=:\s]\s*([^\n]+)", re.MULTILINE | re.IGNORECASE
)


def votes(stack: Stack, tier: Tier) -> int | None:
    """How many members the quorum is configured with: the most that one of them knows; None where that isn't told."""
    return max(map(len, _members(stack, tier)), default=None)


def disagree(stack: Stack, tier: Tier) -> bool:
    """Whether its members name different members."""
    return len(set(_members(stack, tier))) > 1


def _members(stack: Stack, tier: Tier) -> list[frozenset[str]]:
    return [
        frozenset(one for one in members.split(",") if one)
        for machine in tier.machines
        for text in guests.files_of(stack, machine).contents.values()
        for members in INITIAL_CLUSTER.findall(text)
    ]


def listening(files: GuestFiles) -> list[tuple[str, str]]:
    """Where a VM's etcd takes requests: path of the file, and URL."""
    return [
        (path, url)
        for path, text in files.contents.items()
        if "etcd" in path
        for urls in _LISTEN.findall(text)
        for url in re.findall(r"\b(?:https?|unix)://[^\s,\"']+", urls.partition(" --")[0])
    ]
