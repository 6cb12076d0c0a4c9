"""Backup programs on VMs, and what runs them by itself."""

import re

from policies.reading.guests import GuestFiles

_BACKUP = re.compile(
    r"\b(pg_basebackup|pg_receivewal|pg_dump(all)?|pgbackrest|wal-[eg]|barman|pghoard|restic|borg(matic)?|kopia|bacula"
    r"|duplicity)\b",
    re.IGNORECASE,
)
_OF_A_DATABASE = re.compile(r"\b(pg_basebackup|pg_receivewal|pg_dump(all)?|pgbackrest|barman|pghoard)\b", re.IGNORECASE)
_SCHEDULE = re.compile(r"\.timer$|/cron|crontab")


def scheduled(files: GuestFiles) -> bool:
    """Whether something runs a backup program by itself, directly or in a script of the server's."""
    programs = [path for path, _text in files.containing(_BACKUP)]
    for path, text in files.contents.items():
        if _SCHEDULE.search(path) and (_BACKUP.search(f"{path}\n{text}") or _runs(path, text, programs, files)):
            return True
    return False


def of_a_database(files: GuestFiles) -> bool:
    """Whether what runs by itself backs up a PostgreSQL."""
    return scheduled(files) and bool(files.containing(_OF_A_DATABASE))


def _runs(path: str, text: str, programs: list[str], files: GuestFiles) -> bool:
    """Whether a schedule leads to one of these files: itself, or by the service that a timer starts."""
    if path.endswith(".timer"):
        named = re.search(r"(?m)^\s*Unit=(\S+)", text)
        unit = named[1] if named else path.rpartition("/")[2].removesuffix(".timer") + ".service"
        started = [(one, content) for one, content in files.contents.items() if one.rpartition("/")[2] == unit]
        return any(one in programs or any(program in content for program in programs) for one, content in started)
    return any(program in text for program in programs)
