"""The PostgreSQL server: where it is, and sessions on it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, LiteralString, TypeAlias, TypeVar

import psycopg
from psycopg import sql

from offline.provider.resource import ProviderError, Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from offline.provider.values import Properties

_T = TypeVar("_T")
Session: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Row: TypeAlias = tuple[Any, ...]

_ATTEMPTS: Final = 5
"""How often a transaction is tried that lost against another one."""


@dataclass(frozen=True)
class Settings:
    """How to reach the server.

    Attributes:
        host: one name or address, or several separated by commas, of which the writable one is used.
        connect_timeout: seconds for each host; 0 for no limit.
        max_connections: how many sessions at once; 0 for no limit.
        owner: the database role behind `username`, where user name maps make them differ.
        superuser: what the program says about the connecting role; the server is asked, so that it makes no difference.
    """

    host: str
    port: int
    database: str
    username: str
    password: str | None
    owner: str
    superuser: bool
    sslmode: str | None
    sslrootcert: str | None
    connect_timeout: int
    max_connections: int

    @classmethod
    def parse(cls, config: Properties, environment: Mapping[str, str]) -> Settings:
        """Settings of the provider's configuration, with the official provider's defaults and environment variables."""
        username = config.get("username") or environment.get("PGUSER", "postgres")
        superuser = environment.get("PGSUPERUSER", "true").lower() in {"1", "t", "true"}
        return cls(
            host=config.get("host") or environment.get("PGHOST", ""),
            port=config.get("port") or int(environment.get("PGPORT", "5432")),
            database=config.get("database") or environment.get("PGDATABASE", "postgres"),
            username=username,
            password=config.get("password") or environment.get("PGPASSWORD"),
            owner=config.get("databaseUsername") or username,
            superuser=config.get("superuser", superuser),
            sslmode=config.get("sslmode") or environment.get("PGSSLMODE"),
            sslrootcert=config.get("sslrootcert"),
            connect_timeout=config.get("connectTimeout", int(environment.get("PGCONNECT_TIMEOUT", "180"))),
            max_connections=config.get("maxConnections", 20),
        )

    def conninfo(self, database: str) -> dict[str, Any]:
        """The libpq parameters of a session in that database."""
        parameters = {
            "host": self.host,
            "port": self.port,
            "user": self.username,
            "password": self.password,
            "dbname": database,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "connect_timeout": self.connect_timeout,
            "fallback_application_name": "pulumi-postgresql offline",
            # Everything here writes, so a standby is never the server that is meant.
            "target_session_attrs": "read-write" if "," in self.host else None,
        }
        return {key: value for key, value in parameters.items() if value not in {None, ""}}


class Server:
    """Sessions on the configured server. Changes are made one after the other, so that none undoes another's."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self._changing = asyncio.Lock()
        self._places: asyncio.Semaphore | None = None

    def known(self) -> Settings:
        """The settings.

        Raises:
            ProviderError: the provider has no configuration yet.
        """
        if self.settings is None:
            raise ProviderError("the postgresql provider's configuration is not known yet")
        return self.settings

    @asynccontextmanager
    async def session(self, database: str = "", *, autocommit: bool = False) -> AsyncIterator[Session]:
        """A session in a database, by default the provider's own; without autocommit it is one transaction.

        Raises:
            ProviderError: the server can't be reached or refuses what is asked of it.
        """
        settings = self.known()
        database = database or settings.database
        if self._places is None:
            self._places = asyncio.Semaphore(settings.max_connections if settings.max_connections > 0 else 1 << 30)
        async with self._places:
            try:
                session = await psycopg.AsyncConnection.connect(**settings.conninfo(database), autocommit=autocommit)
            except psycopg.OperationalError as error:
                where = f"{settings.username}@{settings.host or 'local socket'}:{settings.port}/{database}"
                raise SessionError(f"no connection to PostgreSQL {where}: {error}", str(error)) from error
            async with session:
                yield session

    async def change(
        self, work: Callable[[Session], Awaitable[_T]], database: str = "", *, autocommit: bool = False
    ) -> _T:
        """Does the work in a session, again if another client's change was in its way, and commits it."""
        async with self._changing:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    async with self.session(database, autocommit=autocommit) as session:
                        return await work(session)
                except psycopg.Error as error:
                    if attempt == _ATTEMPTS or not lost_race(error):
                        raise _error(error) from error
                    await asyncio.sleep(0.1 * 2**attempt)  # back off: the other client needs a moment to finish
        raise AssertionError("the last attempt returns or raises")

    async def look(self, work: Callable[[Session], Awaitable[_T]], database: str = "") -> _T | None:
        """Reads in a session; None when the database does not exist."""
        try:
            async with self.session(database) as session:
                return await work(session)
        except SessionError as error:
            if error.database_missing:
                return None
            raise
        except psycopg.Error as error:
            raise _error(error) from error


