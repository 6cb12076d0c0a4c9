"""What can be granted on which kind of object, and how it is compared and written in SQL."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from offline.provider.resource import Failure, Property
from offline.provider.values import UNKNOWN, Properties, has_unknown

ALLOWED: Final = {
    "database": ("CREATE", "CONNECT", "TEMPORARY"),
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "schema": ("CREATE", "USAGE"),
    "function": ("EXECUTE",),
    "procedure": ("EXECUTE",),
    "routine": ("EXECUTE",),
    "type": ("USAGE",),
    "foreign_data_wrapper": ("USAGE",),
    "foreign_server": ("USAGE",),
    "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
}
"""https://www.postgresql.org/docs/current/ddl-priv.html (table 5.2); MAINTAIN is there from PostgreSQL 17 on."""
FIXED: Final = Property(required=True, replaces=True)
COMMON: Final = {
    "role": FIXED,
    "database": FIXED,
    "schema": Property(replaces=True),
    "privileges": Property("array", required=True, items=Property(), unordered=True),
    "withGrantOption": Property("boolean", default=False, replaces=True),
}


def mistakes(inputs: Properties) -> list[Failure]:
    """Privileges that don't exist for the type of object."""
    kind, privileges = inputs["objectType"], inputs["privileges"]
    if kind is UNKNOWN or has_unknown(privileges):
        return []
    allowed = ("ALL", *ALLOWED[kind])
    return [
        Failure("privileges", f"{privilege} can't be granted on a {kind}; allowed are {', '.join(allowed)}")
        for privilege in privileges
        if privilege not in allowed
    ]


def keywords(inputs: Properties) -> sql.Composed:
    """The privileges in SQL. They are keywords, which can't be quoted: only those of the table above pass."""
    allowed = ("ALL", *ALLOWED[inputs["objectType"]])
    return sql.SQL(", ").join(sql.SQL(word) for word in allowed if word in inputs["privileges"])


def agreed(kind: str, wanted: list[str], granted: set[str]) -> list[str]:
    """The wanted privileges if they are what is granted, else what is: `ALL` stands for everything there is."""
    everything = set(ALLOWED[kind]) - {"MAINTAIN"}
    if granted == set(wanted) or ("ALL" in wanted and granted - {"MAINTAIN"} == everything):
        return wanted
    return sorted(granted)


def missing(kind: str, wanted: list[str], granted: set[str]) -> list[str]:
    """Which wanted privileges are not granted."""
    expected = set(ALLOWED[kind]) - {"MAINTAIN"} if "ALL" in wanted else set(wanted)
    return sorted(expected - granted)


def grantee(role: str) -> sql.Composable:
    """The role, or everyone (`public`)."""
    return sql.SQL("PUBLIC") if role == "public" else sql.Identifier(role)
