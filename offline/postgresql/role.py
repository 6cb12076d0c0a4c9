"""`postgresql:index/role:Role`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from psycopg import sql

from offline.postgresql.server import ServerResource, Session, identifiers, lock, membership, one, refreshed
from offline.provider.resource import Call, Failure, Property, State

if TYPE_CHECKING:
    from offline.provider.values import Properties

_FLAGS: Final = {
    "superuser": "SUPERUSER",
    "createDatabase": "CREATEDB",
    "createRole": "CREATEROLE",
    "inherit": "INHERIT",
    "login": "LOGIN",
    "replication": "REPLICATION",
    "bypassRowLevelSecurity": "BYPASSRLS",
}
_SETTINGS: Final = {
    "searchPaths": "search_path",
    "statementTimeout": "statement_timeout",
    "idleInTransactionSessionTimeout": "idle_in_transaction_session_timeout",
    "assumeRole": "role",
}
_HASHED: Final = re.compile(r"SCRAM-SHA-256\$.+|md5[0-9a-f]{32}")
_FLAG: Final = Property("boolean", default=False)


class Role(ServerResource):
    """A role of the server: a user if it may log in, else a group.

    The password travels to the server hashed, so that it is in clear in none of its logs. It can't be read back: a
    refresh keeps the one that was set.
    """

    urn_type: ClassVar[str] = "postgresql:index/role:Role"
    name_property: ClassVar[str] = "name"
    inputs: ClassVar[dict[str, Property]] = {
        "name": Property(required=True),
        "password": Property(secret=True),
        "passwordWo": Property(secret=True),
        "passwordWoVersion": Property(),
        "encryptedPassword": Property("boolean", default=True),
        "encrypted": Property(refused="it is deprecated; write encryptedPassword"),
        "validUntil": Property(default="infinity"),
        "connectionLimit": Property("integer", default=-1),
        **dict.fromkeys(_FLAGS, _FLAG),
        "inherit": Property("boolean", default=True),
        "roles": Property("array", items=Property(), unordered=True),
        "searchPaths": Property("array", items=Property()),
        "statementTimeout": Property("integer"),
        "idleInTransactionSessionTimeout": Property("integer"),
        "assumeRole": Property(),
        "skipDropRole": _FLAG,
        "skipReassignOwned": _FLAG,
    }

    def validate(self, inputs: Properties) -> list[Failure]:
        """How the password is given, and settings that PostgreSQL 10 and later no longer have."""
        failures = []
        if "password" in inputs and "passwordWo" in inputs:
            failures.append(Failure("passwordWo", "give either password or passwordWo, not both"))
        if ("passwordWo" in inputs) != ("passwordWoVersion" in inputs):
            failures.append(Failure("passwordWoVersion", "passwordWo and passwordWoVersion belong together"))
        if inputs["encryptedPassword"] is False:
            failures.append(Failure("encryptedPassword", "PostgreSQL stores no password in clear; leave it true"))
        return failures

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Creates the role."""
        del call

        async def work(session: Session) -> Properties:
            for statement in statements({}, {**inputs, **await _hashed({}, inputs, session)}):
                await session.execute(statement)
            return await self._outputs(session, inputs)

        return inputs["name"], await self.server.change(work)

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Changes what is different, the name included."""
        del call

        async def work(session: Session) -> Properties:
            await lock(session, "pg_roles", "rolname", old.id)
            olds = {**old.outputs, "name": old.id}
            hashed = await _hashed({**old.outputs, **old.inputs}, inputs, session)
            now = await _read(session, old.id, inputs)
            olds["roles"] = (now or {}).get("roles", [])
            for statement in statements(olds, {**inputs, **hashed}):
                await session.execute(statement)
            return await self._outputs(session, inputs)

        return await self.server.change(work)

    async def delete(self, old: State, call: Call) -> None:
        """Drops the role; what it owns in the provider's database goes to the connecting role first."""
        del call
        role, me = sql.Identifier(old.id), sql.Identifier(self.server.known().owner)

        async def work(session: Session) -> None:
            if await _read(session, old.id, {}) is None:
                return
            await lock(session, "pg_roles", "rolname", old.id)
            if not old.outputs.get("skipReassignOwned"):
                async with membership(session, [old.id]):
                    await session.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, me))
                    await session.execute(sql.SQL("DROP OWNED BY {}").format(role))
            if not old.outputs.get("skipDropRole"):
                await session.execute(sql.SQL("DROP ROLE {}").format(role))

        await self.server.change(work)

    async def read(self, old: State, call: Call) -> State | None:
        """The role as the catalog has it."""
        del call

        async def work(session: Session) -> Properties | None:
            return await _read(session, old.id, {**old.outputs, **old.inputs})

        now = await self.server.look(work)
        if now is None:
            return None
        return State(old.id, refreshed(self, old.inputs, now), {**_kept(old.outputs or old.inputs), **now})

    async def _outputs(self, session: Session, inputs: Properties) -> Properties:
        return {**_kept(inputs), **(await _read(session, inputs["name"], inputs) or {})}


