"""What Perenne changes of Patroni when it starts it, on a pretended Patroni."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "components" / "guest" / "database" / "start_patroni.py"


class Postgresql:
    """Remembers how it was stopped."""

    def __init__(self) -> None:
        self.stopped: list[tuple[str, dict[str, object]]] = []

    def stop(
        self,
        mode: str = "fast",
        *,
        on_safepoint: Callable[[], None] | None = None,
        on_shutdown: Callable[[int, int], None] | None = None,
        stop_timeout: int | None = None,
    ) -> bool:
        """As Patroni's own is called (4.1.5, `Postgresql.stop`)."""
        told: dict[str, object] = {
            "on_safepoint": on_safepoint,
            "on_shutdown": on_shutdown,
            "stop_timeout": stop_timeout,
        }
        self.stopped.append((mode, told))
        return True


def test_patroni_waits_until_postgresql_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Postgresql()

    def main() -> int:
        """Switch over, as Patroni would."""
        assert server.stop("fast", on_safepoint=print, on_shutdown=lambda _checkpoint, _previous: None, stop_timeout=10)
        return 7

    patroni, entry, postgresql = (ModuleType(name) for name in ("patroni", "patroni.__main__", "patroni.postgresql"))
    entry.main = main  # type: ignore[attr-defined]
    patroni.postgresql = postgresql  # type: ignore[attr-defined]
    postgresql.Postgresql = Postgresql  # type: ignore[attr-defined]
    postgresql.STOP_POLLING_INTERVAL = 1  # type: ignore[attr-defined]
    for module in (patroni, entry, postgresql):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Postgresql, "stop", Postgresql.stop)  # put back afterwards
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PROGRAM), run_name="__main__")
    assert ended.value.code == 7
    assert postgresql.STOP_POLLING_INTERVAL < 0.1
    assert server.stopped == [("fast", {"on_safepoint": print, "on_shutdown": None, "stop_timeout": 10})]
