"""etcd's configuration on VMs."""

import re

from policies.judging.stack import Stack
from policies.reading import guests
from policies.reading.tiers import Tier

_MEMBERS = re.compile(r"^\s*(?:ETCD_INITIAL_CLUSTER=|initial-cluster:)\s*[\"']?([^\s\"']+)", re.MULTILINE)


def votes(stack: Stack, tier: Tier) -> int | None:
    """How many members the quorum is configured with: the most that one of them knows; None where that isn't told."""
    found = [
        len(members.split(","))
        for machine in tier.machines
        for text in guests.files_of(stack, machine).contents.values()
        for members in _MEMBERS.findall(text)
    ]
    return max(found, default=None)
