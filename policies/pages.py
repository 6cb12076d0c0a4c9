"""What is generated for readers: a page per rule and the schemas. `python -m policies.pages` writes it all anew."""

from pathlib import Path
from typing import Any

from policies.judging import configuration, report
from policies.judging.rule import Pillar, Rule
from policies.rules import RULES

FOLDER = Path(__file__).parents[1] / "docs" / "policies"


def page(rule: Rule[Any]) -> str:
    """A rule's page, as Markdown."""
    level = "mandatory" if rule.mandatory else "advisory"
    source = f"\nSource: {rule.source}.\n" if rule.source else ""
    reads = "\n".join(f"- `{one}`" for one in rule.reads)
    return f"""\
# {rule.id}: {rule.title}

{rule.pillar.heading} · severity {rule.severity} · {level} by default

## What it costs

{rule.outage}

## How it happens

{rule.why}
{source}
## What to do

{rule.remedy}

## What it reads

{reads}

What isn't known yet at a preview is decided at the update; the run says so.

## What the drill shows

{_measured(rule)}

## How to live with it for a while

In the pack's configuration (`policies/configuration.yaml`, or the file that `PERENNE_POLICIES` names):

```yaml
waivers:
  - rule: {rule.id}
    resource: the resource's name # * and ? are wildcards
    reason: why it can't be mended yet
    owner: who answers for it
    expires: 2027-01-31 # the last day; from then on it is refused again
```

Other levels: `environments: {{STACK: {{levels: {{{rule.id}: advisory}}}}}}`, or `disabled`.
"""


def index() -> str:
    """The list of all rules, as Markdown."""
    lines = ["| rule | what holds in a sound stack | severity |", "|---|---|---|"]
    for pillar in Pillar:
        found = [rule for rule in RULES if rule.pillar is pillar]
        lines.append(f"| **{pillar.heading}** | | |")
        lines += [f"| [{rule.id}]({rule.id}.md) | {rule.title} | {rule.severity} |" for rule in found]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Every generated page, by file name."""
    return {f"{rule.id}.md": page(rule) for rule in RULES} | {"rules.md": f"# Rules\n\n{index()}"}


def write() -> None:
    """Write everything anew."""
    (FOLDER / "report.schema.json").write_text(report.schema())
    configuration.DEFAULT.with_name("configuration.schema.json").write_text(configuration.schema())
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


def _measured(rule: Rule[Any]) -> str:
    file = FOLDER / "measured" / f"{rule.id}.md"
    if file.exists():
        return file.read_text().strip()
    if rule.not_shown:
        return rule.not_shown
    drill = f"Drill `{rule.drill}` makes this fault in the lab."
    return f"{drill} What users see is not measured yet."


if __name__ == "__main__":
    write()
