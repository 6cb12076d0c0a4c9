"""The report: verdicts, figures, and files that need nothing from elsewhere."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from blueprint.terms import Measure
from drills import report
from drills.model import (
    UNKNOWN,
    Chance,
    Circumstances,
    Invariant,
    Kind,
    Part,
    Request,
    Result,
    SimulatedDelay,
    Subject,
    Target,
    Unmeasured,
)
from drills.report import document
from drills.report.document import schema
from drills.report.summary import Runs, Summary, Verdict, judged, run_of, tally
from drills.workload import keeping
from drills.workload.figures import outage, unserved
from tests.unit.drills.recordings import BEGAN, FAULT, recording

TARGET = Target(1.5, Measure.OUTAGE, "measured below: 1.1 s")
SCHEMA = Path(__file__).parents[3] / "docs" / "drills" / "results.schema.json"


def result(outage: float = 1.0, *, run: int = 1, failed: int = 0) -> Result:
    """A run of a drill in which PostgreSQL was killed."""
    return Result(
        fault="kill-postgres",
        title="The primary's PostgreSQL is killed",
        hit="db01, the primary",
        run=run,
        target=TARGET,
        recording=recording(outage, failed=failed),
        injected=FAULT,
        undone=FAULT + 1,
        whole=FAULT + 6,
        invariants=(Invariant("no acknowledged write is lost", held=True, detail="190 of 190"),),
        simulated=(SimulatedDelay("host declared dead", 18.0, "Epping"),),
        proves=("DATA-2",),
    )


def summarise(results: list[Result]) -> tuple[Summary, ...]:
    """One summary per drill."""
    return Runs(results).summaries()


def test_target_is_judged_by_the_95th_percentile() -> None:
    runs = [result(1.0, run=run) for run in range(1, 20)]
    (one_slow,) = summarise([*runs, result(4.0, run=20)])
    assert one_slow.outage.worst == pytest.approx(4.0)
    assert one_slow.outage.p95 == pytest.approx(1.0)
    assert one_slow.verdict is Verdict.MET
    assert not one_slow.few
    (two_slow,) = summarise([*runs[:18], result(4.0, run=19), result(4.0, run=20)])
    assert two_slow.verdict is Verdict.MISSED


def test_few_runs_are_judged_by_the_worst() -> None:
    (summary,) = summarise([result(1.0), result(4.0, run=2)])
    assert summary.verdict is Verdict.MISSED
    assert summary.few


@pytest.mark.parametrize(
    ("verdict", "runs", "words"),
    [
        (Verdict.MET, 1, "met (1 run)"),
        (Verdict.MET, 19, "met (19 runs)"),
        (Verdict.MET, 20, "met"),
        (Verdict.MISSED, 3, "missed (3 runs)"),
        (Verdict.MISSED, 20, "missed"),
        (Verdict.BROKEN, 1, "broken"),
        (Verdict.NO_TARGET, 1, "no target"),
        (Verdict.WITHOUT_RULE, 1, "rule broken"),
    ],
)
def test_a_verdict_on_a_target_says_of_how_few_runs_it_is(verdict: Verdict, runs: int, words: str) -> None:
    assert judged(verdict, runs) == words


def test_drills_with_few_runs_are_counted_apart() -> None:
    enough = [result(1.0, run=run) for run in range(1, 21)]
    others = [replace(result(outage), fault=f"other-{place}") for place, outage in enumerate((4.0, 1.0, 1.0))]
    quiet = replace(result(), fault="", target=None)
    assert tally(summarise([*others, quiet, *enough])) == [
        (Verdict.MET, "met in fewer than 20 runs", 2),
        (Verdict.MET, "met", 1),
        (Verdict.MISSED, "missed in fewer than 20 runs", 1),
        (Verdict.NO_TARGET, "no target", 1),
    ]


def test_no_figure_makes_up_for_a_broken_invariant() -> None:
    broken = replace(result(0.5), invariants=(Invariant("never two writers", held=False, detail="db01 and db02"),))
    (summary,) = summarise([result(0.5), broken])
    assert summary.verdict is Verdict.BROKEN
    assert summary.worst.result == broken


def test_target_for_writes_is_judged_by_writes() -> None:
    switchover = replace(result(2.0), target=Target(1.0, Measure.PAUSED_WRITES, ""))
    quick = replace(switchover.recording, acknowledgements=recording(0.5).acknowledgements)
    assert summarise([switchover])[0].verdict is Verdict.MISSED
    assert summarise([replace(switchover, recording=quick)])[0].verdict is Verdict.MET


def test_stack_that_never_was_whole_again_has_no_recovery() -> None:
    (summary,) = summarise([result(), replace(result(run=2), whole=None)])
    assert summary.recovery is None


def test_run_whose_recording_is_kept_does_without_its_requests(tmp_path: Path) -> None:
    whole = run_of(result(4.0), 3, keeping.write(recording(4.0), tmp_path))
    slim = whole.without_requests()
    assert not slim.result.recording.requests
    assert slim.measured == pytest.approx(4.0)
    assert len(slim.result.recording.observations) == 2
    assert slim.with_requests().result.recording == recording(4.0)


def test_run_in_the_middle_is_shown_beside_the_worst(tmp_path: Path) -> None:
    (summary,) = summarise([result(outage, run=run) for run, outage in enumerate((3.0, 1.0, 2.0, 4.0), 1)])
    assert summary.worst.result.run == 4
    assert summary.middle
    assert summary.middle.result.run == 3, "by nearest rank the second of four"
    text = report.write([run.result for run in summary.runs], tmp_path).page.read_text()
    assert text.count("<svg") == 2
    assert "The median run, number 3 of 4" in text
    (two,) = summarise([result(1.0), result(2.0, run=2)])
    assert two.middle is None


def test_by_chance_only_the_worst_is_shown(tmp_path: Path) -> None:
    went = Circumstances(Chance(7, 500, "abc"))
    text = report.write([result(1.0), result(2.0), result(3.0)], tmp_path, went=went).page.read_text()
    assert text.count("<svg") == 1
    assert "./perenne drill --random 500 --seed 7" in text


def test_parts_and_what_was_not_measured_are_told(tmp_path: Path) -> None:
    first = Part(BEGAN, None, 1, 3, "it was killed", "kill-httpd")
    second = Part(BEGAN + timedelta(hours=2), BEGAN + timedelta(hours=3), 4, 9, "all its drills were run")
    missed = Unmeasured(5, "kill-etcd", BEGAN, "its process has ended")
    text = report.write([result()], tmp_path, went=Circumstances(None, (first, second), (missed,))).page.read_text()
    assert "2026-11-23 12:00 UTC, drills 1 to 3; ended: it was killed; kill-httpd was under way" in text
    assert "2026-11-23 14:00 to 2026-11-23 15:00 UTC, drills 4 to 9; ended: all its drills were run" in text
    assert "Drill 5, kill-etcd, was not measured:" in text
    assert text.count("nobody looked whether it left the site changed") == 2
    assert "Left changed" not in text
    found = document.parsed((tmp_path / "results.json").read_bytes())
    assert (found.parts, found.unmeasured) == ((first, second), (missed,))


def test_what_a_part_ran_on_and_left_changed_is_told(tmp_path: Path) -> None:
    on = Subject("0123abc-dirty", "4567def", BEGAN - timedelta(hours=1))
    part = Part(BEGAN, BEGAN + timedelta(hours=1), 1, 1, "all its drills were run", on=on, drift="")
    text = report.write([result()], tmp_path, went=Circumstances(None, (part,))).page.read_text()
    assert "; ran on commit 0123abc-dirty, settings 4567def, a lab of 2026-11-23 11:00 UTC; it left the site as" in text
    drifted = replace(part, drift="ComputeCluster esxi-cluster haEnabled is false")
    text = report.write([result()], tmp_path, went=Circumstances(None, (drifted,))).page.read_text()
    assert "it left the site CHANGED" in text
    assert (
        "After 2026-11-23 12:00 to 2026-11-23 13:00 UTC the site was not what the program says: ComputeCluster" in text
    )
    unknown = replace(part, drift=f"{UNKNOWN}vCenter does not answer")
    text = report.write([result()], tmp_path, went=Circumstances(None, (unknown,))).page.read_text()
    assert "what the program says after 2026-11-23 12:00 to 2026-11-23 13:00 UTC is not known: vCenter does not" in text


def test_runs_are_a_line_each(tmp_path: Path) -> None:
    content = report.write([result(), result(2.0, run=2)], tmp_path).data.read_text()
    assert len([line for line in content.splitlines() if '"figures": ' in line]) == 2
    assert document.as_json(document.parsed(content.encode())) == content.encode()


def test_table_names_drill_verdict_and_evidence() -> None:
    broken = replace(result(), invariants=(Invariant("never two writers", held=False, detail="db01 and db02"),))
    shown = StringIO()
    console = Console(file=shown, width=80)
    console.print(report.table([result(4.0, failed=3), broken]))
    assert "kill-postgres" in shown.getvalue()
    assert "met" not in shown.getvalue()
    assert "3 (3)" in shown.getvalue()
    assert "broken" in shown.getvalue()
    assert "never two writers: db01 and db02" in shown.getvalue()
    assert max(map(len, shown.getvalue().splitlines())) <= 80


def test_table_says_of_how_few_runs_a_verdict_is() -> None:
    shown = StringIO()
    Console(file=shown, width=80).print(report.table([result(), result(run=2)]))
    assert "met (2 runs)" in shown.getvalue()
    assert max(map(len, shown.getvalue().splitlines())) <= 80


def test_data_are_as_their_schema_says(tmp_path: Path) -> None:
    found = json.loads(report.write([result(failed=2)], tmp_path).data.read_text())
    assert found["schema"] == 1
    (drill,) = found["drills"]
    assert drill["verdict"] == "met"
    assert drill["failed_idempotent"] == 2
    assert drill["outage"]["p95"] == pytest.approx(1.0)
    assert [change["primary"] for change in drill["runs"][0]["changes"]] == [["db01"], ["db02"]]
    assert found.keys() == schema()["properties"].keys()


def test_schema_in_the_documentation_is_the_current_one() -> None:
    wanted = "write json.dumps(drills.report.document.schema(), indent=2), and raise SCHEMA if old readers would err"
    assert json.loads(SCHEMA.read_text()) == schema(), wanted


class Page(HTMLParser):
    """What a page asks for and how its ids are."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.described: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "srcset", "action"}:
                self.references.append(value or "")
            if name == "aria-labelledby":
                self.described.append(value or "")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    quiet = replace(result(0.1), fault="", title="Quiet", hit="", target=None, injected=None, undone=None, whole=None)
    folder = tmp_path_factory.mktemp("report")
    text = report.write([quiet, result(4.0), result(run=2, failed=1)], folder).page.read_text()
    parsed = Page()
    parsed.feed(text)
    return text, parsed


