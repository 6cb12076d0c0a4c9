#!/usr/bin/python3
"""Starts Patroni without a second that it would wait, now and then, before it hands the leader key over.

For a planned switchover Patroni stops PostgreSQL. Meanwhile it looks, up to and including 4.1 at least, whether
PostgreSQL's control file says "shut down" though its first process is still there, as where WAL is yet to be archived.
If it meets those 0.03 s it gives standbys a second more and then asks them (`Ha.demote`, `on_shutdown`); if it doesn't,
it hands the key over as soon as PostgreSQL has ended, by when every standby has been sent all there is. Here nothing is
archived, so the latter is always right; a switchover that met them paused writes for 1.7 s instead of 0.9 s.
"""

import sys
from typing import Any

from patroni.__main__ import main
from patroni.postgresql import Postgresql

_stop = Postgresql.stop


def stop(postgresql: Postgresql, *given: Any, **options: Any) -> bool:  # noqa: ANN401 (whatever Patroni's own takes)
    """Stop PostgreSQL, and do nothing about it before it has ended."""
    options.pop("on_shutdown", None)
    return bool(_stop(postgresql, *given, **options))


# Patroni starts PostgreSQL through a process of its own that reads this file, too.
if __name__ == "__main__":
    Postgresql.stop = stop
    sys.exit(main())
