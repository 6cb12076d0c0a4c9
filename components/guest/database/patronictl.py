#!/usr/bin/python3
"""The patronictl of the Patroni that runs here (patroni.txt), before Debian's older one on the PATH."""

import sys

sys.path.insert(0, "/opt/patroni")

from patroni.ctl import ctl

sys.exit(ctl(prog_name="patronictl"))