def statements(olds: Properties, news: Properties) -> list[sql.Composed]:
    """What creates the role (no olds) or changes it. A `password` here is a hash, or `NULL` for none."""
    role = sql.Identifier(news["name"])
    found: list[sql.Composed] = []
    if olds and olds["name"] != news["name"]:
        found.append(sql.SQL("ALTER ROLE {} RENAME TO {}").format(sql.Identifier(olds["name"]), role))
    options = _options(olds, news)
    if options or not olds:
        verb = sql.SQL("ALTER ROLE {}" if olds else "CREATE ROLE {}").format(role)
        found.append(sql.SQL(" WITH ").join([verb, sql.SQL(" ").join(options)]))

    before, after = set(olds.get("roles", [])), set(news.get("roles", []))
    if gone := sorted(before - after):
        found.append(sql.SQL("REVOKE {} FROM {}").format(identifiers(gone), role))
    if new := sorted(after - before):
        found.append(sql.SQL("GRANT {} TO {}").format(identifiers(new), role))

    for key, setting in _SETTINGS.items():
        value = news.get(key)
        if (value or None) == (olds.get(key) or None):
            continue
        name = sql.SQL(setting)
        if value:
            found.append(sql.SQL("ALTER ROLE {} SET {} TO {}").format(role, name, _setting(value)))
        else:
            found.append(sql.SQL("ALTER ROLE {} RESET {}").format(role, name))
    return found


def _options(olds: Properties, news: Properties) -> list[sql.Composable]:
    changed = {key for key in news if olds.get(key) != news[key]}
    options: list[sql.Composable] = [
        sql.SQL(keyword if news[key] else "NO" + keyword) for key, keyword in _FLAGS.items() if key in changed
    ]
    if "connectionLimit" in changed:
        options.append(sql.SQL("CONNECTION LIMIT {}").format(news["connectionLimit"]))
    if "validUntil" in changed:
        options.append(sql.SQL("VALID UNTIL {}").format(news["validUntil"]))
    if "passwordHash" in news:
        options.append(sql.SQL("PASSWORD {}").format(news["passwordHash"]))
    return options


def _setting(value: str | int | list[str]) -> sql.Composable:
    match value:
        case list():
            return identifiers(value)
        case int():
            return sql.Literal(value)
    return sql.Identifier(value)


async def _hashed(olds: Properties, news: Properties, session: Session) -> Properties:
    """The hash of the password, if it has to be set: None stands for no password at all."""
    if "passwordWo" in news:
        if olds.get("passwordWoVersion") == news["passwordWoVersion"]:
            return {}
        password = news["passwordWo"]
    elif news.get("password") and (olds.get("password"), olds.get("name")) != (news["password"], news["name"]):
        password = news["password"]
    elif olds.get("password") and "password" not in news:
        return {"passwordHash": None}
    else:
        return {}
    if password.upper() == "NULL":
        return {"passwordHash": None}
    if _HASHED.fullmatch(password):
        return {"passwordHash": password}
    row = await one(session, "SELECT current_setting('password_encryption')", [])
    algorithm = row[0] if row else "scram-sha-256"
    encoding = session.info.encoding
    hashed = session.pgconn.encrypt_password(
        password.encode(encoding), news["name"].encode(encoding), algorithm.encode()
    )
    return {"passwordHash": hashed.decode(encoding)}


def _kept(values: Properties) -> Properties:
    """What the catalog does not tell; a write-only password is kept nowhere."""
    return {key: value for key, value in values.items() if key != "passwordWo"}


async def _read(session: Session, name: str, wanted: Properties) -> Properties | None:
    valid_until = wanted.get("validUntil", "infinity")
    row = await one(
        session,
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin, rolreplication, rolbypassrls, "
        "rolconnlimit, CASE WHEN COALESCE(rolvaliduntil, 'infinity') = %s::timestamptz THEN %s "
        "ELSE rolvaliduntil::text END, COALESCE(rolconfig, '{}'), "
        "array(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = r.oid ORDER BY 1) "
        "FROM pg_roles AS r WHERE rolname = %s",
        [valid_until, valid_until, name],
    )
    if row is None:
        return None
    *flags, limit, until, settings, roles = row
    found: Properties = {"name": name, **dict(zip(_FLAGS, flags, strict=True))}
    found |= {"connectionLimit": limit, "validUntil": until}
    given: dict[str, Any] = dict(setting.split("=", 1) for setting in settings)
    for key, setting in _SETTINGS.items():
        if setting in given or key in wanted:
            found[key] = _parse_setting(key, given.get(setting, ""))
    if roles or "roles" in wanted:
        same = set(roles) == set(wanted.get("roles", []))
        found["roles"] = wanted["roles"] if same and "roles" in wanted else roles
    return found


def _parse_setting(key: str, text: str) -> str | int | list[str]:
    if key == "searchPaths":
        names = [a or b for a, b in re.findall(r'"((?:[^"]|"")+)"|([^",\s]+)', text)]
        return [name.replace('""', '"') for name in names]
    if key == "assumeRole":
        return text
    number = re.match(r"\d+", text)
    return int(number[0]) if number else 0
