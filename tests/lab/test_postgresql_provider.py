"""The postgresql provider on the running primary: a program of its own, through the engine, from nothing to nothing."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from blueprint.settings import Settings
from cli import toolchain
from cli.engine import environment_of
from stack.vault import Vault
from stack.workspace import Stack
from tests.lab.conftest import PROJECT

pytestmark = pytest.mark.lab

PROGRAM = """\
import json, os
import pulumi
import pulumi_postgresql as postgresql

site = json.loads(os.environ["SITE"])
provider = postgresql.Provider(
    "primary", host=site["host"], port=5432, username="postgres", password=pulumi.Output.secret(site["password"]),
    sslmode="verify-full", sslrootcert=site["authority"], superuser=True,
)
opts = pulumi.ResourceOptions(provider=provider)
reader = postgresql.Role(
    "reader", name="probe_reader", login=True, password=pulumi.Output.secret("let-me-read"), opts=opts
)
# The database goes before the role does, whose privileges on its tables would hold the role.
after = pulumi.ResourceOptions(provider=provider, depends_on=[reader])
database = postgresql.Database("database", name="probe", owner="postgres", connection_limit=7, opts=after)
trigrams = postgresql.Extension("trigrams", name="pg_trgm", database=database.name, opts=opts)
later = postgresql.DefaultPrivileges(
    "later", database=database.name, role=reader.name, owner="postgres", schema="public", object_type="table",
    privileges=site["privileges"], opts=opts,
)
postgresql.Grant(
    "create", database=database.name, role=reader.name, schema="public", object_type="schema",
    privileges=["CREATE", "USAGE"], opts=opts,
)
"""


class Probe:
    """A stack of its own with the program above; `privileges` are those that the reader has on later tables."""

    def __init__(self, folder: Path, site: dict[str, Any]) -> None:
        self.site = site
        self.folder = folder
        (folder / "Pulumi.yaml").write_text(
            f"name: probe\nruntime: {{name: python, options: {{virtualenv: {PROJECT / '.venv'}}}}}\n"
        )
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "state").mkdir()
        self.run("stack", "init", "probe")

    def run(self, *arguments: str) -> str:
        """Run the engine; returns what it printed."""
        stack = Stack("dev")
        environment = os.environ | environment_of(stack, toolchain.ensure(lambda _line: None), {})
        environment |= {
            "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "probe",
            "SITE": json.dumps(self.site),
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *privileges: str) -> str:
        """Deploy."""
        self.site["privileges"] = list(privileges)
        return self.run("up", "--yes", "--skip-preview", "--stack", "probe")


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """The stack's secrets, in clear."""
    return dict(Vault.open(Stack("dev")).values)


@pytest.fixture
def connect(settings: Settings, authority: Path) -> Callable[[str, str, str], psycopg.Connection]:
    """Connections to the primary, by database, user and password."""

    def connection(database: str, user: str, password: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(settings.database.address), dbname=database, user=user, password=password,
            sslmode="verify-full", sslrootcert=str(authority), connect_timeout=5, autocommit=True,
        )  # fmt: skip

    return connection


@pytest.fixture
def probe(tmp_path: Path, settings: Settings, authority: Path, secrets: dict[str, str]) -> Iterator[Probe]:
    """The stack, destroyed at the end."""
    site = {
        "host": str(settings.database.address),
        "password": secrets["database-superuser-password"],
        "authority": str(authority),
        "privileges": [],
    }
    made = Probe(tmp_path, site)
    yield made
    made.run("destroy", "--yes", "--skip-preview", "--stack", "probe")


def test_every_resource_from_nothing_to_nothing(
    probe: Probe, connect: Callable[[str, str, str], psycopg.Connection], secrets: dict[str, str]
) -> None:
    superuser = ("postgres", secrets["database-superuser-password"])
    probe.up("SELECT")
    with connect("probe", *superuser) as administrator:
        administrator.execute("create table note (line text)")
        administrator.execute("insert into note values ('read me')")
        assert administrator.execute("select similarity('perenne', 'perenne')").fetchone() == (1.0,)
        limit = administrator.execute("select datconnlimit from pg_database where datname = 'probe'").fetchone()
        assert limit == (7,)
    with connect("probe", "probe_reader", "let-me-read") as reader:
        assert reader.execute("select line from note").fetchone() == ("read me",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("insert into note values ('not mine')")
        reader.execute("create table own (id int)")
        reader.execute("drop table own")

    assert "unchanged" in probe.up("SELECT")
    assert "~" in probe.up("INSERT", "SELECT")
    with connect("probe", *superuser) as administrator:
        administrator.execute("create table later (line text)")
    with connect("probe", "probe_reader", "let-me-read") as reader:
        reader.execute("insert into later values ('mine')")

    probe.run("destroy", "--yes", "--skip-preview", "--stack", "probe")
    with connect("postgres", *superuser) as administrator:
        assert administrator.execute("select 1 from pg_roles where rolname = 'probe_reader'").fetchone() is None
        assert administrator.execute("select 1 from pg_database where datname = 'probe'").fetchone() is None
