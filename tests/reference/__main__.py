"""Writes the generated parts of docs/reference/ again: `python -m tests.reference`."""

from __future__ import annotations

from contentq.database.connect import connect

from tests.reference import pages
from tests.reference.page import filled, lost
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
                for key, cell in sorted(lost(path, generated).items()):
                    print(f"{path.name}: the row {key} is gone, and with it: {cell}")
                if text != path.read_text(encoding="utf-8"):
                    path.write_text(text, encoding="utf-8")
                    print(f"wrote {path}")
        databases.close()


if __name__ == "__main__":
    main()
