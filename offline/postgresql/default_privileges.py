"""`postgresql:index/defaultPrivileges:DefaultPrivileges`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from psycopg import sql

from offline.postgresql.privileges import COMMON, FIXED, agreed, grantee, keywords, mistakes
from offline.postgresql.server import ServerResource, Session, lock, membership, one, refreshed
from offline.provider.resource import Call, Failure, Property, ProviderError, State

if TYPE_CHECKING:
    from offline.provider.values import Properties

_LETTERS: Final = {"table": "r", "sequence": "S", "function": "f", "routine": "f", "type": "T", "schema": "n"}
"""pg_default_acl.defaclobjtype."""


class DefaultPrivileges(ServerResource):
    """The privileges that a role gets on objects which an owner will create later."""

    urn_type: ClassVar[str] = "postgresql:index/defaultPrivileges:DefaultPrivileges"
    aliases: ClassVar[tuple[str, ...]] = ("postgresql:index/defaultPrivileg:DefaultPrivileg",)
    # The official provider creates first, so that its delete then takes the new privileges away.
    deletes_before_replace: ClassVar[bool] = True
    inputs: ClassVar[dict[str, Property]] = {
        **COMMON,
        "owner": FIXED,
        "objectType": Property(required=True, replaces=True, choices=tuple(_LETTERS)),
    }

    def validate(self, inputs: Properties) -> list[Failure]:
        """Combinations that PostgreSQL does not have."""
        found = mistakes(inputs)
        if inputs["objectType"] == "schema" and inputs.get("schema"):
            found.append(Failure("schema", "objectType schema takes no schema: schemas are not inside one another"))
        if inputs["role"] == "public" and inputs["withGrantOption"] is True:
            found.append(Failure("withGrantOption", "the role public can't get the grant option"))
        return found

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Sets the default privileges."""
        schema = inputs.get("schema") or "noschema"
        parts = [inputs["role"], inputs["database"], schema, inputs["owner"], inputs["objectType"]]
        return "_".join(parts), await self.update(State("", {}, {}), inputs, call)

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Sets them anew, in one transaction."""
        del old, call

        async def work(session: Session) -> Properties:
            await lock(session, "pg_roles", "rolname", inputs["owner"])
            async with membership(session, [inputs["owner"]]):
                await session.execute(revoke_statement(inputs))
                if inputs["privileges"]:
                    await session.execute(grant_statement(inputs))
            granted = await _granted(session, inputs)
            return {**inputs, "privileges": agreed(inputs["objectType"], inputs["privileges"], granted)}

        return await self.server.change(work, inputs["database"])

    async def delete(self, old: State, call: Call) -> None:
        """Takes them away; without the roles or the schema there are none."""
        if await self.read(old, call) is None:
            return

        async def work(session: Session) -> None:
            await lock(session, "pg_roles", "rolname", old.outputs["owner"])
            async with membership(session, [old.outputs["owner"]]):
                await session.execute(revoke_statement(old.outputs))

        await self.server.change(work, old.outputs["database"])

    async def read(self, old: State, call: Call) -> State | None:
        """What the role would get now; nothing at all is as good as gone."""
        del call
        if not old.outputs:
            raise ProviderError(
                "DefaultPrivileges can't be imported: let the program create them, which changes nothing"
            )
        state = old.outputs

        async def work(session: Session) -> set[str]:
            return await _granted(session, state)

        granted = await self.server.look(work, state["database"])
        if granted is None or (not granted and state["privileges"]):
            return None
        now = {**state, "privileges": agreed(state["objectType"], state["privileges"], granted)}
        return State(old.id, refreshed(self, old.inputs, now), now)


def grant_statement(inputs: Properties) -> sql.Composed:
    """ALTER DEFAULT PRIVILEGES … GRANT."""
    statement = sql.SQL("{} GRANT {} ON {} TO {}").format(
        _for(inputs), keywords(inputs), _objects(inputs), grantee(inputs["role"])
    )
    return statement + sql.SQL(" WITH GRANT OPTION") if inputs["withGrantOption"] else statement


def revoke_statement(inputs: Properties) -> sql.Composed:
    """ALTER DEFAULT PRIVILEGES … REVOKE ALL."""
    return sql.SQL("{} REVOKE ALL ON {} FROM {}").format(_for(inputs), _objects(inputs), grantee(inputs["role"]))


def _for(inputs: Properties) -> sql.Composed:
    text = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}").format(sql.Identifier(inputs["owner"]))
    if inputs.get("schema"):
        text += sql.SQL(" IN SCHEMA {}").format(sql.Identifier(inputs["schema"]))
    return text


def _objects(inputs: Properties) -> sql.SQL:
    words = {kind: kind.upper() + "S" for kind in _LETTERS}
    return sql.SQL(words[inputs["objectType"]])


async def _granted(session: Session, inputs: Properties) -> set[str]:
    row = await one(
        session,
        "SELECT array(SELECT DISTINCT privilege_type FROM pg_default_acl CROSS JOIN aclexplode(defaclacl) "
        "LEFT JOIN pg_namespace AS n ON n.oid = defaclnamespace "
        "WHERE defaclobjtype = %s AND pg_get_userbyid(defaclrole) = %s AND COALESCE(nspname, '') = %s "
        "AND grantee = COALESCE((SELECT oid FROM pg_roles WHERE rolname = %s AND rolname <> 'public'), 0))",
        [_LETTERS[inputs["objectType"]], inputs["owner"], inputs.get("schema") or "", inputs["role"]],
    )
    return set(row[0]) if row else set()
