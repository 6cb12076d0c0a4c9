"""`postgresql:index/grant:Grant`."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from psycopg import sql

from offline.postgresql.privileges import ALLOWED, COMMON, agreed, grantee, keywords, missing, mistakes
from offline.postgresql.server import (
    Row,
    ServerResource,
    Session,
    identifiers,
    lock,
    membership,
    one,
    refreshed,
    rows,
)
from offline.provider.resource import Call, Failure, Property, ProviderError, State
from offline.provider.values import UNKNOWN, Properties, has_unknown

_TYPES: Final = tuple(kind for kind in ALLOWED if kind != "type")
_WITHOUT_SCHEMA: Final = {"database", "foreign_data_wrapper", "foreign_server"}
_FOREIGN: Final = {"foreign_data_wrapper", "foreign_server"}
_NAMES: Final = Property("array", items=Property(), unordered=True, replaces=True)
_SIGNATURE: Final = re.compile(r'\([\w\s,.\[\]"]*\)')
"""The argument types behind a function's name; they can't be quoted, so nothing else passes."""


class Grant(ServerResource):
    """The privileges of one role on one kind of object; it takes away those that it does not name."""

    urn_type: ClassVar[str] = "postgresql:index/grant:Grant"
    deletes_before_replace: ClassVar[bool] = True
    inputs: ClassVar[dict[str, Property]] = {
        **COMMON,
        "objectType": Property(required=True, replaces=True, choices=_TYPES),
        "objects": _NAMES,
        "columns": _NAMES,
    }

    def validate(self, inputs: Properties) -> list[Failure]:
        """Which properties belong to which type of object."""
        if inputs["objectType"] is UNKNOWN:
            return []
        return [*mistakes(inputs), *_misfits(inputs)]

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Grants the privileges."""
        del call
        return grant_id(inputs), await self._grant(inputs, inputs)

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Takes the old privileges away and grants the new ones, in one transaction."""
        del call
        return await self._grant({**old.outputs, **old.inputs}, inputs)

    async def delete(self, old: State, call: Call) -> None:
        """Takes the privileges away; without the role or the object there are none."""
        if await self.read(old, call) is None:
            return

        async def work(session: Session) -> None:
            await _lock(session, old.outputs)
            async with membership(session, await _owners(session, old.outputs)):
                await session.execute(revoke_statement(old.outputs))

        await self.server.change(work, old.outputs["database"])

    async def read(self, old: State, call: Call) -> State | None:
        """What the role has now."""
        del call
        if not old.outputs:
            raise ProviderError("a Grant can't be imported: let the program create it, which changes nothing that fits")
        state = old.outputs

        async def work(session: Session) -> list[str] | None:
            if not await _exists(session, state):
                return None
            return await _granted(session, state)

        granted = await self.server.look(work, state["database"])
        if granted is None:
            return None
        now = {**state, "privileges": granted}
        return State(grant_id(now), refreshed(self, old.inputs, now), now)

    async def _grant(self, olds: Properties, inputs: Properties) -> Properties:
        async def work(session: Session) -> Properties:
            await _lock(session, inputs)
            async with membership(session, await _owners(session, inputs)):
                await session.execute(revoke_statement(olds))
                if inputs["privileges"]:
                    await session.execute(grant_statement(inputs))
            for name, granted in await _acl(session, inputs):
                if lacks := missing(inputs["objectType"], inputs["privileges"], set(granted)):
                    # PostgreSQL only warns, and the grant would be done in name only.
                    raise ProviderError(
                        f"PostgreSQL grants {inputs['role']} no {', '.join(lacks)} on {inputs['objectType']} {name}: "
                        "connect as its owner or as a superuser"
                    )
            return inputs

        return await self.server.change(work, inputs["database"])


def grant_id(inputs: Properties) -> str:
    """The id that pulumi-postgresql gives: role, database, schema, type and objects."""
    schema = [] if inputs["objectType"] in _WITHOUT_SCHEMA else [inputs["schema"]]
    names = [*sorted(inputs.get("objects", [])), *sorted(inputs.get("columns", []))]
    return "_".join([inputs["role"], inputs["database"], *schema, inputs["objectType"], *names])


def grant_statement(inputs: Properties) -> sql.Composed:
    """GRANT."""
    statement = sql.SQL("GRANT {}{} ON {} TO {}").format(
        keywords(inputs), _columns(inputs), _target(inputs), grantee(inputs["role"])
    )
    return statement + sql.SQL(" WITH GRANT OPTION") if inputs["withGrantOption"] else statement


def revoke_statement(inputs: Properties) -> sql.Composed:
    """REVOKE: all privileges, but on named tables only the granted ones, because all would include those on columns."""
    named = inputs["objectType"] in {"table", "column"} and inputs.get("objects") and inputs["privileges"]
    what = keywords(inputs) if named else sql.SQL("ALL PRIVILEGES")
    return sql.SQL("REVOKE {}{} ON {} FROM {}").format(what, _columns(inputs), _target(inputs), grantee(inputs["role"]))


def _misfits(inputs: Properties) -> list[Failure]:
    kind = inputs["objectType"]
    objects, columns = inputs.get("objects") or [], inputs.get("columns") or []
    if has_unknown([objects, columns]):
        return []
    found = []
    if kind not in _WITHOUT_SCHEMA and not inputs.get("schema"):
        found.append(Failure("schema", f"objectType {kind} needs the property schema"))
    if kind in {"database", "schema"} and objects:
        found.append(Failure("objects", f"objectType {kind} takes no objects: it is the {kind} itself"))
    if kind in _FOREIGN | {"column"} and len(objects) != 1:
        found.append(Failure("objects", f"objectType {kind} needs exactly one object"))
    if (kind == "column") != bool(columns):
        found.append(Failure("columns", "columns and objectType column belong together"))
    if kind == "column" and inputs["privileges"] is not UNKNOWN and len(inputs["privileges"]) != 1:
        found.append(Failure("privileges", "objectType column needs exactly one privilege"))
    if kind in {"function", "procedure", "routine"}:
        found += [
            Failure("objects", f"{name!r} is no name of a {kind}: write NAME or NAME(TYPE, …)")
            for name in objects
            if "(" in name and not _SIGNATURE.fullmatch(name[name.index("(") :])
        ]
    return found


def _columns(inputs: Properties) -> sql.Composable:
    columns = sorted(inputs.get("columns") or [])
    return sql.SQL(" ({})").format(identifiers(columns)) if columns else sql.SQL("")


def _target(inputs: Properties) -> sql.Composable:
    kind, objects = inputs["objectType"], sorted(inputs.get("objects") or [])
    if kind in {"database", "schema"}:
        return sql.SQL(kind.upper() + " {}").format(sql.Identifier(inputs[kind]))
    if kind in _FOREIGN:
        return sql.SQL(kind.upper().replace("_", " ") + " {}").format(sql.Identifier(objects[0]))
    word = "TABLE" if kind == "column" else kind.upper()
    if not objects:
        return sql.SQL("ALL " + word + "S IN SCHEMA {}").format(sql.Identifier(inputs["schema"]))
    return sql.SQL(word + " {}").format(sql.SQL(", ").join(_object(inputs["schema"], kind, name) for name in objects))


def _object(schema: str, kind: str, name: str) -> sql.Composed:
    bracket = name.find("(") if kind in {"function", "procedure", "routine"} else -1
    if bracket < 0:
        return sql.Composed([sql.Identifier(schema, name)])
    if not _SIGNATURE.fullmatch(name[bracket:]):
        raise ProviderError(f"{name!r} is no name of a {kind}: write NAME or NAME(TYPE, …)")
    return sql.Identifier(schema, name[:bracket]) + sql.SQL(name[bracket:])


async def _lock(session: Session, inputs: Properties) -> None:
    await lock(session, "pg_roles", "rolname", inputs["role"])
    if inputs["objectType"] == "database":
        await lock(session, "pg_database", "datname", inputs["database"])


async def _owners(session: Session, inputs: Properties) -> list[str]:
    """Who has to grant: the owner of the database, or the owners of the schema and of the tables in it."""
    if inputs["objectType"] == "database":
        query = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = %s"
        return [row[0] for row in await rows(session, query, [inputs["database"]])]
    if inputs["objectType"] in _FOREIGN:
        return []
    found = await rows(
        session,
        "SELECT pg_get_userbyid(CASE WHEN nspowner::regrole::text = 'pg_database_owner' THEN "
        "(SELECT datdba FROM pg_database WHERE datname = current_database()) ELSE nspowner END)::text "
        "FROM pg_namespace WHERE nspname = %s UNION SELECT tableowner FROM pg_tables WHERE schemaname = %s ORDER BY 1",
        [inputs["schema"], inputs["schema"]],
    )
    return [row[0] for row in found]


async def _exists(session: Session, inputs: Properties) -> bool:
    """Whether the role and the schema exist; in their absence the grant is gone."""
    row = await one(
        session,
        "SELECT (%s = 'public' OR EXISTS (SELECT FROM pg_roles WHERE rolname = %s)) "
        "AND (%s OR EXISTS (SELECT FROM pg_namespace WHERE nspname = %s))",
        [inputs["role"], inputs["role"], inputs["objectType"] in _WITHOUT_SCHEMA, inputs.get("schema", "")],
    )
    return bool(row and row[0])


async def _granted(session: Session, inputs: Properties) -> list[str]:
    """The privileges of the role: the wanted ones if it has them on every object, else what it has on one."""
    kind, wanted = inputs["objectType"], inputs["privileges"]
    for _, granted in await _acl(session, inputs):
        if (found := agreed(kind, wanted, set(granted))) != wanted:
            return found
    return list(wanted)


_ROUTINE: Final = "pg_proc AS o JOIN pg_namespace AS n ON n.oid = pronamespace"
_RELATION: Final = "pg_class AS o JOIN pg_namespace AS n ON n.oid = relnamespace"
_CATALOGS: Final = {
    "database": ("datname", "datacl", "pg_database", "datname = %(database)s"),
    "schema": ("nspname", "nspacl", "pg_namespace", "nspname = %(schema)s"),
    "foreign_data_wrapper": ("fdwname", "fdwacl", "pg_foreign_data_wrapper", "fdwname = ANY(%(objects)s)"),
    "foreign_server": ("srvname", "srvacl", "pg_foreign_server", "srvname = ANY(%(objects)s)"),
    "function": ("proname", "proacl", _ROUTINE, "nspname = %(schema)s AND prokind <> 'p'"),
    "procedure": ("proname", "proacl", _ROUTINE, "nspname = %(schema)s AND prokind = 'p'"),
    "routine": ("proname", "proacl", _ROUTINE, "nspname = %(schema)s"),
    "table": ("relname", "relacl", _RELATION, "nspname = %(schema)s AND relkind IN ('r', 'p', 'v', 'm', 'f')"),
    "sequence": ("relname", "relacl", _RELATION, "nspname = %(schema)s AND relkind = 'S'"),
    "column": (
        "relname || '.' || attname",
        "attacl",
        _RELATION + " JOIN pg_attribute AS a ON a.attrelid = o.oid",
        "nspname = %(schema)s AND relname = ANY(%(objects)s) AND attname = ANY(%(columns)s)",
    ),
}
"""Per type of object: its name, its access list, where they are, and which ones a grant may be about."""


async def _acl(session: Session, inputs: Properties) -> list[Row]:
    """Every object that the grant is about, with the role's privileges on it; everyone (public) has the OID 0."""
    kind, objects = inputs["objectType"], inputs.get("objects") or []
    name, acl, source, where = _CATALOGS[kind]
    if objects and source is _ROUTINE:
        where += (
            " AND o.oid IN (SELECT CASE WHEN f LIKE '%%(%%' THEN to_regprocedure(f)::oid ELSE to_regproc(f)::oid END "
            "FROM unnest(%(routines)s::text[]) AS f)"
        )
    elif objects and source is _RELATION:
        where += " AND relname = ANY(%(objects)s)"
    text = (
        f"SELECT {name}::text, array(SELECT privilege_type FROM aclexplode({acl}) WHERE grantee = "  # noqa: S608
        "COALESCE((SELECT oid FROM pg_roles WHERE rolname = %(role)s AND rolname <> 'public'), 0)) "
        f"FROM {source} WHERE {where} ORDER BY 1"
    )
    routines = [_object(inputs["schema"], kind, item).as_string() for item in objects] if source is _ROUTINE else []
    parameters = {"schema": None, "columns": [], **inputs, "objects": objects, "routines": routines}
    return await (await session.execute(sql.SQL(text), parameters)).fetchall()
