"""A database is restored to an earlier state while workers run."""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from tests.support import programs
from tests.support.programs import client
from tests.support.queue import Held, Queue


def restore_to(dsn: str, dump: str) -> None:
    """Restores a database to the state of the dump, as an administrator would."""
    command = [str(client("psql")), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", dsn]
    subprocess.run(command, input=dump, capture_output=True, text=True, check=True)


def dump_of(dsn: str) -> str:
    """A dump of a database, to be restored over it."""
    return programs.dump(dsn, "--clean", "--if-exists")


@pytest.mark.slow
def test_workers_from_before_and_after_a_restore_never_share_an_id(queue: Queue, dsn: str) -> None:
    earlier = dump_of(dsn)
    before = [queue.register() for _ in range(20)]
    restore_to(dsn, earlier)
    after = [queue.register() for _ in range(20)]

    assert len({*before, *after}) == 40
    assert max(before + after) < 2**40


@pytest.mark.slow
def test_worker_that_the_restored_database_does_not_know_is_told_so_and_undoes_nothing(
    queue: Queue, dsn: str
) -> None:
    id_ = queue.add()
    earlier = dump_of(dsn)
    lost = Held(queue.register(), id_, 1)
    assert queue.claim(lost.worker)[0]["attempt"] == 1
    restore_to(dsn, earlier)
    held = Held(queue.register(), id_, 1)
    assert queue.claim(held.worker)[0]["attempt"] == 1

    with pytest.raises(psycopg.DatabaseError) as refused:
        queue.heartbeat(lost.worker)
    assert refused.value.sqlstate == "CQ001"
    assert queue.complete(lost.worker, [lost]) == []
    assert queue.release(lost.worker, [lost]) == []
    assert queue.values("SELECT contentq.deregister_worker(%s)", lost.worker) == []

    assert queue.complete(held.worker, [held]) == [id_]
