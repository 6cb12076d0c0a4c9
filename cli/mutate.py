"""`./perenne mutate`: does the policy pack refuse what it should, and accept what it should?"""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from cli.console import out
from mutation.considered import UNSEEN
from mutation.score import Score, score
from mutation.variants import variants
from policies.judging import configuration
from policies.rules import RULES

WANTED = 99.0
"""Per cent of the mutants that the rule that is meant to must refuse."""


def mutate(sample: int | None, seed: int, *, as_json: bool) -> int:
    """Print the score; returns 1 if it is too low, or a sound stack is refused.

    Args:
        sample: How many mutants of each stack at most; None: all.
        seed: Chooses the sample.
        as_json: Print data.

    Raises:
        ConfigurationError: The pack's configuration can't be used.
    """
    settings = configuration.load(configuration.DEFAULT, frozenset(rule.id for rule in RULES))
    found = score(variants(), RULES, settings, datetime.now(tz=UTC).date(), (sample, seed) if sample else None)
    if as_json:
        print(
            json.dumps(
                {**asdict(found), "total": found.total, "share": found.share, "not_judged": dict(UNSEEN)}, indent=2
            )
        )
    else:
        _show(found)
    return 0 if found.share >= WANTED and not found.false_refusals else 1


def _show(found: Score) -> None:
    for title, lines in (
        ("Sound stacks that are refused", found.false_refusals),
        ("Survivors: changes that nothing refuses", found.survivors),
        ("Refused, but not by the rule that is meant to", found.by_another),
    ):
        out.print(f"{title}: {len(lines)}", style="bold" if lines else "dim")
        for line in lines:
            out.print(f"  {line}", markup=False, highlight=False)
    out.print("Known to get past: changes that no rule judges", style="dim")
    for place, why in UNSEEN.items():
        out.print(f"  {place}: {why}", style="dim", markup=False, highlight=False)
    stacks = len(variants())
    out.print(
        f"{found.refused} of {found.total} changes to {stacks} sound stacks, each a single point of failure, are"
        f" refused by the rule that is meant to: {found.share:.2f} % (wanted: {WANTED:g} %). Rules with a change of"
        f" their own: {len(found.rules)} of {len(RULES)}."
    )
