"""A drill's timeline as inline SVG: what users got, who held what, who was primary, how many votes.

Drawn by matplotlib in colours that stand for CSS variables, so that the page's own light and dark colours apply.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drills.model import Observation, Recording, Result
from drills.report.summary import Run
from drills.workload.figures import VISITS

BIN_SECONDS = 0.25
"""Requests are counted in steps of this length."""

_LABEL_SHARE = 0.12
"""Moments nearer to each other than this share of the width have one label."""

_BEFORE, _AFTER = 5.0, 5.0
"""Seconds shown before the fault and after the stack was whole again."""

_INCHES = (4.9, 6.4)
"""On a phone about the width of the page: text of 11 points stays about as large as the page's own."""
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--quiet)",
    "#030303": "var(--line)",
    "#040404": "var(--good)",
    "#050505": "var(--bad)",
    "#060606": "var(--first)",
    "#070707": "var(--second)",
    "#080808": "var(--shade)",
}
_INK, _QUIET, _LINE, _GOOD, _BAD, _FIRST, _SECOND, _SHADE = _VARIABLES

_STYLE: Any = {  # matplotlib types its settings by a list of all their names
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one server had, from when to when."""

    label: str
    colour: str
    spells: list[tuple[float, float]]


def svg(run: Run, key: str) -> str:
    """The timeline of a run; `key` tells it apart from others on the same page."""
    result, recording = run.result, run.result.recording
    zero = result.injected or 0.0
    with mpl.rc_context({**_STYLE, "svg.hashsalt": key}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        answers, writes, roles, votes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 4, 1.2))
        _draw_answers(answers, recording, zero)
        _draw_writes(writes, recording, zero)
        _draw_roles(roles, recording, zero)
        _draw_votes(votes, recording.observations, zero, recording.seconds)
        for axes in (answers, writes, roles, votes):
            _draw_moments(axes, run, zero)
        _label_moments(answers, result, zero)
        votes.set_xlabel("seconds since the fault" if result.injected is not None else "seconds")
        votes.set_xlim(*_span(result, zero))
        drawn = StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(drawn.getvalue(), key, _title(run))


def _span(result: Result, zero: float) -> tuple[float, float]:
    """What is shown: from shortly before the fault to shortly after everything was whole again."""
    seconds = result.recording.seconds
    if result.injected is None:
        return 0.0, seconds
    last = max(time for time in (result.injected, result.undone, result.whole) if time is not None)
    end = seconds if result.whole is None else min(seconds, last + _AFTER)
    return max(0.0, zero - _BEFORE) - zero, end - zero


def _draw_answers(axes: Axes, recording: Recording, zero: float) -> None:
    visits = [request for request in recording.requests if request.kind in VISITS]
    good = [request.done for request in visits if request.good]
    failed = [request.done for request in recording.requests if not request.good]
    _count(axes, good, recording, zero, colour=_GOOD)
    _count(axes, failed, recording, zero, colour=_BAD, sign=-1)
    axes.set_ylabel("per second")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_title("Good answers; below zero: failed requests", loc="left", fontsize=11, pad=20)


def _draw_writes(axes: Axes, recording: Recording, zero: float) -> None:
    times = [kept.time for kept in recording.acknowledgements]
    _count(axes, times, recording, zero, colour=_FIRST)
    axes.set_ylabel("per second")
    axes.set_title("Acknowledged writes", loc="left", fontsize=11)


def _count(
    axes: Axes, times: Sequence[float], recording: Recording, zero: float, *, colour: str, sign: int = 1
) -> None:
    """Events per second, in steps; below zero for a negative sign."""
    edges = np.arange(0.0, recording.seconds + BIN_SECONDS, BIN_SECONDS)
    counts, _ = np.histogram(times, bins=edges)
    axes.stairs(sign * counts / BIN_SECONDS, edges - zero, fill=True, color=colour)


def _draw_roles(axes: Axes, recording: Recording, zero: float) -> None:
    """One row per server and role, filled while the server had it."""
    rows = list(_rows(recording))
    for place, row in enumerate(rows):
        bars = [(begin - zero, end - begin) for begin, end in row.spells]
        axes.broken_barh(bars, (place - 0.36, 0.72), color=row.colour)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], color=_INK)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Addresses, primary, writes", loc="left", fontsize=11)


def _rows(recording: Recording) -> Iterator[Row]:
    """Who had what, in the words of the observer, and whom the writers' probe could write to."""
    seen = recording.observations
    times = [*(observation.time for observation in seen), recording.seconds]
    roles = (
        ("site", "site_address", _SECOND),
        ("database", "database_address", _FIRST),
        ("primary", "primary", _FIRST),
    )
    for what, attribute, colour in roles:
        holders = [getattr(observation, attribute) for observation in seen]
        for name in sorted({name for held in holders for name in held}):
            spells = [spell for held, spell in zip(holders, pairwise(times), strict=True) if name in held]
            yield Row(f"{name} {what}", colour, _joined(spells))
    accepted = [sample for sample in recording.writers if sample.accepted]
    for name in sorted({sample.server for sample in accepted}):
        moments = sorted(sample.done for sample in accepted if sample.server == name)
        spells = [(time, time + BIN_SECONDS / 2) for time in moments]
        yield Row(f"{name} writes", _GOOD, _joined(spells, slack=2 * BIN_SECONDS))


def _draw_votes(axes: Axes, seen: Sequence[Observation], zero: float, seconds: float) -> None:
    times = [*(observation.time - zero for observation in seen), seconds - zero]
    if seen:
        axes.stairs([observation.votes for observation in seen], times, color=_SECOND, fill=True)
    most = max((observation.votes for observation in seen), default=0)
    axes.set_yticks(range(most + 1))
    axes.set_title("etcd votes", loc="left", fontsize=11)


def _draw_moments(axes: Axes, run: Run, zero: float) -> None:
    """Shade the outage; a line where the fault began, was undone, and the stack was whole."""
    begin = run.figures.outage_began - zero
    axes.axvspan(begin, begin + run.figures.outage, color=_SHADE, linewidth=0, zorder=0)
    for _name, time in _moments(run.result):
        axes.axvline(time - zero, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)))


