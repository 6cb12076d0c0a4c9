"""The catalogue: every rule of the pack."""

from typing import Any

from policies.judging.rule import Rule
from policies.rules import (
    application,
    backup,
    balancing,
    cluster,
    database,
    machines,
    network,
    operations,
    placement,
    security,
    storage,
)

_MODULES = (
    application,
    backup,
    balancing,
    cluster,
    database,
    machines,
    network,
    operations,
    placement,
    security,
    storage,
)

RULES: tuple[Rule[Any], ...] = tuple(
    sorted(
        (item for module in _MODULES for item in vars(module).values() if isinstance(item, Rule)),
        key=lambda rule: rule.id,
    )
)
"""All rules, by id."""
