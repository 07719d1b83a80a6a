"""What a task is: the columns of its row, and the part of it that a handler sees.

This is the only list of the columns in Python. What producers may set, what `contentq submit`, `try`, `list` and
`show` take and print, what a claim reads: all of it is derived from COLUMNS and from the fields of Task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Required, TypeAlias, TypedDict, get_args

Status: TypeAlias = Literal["pending", "processing", "completed", "failed", "timeout"]
"""What a task may be in (spec.md section 2)."""

ReviewStatus: TypeAlias = Literal["pending", "approved", "rejected"]

STATUSES: tuple[Status, ...] = get_args(Status)

LARGEST_INTEGER = 2_147_483_647
"""What a column of type integer holds."""

LARGEST_ID = 9_223_372_036_854_775_807
"""What an id of an account or of a content may come to, in a database that has bigint keys."""


def read_id(text: str) -> int | None:
    """The id of a row, from 1; None for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID))):
        return None  # also what Python refuses to take for a number, since it is too long
    return id_ if 1 <= (id_ := int(text)) <= LARGEST_ID else None


class Task(NamedTuple):
    """One row of the queue at the moment of its claim. Times are the database's."""

    id: int
    attempt: int
    task_id: str
    account_id: int
    topic: str | None
    keywords: str | None
    category: str | None
    requirements: str | None
    tone: str | None
    priority: int
    retry_count: int
    max_retries: int
    revision_count: int
    submitted_at: datetime
    started_at: datetime
    timeout_at: datetime | None
    auto_approve: bool
    content_id: int | None
    error_message: str | None
    revision_note: str | None
    handler_state: str | None
    """What an attempt before this one has kept (Snooze), as JSON; read it as context.state."""
    traceparent: str | None
    """Trace context (W3C) of whoever submitted it."""
    seconds_left: float | None
    """Seconds from the claim to the deadline, by the database's clock; None without a deadline."""

    @property
    def keyword_list(self) -> list[str]:
        """The keywords, trimmed; they may be separated by Chinese commas as well."""
        return [word.strip() for word in re.split("[,，、]", self.keywords or "") if word.strip()]

    @property
    def is_last_attempt(self) -> bool:
        """Whether a temporary error would end it: no retry is left."""
        return self.retry_count >= self.max_retries


class NewTask(TypedDict, total=False):
    """The columns that a producer may set; one that is None, or left out, gets its default.

    A time is a datetime with a time zone, or a timedelta: so long from now, by the database's clock.
    """

    account_id: Required[int]
    topic: str | None
    keywords: str | None
    category: str | None
    requirements: str | None
    tone: str | None
    priority: int | None
    max_retries: int | None
    submitted_at: datetime | timedelta | None
    scheduled_at: datetime | timedelta | None
    timeout_at: datetime | timedelta | None
    task_id: str | None
    auto_approve: bool | None
    batch: str | None
    traceparent: str | None


NOT_COLUMNS = ("seconds_left",)
"""The fields of Task that are no columns."""


@dataclass(frozen=True)
class Option:
    """An option of the command line for a column. help: in one sentence."""

    flag: str
    help: str
    metavar: str | None = None
    duration: Option | None = None
    """The option that sets the same as a time from now."""


@dataclass(frozen=True)
class Column:
    """A column of content_generation_tasks.

    type: as PostgreSQL writes it. is_settable: whether a producer may set it; the state machine, a default or a
    trigger sets the others. least and most: the range of an integer that a producer may set. when_empty: what to
    do about a text that is empty, where it must not be. describes: whether it says what the task is about.
    """

    name: str
    type: str
    is_settable: bool = False
    option: Option | None = None
    """Of `contentq submit`; without one, a producer can set it in files and in SQL only."""
    is_listed: bool = True
    """Whether `contentq list --json` has it; `contentq show` has all."""
    least: int | None = None
    most: int | None = None
    when_empty: str | None = None
    describes: bool = False

    @property
    def is_claimed(self) -> bool:
        """Whether a handler sees it: it is a field of Task."""
        return self.name in Task._fields

    @property
    def is_time(self) -> bool:
        """Whether it holds a time."""
        return self.type == _TIME

    @property
    def is_text(self) -> bool:
        """Whether it holds a text."""
        return self.type == "text" or self.type.startswith("character varying")

    @property
    def length(self) -> int | None:
        """Characters that fit into a text; None for any number."""
        found = re.fullmatch(r"character varying\((\d+)\)", self.type)
        return int(found[1]) if found else None


