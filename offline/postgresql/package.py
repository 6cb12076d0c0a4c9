"""The package `postgresql`: what it consists of, and its configuration."""

from __future__ import annotations

import os
from typing import ClassVar

from offline.postgresql.database import Database
from offline.postgresql.default_privileges import DefaultPrivileges
from offline.postgresql.extension import Extension
from offline.postgresql.grant import Grant
from offline.postgresql.role import Role
from offline.postgresql.server import Server, Settings
from offline.provider.resource import Property
from offline.provider.servicer import Provider
from offline.provider.values import UNKNOWN, Properties

_CLOUD = "it signs in to a cloud provider, which a locked-down network does not reach"
CONFIG: dict[str, Property] = {
    "host": Property(),
    "port": Property("integer"),
    "database": Property(),
    "username": Property(),
    "password": Property(secret=True),
    "databaseUsername": Property(),
    "superuser": Property("boolean"),
    "sslmode": Property(choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
    "sslrootcert": Property(),
    "connectTimeout": Property("integer"),
    "maxConnections": Property("integer"),
    "scheme": Property(choices=("postgres",)),
    "sslMode": Property(refused="it is deprecated; write sslmode"),
    "clientcert": Property("object", refused="only passwords are used; leave the certificate out"),
    "expectedVersion": Property(refused="PostgreSQL 13 or later is expected; leave it out"),
    "awsRdsIamAuth": Property("boolean", refused=_CLOUD),
    "awsRdsIamProfile": Property(refused=_CLOUD),
    "awsRdsIamProviderRoleArn": Property(refused=_CLOUD),
    "awsRdsIamRegion": Property(refused=_CLOUD),
    "azureIdentityAuth": Property("boolean", refused=_CLOUD),
    "azureTenantId": Property(refused=_CLOUD),
    "gcpIamImpersonateServiceAccount": Property(refused=_CLOUD),
}


class PostgresqlProvider(Provider):
    """pulumi-postgresql: roles, databases, extensions and privileges of one server."""

    name: ClassVar[str] = "postgresql"
    version: ClassVar[str] = "3.18.2"
    config: ClassVar[dict[str, Property]] = CONFIG

    def __init__(self) -> None:
        self._server = server = Server()
        super().__init__([Role(server), Database(server), Extension(server), Grant(server), DefaultPrivileges(server)])

    def configure(self, config: Properties) -> None:
        """Sets which server it is. A setting that is not known yet leaves it unset: a preview does not connect."""
        if UNKNOWN not in config.values():
            self._server.settings = Settings.parse(config, os.environ)
