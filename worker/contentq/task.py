"""The columns of a task, and the part of a task that a handler sees.

This is the only list of the columns in Python. Everything else is derived from COLUMNS and from the fields of
Task: what producers may set, the options and output of `contentq submit`, `try`, `list` and `show`, and what a
claim reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Required, TypeAlias, TypedDict, get_args

Status: TypeAlias = Literal["pending", "processing", "completed", "failed", "timeout"]
"""The statuses of a task."""

ReviewStatus: TypeAlias = Literal["pending", "approved", "rejected"]

STATUSES: tuple[Status, ...] = get_args(Status)

LARGEST_INTEGER = 2_147_483_647
"""The largest value of a column of type integer."""

LARGEST_ID = 9_223_372_036_854_775_807
"""The largest id of an account or content, in a database with bigint keys."""


def read_id(text: str) -> int | None:
    """Parses the id of a row, from 1; None if the text is not an id."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID))):
        return None  # also a number that is too long for Python to parse
    return id_ if 1 <= (id_ := int(text)) <= LARGEST_ID else None


class Task(NamedTuple):
    """A task as it was when it was claimed. Times are those of the database's clock."""

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
    """The state that an earlier attempt stored, as JSON; read it as context.state."""
    traceparent: str | None
    """Trace context (W3C) of the producer."""
    seconds_left: float | None
    """Seconds from the claim to the deadline, by the database's clock; None without a deadline."""

    @property
    def keyword_list(self) -> list[str]:
        """The keywords, trimmed; Chinese commas separate them, too."""
        return [word.strip() for word in re.split("[,，、]", self.keywords or "") if word.strip()]

    @property
    def is_last_attempt(self) -> bool:
        """Whether a temporary error would end the task, because no retry is left."""
        return self.retry_count >= self.max_retries


class NewTask(TypedDict, total=False):
    """The columns that a producer may set; None, or a missing one, means the default.

    A time is a datetime with a time zone, or a timedelta from now by the database's clock.
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
"""Fields of Task that are not columns."""


@dataclass(frozen=True)
class Option:
    """A command line option for a column. help: one sentence."""

    flag: str
    help: str
    metavar: str | None = None
    duration: Option | None = None
    """The option that sets the same time as a duration from now."""


@dataclass(frozen=True)
class Column:
    """A column of content_generation_tasks.

    type: in PostgreSQL's form. is_settable: whether a producer may set it; the state machine, a default or a
    trigger sets the others. least, most: the range of an integer that a producer may set. when_empty: advice for
    an empty text, if that is not allowed. describes: whether it describes the task.
    """

    name: str
    type: str
    is_settable: bool = False
    option: Option | None = None
    """The option of `contentq submit`; without one, producers can set the column only in files and in SQL."""
    is_listed: bool = True
    """Whether `contentq list --json` includes it; `contentq show` includes all columns."""
    least: int | None = None
    most: int | None = None
    when_empty: str | None = None
    describes: bool = False

    @property
    def is_claimed(self) -> bool:
        """Whether a handler sees it, as a field of Task."""
        return self.name in Task._fields

    @property
    def is_time(self) -> bool:
        """Whether it is a time."""
        return self.type == _TIME

    @property
    def is_text(self) -> bool:
        """Whether it is a text."""
        return self.type == "text" or self.type.startswith("character varying")

    @property
    def length(self) -> int | None:
        """The maximum number of characters; None if unlimited."""
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
        Option("--task-id", "Public identifier, up to 100 characters. Default: a generated one."),
        when_empty="omit it to get a generated one",
        describes=True,
    ),
    Column(
        "account_id",
        "integer",
        _SETTABLE,
        Option("--account", "The account of the task: its id, external:VALUE, or its name.", "ACCOUNT"),
        least=1,
        most=LARGEST_ID,
    ),
    Column("status", "character varying(50)"),
    Column(
        "priority",
        "integer",
        _SETTABLE,
        Option("--priority", "Priority from 1 to 10; larger is more urgent. Default: 5."),
        least=1,
        most=10,
    ),
    Column(
        "topic",
        "character varying(500)",
        _SETTABLE,
        Option("--topic", "The subject, up to 500 characters."),
        when_empty="describe the subject",
        describes=True,
    ),
    Column(
        "keywords",
        "character varying(500)",
        _SETTABLE,
        Option("--keywords", "Comma-separated keywords, up to 500 characters."),
        describes=True,
    ),
    Column(
        "category",
        "character varying(100)",
        _SETTABLE,
        Option("--category", "The category, for handlers and for workers that claim only some categories."),
        describes=True,
    ),
    Column(
        "requirements",
        "text",
        _SETTABLE,
        Option("--requirements", "Special instructions for the handler."),
        describes=True,
    ),
    Column(
        "tone",
        "character varying(50)",
        _SETTABLE,
        Option("--tone", "The tone of voice, such as friendly or dry, up to 50 characters."),
    ),
    Column(
        "batch",
        "character varying(100)",
        _SETTABLE,
        Option("--batch", "Name of the batch of tasks that are submitted together, up to 100 characters."),
        when_empty="omit it",
    ),
    Column("auto_approve", "boolean", _SETTABLE, Option("--no-auto-approve", "Require a review of the content.")),
    Column("retry_count", "integer"),
    Column(
        "max_retries",
        "integer",
        _SETTABLE,
        Option("--max-retries", "Maximum number of retries after the first attempt. Default: 3."),
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
            "--schedule-at",
            "Earliest time of the first attempt, such as 2030-01-31T12:00:00+00:00.",
            "TIME",
            Option("--delay", "Time until the first attempt: 90s, 10m, 2h, 1d."),
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
            "Deadline, such as 2030-01-31T12:00:00+00:00.",
            "TIME",
            Option("--timeout", "Time until the deadline: 90s, 10m, 2h, 1d."),
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
        Option("--traceparent", "W3C trace context of the producer, to which the attempts belong."),
        is_listed=False,
        when_empty="omit it",
    ),
    Column("error_message", "text"),
    Column("revision_note", "text"),
    Column("result", "json", is_listed=False),
    Column("attempt_errors", "jsonb", is_listed=False),
)
"""All columns, in the order in which they are shown."""

SETTABLE = tuple(column for column in COLUMNS if column.is_settable)
"""The columns that a producer may set."""
