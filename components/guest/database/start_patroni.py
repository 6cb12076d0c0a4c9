#!/usr/bin/python3
"""Starts Patroni without two waits between PostgreSQL's end and the next primary; no setting changes them.

For a planned switchover Patroni, up to and including 4.1, stops PostgreSQL, and looks once a second whether it has
closed its connections. Then it looks whether the control file says "shut down" though PostgreSQL's first process is
still there, as where WAL is yet to be archived. If it meets those 0.03 s it gives standbys a second more and then asks
them (`Ha.demote`, `on_shutdown`); if it doesn't, it hands the leader key over as soon as PostgreSQL has ended, by when
every standby has been sent all there is. Here nothing is archived, so the latter is always right. Either second is most
of what a switchover pauses writes for (drill switchover).
"""

import sys
from typing import Any

import patroni.postgresql
from patroni.__main__ import main
from patroni.postgresql import Postgresql

_stop = Postgresql.stop


def stop(postgresql: Postgresql, *given: Any, **options: Any) -> bool:  # noqa: ANN401 (whatever Patroni's own takes)
    """Stop PostgreSQL, and do nothing about it before it has ended."""
    options.pop("on_shutdown", None)
    return bool(_stop(postgresql, *given, **options))


# Patroni starts PostgreSQL through a process of its own that reads this file, too.
if __name__ == "__main__":
    patroni.postgresql.STOP_POLLING_INTERVAL = 0.03  # seconds
    Postgresql.stop = stop
    sys.exit(main())