def test_page_needs_nothing_else(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert not parsed.tags & {"script", "link", "img", "iframe"}
    assert all(reference.startswith("#") for reference in parsed.references)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_page_has_unique_ids_and_named_drawings(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert len(parsed.ids) == len(set(parsed.ids))
    assert set(parsed.described) <= set(parsed.ids)
    assert {reference[1:] for reference in parsed.references} <= set(parsed.ids)
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314 (what was just drawn)
        assert root.get("role") == "img"
        assert "width" not in root.attrib
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        assert not re.search(r"#0\d0\d0\d", drawing), "colours are the page's"
        paths = re.findall(r' d="([^"]*)"', drawing)
        assert paths
        assert not any(re.search(r"\.\d\d", path) for path in paths), "nobody sees a hundredth of a point"


def test_page_has_both_colour_schemes_and_fits_a_phone(page: tuple[str, Page]) -> None:
    text, _ = page
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_page_tells_what_is_simulated_what_is_proved_and_how_few_runs_there_were(page: tuple[str, Page]) -> None:
    text, _ = page
    assert "Simulated by the lab, not measured on ESXi" in text
    assert "host declared dead: 18.0 s (Epping)" in text
    assert "DATA-2" in text
    assert "2 runs are fewer than 20: p95 is the worst run." in text
    assert ">missed (2 runs)<" in text
    assert "1 missed in fewer than 20 runs" in text


def test_page_shows_the_worst_run(page: tuple[str, Page]) -> None:
    text, _ = page
    assert "The worst run, number 1 of 2; hit: db01, the primary" in text
    assert "the first good answer after it" in text


def test_what_happened_can_be_no_markup(tmp_path: Path) -> None:
    hostile = replace(result(), hit="<script>alert(1)</script>", title="<b>bold</b>", notes=("<i>$x_1$</i>",))
    text = report.write([hostile], tmp_path).page.read_text()
    assert "<script>" not in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_nothing_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results"):
        report.write([], tmp_path)


def test_a_second_time_without_an_answer_counts_too() -> None:
    """A lost server may cost users when it is lost, and again when it comes back."""

    def answered(kind: Kind, at: float) -> Request:
        return Request(kind, "GET", scheduled=at, sent=at, seconds=0.0, status=200)

    times = [one / 5 for one in range(50) if not 2.0 < one / 5 < 5.0 and not 7.0 < one / 5 < 8.0]
    visits = [answered(kind, at) for kind in (Kind.PAGE, Kind.API) for at in times]
    assert outage(visits, 10.0).seconds == pytest.approx(3.0)
    assert unserved(visits, 10.0) == pytest.approx(4.0)
    assert unserved(visits[: len(times)], 10.0) == pytest.approx(10.0), "without the API nobody is served by it"
