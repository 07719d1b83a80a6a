"""The schema as printed by pg_dump, and the committed snapshot of it, sql/schema.sql.

After a change of the schema, write the snapshot again with `python -m tests.support.schema_snapshot`.
"""

from __future__ import annotations

import re
import subprocess

from contentq.database.locations import SQL

from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import client, installed

SNAPSHOT = SQL / "schema.sql"

_HEADING = """\
-- What a migrated database looks like: pg_dump --schema-only of it, made by
-- python -m tests.support.schema_snapshot. A test compares it, and contentq doctor; nothing runs it.

"""

_VARYING = re.compile(
    r"^(\\(un)?restrict |SET |SELECT pg_catalog\.set_config|-- Dumped |-- PostgreSQL database dump)"
)


def dump(dsn: str) -> str:
    """The schema of a database, without differences between versions or runs of pg_dump."""
    command = [str(client("pg_dump")), "--schema-only", "--no-owner", "--no-privileges", "--dbname", dsn]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kept = "\n".join(line for line in printed.splitlines() if not _VARYING.match(line) and line != "--")
    return re.sub(r"\n{3,}", "\n\n", kept).strip() + "\n"


def snapshot(dsn: str) -> str:
    """The expected snapshot, from a migrated database."""
    return _HEADING + dump(dsn)


def main() -> None:
    """Writes the snapshot."""
    newest = max(installed())
    with Cluster(installed()[newest].folder) as cluster:
        databases = Databases(cluster.dsn())
        with databases.migrated() as dsn:
            SNAPSHOT.write_text(snapshot(dsn), encoding="utf-8")
        databases.close()
    print(f"wrote {SNAPSHOT}")


if __name__ == "__main__":
    main()
