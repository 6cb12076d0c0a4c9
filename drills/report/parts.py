"""The parts of a series in words: when it ran, on what, why it paused, and whether it left something changed."""

from collections.abc import Iterator

from drills.model import Part, Subject


def told(part: Part, drills: str = "") -> str:
    """One part, as a sentence without its point; `drills` are those of it, where their numbers tell nothing."""
    numbers = f"drills {part.first} to {part.last}" if part.last >= part.first else "no drill"
    again = f"; {part.interrupted} was under way, and is not counted" if part.interrupted else ""
    ran_on = f"; ran on {found}" if (found := ", ".join(_ran_on(part.on))) else ""
    return f"{_when(part)}, {drills or numbers}; ended: {part.why}{again}{ran_on}; {_site(part)}"


def drift_told(part: Part) -> str:
    """What a part left otherwise than the program says, as a sentence without its point; empty if nothing."""
    if not part.drift:
        return ""
    if not part.drift_is_known:
        return f"Whether the site was what the program says after {_when(part)} is {part.drift}"
    return f"After {_when(part)} the site was not what the program says: {part.drift}"


def _when(part: Part) -> str:
    until = f" to {part.ended:%Y-%m-%d %H:%M}" if part.ended else ""
    return f"{part.began:%Y-%m-%d %H:%M}{until} UTC"


def _ran_on(on: Subject) -> Iterator[str]:
    if on.program:
        yield f"commit {on.program}"
    if on.settings:
        yield f"settings {on.settings}"
    if on.lab_since:
        yield f"a lab of {on.lab_since:%Y-%m-%d %H:%M} UTC"


def _site(part: Part) -> str:
    """Whether the drills left the site as it was."""
    if part.drift is None:
        return "nobody looked whether it left the site changed"
    if not part.drift_is_known:
        return "whether it left the site changed is not known"
    return "it left the site CHANGED" if part.drift else "it left the site as the program says"
