"""The SQL that the offline provider `postgresql` makes, and what it refuses before it makes any."""

from __future__ import annotations

import psycopg
import pytest

from offline.postgresql import database, default_privileges, extension, grant, role
from offline.postgresql.grant import Grant
from offline.postgresql.privileges import agreed, missing
from offline.postgresql.role import Role
from offline.postgresql.server import Server, SessionError, Settings, lost_race, refreshed
from offline.provider.resource import changes, check
from offline.provider.values import UNKNOWN, Properties, Secret

EVIL = 'x"; DROP TABLE y; --'
QUOTED = '"x""; DROP TABLE y; --"'
ROLE = {key: prop.default for key, prop in Role.inputs.items() if prop.default is not None}


def test_a_role_is_created_with_every_option() -> None:
    made = [
        item.as_string() for item in role.statements({}, {**ROLE, "name": EVIL, "login": True, "passwordHash": "it's"})
    ]

    assert made == [
        (
            f"CREATE ROLE {QUOTED} WITH NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT LOGIN NOREPLICATION NOBYPASSRLS "
            "CONNECTION LIMIT  -1 VALID UNTIL 'infinity' PASSWORD 'it''s'"
        )
    ]


def test_a_role_is_changed_only_where_it_differs() -> None:
    olds: Properties = {**ROLE, "name": "a", "roles": ["x", "y"], "statementTimeout": 5}
    news: Properties = {**ROLE, "name": "b", "roles": ["y", "z"], "searchPaths": ["p", "q"]}

    assert [item.as_string() for item in role.statements(olds, news)] == [
        'ALTER ROLE "a" RENAME TO "b"',
        'REVOKE "x" FROM "b"',
        'GRANT "z" TO "b"',
        'ALTER ROLE "b" SET search_path TO "p", "q"',
        'ALTER ROLE "b" RESET statement_timeout',
    ]


def test_a_role_without_changes_needs_no_statement() -> None:
    assert role.statements({**ROLE, "name": "a"}, {**ROLE, "name": "a"}) == []


def test_a_database_is_created() -> None:
    inputs = {"name": EVIL, "owner": "o", "template": "DEFAULT", "encoding": "UTF8", "connectionLimit": -1}

    assert database.create_statement(inputs).as_string() == (
        f"CREATE DATABASE {QUOTED} OWNER \"o\" TEMPLATE DEFAULT ENCODING 'UTF8' CONNECTION LIMIT  -1"
    )


def test_a_database_is_changed_only_where_it_differs() -> None:
    olds = {"name": "a", "owner": "o", "connectionLimit": -1, "allowConnections": True}
    news = {"name": "a", "owner": "p", "connectionLimit": 5, "allowConnections": True}

    assert [item.as_string() for item in database.update_statements(olds, news)] == [
        'ALTER DATABASE "a" OWNER TO "p"',
        'ALTER DATABASE "a" WITH CONNECTION LIMIT 5',
    ]


def test_an_extension_is_created() -> None:
    inputs = {"name": "postgis", "schema": EVIL, "createCascade": True}

    assert extension.create_statement(inputs).as_string() == (
        f'CREATE EXTENSION IF NOT EXISTS "postgis" SCHEMA {QUOTED} CASCADE'
    )


GRANT: Properties = {"role": "r", "database": "d", "schema": "s", "privileges": ["SELECT"], "withGrantOption": False}


@pytest.mark.parametrize(
    ("inputs", "granted", "revoked"),
    [
        (
            {"objectType": "table"},
            'GRANT SELECT ON ALL TABLES IN SCHEMA "s" TO "r"',
            'REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA "s" FROM "r"',
        ),
        (
            {"objectType": "table", "objects": ["b", EVIL]},
            f'GRANT SELECT ON TABLE "s"."b", "s".{QUOTED} TO "r"',
            f'REVOKE SELECT ON TABLE "s"."b", "s".{QUOTED} FROM "r"',  # noqa: S608
        ),
        (
            {"objectType": "column", "objects": ["t"], "columns": ["c", "a"]},
            'GRANT SELECT ("a", "c") ON TABLE "s"."t" TO "r"',
            'REVOKE SELECT ("a", "c") ON TABLE "s"."t" FROM "r"',
        ),
        (
            {"objectType": "database", "privileges": ["CONNECT", "CREATE"], "role": "public", "withGrantOption": True},
            'GRANT CREATE, CONNECT ON DATABASE "d" TO PUBLIC WITH GRANT OPTION',
            'REVOKE ALL PRIVILEGES ON DATABASE "d" FROM PUBLIC',
        ),
        (
            {"objectType": "function", "privileges": ["EXECUTE"], "objects": ["f(text, int[])"]},
            'GRANT EXECUTE ON FUNCTION "s"."f"(text, int[]) TO "r"',
            'REVOKE ALL PRIVILEGES ON FUNCTION "s"."f"(text, int[]) FROM "r"',
        ),
        (
            {"objectType": "foreign_server", "privileges": ["USAGE"], "objects": ["o"]},
            'GRANT USAGE ON FOREIGN SERVER "o" TO "r"',
            'REVOKE ALL PRIVILEGES ON FOREIGN SERVER "o" FROM "r"',
        ),
    ],
)
def test_privileges_are_granted_and_revoked(inputs: Properties, granted: str, revoked: str) -> None:
    assert grant.grant_statement({**GRANT, **inputs}).as_string() == granted
    assert grant.revoke_statement({**GRANT, **inputs}).as_string() == revoked


