"""The catalogue: every rule of the pack."""

from typing import Any

from policies.judging.rule import Rule
from policies.rules import cluster, machines, network, placement, storage

RULES: tuple[Rule[Any], ...] = tuple(
    sorted(
        (
            item
            for module in (cluster, machines, network, placement, storage)
            for item in vars(module).values()
            if isinstance(item, Rule)
        ),
        key=lambda rule: rule.id,
    )
)
"""All rules, by id."""
