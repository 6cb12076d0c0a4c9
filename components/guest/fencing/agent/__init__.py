"""Perenne's fencing agent: makes sure that a lost primary is off, and only then gives its leader key away.

Runs on every database server with Debian's Python. Without it a standby waits until the lost primary's lease has run
out (Patroni's `ttl`), as nobody knows whether that one still writes.

| file | what it does |
|---|---|
| `lease` | reads off etcd's answers since when the primary has not renewed its lease |
| `judgement` | decides by the signs of the moment: wait, release, fence |
| `etcd` | Patroni's keys, a lock among agents, a record of what was powered off |
| `silence` | when the primary and its host answered last |
| `vcenter`, `redfish` | power a server off and on, and its host |
| `agent` | brings them together |

`lease` and `judgement` know no network and no clock: they are told the time.
"""