@pytest.mark.parametrize(
    ("inputs", "property_name"),
    [
        ({"objectType": "table", "privileges": ["SELECT; DROP"]}, "privileges"),
        ({"objectType": "sequence", "privileges": ["INSERT"]}, "privileges"),
        ({"objectType": "table", "schema": None}, "schema"),
        ({"objectType": "database", "privileges": ["CONNECT"], "objects": ["x"]}, "objects"),
        ({"objectType": "column", "objects": ["t"]}, "columns"),
        ({"objectType": "function", "privileges": ["EXECUTE"], "objects": ["f(int); DROP TABLE x"]}, "objects"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused_in_the_preview(inputs: Properties, property_name: str) -> None:
    failures = Grant(Server()).validate({**GRANT, **inputs})

    assert [failure.property for failure in failures] == [property_name]


def test_a_grant_of_unknown_privileges_waits_for_the_update() -> None:
    assert Grant(Server()).validate({**GRANT, "objectType": "table", "privileges": UNKNOWN}) == []


def test_default_privileges() -> None:
    inputs = {**GRANT, "owner": EVIL, "objectType": "sequence", "privileges": ["ALL"]}

    assert default_privileges.grant_statement(inputs).as_string() == (
        f'ALTER DEFAULT PRIVILEGES FOR ROLE {QUOTED} IN SCHEMA "s" GRANT ALL ON SEQUENCES TO "r"'
    )


def test_the_order_of_a_set_is_no_change_and_a_computed_property_may_be_left_out() -> None:
    olds = {"role": "r", "privileges": ["SELECT", "INSERT"]}

    assert changes(Grant.inputs, olds, {"role": "r", "privileges": ["INSERT", "SELECT"]}) == []
    assert changes(database.Database.inputs, {"name": "d", "owner": "o"}, {"name": "d"}) == []
    assert [item.replaces for item in changes(Grant.inputs, olds, {**olds, "role": "q"})] == [True]


@pytest.mark.parametrize(
    ("wanted", "granted", "result"),
    [
        (["INSERT", "SELECT"], {"SELECT", "INSERT"}, ["INSERT", "SELECT"]),
        (["ALL"], {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}, ["ALL"]),
        (["ALL"], {"SELECT"}, ["SELECT"]),
        (["SELECT"], set(), []),
    ],
)
def test_drift_of_privileges(wanted: list[str], granted: set[str], result: list[str]) -> None:
    assert agreed("table", wanted, granted) == result


def test_privileges_that_the_server_did_not_grant_are_found() -> None:
    assert missing("sequence", ["ALL"], {"USAGE"}) == ["SELECT", "UPDATE"]
    assert missing("sequence", ["USAGE"], {"USAGE", "SELECT"}) == []


def test_an_import_takes_over_what_differs_from_the_defaults() -> None:
    now = {**ROLE, "name": "a", "login": True, "roles": []}

    assert refreshed(Role(Server()), {}, now) == {"name": "a", "login": True}
    assert refreshed(Role(Server()), {"name": "a", "login": False}, now) == {"name": "a", "login": True}


def test_a_password_is_a_secret_whether_the_program_says_so_or_not() -> None:
    inputs, failures = check(Role.inputs, {"name": "a", "password": "p"}, "Role")

    assert failures == []
    assert inputs["password"] == Secret("p")
    assert "'p'" not in repr(inputs)


def test_a_role_has_one_password() -> None:
    inputs = {**ROLE, "name": "a", "password": "p", "passwordWo": "q", "encryptedPassword": False}

    found = [failure.property for failure in Role(Server()).validate(inputs)]

    assert found == ["passwordWo", "passwordWoVersion", "encryptedPassword"]


def test_several_hosts_mean_the_writable_one() -> None:
    one = Settings.parse({"host": "db01"}, {})
    both = Settings.parse({"host": "db01,db02", "connectTimeout": 5}, {})

    assert "target_session_attrs" not in one.conninfo("postgres")
    assert both.conninfo("x") == {
        "host": "db01,db02",
        "port": 5432,
        "user": "postgres",
        "dbname": "x",
        "connect_timeout": 5,
        "fallback_application_name": "pulumi-postgresql offline",
        "target_session_attrs": "read-write",
    }


def test_settings_follow_the_environment_like_the_official_provider() -> None:
    settings = Settings.parse(
        {"host": "a"}, {"PGHOST": "b", "PGPORT": "6000", "PGPASSWORD": "s", "PGSUPERUSER": "false"}
    )

    assert (settings.host, settings.port, settings.password, settings.superuser) == ("a", 6000, "s", False)


def test_which_failures_are_tried_again() -> None:
    assert lost_race(psycopg.errors.DeadlockDetected("deadlock detected"))
    assert lost_race(psycopg.errors.InternalError_("tuple concurrently updated"))
    assert not lost_race(psycopg.errors.DuplicateObject('role "a" already exists'))


def test_a_missing_database_is_told_from_a_missing_server() -> None:
    assert SessionError("", 'FATAL:  database "app" does not exist').database_missing
    assert not SessionError("", "connection refused").database_missing
