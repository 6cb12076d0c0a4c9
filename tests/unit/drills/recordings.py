"""Recordings made up for tests: a steady load with one outage."""

from datetime import UTC, datetime

from drills.model import (
    Acknowledgement,
    Generator,
    Kind,
    LedgerCheck,
    Machine,
    Observation,
    Rates,
    Recording,
    Request,
    SessionsCheck,
    WriterSample,
)

SECONDS = 20.0
FAULT = 8.0
BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def recording(outage: float, *, failed: int = 0) -> Recording:
    """Good answers every 0.1 s but for an outage from `FAULT` on, in which that many API requests fail."""
    times = [tick / 10 for tick in range(int(SECONDS * 10)) if not FAULT < tick / 10 < FAULT + outage]
    visits = [
        Request(kind, "GET", time, time, 0.0, 200, "", "app01") for time in times for kind in (Kind.PAGE, Kind.API)
    ]
    broken = [Request(Kind.API, "GET", FAULT + 0.01, FAULT + 0.01, 0.0, 503) for _ in range(failed)]
    before = Observation(0.0, ("lb01",), ("db01",), ("db01",), ("db02",), 3)
    after = Observation(FAULT + outage, ("lb01",), ("db02",), ("db02",), (), 3)
    return Recording(
        began=BEGAN,
        began_monotonic=100.0,
        seconds=SECONDS,
        path="a test",
        rates=Rates(20, 10, 5, 20),
        requests=(*visits, *broken),
        acknowledgements=tuple(Acknowledgement(f"id{place}", time) for place, time in enumerate(times)),
        writers=tuple(WriterSample("db01", time, time, BEGAN, True, True, 1) for time in times if time < FAULT),
        observations=(before, after),
        ledger=LedgerCheck(written=len(times), acknowledged=len(times)),
        sessions=SessionsCheck(sessions=5, certain=5),
        generator=Generator(1.0, 0.001, 0.002),
        machine=Machine(2, "a processor", 23.5, "6.1", "3.11", (0.5, 0.4, 0.3)),
    )
