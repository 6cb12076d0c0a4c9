"""What a site needs before it breaks: full disks, units that don't run, gaps in the WAL. Every server is asked."""

import asyncio

from stack import ssh
from stack.status import ANSWER_SECONDS, DRAINED_MARK
from stack.vault import Vault
from stack.workspace import Stack

FULL_PERCENT = 80
"""How full a disk may be."""

RESTARTS = 6
RESTARTS_WITHIN = "30s"
"""A unit that systemd has started again so often within so long, and does not run now, does not come up: the one that
receives WAL is started every 2 s, for 7 s while the database fails over."""

_QUESTION = f"""\
df --output=pcent / | sed -n 's/^ *\\([0-9]*\\)%$/disk \\1/p'
systemctl list-units --failed --plain --no-legend --no-pager | sed -n 's/^\\([^ ]*\\) .*/failed \\1/p'
own='apache2.service chrony.service etcd.service keepalived.service patroni.service perenne-* wildfly.service'
[[ -e {DRAINED_MARK} ]] || systemctl list-unit-files --state=enabled --no-legend --no-pager $own |
    while read -r unit _; do
        case $(systemctl is-active "$unit") in
            inactive) echo "stopped $unit" ;;
            activating)
                restarts=$(journalctl --quiet --unit="$unit" --since=-{RESTARTS_WITHIN} --output=cat |
                    grep --count 'Scheduled restart')
                ((restarts < {RESTARTS})) || echo "restarting $unit" ;;
        esac
    done
if cd /var/lib/perenne-backup 2>/dev/null; then
    newest=$(ls base | sed -n '/^[0-9]/p' | tail -1)
    for gap in wal-until-*; do
        [[ -e $gap && ${{gap#wal-until-}} > $newest ]] && echo "gap ${{gap#wal-until-}}"
    done
fi
echo asked
"""
"""Prints `disk PERCENT`, `failed UNIT`, `stopped UNIT` and `restarting UNIT` for each, `gap TIME` for each hole in the
WAL since the last base backup; `asked` when it has come to its end."""


def needs(stack: Stack, seconds: float = ANSWER_SECONDS) -> list[str]:
    """What somebody should look at, a sentence each; that a server does not answer within so many seconds is one.

    Raises:
        Failure: The stack's secrets can't be read.
    """
    vault = Vault.open(stack)

    async def ask() -> list[str]:
        return await asyncio.gather(*(ssh.said(stack, vault, name, _QUESTION, seconds) for name in servers))

    servers = list(stack.settings.servers)
    answers = zip(servers, asyncio.run(ask()), strict=True)
    # The servers of a lab have no disks of their own.
    fullest = 100 if stack.is_lab else FULL_PERCENT
    return [need for name, said in answers for need in _needs_of(name, said, fullest)]


def _needs_of(name: str, said: str, fullest: int) -> list[str]:
    lines = said.splitlines()
    found = [] if "asked" in lines else [f"{name} does not say how it is"]
    for line in lines:
        match line.split():
            case ["disk", percent] if int(percent) >= fullest:
                found.append(f"the disk of {name} is {percent} % full")
            case ["failed", unit]:
                found.append(f"{unit} has failed on {name} (systemctl status {unit})")
            case ["stopped", unit]:
                found.append(f"{unit} does not run on {name} (systemctl start {unit})")
            case ["restarting", unit]:
                found.append(f"{unit} ends again and again on {name} (journalctl --unit {unit})")
            case ["gap", time]:
                found.append(
                    f"{name} has no WAL after {time} until its next base backup (systemctl start perenne-backup)"
                )
    return found
