"""Writes the generated parts of docs/reference/ anew: `python -m tests.reference`."""

from __future__ import annotations

from contentq.database.connect import connect

from tests.reference import pages
from tests.reference.page import filled
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import installed


def main() -> None:
    """Writes all pages."""
    newest = max(installed())
    with Cluster(installed()[newest].folder) as cluster:
        databases = Databases(cluster.dsn())
        with databases.migrated() as dsn, connect(dsn) as connection:
            for path, generated in pages.parts(connection):
                text = filled(path, generated)
                if text != path.read_text(encoding="utf-8"):
                    path.write_text(text, encoding="utf-8")
                    print(f"wrote {path}")
        databases.close()


if __name__ == "__main__":
    main()
