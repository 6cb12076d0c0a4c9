"""What is generated for readers: a page per rule and the schemas. `python -m policies.pages` writes it all anew."""

from pathlib import Path
from typing import Any

from policies.judging import configuration, report
from policies.judging.rule import Pillar, Rule
from policies.rules import RULES

FOLDER = Path(__file__).parents[1] / "docs" / "policies"

PILLARS = {
    Pillar.CLUSTER: "Cluster and vSphere HA",
    Pillar.STORAGE: "Shared storage",
    Pillar.NETWORK: "Network",
    Pillar.PLACEMENT: "Placement",
    Pillar.MACHINES: "Virtual machines",
    Pillar.BALANCING: "Balancers",
    Pillar.APPLICATION: "Application servers",
    Pillar.DATABASE: "Database",
    Pillar.BACKUP: "Backups",
    Pillar.SECURITY: "Security",
    Pillar.OPERATIONS: "The pack itself",
}

_NOT_SHOWN = {
    "CLU-03": "Admission control acts when VMs are powered on; the lab's is simulated, so a figure would say nothing.",
    "CLU-04": "Memory of simulated hosts is a number; running out of it can't be shown.",
    "CLU-05": "The lab's vSphere HA is simulated: it knows an isolated host without any datastore.",
    "NET-01": "The lab's switches are simulated: a host's uplinks carry nothing.",
    "NET-02": "The lab's switches are simulated: a host's uplinks carry nothing.",
    "NET-03": "Containers share the machine's clock, so it can't drift.",
    "NET-04": "The lab's storage network has one frame size.",
    "PLA-03": "DRS is not simulated: the lab's servers stay where they were made, or where vSphere HA restarted them.",
    "CLU-08": "The lab's cluster keeps its members whoever owns them.",
    "BAK-01": "No outage can show it; tests/lab/test_backup.py restores a backup to the last row.",
    "STO-05": "No outage; a test shows that the lab's target refuses a wrong secret.",
    "SEC-01": "No outage by itself.",
    "SEC-02": "No outage by itself.",
    "SEC-03": "No outage by itself.",
    "SEC-04": "No outage by itself.",
    "OPS-02": "A server that never comes up is no outage of a running site.",
    "OPS-01": "No outage by itself.",
}
"""Why the lab can't show what a rule guards against."""


def page(rule: Rule[Any]) -> str:
    """A rule's page, as Markdown."""
    level = "mandatory" if rule.mandatory else "advisory"
    source = f"\nSource: {rule.source}.\n" if rule.source else ""
    reads = "\n".join(f"- `{one}`" for one in rule.reads)
    return f"""\
# {rule.id}: {rule.title}

{PILLARS[rule.pillar]} · severity {rule.severity} · {level} by default

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
        lines.append(f"| **{PILLARS[pillar]}** | | |")
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
    if rule.id in _NOT_SHOWN:
        return _NOT_SHOWN[rule.id]
    drill = f"Drill `{rule.drill}` makes this fault in the lab."
    return f"{drill} What users see is not measured yet."


if __name__ == "__main__":
    write()
