"""The workload's plan for a stack: who asks whom, with which of the stack's secrets."""

from pathlib import Path

from blueprint.keys import authorities, site_authorities
from blueprint.secrets import password_of
from blueprint.settings import Settings
from blueprint.terms import Role
from drills.workload.plan import Load, Login, Observer, Plan, Probe, Site
from machine.failure import Failure
from stack import ssh
from stack.vault import Vault
from stack.workspace import Stack


def plan_for(stack: Stack, vault: Vault, folder: Path, load: Load | None = None) -> Plan:
    """What a workload does on a stack whose first service with a database is the reference application.

    Raises:
        Failure: No service of the stack has a database.
    """
    settings, values = stack.settings, vault.values
    service, root = _service(settings)
    databases = settings.servers_of(Role.DATABASE)

    def logins(role: Role) -> dict[str, Login]:
        machines = [ssh.machine(stack, vault, name) for name in settings.servers_of(role)]
        return {found.name: Login(address=found.address, host_key=found.host_key) for found in machines}

    return Plan(
        site=Site(
            url=f"https://{settings.site.address}",
            name=settings.site.name,
            authority=site_authorities(values),
            page=f"{root}/people",
            api=f"{root}/api/people?size=1",
            ledger=f"{root}/api/ledger",
            session=f"{root}/api/session",
        ),
        load=load or Load(),
        probe=Probe(
            servers={name: str(server.address) for name, server in databases.items()},
            database=service,
            user=settings.login_of(service),
            password=values[password_of(service)],
        ),
        observer=Observer(
            site_address=str(settings.site.address),
            database_address=str(settings.database.address),
            balancers=logins(Role.BALANCER),
            databases=logins(Role.DATABASE),
            quorum={name: str(server.address) for name, server in settings.quorum.items()},
            ssh_key=values["ssh-key"],
            client_certificate=values[f"tls-{next(iter(settings.quorum))}"],
        ),
        authority=authorities(values),
        path=f"{_here(stack)} to the virtual address {settings.site.address}, over the network of the servers",
        status=stack.command("status"),
        folder=str(folder),
    )


def _service(settings: Settings) -> tuple[str, str]:
    """The first service with a database, and its context path."""
    for name, service in settings.services.items():
        if service.database:
            return name, service.context_path
    why = "its services have no database, so nothing tells whether a write was lost"
    raise Failure("the workload can't run on this stack", why, "Add the reference application (apps/pnp-manager).")


def _here(stack: Stack) -> str:
    return (
        "from the lab's machine, through the lab's bridge" if stack.is_lab else "from the machine that runs the drill"
    )
