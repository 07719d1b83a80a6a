"""The steps of docs/how-to/upgrade.md for moving to another server by logical replication."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from contentq.database.migrations import migrate

from tests.docs.markdown import ROOT, sections_of
from tests.support import programs
from tests.support.cluster import QUICK, Cluster
from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

SETTINGS = {**QUICK, "wal_level": "logical"}

pytestmark = pytest.mark.slow


@pytest.fixture
def servers() -> Iterator[tuple[str, str]]:
    """The DSNs of the old and the new server, both migrated."""
    folder = next(iter(programs.installed().values())).folder
    with (
        Cluster(folder, settings=SETTINGS, tcp=True) as old,
        Cluster(folder, settings=SETTINGS, tcp=True) as new,
    ):
        dsns = old.dsn(host="127.0.0.1"), new.dsn(host="127.0.0.1")
        for dsn in dsns:
            migrate(dsn)
        yield dsns


def test_queue_moves_with_its_budgets_and_works_on_the_new_server(servers: tuple[str, str]) -> None:
    old_dsn, new_dsn = servers
    (section,) = [
        each for each in sections_of(ROOT / "docs/how-to/upgrade.md") if each.heading == "With logical replication"
    ]
    publication, subscription, switch = [block.text for block in section.blocks if block.language == "sql"]
    with (
        psycopg.connect(old_dsn, autocommit=True) as old_connection,
        psycopg.connect(new_dsn, autocommit=True) as new_connection,
    ):
        old, new = Queue(old_connection), Queue(new_connection)
        old.run("SELECT contentq.set_budget(5, %s, 'news', 'day')", old.account)
        done = old.running()
        old.add(topic="Tea")
        old.store(done.worker, [done], extras=['{"model": "small", "cost": 0.5}'])

        old.run(publication)
        new.run(subscription.replace("host=old-server dbname=contentq user=replicator", old_dsn))
        after = old.add(topic="Coffee")
        eventually(lambda: bool(new.value("SELECT count(*) = 3 FROM content_generation_tasks")))
        eventually(lambda: bool(new.value("SELECT count(*) = 1 FROM contentq.usage")))

        psql = [str(programs.client("psql")), "-X", "-v", "ON_ERROR_STOP=1", new_dsn]
        subprocess.run(psql, input=switch, text=True, check=True, capture_output=True)

        for query in (
            "SELECT id, status FROM content_generation_tasks ORDER BY id",
            "SELECT spent, amount FROM contentq.budget_status",
        ):
            assert new.rows(query) == old.rows(query)
        worker, submitted = new.register(), new.add(topic="Milk")
        tasks = [Held(worker, row["id"], row["attempt"]) for row in new.claim(worker, 10)]
        assert [task.id for task in tasks] == [after - 1, after, submitted]
        extras = ['{"model": "small", "cost": 0.25}'] * len(tasks)
        assert new.store(worker, tasks, extras=extras) == [task.id for task in tasks]
        assert sum(row["cost"] for row in new.usage()) == Decimal("1.25")
