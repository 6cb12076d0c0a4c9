"""etcd's configuration on VMs."""

import re

from policies.judging.stack import Stack
from policies.reading import guests
from policies.reading.tiers import Tier

_MEMBERS = re.compile(r"^\s*(?:ETCD_INITIAL_CLUSTER=|initial-cluster:)\s*[\"']?([^\s\"']+)", re.MULTILINE)


def votes(stack: Stack, tier: Tier) -> int | None:
    """How many members the quorum is configured with: the most that one of them knows; None where that isn't told."""
    return max(map(len, _members(stack, tier)), default=None)


def disagree(stack: Stack, tier: Tier) -> bool:
    """Whether its members name different members."""
    return len(set(_members(stack, tier))) > 1


def _members(stack: Stack, tier: Tier) -> list[frozenset[str]]:
    return [
        frozenset(members.split(","))
        for machine in tier.machines
        for text in guests.files_of(stack, machine).contents.values()
        for members in _MEMBERS.findall(text)
    ]
