"""Plugin entry point: `python -m offline.postgresql ENGINE_ADDRESS` prints the port that it listens on."""

from offline.postgresql.package import PostgresqlProvider
from offline.provider.serve import serve

serve(PostgresqlProvider())