class ServerResource(Resource):
    """A resource that lives on a server."""

    name_property: ClassVar[str] = ""
    """The property that gets a unique value when the program gives none."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def default_name(self, name: str, seed: bytes) -> Properties:
        """The resource's name with seven random digits, as pulumi-postgresql names what the program does not name."""
        return {self.name_property: f"{name}-{seed.hex()[:7]}"} if self.name_property and seed else {}

    def replaces_in_place(self, olds: Properties, news: Properties) -> bool:
        """Two things of one name can't exist at once."""
        name = self.name_property
        return self.deletes_before_replace or bool(name and olds.get(name) == news.get(name))


class SessionError(ProviderError):
    """No session: the server is away, or has no such database."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        # libpq's errors of connecting carry no SQLSTATE; PostgreSQL 9.0 and later word this one so in every language of
        # messages that a server of ours has (lc_messages C or en).
        self.database_missing = 'database "' in reason and "does not exist" in reason


def lost_race(error: psycopg.Error) -> bool:
    """Whether the same transaction may succeed when tried again."""
    races = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
    return isinstance(error, races) or "tuple concurrently" in str(error)


@asynccontextmanager
async def membership(session: Session, roles: list[str]) -> AsyncIterator[None]:
    """The connecting role, unless it is a superuser, is a member of these roles for a while: owners may do more."""
    row = await one(
        session,
        "SELECT array(SELECT r FROM unnest(%s::text[]) AS r JOIN pg_roles AS o ON o.rolname = r "
        "WHERE NOT me.rolsuper AND NOT o.rolsuper AND NOT pg_has_role(me.oid, o.oid, 'MEMBER')), me.rolname "
        "FROM pg_roles AS me WHERE me.rolname = current_user",
        [roles],
    )
    borrowed, me = (row[0], row[1]) if row else ([], "")
    for role in borrowed:
        await session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(me)))
    try:
        yield
    finally:
        if not session.broken and session.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            for role in borrowed:
                await session.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), sql.Identifier(me)))


async def lock(session: Session, catalog: LiteralString, column: LiteralString, name: str) -> None:
    """Keeps other clients, the official provider's too, from changing this role's or database's privileges."""
    await session.execute("SET LOCAL statement_timeout = 0")
    await session.execute(
        sql.SQL("SELECT pg_advisory_xact_lock(oid::bigint) FROM {} WHERE {} = %s").format(
            sql.Identifier(catalog), sql.Identifier(column)
        ),
        [name],
    )


async def one(session: Session, query: LiteralString, parameters: list[Any]) -> Row | None:
    """The first row of a query."""
    return await (await session.execute(query, parameters)).fetchone()


async def rows(session: Session, query: LiteralString, parameters: list[Any]) -> list[Row]:
    """All rows of a query."""
    return await (await session.execute(query, parameters)).fetchall()


def identifiers(names: list[str]) -> sql.Composed:
    """Quoted identifiers, separated by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _error(error: psycopg.Error) -> ProviderError:
    """The server's own words, never the statement: it may contain a password."""
    details = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
    return ProviderError(f"PostgreSQL: {'; '.join(filter(None, details))}")


def refreshed(resource: Resource, inputs: Properties, now: Properties) -> Properties:
    """The inputs of a resource that was read: those that the program gave, or for an import all that say something."""
    spec = resource.inputs
    if not inputs:
        return {
            key: value
            for key, value in now.items()
            if (key in spec and value not in (spec[key].default, None, [], "", 0)) or key == "name"
        }
    return {
        key: value if spec[key].unordered and set(now.get(key) or []) == set(value) else now.get(key, value)
        for key, value in inputs.items()
    }
