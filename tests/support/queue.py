"""The queue in a test's database: prepares and reads rows in plain SQL, and calls the functions by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import dict_row

from tests.support.databases import Connection

Row = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """A task that a worker has claimed, with the values for its report."""

    worker: int
    id: int
    attempt: int


class Entered(NamedTuple):
    """The result of enter_gate(): the gate, or when there may be room, and why earlier gates were skipped."""

    gate: str | None
    next_in: timedelta | None
    why: list[str]


class Queue:
    """Prepares rows and calls the functions of schema contentq on one autocommit connection.

    Queries go to psycopg as bytes, because mypy does not accept composed strings as literals.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._account: int | None = None

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.connection.execute(query.encode(), values).fetchone()
        return None if row is None else row[0]

    def values(self, query: str, *values: Any) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in self.connection.execute(query.encode(), values).fetchall()]

    def rows(self, query: str, *values: Any) -> list[Row]:
        """All rows, as dictionaries by column name."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def run(self, query: str, *values: Any) -> int:
        """Runs a statement; returns its number of rows."""
        return self.connection.execute(query.encode(), values).rowcount

    @property
    def schema(self) -> str:
        """The schema of the tables."""
        return str(self.value("SELECT schema_name FROM contentq.tables LIMIT 1"))

    @property
    def account(self) -> int:
        """The id of an account: the same for each call."""
        if self._account is None:
            self._account = int(self.value("INSERT INTO accounts (name) VALUES ('Ada') RETURNING id"))
        return self._account

    def add(self, **columns: Any) -> int:
        """Inserts a task with these columns and returns its id."""
        columns = columns if "account_id" in columns else {"account_id": self.account, **columns}
        insert = sql.SQL("INSERT INTO content_generation_tasks ({}) VALUES ({}) RETURNING id").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        row = self.connection.execute(insert, list(columns.values())).fetchone()
        assert row is not None
        return int(row[0])

    def set(self, id_: int, **columns: Any) -> None:
        """Updates columns of a task, as a user of psql would."""
        changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in columns]
        update = sql.SQL("UPDATE content_generation_tasks SET {} WHERE id = {}").format(
            sql.SQL(", ").join(changes), sql.Placeholder()
        )
        assert self.connection.execute(update, [*columns.values(), id_]).rowcount == 1

    def row(self, id_: int) -> Row:
        """A task's row with the system columns that change with any update."""
        query = "SELECT xmin::text, ctid::text, * FROM content_generation_tasks WHERE id = %s"
        return self.rows(query, id_)[0]

    def status(self, id_: int) -> str:
        """A task's status."""
        return str(self.row(id_)["status"])

    def register(
        self,
        slots: int = 10,
        gate: str | None = None,
        categories: list[str] | None = None,
        gates: list[str] | None = None,
    ) -> int:
        """Registers a worker and returns its id."""
        query = "SELECT contentq.register_worker('host', 4711, %s, 'template', %s, '1.0', %s, %s)"
        return int(self.value(query, slots, gate, categories, gates))

    def silence(self, worker: int, since: str = "1 minute") -> None:
        """Ages a worker's last heartbeat by this much."""
        assert self.run(
            "UPDATE contentq.workers SET heartbeat_at = clock_timestamp() - %s::interval WHERE id = %s",
            since,
            worker,
        )

    def claim(self, worker: int, max_tasks: int | None = 1, categories: list[str] | None = None) -> list[Row]:
        """Claims tasks and returns their rows."""
        return self.rows("SELECT * FROM contentq.claim(%s, %s, %s)", worker, max_tasks, categories)

    def next_claim_in(self, worker: int) -> timedelta | None:
        """Time until a worker may find a task to claim."""
        wait = self.value("SELECT contentq.next_claim_in(%s)", worker)
        assert wait is None or isinstance(wait, timedelta)
        return wait

    def claim_and_wait(self, worker: int, max_tasks: int = 1) -> tuple[list[int], timedelta | None]:
        """Claims tasks and gets the time of the next claim in one statement, as workers do.

        Returns the ids and that time.
        """
        *claimed, (_, wait) = self.connection.execute(
            "SELECT id, NULL::interval FROM contentq.claim(%s, %s) "
            "UNION ALL SELECT NULL, contentq.next_claim_in(%s)",
            [worker, max_tasks, worker],
        ).fetchall()
        return [row[0] for row in claimed], wait

    def claim_named(self, worker: int, task_ids: Sequence[int], max_tasks: int = 1000) -> list[int]:
        """Claims these tasks; returns the ids that could be claimed."""
        query = "SELECT id FROM contentq.claim(%s, %s, NULL, %s::bigint[])"
        return [row["id"] for row in self.rows(query, worker, max_tasks, list(task_ids))]

    def running(self, worker: int | None = None, **columns: Any) -> Held:
        """Inserts a task and claims it, for a new worker unless one is given."""
        id_ = self.add(**columns)
        worker = worker or self.register()
        query = "SELECT id, attempt FROM contentq.claim(%s, 1000, NULL, ARRAY[%s]::bigint[])"
        [claimed] = self.rows(query, worker, id_)
        return Held(worker, claimed["id"], claimed["attempt"])

    def complete(
        self,
        worker: int,
        tasks: Sequence[Held],
        results: Sequence[str | None] | None = None,
        content_ids: Sequence[int | None] | None = None,
    ) -> list[int]:
        """Completes tasks; returns the accepted ids, sorted."""
        query = "SELECT contentq.complete(%s, %s, %s, %s, %s)"
        ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
        return sorted(self.values(query, worker, ids, attempts, results, content_ids))

    def store(self, worker: int, tasks: Sequence[Held], **columns: Sequence[Any] | None) -> list[int]:
        """Stores content of tasks (titles, bodies, word_counts, extras); returns the accepted ids, sorted."""
        given: dict[str, Sequence[Any] | None] = {
            "titles": [f"Title {task.id}" for task in tasks],
            "bodies": ["two words"] * len(tasks),
            "word_counts": [2] * len(tasks),
            "extras": None,
            **columns,
        }
        query = "SELECT contentq.store(%s, %s, %s, %s, %s, %s, %s)"
        ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
        return sorted(self.values(query, worker, ids, attempts, *given.values()))

    def fail(
        self,
        task: Held,
        message: str | None = "It broke",
        permanent: bool | None = False,
        retry_after: timedelta | str | None = None,
        error_class: str | None = None,
        unanswered: bool = False,
    ) -> str | None:
        """Fails an attempt; returns the new status."""
        query = "SELECT contentq.fail(%s, %s, %s, %s, %s, %s::interval, %s, %s)"
        values = (message, permanent, retry_after, error_class, unanswered)
        status = self.value(query, task.worker, task.id, task.attempt, *values)
        assert status is None or isinstance(status, str)
        return status

    def revise(
        self,
        task: Held,
        message: str | None = "it is too short",
        draft: tuple[str | None, str | None, int | None] | None = ("Title", "two words", 2),
        extra: str | None = None,
        max_revisions: int | None = 2,
        keep_for_review: bool | None = False,
    ) -> str | None:
        """Reports that a draft (title, body, word_count) failed its checks; returns the new status."""
        query = "SELECT contentq.revise(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        values = (message, *(draft or (None, None, None)), extra, max_revisions, keep_for_review)
        status = self.value(query, task.worker, task.id, task.attempt, *values)
        assert status is None or isinstance(status, str)
        return status

    def snooze(self, task: Held, delay: str = "1 hour", message: str | None = None) -> bool:
        """Snoozes a task; returns whether the report was accepted."""
        query = "SELECT contentq.snooze(%s, %s, %s, clock_timestamp() + %s::interval, %s)"
        return bool(self.value(query, task.worker, task.id, task.attempt, delay, message))

    def refuse(
        self, task: Held, gate: str, delay: str | None = None, message: str = "429", nothing_left: bool = False
    ) -> bool:
        """Snoozes a task that the provider of a gate refused; returns whether the report was accepted."""
        query = "SELECT contentq.snooze(%s, %s, %s, clock_timestamp() + %s::interval, %s, %s, %s)"
        values = (delay, message, gate, nothing_left)
        return bool(self.value(query, task.worker, task.id, task.attempt, *values))

    def release(self, worker: int, tasks: Sequence[Held]) -> list[int]:
        """Releases tasks; returns the accepted ids, sorted."""
        ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
        return sorted(self.values("SELECT contentq.release(%s, %s, %s)", worker, ids, attempts))

    def heartbeat(self, worker: int, busy: int | None = None) -> list[tuple[int, int]]:
        """Sends a worker's heartbeat; returns (id, attempt) of tasks that it should stop, sorted."""
        rows = self.rows("SELECT * FROM contentq.heartbeat(%s, %s)", worker, busy)
        return sorted((row["id"], row["attempt"]) for row in rows)

    def heartbeat_with(
        self, worker: int, held: Sequence[Held], complete_until: Any = None
    ) -> list[tuple[int, int]]:
        """Sends the heartbeat of a worker that lists its tasks, complete for all claims until then."""
        query = "SELECT * FROM contentq.heartbeat(%s, NULL, %s::bigint[], %s::integer[], %s)"
        ids, attempts = [task.id for task in held], [task.attempt for task in held]
        rows = self.rows(query, worker, ids, attempts, complete_until)
        return sorted((row["id"], row["attempt"]) for row in rows)

    def now(self) -> Any:
        """The time of the database's clock."""
        return self.value("SELECT clock_timestamp()")

    def cancel(self, id_: int) -> str | None:
        """Cancels a task and returns its new status."""
        status = self.value("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", id_)
        assert status is None or isinstance(status, str)
        return status

    def requeue(self, id_: int, note: str | None = None) -> str | None:
        """Requeues a task and returns its new status."""
        query = "SELECT contentq.requeue(task_id, %s) FROM content_generation_tasks WHERE id = %s"
        status = self.value(query, note, id_)
        assert status is None or isinstance(status, str)
        return status

    def close_gate(
        self, key: str, until: str = "1 hour", reason: str | None = None, half_open: bool = False
    ) -> datetime:
        """Closes a gate for this interval, or until infinity; returns when it opens."""
        opens_at = "'infinity'" if until == "infinity" else f"clock_timestamp() + interval '{until}'"
        query = f"SELECT nullif(contentq.close_gate(%s, {opens_at}, %s, %s), 'infinity')"
        closed_until = self.value(query, key, reason, half_open)
        return closed_until or datetime.max.replace(tzinfo=UTC)

    def open_gate(self, key: str) -> bool:
        """Opens a gate; returns whether it was closed."""
        return bool(self.value("SELECT contentq.open_gate(%s)", key))

    def set_gate(
        self,
        key: str,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        max_running: int | None = None,
    ) -> None:
        """Sets the limits of a gate."""
        query = "SELECT contentq.set_gate(%s, %s::numeric, %s::numeric, %s)"
        self.run(query, key, requests_per_minute, tokens_per_minute, max_running)

    def enter(self, task: Held, *keys: str) -> Entered:
        """Has a task enter the first of these gates with room."""
        query = "SELECT gate, next_in, why FROM contentq.enter_gate(%s, %s, %s, %s::text[])"
        (found,) = self.rows(query, task.worker, task.id, task.attempt, list(keys))
        return Entered(found["gate"], found["next_in"], found["why"] or [])

    def leave(self, task: Held, key: str, outcome: str = "answered", **given: Any) -> bool:
        """Reports the result of a task's call behind a gate; returns whether the report was accepted."""
        named = "".join(f", {name} => %s" for name in given)
        query = f"SELECT contentq.leave_gate(%s, %s, %s, %s, %s{named})"
        return bool(self.value(query, task.worker, task.id, task.attempt, key, outcome, *given.values()))

    def waits_for(self, worker: int) -> str | None:
        """Why a worker cannot claim now, if the reason is the worker itself."""
        found = self.value("SELECT contentq.waits_for(%s)", worker)
        return None if found is None else str(found)

    def let_gate_time_pass(self, seconds: float) -> None:
        """Moves the state, events and tasks of all gates into the past."""
        by = timedelta(seconds=seconds)
        for table, columns in (
            ("contentq.gates", ("opens_at", "cut_at", "noise_at", "outage_since", "spent_at")),
            ("contentq.gate_events", ("at", "began_at", "until")),
            ("contentq.claimers", ("last_answered", "failed_at")),
            ("contentq.gate_counts", ("last_answered",)),
            ("content_generation_tasks", ("started_at", "scheduled_at", "gate_entered_at")),
        ):
            moved = ", ".join(f"{column} = {column} - %s" for column in columns)
            self.run(f"UPDATE {table} SET {moved}", *[by] * len(columns))

    def add_account(self, name: str = "Grace", **columns: Any) -> int:
        """Inserts an account with these columns and returns its id."""
        names = sql.SQL(", ").join(map(sql.Identifier, ("name", *columns)))
        insert = sql.SQL("INSERT INTO accounts ({}) VALUES ({}) RETURNING id").format(
            names, sql.SQL(", ").join(sql.Placeholder() * (1 + len(columns)))
        )
        row = self.connection.execute(insert, [name, *columns.values()]).fetchone()
        assert row is not None
        return int(row[0])

    def charge(self, usages: Mapping[int, str | None]) -> None:
        """Adds costs of attempts, as JSON text by task id, regardless of the worker."""
        self.run("SELECT contentq.add_usage(%s, %s)", list(usages), list(usages.values()))

    def record_usage(self, worker: int, usages: Mapping[Held, str | None]) -> None:
        """Reports costs of attempts that a worker has claimed, as JSON text."""
        query = "SELECT contentq.record_usage(%s, %s, %s, %s)"
        ids, attempts = [task.id for task in usages], [task.attempt for task in usages]
        self.run(query, worker, ids, attempts, list(usages.values()))

    def usage(self) -> list[Row]:
        """The recorded usage without days, ordered."""
        query = (
            "SELECT account_id, model, attempts, prompt_tokens, completion_tokens, cost "
            "FROM contentq.usage ORDER BY account_id, model, id"
        )
        return self.rows(query)

    def blocked_accounts(self) -> list[int]:
        """The accounts whose tasks are not claimed now."""
        query = (
            "SELECT account_id FROM contentq.blocked_accounts "
            "WHERE greatest(paused_until, over_budget_until) > clock_timestamp() ORDER BY 1"
        )
        return self.values(query)

    def progress(
        self, worker: int, tasks: Sequence[Held], fractions: Sequence[float | None], notes: Sequence[str | None]
    ) -> None:
        """Reports the progress of tasks."""
        query = "SELECT contentq.report_progress(%s, %s, %s, %s::real[], %s::text[])"
        ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
        self.run(query, worker, ids, attempts, list(fractions), list(notes))

    def explain(self, id_: int) -> list[str]:
        """Explains why a task is not running, line by line."""
        return self.values("SELECT contentq.explain(task_id) FROM content_generation_tasks WHERE id = %s", id_)

    def rescue(self, silence: str = "10 seconds") -> int:
        """Rescues tasks of silent workers; returns how many."""
        return int(self.value("SELECT contentq.rescue_dead_workers(%s::interval)", silence))

    def sweep(self, max_rows: int = 1000) -> int:
        """Ends tasks past their deadline; returns how many."""
        return int(self.value("SELECT contentq.sweep_timeouts(%s)", max_rows))
