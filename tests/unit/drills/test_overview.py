"""The page docs/drills/results.md."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blueprint.forecast import Broken, Forecast, forecast
from blueprint.takeover import Term
from blueprint.terms import Measure
from drills.model import Chance, Circumstances, Generator, Invariant, Part, Subject, Target, Unmeasured
from drills.report import document, publish, rules
from drills.report.document import Document
from drills.report.forecasts import UNFORETOLD, compared
from drills.report.overview import overview
from drills.report.publish import OVERVIEW, in_place_of, merged, page
from drills.report.summary import Runs, run_of
from policies import pages
from stack.workspace import Stack
from tests.unit.drills.recordings import BEGAN
from tests.unit.drills.test_rules_report import reported, result


def test_a_line_per_drill_with_target_and_verdict() -> None:
    target = Target(1.0, Measure.OUTAGE, "made up")
    runs = (replace(result("kill-httpd", outage, run=run), target=target) for run, outage in enumerate((0.5, 0.8), 1))
    told = overview(reported(*runs, result("kill-etcd", 0.2)))
    (httpd,) = (line for line in told.splitlines() if line.startswith("| `kill-httpd`"))
    assert "| 2 | 0.50 (0.80) |" in httpd
    assert "| 1 outage | **met (2 runs)** |" in httpd
    (etcd,) = (line for line in told.splitlines() if line.startswith("| `kill-etcd`"))
    assert "| 1 | 0.20 |" in etcd
    assert "met" not in etcd
    assert "Every invariant held in every run." in told


def test_losses_are_counted_but_for_those_that_check_the_checker() -> None:
    found = reported(result("kill-httpd", 0.5, lost=2), result("control-lose-writes", 20.0, lost=7))
    assert "**9 writes were acknowledged, 2 of them lost**" in overview(found)


def test_what_did_not_hold_is_told() -> None:
    broken = Invariant("sessions survive", held=False, detail="7 of 1000 lost")
    told = overview(reported(replace(result("kill-httpd", 0.5), invariants=(broken,))))
    assert "- `kill-httpd`, run 1 (somebody): sessions survive: 7 of 1000 lost" in told
    assert "Every invariant held" not in told
    assert "| **broken** |" in told


def test_drills_without_a_rule_have_a_table_of_their_own() -> None:
    gone = Invariant("sessions survive", held=False, detail="500 of 1000 lost")
    weak = replace(result("without-app-01", 4.0, lost=3), invariants=(gone,))
    told = overview(reported(result("lose-app", 0.5), weak))
    sound, _, broken = told.partition("## With a rule broken")
    assert "without-app-01" not in sound
    assert "| `without-app-01` [APP-01](../policies/APP-01.md) |" in broken
    assert "| sessions survive |" in broken
    assert "Every invariant held in every run." in told
    assert "0 of them lost" in told


def test_what_the_machine_did_to_the_figures_is_told_where_it_is_known() -> None:
    run = result("kill-httpd", 0.5)
    assert "processors were busy" not in overview(reported(run))
    runs = (
        replace(run, run=place, recording=replace(run.recording, generator=Generator(1, 0, 0, busy, stolen)))
        for place, (busy, stolen) in enumerate(((0.5, 0.01), (0.75, 0.4), (0.6, 0.02)), 1)
    )
    told = overview(reported(*runs))
    assert "busy for 50% to 75% of a run (median 60%)" in told
    assert "took up to 40% away (median 2%)" in told


def test_every_series_page_of_timelines_is_linked() -> None:
    told = overview(reported(result("kill-httpd", 0.5)), ["timelines-1.html", "timelines-2.html"])
    for name in ("timelines-1.html", "timelines-2.html"):
        assert f"[{name}]({name})" in told


def test_of_a_drill_that_ran_again_the_newest_series_counts() -> None:
    former = reported(result("kill-httpd", 0.5), result("kill-etcd", 0.2))
    newer = reported(result("kill-etcd", 0.3), result("lose-app", 0.4))
    together = {drill.fault: drill for drill in merged(former, newer).drills}
    assert list(together) == ["kill-httpd", "kill-etcd", "lose-app"]
    assert together["kill-httpd"] == former.drills[0]
    assert together["kill-etcd"] == newer.drills[0]


def test_series_measured_under_other_conditions_is_refused() -> None:
    former = reported(result("kill-httpd", 0.5))
    fewer = replace(former, rates=replace(former.rates, sessions=former.rates.sessions // 10))
    with pytest.raises(ValueError, match=f"sessions={fewer.rates.sessions},"):
        merged(former, fewer)
    with pytest.raises(ValueError, match="measured with"):
        merged(former, replace(former, machine=replace(former.machine, cores=former.machine.cores + 1)))
    idle = replace(former, machine=replace(former.machine, load_average=(0.0, 0.0, 0.0)))
    assert merged(former, idle).drills == former.drills, "a run's load is told per run"


def test_it_is_told_on_which_processor_each_drill_ran() -> None:
    former = reported(result("kill-httpd", 0.5), result("kill-etcd", 0.2))
    alike = former.drills[0].runs[0].processor
    before_it_was_told = replace(
        former, drills=tuple(replace(one, runs=(replace(one.runs[0], processor=""),)) for one in former.drills)
    )
    newer = reported(result("lose-app", 0.4))
    other = replace(newer.drills[0], runs=(replace(newer.drills[0].runs[0], processor="another one"),))
    newer = replace(newer, machine=replace(newer.machine, processor="another one"), drills=(other,))
    together = merged(before_it_was_told, newer)
    assert [drill.runs[0].processor for drill in together.drills] == [alike, alike, "another one"]
    assert f"(another one: `lose-app`; {alike}: all else)" in overview(together)


def by_chance(*numbers: int, outage: float = 0.5, missed: tuple[int, ...] = (), began: datetime = BEGAN) -> Document:
    """The report of some drills of a sequence of ten."""
    runs = Runs()
    for number in numbers:
        fault = ("kill-etcd", "kill-httpd")[number % 2]
        runs.keep(run_of(result(fault, outage, run=number), number))
    part = Part(began, began + timedelta(hours=1), min(numbers), max(numbers), "its time was over")
    unmeasured = tuple(Unmeasured(number, "kill-etcd", began, "its process has ended") for number in missed)
    went = Circumstances(Chance(7, 10, "abc"), (part,), unmeasured)
    return document.parsed(document.as_json(document.document(runs, "dev", lab=True, went=went)))


def test_drills_by_chance_are_not_counted_among_those_that_were_named() -> None:
    named = reported(result("kill-httpd", 0.5))
    together = merged(named, by_chance(1, 2, 3, outage=2.0))
    assert together.drills == named.drills
    told = overview(together)
    assert "1 run of 1 drills on stack" in told
    assert "## 10 drills by chance, seed 7" in told
    assert "3 runs of 2 drills, numbers 1 to 3 of the sequence, on a stack that nobody mended between two" in told
    assert f"| `kill-httpd` | {named.drills[0].title} | 2 | 2.00 (2.00) |" in told, "a table of its own"
    assert "**27 writes were acknowledged, 0 of them lost**" in told
    assert "- 2026-11-23 12:00 to 2026-11-23 13:00 UTC, drills 1 to 3; ended: its time was over" in told


def test_parts_of_a_sequence_are_put_together_and_the_newest_run_counts() -> None:
    first = merged(reported(result("kill-httpd", 0.5)), by_chance(1, 2, 3, 4, missed=(5,)))
    later = by_chance(4, 5, 6, outage=2.0, began=BEGAN + timedelta(days=1))
    (series,) = merged(first, later).random
    assert [run.number for run in series.runs] == [1, 2, 3, 4, 5, 6]
    assert [run.figures.outage for run in series.runs] == pytest.approx([0.5, 0.5, 0.5, 2.0, 2.0, 2.0])
    assert not series.unmeasured
    assert [part.first for part in series.parts] == [1, 4]
    assert {drill.fault: drill.outage.worst for drill in series.drills} == pytest.approx(
        {"kill-httpd": 2.0, "kill-etcd": 2.0}
    )
    assert merged(merged(first, later), later) == merged(first, later), "a report may be published twice"


LOST = Invariant("sessions survive", held=False, detail="7 of 1000 lost")


def named(fault: str, *, days: int, drift: str | None = "", broken: bool = False) -> Document:
    """The report of a drill of some day, begun 0.5 h after its part."""
    began = BEGAN + timedelta(days=days)
    run = result(fault, 0.5)
    run = replace(run, recording=replace(run.recording, began=began), invariants=(LOST,) if broken else ())
    on = Subject(f"commit{days}", f"settings{days}")
    half = timedelta(hours=0.5)
    part = Part(began - half, began + half, 1, 1, "all its drills were run", on=on, drift=drift)
    return document.parsed(
        document.as_json(document.document(Runs([run]), "dev", lab=True, went=Circumstances(None, (part,))))
    )


def test_when_named_drills_ran_and_on_what_is_told_of_those_that_are_left() -> None:
    first, second = named("kill-httpd", days=0), named("kill-etcd", days=1)
    told = overview(merged(first, second))
    assert (
        "- 2026-11-23 11:30 to 2026-11-23 12:30 UTC, 1 run; ended: all its drills were run; ran on commit commit0, "
        "settings settings0; it left the site as the program says"
    ) in told
    assert "commit commit1," in told
    again = named("kill-httpd", days=2)
    told = overview(merged(merged(first, second), again))
    assert "commit commit0," not in told, "none of its runs is left"
    assert "commit commit2," in told
    assert "CHANGED" not in told


def test_what_drills_left_changed_stays_on_the_page() -> None:
    first = named("kill-httpd", days=0, drift="db01 /etc/hosts has another content")
    told = overview(merged(first, named("kill-httpd", days=1)))
    line = "**After 2026-11-23 11:30 to 2026-11-23 12:30 UTC the site was not what the program says: db01 /etc/hosts"
    assert f"## What did not hold\n\n- {line}" in told
    assert "UTC, 0 runs; ended: all its drills were run; ran on commit commit0" in told
    assert "Every invariant held in every run." not in told
    by_chance_ = by_chance(1, 2)
    (series,) = by_chance_.random
    drifted = replace(series, parts=(replace(series.parts[0], drift="db01 /etc/hosts has another content"),))
    told = overview(merged(named("kill-httpd", days=0), replace(by_chance_, random=(drifted,))))
    assert "### What did not hold\n\n- **After 2026-11-23 12:00 to 2026-11-23 13:00 UTC" in told


ON_RECORD = "- `kill-httpd`, 2026-11-23 12:00 UTC, commit commit0 (somebody): sessions survive: 7 of 1000 lost. "


def test_a_broken_run_stays_on_record_when_its_drill_ran_again() -> None:
    first = named("kill-httpd", days=0, broken=True)
    assert "What was found broken before" not in overview(first), "it is shown as it is"
    newer = named("kill-httpd", days=1)
    together = merged(first, newer)
    told = overview(together)
    assert "Every invariant held in every run." in told
    assert "## What was found broken before\n\n" in told
    assert f"{ON_RECORD}Ran again since: 1 run, all held." in told
    assert merged(together, newer) == together, "a report may be published twice"
    assert merged(together, first).broken == (), "it is shown again itself"
    assert merged(merged(together, first), newer) == together
    assert document.parsed(document.as_json(together)) == together


def test_what_broke_again_is_told_with_what_broke_before() -> None:
    again = merged(named("kill-httpd", days=0, broken=True), named("kill-httpd", days=1, broken=True))
    assert f"{ON_RECORD}Ran again since: 1 run, 1 of them broken." in overview(again)
    by_chance_too = merged(again, broken_by_chance(1, 3, days=2, broken=False))
    assert f"{ON_RECORD}Ran again since: 3 runs, 1 of them broken." in overview(by_chance_too)
    (before, after) = merged(again, named("kill-httpd", days=2)).broken
    assert (before.began, after.began) == (BEGAN, BEGAN + timedelta(days=1))


def test_a_broken_number_of_a_sequence_stays_on_record_when_it_ran_again() -> None:
    first = broken_by_chance(1, 2, 3, days=0)
    together = merged(merged(named("kill-etcd", days=0), first), broken_by_chance(2, 3, 4, days=1, broken=False))
    assert [(one.fault, one.began, one.program) for one in together.broken] == [
        ("kill-etcd", BEGAN + timedelta(minutes=2), "commit0"),
        ("kill-httpd", BEGAN + timedelta(minutes=3), "commit0"),
    ]
    told = overview(together)
    assert "- `kill-httpd`, in 1 of 2 runs, first run 1 (somebody): sessions survive" in told, "number 1 is not hidden"
    assert told.count("Ran again since: 1 run, all held.") == 1
    assert told.count("Ran again since: 2 runs, all held.") == 1


def broken_by_chance(*numbers: int, days: int, broken: bool = True) -> Document:
    """Drills of the sequence of ten on some day, a minute each; in all of them something did not hold, or in none."""
    (series,) = by_chance(*numbers, began=BEGAN + timedelta(days=days)).random
    drills = []
    for drill in series.drills:
        runs = (
            replace(
                run,
                began=BEGAN + timedelta(days=days, minutes=run.number),
                invariants=(LOST,) if broken else (),
            )
            for run in drill.runs
        )
        drills.append(document.drill_entry(drill, tuple(runs)))
    (part,) = series.parts
    on = replace(part, on=Subject(f"commit{days}"))
    return replace(by_chance(*numbers), random=(replace(series, drills=tuple(drills), parts=(on,)),))


def test_a_rule_that_was_broken_on_purpose_is_not_on_record() -> None:
    weak = replace(result("without-app-01", 4.0), invariants=(LOST,))
    again = replace(weak, recording=replace(weak.recording, began=BEGAN + timedelta(days=1)))
    assert merged(reported(weak), reported(again)).broken == ()


def test_anew_the_record_stays() -> None:
    first = named("kill-httpd", days=0, broken=True)
    alone = in_place_of(first, named("kill-etcd", days=1))
    assert [drill.fault for drill in alone.drills] == ["kill-etcd"]
    assert f"{ON_RECORD}No later run of it is shown here." in overview(alone)
    elsewhere = overview(replace(in_place_of(first, named("kill-httpd", days=1)), stack="prod"))
    assert "2026-11-23 12:00 UTC, stack `dev`, commit commit0 (somebody)" in elsewhere
    assert "Ran again since" not in elsewhere, "another stack's runs say nothing of it"


def test_a_run_after_a_killed_part_is_of_the_part_that_followed() -> None:
    found = named("kill-httpd", days=1)
    killed = replace(found.parts[0], began=BEGAN, ended=None, why="it was killed")
    told = overview(replace(found, parts=(killed, *found.parts)))
    assert "- 2026-11-23 12:00 UTC, 0 runs; ended: it was killed" in told
    assert "2026-11-24 12:30 UTC, 1 run; ended: all" in told


def test_gaps_in_a_sequence_are_told() -> None:
    told = overview(merged(reported(result("kill-httpd", 0.5)), by_chance(1, 2, 5, missed=(4,))))
    assert "numbers 1 to 5 of the sequence, without 2 of them (3, 4)" in told
    assert "- `kill-etcd`, 2026-11-23 12:00, was not measured: its process has ended" in told


def test_what_did_not_hold_in_many_runs_is_a_line() -> None:
    broken = Invariant("sessions survive", held=False, detail="7 of 1000 lost")
    runs = [result("kill-httpd", 0.5, run=run) for run in range(1, 21)]
    runs[3:6] = [replace(run, invariants=(broken,)) for run in runs[3:6]]
    told = overview(reported(*runs))
    assert told.count("sessions survive") == 1
    assert "- `kill-httpd`, in 3 of 20 runs, first run 4 (somebody): sessions survive: 7 of 1000 lost" in told


def test_from_twenty_runs_on_the_95th_percentile_is_told() -> None:
    runs = [result("kill-httpd", 1.0 if run < 20 else 3.0, run=run) for run in range(1, 21)]
    (line,) = (line for line in overview(reported(*runs)).splitlines() if line.startswith("| `kill-httpd`"))
    assert "| 20 | 1.00 · 1.00 (3.00) |" in line


def test_forecasts_are_compared_with_every_run() -> None:
    terms = (Term("systemd starts it again", 1.5, "its unit"),)
    bound = Forecast("kill-httpd", "", Broken.BALANCER, Measure.OUTAGE, terms)
    found = merged(reported(result("kill-httpd", 1.0), result("kill-httpd", 2.0, run=2)), by_chance(1, 2, 3))
    told = overview(found, forecasts=[bound, replace(bound, fault="lose-app")])
    assert "**3 of 4 runs (75%) were within the bound**; wanted are 95%, which is missed." in told
    assert "| `kill-httpd` | outage | 1.50 | 0.50 | 2.00 | 2.00 | 3 of 4 |" in told
    assert "lose-app" not in told, "nobody ran it"
    assert f"- `rolling-patch`: {UNFORETOLD['rolling-patch']}" in told


def test_a_report_published_anew_takes_the_place_of_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, report = tmp_path / "docs", tmp_path / "report"
    for folder in (docs, report):
        folder.mkdir()
    monkeypatch.setattr(publish, "OVERVIEW", docs / "results.md")
    monkeypatch.setattr(rules, "RESULTS", docs / "results.json")
    for module in (rules, pages):
        monkeypatch.setattr(module, "write", lambda: None)
    broken = replace(result("kill-httpd", 0.5), invariants=(LOST,))
    rules.RESULTS.write_bytes(document.as_json(reported(broken)))
    former = docs / "timelines-2026-01-01-0000.html"
    former.write_text("former")
    (report / "results.json").write_bytes(document.as_json(reported(result("kill-etcd", 0.2))))
    with pytest.raises(FileNotFoundError):
        publish.publish(report, anew=True)
    assert former.exists(), "there is no page of timelines to take its place"
    (report / "report.html").write_text("timelines")
    publish.publish(report)
    assert "kill-httpd" in publish.OVERVIEW.read_text()
    assert former.exists()
    publish.publish(report, anew=True)
    assert [page.read_text() for page in docs.glob("*.html")] == ["timelines"]
    assert "| `kill-httpd` |" not in publish.OVERVIEW.read_text()
    assert "- `kill-httpd`, 2026-11-23 12:00 UTC (somebody): sessions survive" in publish.OVERVIEW.read_text()


def test_share_of_forecasts_that_hold_is_the_published_one() -> None:
    """Of the repository itself: whatever it is, it is told."""
    found = document.parsed(rules.RESULTS.read_bytes())
    known = compared(found, forecast(Stack(found.stack).settings))
    measured = [(one, seconds) for one in known for seconds in one.measured]
    within = sum(seconds <= one.forecast.bound for one, seconds in measured)
    percent = 100 * within // len(measured)  # 100 only where it is all of them
    told = f"**{within:,} of {len(measured):,} runs ({percent}%) were within the bound**; wanted are 95%"
    assert told + (", which is missed." if within < 0.95 * len(measured) else ".") in OVERVIEW.read_text()


def test_the_page_agrees_with_the_results() -> None:
    """Of the repository itself."""
    assert rules.RESULTS.exists() == OVERVIEW.exists()
    if rules.RESULTS.exists():
        expected = page(document.parsed(rules.RESULTS.read_bytes()))
        assert OVERVIEW.read_text() == expected, "run: python -m drills.report.publish"
