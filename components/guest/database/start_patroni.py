#!/usr/bin/python3
"""Starts Patroni with a shorter look at a PostgreSQL that is shutting down.

Patroni, up to and including 4.1, looks once a second whether PostgreSQL has stopped before it hands the leader key
over; the shutdown itself takes 0.1 s. The second is most of what a planned switchover pauses writes for, and no setting
changes it.
"""

import sys

import patroni.postgresql
from patroni.__main__ import main

# Patroni starts PostgreSQL through a process of its own that reads this file, too.
if __name__ == "__main__":
    patroni.postgresql.STOP_POLLING_INTERVAL = 0.1  # seconds
    sys.exit(main())