def _moments(result: Result) -> Iterator[tuple[str, float]]:
    """What happened when, as far as it was recorded: a broken rule is mended afterwards."""
    for name, time in (("fault", result.injected), ("undone", result.undone), ("whole", result.whole)):
        if time is not None and time <= result.recording.seconds:
            yield name, time


def _label_moments(axes: Axes, result: Result, zero: float) -> None:
    known = sorted(((name, time - zero) for name, time in _moments(result)), key=lambda moment: moment[1])
    begin, end = _span(result, zero)
    place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "bottom"}
    while known:
        near = [name for name, time in known if time - known[0][1] < _LABEL_SHARE * (end - begin)]
        axes.annotate(", ".join(near), (known[0][1], 1), (-3, 3), fontsize=10, **place)
        known = known[len(near) :]


def _joined(spells: Iterable[tuple[float, float]], slack: float = 0.0) -> list[tuple[float, float]]:
    """Spells in order, made one where the next begins at most `slack` seconds after the end of the one before."""
    joined: list[tuple[float, float]] = []
    for begin, end in spells:
        if joined and begin - joined[-1][1] <= slack:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def _title(run: Run) -> str:
    figures = run.figures
    return (
        f"Timeline of {run.result.title}, run {run.result.run}: outage {figures.outage:.2f} s, "
        f"{figures.failed} of {figures.requests} requests failed, writes paused {figures.paused_writes:.2f} s"
    )


def _rounded(path: re.Match[str]) -> str:
    """A path with as many digits as can be seen: hundreds of drawings are one page."""
    return " " + re.sub(r"\.(\d)\d+", r".\1", " ".join(path[0].split()))


def _inline(drawn: str, key: str, title: str) -> str:
    """The drawing as a part of a page: in the page's colours, with a name for screen readers and ids of its own."""
    body = drawn[drawn.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", body)
    body = re.sub(r' d="[^"]*"', _rounded, body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    head = f'<svg role="img" aria-labelledby="{key}-title" '
    body = re.sub(r"<svg ", head, body, count=1)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return re.sub(r"(<svg[^>]*>)", rf'\1<title id="{key}-title">{escape(title)}</title>', body, count=1)