_TIME = "timestamp with time zone"
_SETTABLE = True

COLUMNS: tuple[Column, ...] = (
    Column("id", "integer"),
    Column(
        "task_id",
        "character varying(100)",
        _SETTABLE,
        Option("--task-id", "Public identifier; one is made when left out."),
        when_empty="leave it out, and one is made",
        describes=True,
    ),
    Column(
        "account_id",
        "integer",
        _SETTABLE,
        Option(
            "--account", "The account that the task works for: its id, external:VALUE, or its name.", "ACCOUNT"
        ),
        least=1,
        most=LARGEST_ID,
    ),
    Column("status", "character varying(50)"),
    Column(
        "priority",
        "integer",
        _SETTABLE,
        Option("--priority", "1 to 10; larger is more urgent."),
        least=1,
        most=10,
    ),
    Column(
        "topic",
        "character varying(500)",
        _SETTABLE,
        Option("--topic", "Subject, up to 500 characters."),
        when_empty="say what the task is about",
        describes=True,
    ),
    Column(
        "keywords", "character varying(500)", _SETTABLE, Option("--keywords", "Comma-separated."), describes=True
    ),
    Column(
        "category",
        "character varying(100)",
        _SETTABLE,
        Option("--category", "For the handler, and for workers that claim only some categories."),
        describes=True,
    ),
    Column(
        "requirements",
        "text",
        _SETTABLE,
        Option("--requirements", "Special instructions to the handler."),
        describes=True,
    ),
    Column(
        "tone",
        "character varying(50)",
        _SETTABLE,
        Option("--tone", "Such as friendly or dry, up to 50 characters; for the handler."),
    ),
    Column(
        "batch",
        "character varying(100)",
        _SETTABLE,
        Option("--batch", "Name for what is submitted together, up to 100 characters."),
        when_empty="leave it out",
    ),
    Column("auto_approve", "boolean", _SETTABLE, Option("--no-auto-approve", "The content is to be reviewed.")),
    Column("retry_count", "integer"),
    Column(
        "max_retries",
        "integer",
        _SETTABLE,
        Option("--max-retries", "Retries after the first attempt."),
        least=0,
        most=LARGEST_INTEGER,
    ),
    Column("revision_count", "integer"),
    Column("attempt", "integer"),
    Column("worker_id", "bigint"),
    Column("content_id", "integer"),
    Column("submitted_at", _TIME, _SETTABLE),
    Column(
        "scheduled_at",
        _TIME,
        _SETTABLE,
        Option(
            "--schedule-at", "Not before this time.", "TIME", Option("--delay", "Not before this long from now.")
        ),
    ),
    Column("ready_at", _TIME, is_listed=False),
    Column("started_at", _TIME),
    Column("completed_at", _TIME),
    Column(
        "timeout_at",
        _TIME,
        _SETTABLE,
        Option(
            "--timeout-at",
            "Deadline: 2030-01-31T12:00:00+00:00.",
            "TIME",
            Option("--timeout", "Deadline, from now: 90s, 10m, 2h, 1d."),
        ),
    ),
    Column("cancel_requested_at", _TIME),
    Column("created_at", _TIME, is_listed=False),
    Column("updated_at", _TIME, is_listed=False),
    Column("progress", "real"),
    Column("progress_note", "text"),
    Column("gate", "text"),
    Column("gate_entered_at", _TIME, is_listed=False),
    Column("handler_state", "jsonb", is_listed=False),
    Column(
        "traceparent",
        "character varying(55)",
        _SETTABLE,
        Option("--traceparent", "Trace context (W3C) that its attempts belong to."),
        is_listed=False,
        when_empty="leave it out",
    ),
    Column("error_message", "text"),
    Column("revision_note", "text"),
    Column("result", "json", is_listed=False),
    Column("attempt_errors", "jsonb", is_listed=False),
)
"""All of them, in the order in which they are shown."""

SETTABLE = tuple(column for column in COLUMNS if column.is_settable)
"""Those that a producer may set."""
