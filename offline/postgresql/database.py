"""`postgresql:index/database:Database`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from psycopg import sql

from offline.postgresql.server import ServerResource, Session, membership, one, refreshed
from offline.provider.resource import Call, Property, State

if TYPE_CHECKING:
    from offline.provider.values import Properties

_TEMPLATE: Final = Property(computed=True, replaces=True)


class Database(ServerResource):
    """A database of the server. Deleting it ends the sessions that are in it."""

    urn_type: ClassVar[str] = "postgresql:index/database:Database"
    name_property: ClassVar[str] = "name"
    inputs: ClassVar[dict[str, Property]] = {
        "name": Property(required=True),
        "owner": Property(computed=True),
        "template": _TEMPLATE,
        "encoding": _TEMPLATE,
        "lcCollate": _TEMPLATE,
        "lcCtype": _TEMPLATE,
        "tablespaceName": Property(computed=True),
        "connectionLimit": Property("integer", default=-1),
        "allowConnections": Property("boolean", default=True),
        "isTemplate": Property("boolean", computed=True),
        "alterObjectOwnership": Property("boolean", default=False),
    }

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Creates the database, from template0 in UTF-8 unless the inputs say otherwise."""
        del call
        given = {"owner": self.server.known().owner, "template": "template0", "encoding": "UTF8", **inputs}

        async def work(session: Session) -> Properties:
            async with membership(session, [given["owner"]]):
                await session.execute(create_statement(given))
            return {**inputs, **(await _read(session, inputs["name"], given) or {})}

        return inputs["name"], await self.server.change(work, autocommit=True)

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Changes what is different, the name included."""
        del call
        current = await self.read(old, Call(""))
        olds = {**old.outputs, **(current.outputs if current else {})}
        owner = inputs.get("owner", olds["owner"])
        if inputs["alterObjectOwnership"] and owner != olds["owner"]:
            await self._reassign(old.id, olds["owner"], owner)

        async def work(session: Session) -> Properties:
            async with membership(session, [owner] if owner != olds["owner"] else []):
                for statement in update_statements({**olds, "name": old.id}, inputs):
                    await session.execute(statement)
            return {**inputs, **(await _read(session, inputs["name"], {**olds, **inputs}) or {})}

        return await self.server.change(work, autocommit=True)

    async def delete(self, old: State, call: Call) -> None:
        """Drops the database with all that is in it."""
        del call

        async def work(session: Session) -> None:
            now = await _read(session, old.id, {})
            if now is None:
                return
            database = sql.Identifier(old.id)
            async with membership(session, [now["owner"]]):
                if now["isTemplate"]:
                    await session.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(database))
                await session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))

        await self.server.change(work, autocommit=True)

    async def read(self, old: State, call: Call) -> State | None:
        """The database as the catalog has it."""
        del call

        async def work(session: Session) -> Properties | None:
            return await _read(session, old.id, old.outputs)

        now = await self.server.look(work)
        if now is None:
            return None
        return State(old.id, refreshed(self, old.inputs, now), {"alterObjectOwnership": False, **old.outputs, **now})

    async def _reassign(self, database: str, old: str, new: str) -> None:
        async def work(session: Session) -> None:
            async with membership(session, [old, new]):
                statement = sql.SQL("REASSIGN OWNED BY {} TO {}")
                await session.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))

        await self.server.change(work, database)


def create_statement(inputs: Properties) -> sql.Composed:
    """CREATE DATABASE; `DEFAULT` as a value is the keyword, as in pulumi-postgresql."""
    parts: list[sql.Composable] = [sql.SQL("CREATE DATABASE {}").format(sql.Identifier(inputs["name"]))]
    for key, keyword, kind in (
        ("owner", "OWNER", sql.Identifier),
        ("template", "TEMPLATE", sql.Identifier),
        ("encoding", "ENCODING", sql.Literal),
        ("lcCollate", "LC_COLLATE", sql.Literal),
        ("lcCtype", "LC_CTYPE", sql.Literal),
        ("tablespaceName", "TABLESPACE", sql.Identifier),
    ):
        if value := inputs.get(key):
            default = value.upper() == "DEFAULT" and key != "owner"
            parts += [sql.SQL(keyword), sql.SQL("DEFAULT") if default else kind(value)]
    for key, keyword in (
        ("allowConnections", "ALLOW_CONNECTIONS"),
        ("connectionLimit", "CONNECTION LIMIT"),
        ("isTemplate", "IS_TEMPLATE"),
    ):
        if key in inputs:
            parts += [sql.SQL(keyword), sql.Literal(inputs[key])]
    return sql.SQL(" ").join(parts)


def update_statements(olds: Properties, news: Properties) -> list[sql.Composed]:
    """What makes of the old database the new one."""
    database = sql.Identifier(news["name"])
    found: list[sql.Composed] = []
    if olds["name"] != news["name"]:
        found.append(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(olds["name"]), database))
    changed = {key for key, value in news.items() if value != olds.get(key)}
    if "owner" in changed:
        found.append(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(news["owner"])))
    if "tablespaceName" in changed:
        space = sql.Identifier("pg_default" if news["tablespaceName"].upper() == "DEFAULT" else news["tablespaceName"])
        found.append(sql.SQL("ALTER DATABASE {} SET TABLESPACE {}").format(database, space))
    for key, keyword in (
        ("connectionLimit", "CONNECTION LIMIT"),
        ("allowConnections", "ALLOW_CONNECTIONS"),
        ("isTemplate", "IS_TEMPLATE"),
    ):
        if key in changed:
            found.append(sql.SQL("ALTER DATABASE {} WITH {} {}").format(database, sql.SQL(keyword), news[key]))
    return found


async def _read(session: Session, name: str, known: Properties) -> Properties | None:
    row = await one(
        session,
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, spcname, datconnlimit, "
        "datallowconn, datistemplate FROM pg_database AS d JOIN pg_tablespace AS t ON t.oid = dattablespace "
        "WHERE datname = %s",
        [name],
    )
    if row is None:
        return None
    columns = ["owner", "encoding", "lcCollate", "lcCtype", "tablespaceName"]
    columns += ["connectionLimit", "allowConnections", "isTemplate"]
    # No catalog remembers the template.
    return {"name": name, "template": known.get("template", "template0"), **dict(zip(columns, row, strict=True))}
