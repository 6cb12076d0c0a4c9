"""`postgresql:index/extension:Extension`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from psycopg import sql

from offline.postgresql.server import ServerResource, Session, one, refreshed
from offline.provider.resource import Call, Property, ProviderError, State

if TYPE_CHECKING:
    from offline.provider.values import Properties


class Extension(ServerResource):
    """An extension in one database. Its id, also for an import, is `database.extension`."""

    urn_type: ClassVar[str] = "postgresql:index/extension:Extension"
    name_property: ClassVar[str] = "name"
    inputs: ClassVar[dict[str, Property]] = {
        "name": Property(required=True, replaces=True),
        "database": Property(computed=True, replaces=True),
        "schema": Property(computed=True),
        "version": Property(computed=True),
        "createCascade": Property("boolean", default=False),
        "dropCascade": Property("boolean", default=False),
    }

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Creates the extension; one that is there already is taken over."""
        del call
        database = inputs.get("database") or self.server.known().database

        async def work(session: Session) -> Properties:
            await session.execute(create_statement(inputs))
            return {**inputs, **(await _read(session, database, inputs["name"]) or {})}

        return f"{database}.{inputs['name']}", await self.server.change(work, database)

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Moves it to another schema, updates it to another version."""
        del call
        database = old.outputs["database"]

        async def work(session: Session) -> Properties:
            for statement in update_statements(old.outputs, inputs):
                await session.execute(statement)
            return {**inputs, **(await _read(session, database, inputs["name"]) or {})}

        return await self.server.change(work, database)

    async def delete(self, old: State, call: Call) -> None:
        """Drops the extension; with `dropCascade` also what depends on it."""
        if await self.read(old, call) is None:
            return
        mode = sql.SQL("CASCADE" if old.outputs.get("dropCascade") else "RESTRICT")
        statement = sql.SQL("DROP EXTENSION {} {}").format(sql.Identifier(old.outputs["name"]), mode)

        async def work(session: Session) -> None:
            await session.execute(statement)

        await self.server.change(work, old.outputs["database"])

    async def read(self, old: State, call: Call) -> State | None:
        """The extension as the database has it."""
        del call
        database, dot, name = old.id.partition(".")
        if not dot:
            raise ProviderError(f"{old.id!r} is no id of an extension: write DATABASE.EXTENSION")

        async def work(session: Session) -> Properties | None:
            return await _read(session, database, name)

        now = await self.server.look(work, database)
        if now is None:
            return None
        defaults = {"createCascade": False, "dropCascade": False}
        return State(old.id, refreshed(self, old.inputs, now), {**defaults, **old.outputs, **now})


def create_statement(inputs: Properties) -> sql.Composed:
    """CREATE EXTENSION."""
    parts: list[sql.Composable] = [sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(inputs["name"]))]
    for key in ("schema", "version"):
        if inputs.get(key):
            parts += [sql.SQL(key.upper()), sql.Identifier(inputs[key])]
    if inputs["createCascade"]:
        parts.append(sql.SQL("CASCADE"))
    return sql.SQL(" ").join(parts)


def update_statements(olds: Properties, news: Properties) -> list[sql.Composed]:
    """What makes of the old extension the new one."""
    extension = sql.Identifier(news["name"])
    found = []
    for key, change in (("schema", "SET SCHEMA"), ("version", "UPDATE TO")):
        if news.get(key) and news[key] != olds.get(key):
            statement = sql.SQL("ALTER EXTENSION {} {} {}")
            found.append(statement.format(extension, sql.SQL(change), sql.Identifier(news[key])))
    return found


async def _read(session: Session, database: str, name: str) -> Properties | None:
    row = await one(
        session,
        "SELECT nspname, extversion FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace "
        "WHERE extname = %s",
        [name],
    )
    return {"name": name, "database": database, "schema": row[0], "version": row[1]} if row else None
