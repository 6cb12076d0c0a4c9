"""Rules about backups."""

import pytest

from policies.judging.resource import UNKNOWN, Resource
from policies.rules import backup
from tests.unit.policies.servers import command, problems, server, undecided, with_files
from tests.unit.policies.stacks import made, vsphere

STORES = [vsphere("VmfsDatastore", name, name=name) for name in ("store1", "store2")]


def on(store: Resource, name: str) -> Resource:
    properties = {"name": name, "datastoreId": UNKNOWN}
    return made("vsphere:index/virtualMachine:VirtualMachine", name, properties, {"datastoreId": [store]})


def site(files: dict[str, str], second: int = 1, keeper: int = 0) -> list[Resource]:
    """Two database servers and a keeper of backups with these files, on these datastores."""
    found = []
    for name, store in (("db01", 0), ("db02", second)):
        patroni = {"/etc/patroni.yml": "scope: main\npostgresql: {create_replica_methods: [pg_basebackup]}"}
        found += with_files(on(STORES[store], name), patroni | {"/etc/cron.d/logrotate": "0 1 * * * root logrotate"})
    return [*STORES, *found, *with_files(on(STORES[keeper], "wit01"), files)]


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/cron.d/backup": "0 2 * * * postgres pg_dumpall | gzip > /backup/all.gz"},
        {"/etc/cron.d/backup": "0 2 * * * root /opt/save.sh", "/opt/save.sh": "pg_basebackup -D /backup"},
        {
            "/etc/systemd/system/a.timer": "[Timer]",
            "/etc/systemd/system/a.service": "ExecStart=/usr/bin/pgbackrest backup",
        },
        {
            "/etc/systemd/system/a.timer": "[Timer]\nUnit=b.service",
            "/etc/systemd/system/b.service": "ExecStart=/opt/save",
            "/opt/save": "barman backup all",
        },
    ],
)
def test_scheduled_backups_pass(files: dict[str, str]) -> None:
    assert problems(backup.backed_up, *site(files)) == []


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"/opt/save.sh": "pg_basebackup -D /backup"},
        {"/opt/save.sh": "pg_basebackup", "/etc/cron.d/other": "0 2 * * * root /opt/clean.sh"},
        {"/etc/systemd/system/a.timer": "", "/etc/systemd/system/b.service": "ExecStart=pg_dump x"},
    ],
)
def test_a_program_that_nothing_runs_is_no_backup(files: dict[str, str]) -> None:
    """Neither is Patroni's way to make a standby, on a server that also has some cron job."""
    assert problems(backup.backed_up, *site(files)) == ["nothing backs up db01, db02"]


def test_all_on_one_datastore_unless_backups_leave_it() -> None:
    local = {"/etc/cron.d/backup": "0 2 * * * postgres pg_dumpall > /backup/all"}
    remote = {"/etc/cron.d/backup": "0 2 * * * root restic -r s3:https://s3.example.com/site backup /data"}
    assert len(problems(backup.backed_up, *site(local, second=0))) == 1
    assert problems(backup.backed_up, *site(remote, second=0)) == []
    remark = {"/etc/cron.d/backup": "# back: scp all db01:/tmp\n0 2 * * * postgres pg_dumpall > /backup/all"}
    assert len(problems(backup.backed_up, *site(remark, second=0))) == 1


def test_a_datastore_that_is_not_known_is_no_datastore_in_common() -> None:
    local = {"/etc/cron.d/backup": "0 2 * * * postgres pg_dumpall > /backup/all"}
    elsewhere = vsphere("VirtualMachine", "wit01", name="wit01", datastoreId="datastore-77")
    assert problems(backup.backed_up, *site({}, second=0)[:-2], *with_files(elsewhere, local)) == []
    late = vsphere("VirtualMachine", "wit01", name="wit01", datastoreId=UNKNOWN)
    assert undecided(backup.backed_up, *site({}, second=0)[:-2], *with_files(late, local))


def test_what_comes_late_is_decided_later() -> None:
    machine = server("wit02")
    assert undecided(backup.backed_up, *site({}), machine, command("late", machine, create="x", stdin=UNKNOWN))
