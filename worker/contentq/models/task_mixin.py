"""The mixin for the table content_generation_tasks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, foreign, mapped_column, relationship, validates
from sqlalchemy.sql.elements import conv

from contentq.models.frozen import frozen
from contentq.models.related import Row, related_class
from contentq.models.types import NOW, WHEN, FrozenJson, FrozenJsonb, Key, Real
from contentq.task import Status


class TaskMixin(Row):
    """The table `content_generation_tasks`."""

    _role = "task"
    _shown = ("id", "task_id", "status")

    # A trigger sets updated_at; an UPDATE reads it at once, because an AsyncSession cannot load it later.
    __mapper_args__: ClassVar[Any] = {"eager_defaults": True}

    if TYPE_CHECKING:
        content_id: Mapped[int | None]
        account_id: Mapped[int]
        account: Mapped[Any]
        content: Mapped[Any]
        versions: Mapped[list[Any]]
    else:

        @declared_attr.directive
        def __table_args__(cls):
            return task_constraints_and_indexes()

        @declared_attr
        def content_id(cls):
            "The latest content that the task produced; NULL before that."
            key = ForeignKey(
                f"{_schema_of(cls)}contents.id",
                name=conv("content_generation_tasks_content_id_fkey"),
                ondelete="SET NULL",
            )
            return mapped_column(
                Key, key, sort_order=3, comment="The latest content that the task produced; NULL before that."
            )

        @declared_attr
        def account_id(cls):
            "The account for which content is generated."
            key = ForeignKey(
                f"{_schema_of(cls)}accounts.id", name=conv("content_generation_tasks_account_id_fkey")
            )
            return mapped_column(
                Key, key, nullable=False, sort_order=4, comment="The account for which content is generated."
            )

        @declared_attr
        def account(cls):
            "The account for which content is generated."
            account = related_class(cls, "account")
            return relationship(
                account,
                primaryjoin=lambda: foreign(cls.account_id) == account().id,
                back_populates="generation_tasks",
            )

        @declared_attr
        def content(cls):
            """The content of the task, or None; content of another account counts as None."""
            content = related_class(cls, "content")
            return relationship(
                content,
                primaryjoin=lambda: and_(
                    foreign(cls.content_id) == content().id, cls.account_id == content().account_id
                ),
                back_populates="generation_tasks",
            )

        @declared_attr
        def versions(cls):
            """All content that the task produced, first version first."""
            content = related_class(cls, "content")
            return relationship(
                content,
                primaryjoin=lambda: and_(
                    cls.id == foreign(content().generation_task_id), cls.account_id == content().account_id
                ),
                order_by=lambda: content().id,
                viewonly=True,
            )

    id: Mapped[int] = mapped_column(
        Integer,
        Identity(),
        primary_key=True,
        sort_order=1,
        comment="Internal identifier (4 bytes by specification).",
    )
    task_id: Mapped[str] = mapped_column(
        String(100),
        # In PostgreSQL's form, so that alembic finds no difference.
        server_default=text("('task-'::text || encode(uuid_send(gen_random_uuid()), 'hex'::text))"),
        sort_order=2,
        comment="Public identifier; by default task-<32 hex digits>.",
    )
    topic: Mapped[str | None] = mapped_column(String(500), sort_order=5, comment="Subject, up to 500 characters.")
    keywords: Mapped[str | None] = mapped_column(
        String(500), sort_order=5, comment="Comma-separated, up to 500 characters."
    )
    category: Mapped[str | None] = mapped_column(
        String(100), sort_order=5, comment="Category, up to 100 characters; workers can claim by category."
    )
    requirements: Mapped[str | None] = mapped_column(
        Text, sort_order=5, comment="Special instructions for the handler."
    )
    tone: Mapped[str | None] = mapped_column(
        String(50), sort_order=5, comment="Tone of voice, up to 50 characters."
    )
    status: Mapped[Status] = mapped_column(
        String(50),
        server_default="pending",
        sort_order=5,
        comment="pending, processing, completed, failed or timeout.",
    )
    priority: Mapped[int] = mapped_column(
        server_default=text("5"), sort_order=5, comment="1 to 10; higher is more urgent."
    )
    retry_count: Mapped[int] = mapped_column(
        server_default=text("0"), sort_order=5, comment="Number of retries charged so far."
    )
    max_retries: Mapped[int] = mapped_column(
        server_default=text("3"),
        sort_order=5,
        comment="Retries allowed after the first attempt: max_retries + 1 attempts in all.",
    )
    submitted_at: Mapped[datetime] = mapped_column(
        WHEN,
        server_default=NOW,
        sort_order=5,
        comment="When it was submitted; within a priority, older tasks are claimed first.",
    )
    started_at: Mapped[datetime | None] = mapped_column(
        WHEN, sort_order=5, comment="When the latest attempt started."
    )
    completed_at: Mapped[datetime | None] = mapped_column(WHEN, sort_order=5, comment="When it was completed.")
    timeout_at: Mapped[datetime | None] = mapped_column(
        WHEN,
        sort_order=5,
        comment="Deadline of the whole task, including waiting; after it the task ends with status timeout.",
    )
    result: Mapped[Any] = mapped_column(
        FrozenJson,
        nullable=True,
        sort_order=5,
        comment='The result of the handler, e.g. {"success": true, "content_id": 123, "word_count": 1500}.',
    )
    error_message: Mapped[str | None] = mapped_column(
        Text, sort_order=5, comment="The latest error; NULL after completion."
    )
    auto_approve: Mapped[bool] = mapped_column(
        Boolean,
        server_default=text("true"),
        sort_order=5,
        comment="Whether content of the task is approved without review.",
    )
    created_at: Mapped[datetime] = mapped_column(
        WHEN, server_default=NOW, sort_order=5, comment="When the row was inserted."
    )
    updated_at: Mapped[datetime] = mapped_column(
        WHEN,
        server_default=NOW,
        server_onupdate=FetchedValue(),
        sort_order=5,
        comment="When the row was last updated; set by a trigger.",
    )
    scheduled_at: Mapped[datetime | None] = mapped_column(
        WHEN,
        sort_order=5,
        comment=(
            "The task is not claimed before this time (delay or backoff). NULL: ready now; it becomes "
            "NULL when due."
        ),
    )
    attempt: Mapped[int] = mapped_column(
        server_default=text("0"),
        sort_order=5,
        comment=(
            "Fencing token: increased by each claim, never reset. An outcome counts only with the current value."
        ),
    )
    worker_id: Mapped[int | None] = mapped_column(
        BigInteger,
        sort_order=5,
        comment=(
            "The worker that holds the task, or one that has not yet received notice that it no longer holds it."
        ),
    )
    cancel_requested_at: Mapped[datetime | None] = mapped_column(
        WHEN, sort_order=5, comment="When a running task was cancelled; it can then only end failed."
    )
    attempt_errors: Mapped[list[dict[str, Any]]] = mapped_column(
        FrozenJsonb,
        server_default=text("'[]'"),
        sort_order=5,
        comment="The last 20 failures: array of {attempt, at, worker_id, error_class, message}.",
    )
    progress: Mapped[float | None] = mapped_column(
        Real,
        sort_order=5,
        comment=(
            "Progress of the latest attempt, from 0 to 1, as its handler reports it; NULL if it reports none."
        ),
    )
    progress_note: Mapped[str | None] = mapped_column(
        Text, sort_order=5, comment="The latest progress note of the latest attempt."
    )
    revision_count: Mapped[int] = mapped_column(
        server_default=text("0"),
        sort_order=5,
        comment=("Number of revisions requested so far because checks failed; they charge no retry."),
    )
    revision_note: Mapped[str | None] = mapped_column(
        Text,
        sort_order=5,
        comment=(
            "What the next attempt must change in the content: the failed checks, one per line, or "
            "the note of a reviewer; NULL after completion."
        ),
    )
    gate: Mapped[str | None] = mapped_column(
        Text,
        sort_order=5,
        comment="The gate that the latest attempt has entered, for workers with several gates; NULL for "
        "other workers.",
    )
    gate_entered_at: Mapped[datetime | None] = mapped_column(
        WHEN, sort_order=5, comment="When the attempt entered that gate."
    )

    handler_state: Mapped[dict[str, Any] | None] = mapped_column(
        FrozenJsonb,
        sort_order=5,
        comment=(
            "State that the handler stored for its next attempt when it snoozed the task: a JSON "
            "object of up to 8192 bytes."
        ),
    )

    batch: Mapped[str | None] = mapped_column(
        String(100),
        sort_order=5,
        comment=(
            "Name of the batch in which the task was submitted, up to 100 characters, chosen by the "
            "producer. See the view batches."
        ),
    )
    traceparent: Mapped[str | None] = mapped_column(
        String(55),
        sort_order=5,
        comment="Trace context of the producer (W3C traceparent); attempts are spans of that trace.",
    )
    ready_at: Mapped[datetime | None] = mapped_column(
        WHEN,
        sort_order=5,
        comment=(
            "When the task became ready for its latest attempt, if not by its submission: at its "
            "scheduled time, after a retry, or when an operator requeued it. NULL: at its submission."
        ),
    )

    @validates("result", "attempt_errors", "handler_state")
    def _freeze(self, _name: str, value: Any) -> Any:
        return frozen(value)


def task_constraints_and_indexes() -> tuple[Any, ...]:
    """The constraints, indexes and comment of the table `content_generation_tasks`."""
    return (
        UniqueConstraint("task_id", name=conv("content_generation_tasks_task_id_key")),
        CheckConstraint(
            "status = ANY ('{pending,processing,completed,failed,timeout}')",
            name=conv("content_generation_tasks_status_check"),
        ),
        CheckConstraint("priority BETWEEN 1 AND 10", name=conv("content_generation_tasks_priority_check")),
        CheckConstraint("retry_count >= 0", name=conv("content_generation_tasks_retry_count_check")),
        CheckConstraint("max_retries >= 0", name=conv("content_generation_tasks_max_retries_check")),
        CheckConstraint("attempt >= 0", name=conv("content_generation_tasks_attempt_check")),
        CheckConstraint("isfinite(submitted_at)", name=conv("content_generation_tasks_submitted_at_check")),
        CheckConstraint(
            "coalesce(isfinite(started_at), status <> 'processing')",
            name=conv("content_generation_tasks_started_at_check"),
        ),
        CheckConstraint(
            "coalesce(isfinite(completed_at), status <> 'completed')",
            name=conv("content_generation_tasks_completed_at_check"),
        ),
        CheckConstraint("isfinite(created_at)", name=conv("content_generation_tasks_created_at_check")),
        CheckConstraint("isfinite(updated_at)", name=conv("content_generation_tasks_updated_at_check")),
        CheckConstraint(
            "isfinite(cancel_requested_at)", name=conv("content_generation_tasks_cancel_requested_at_check")
        ),
        CheckConstraint(
            "result IS NULL OR result::jsonb IS NOT NULL", name=conv("content_generation_tasks_result_check")
        ),
        CheckConstraint(
            "(attempt_errors @? 'strict $[*].*') IS NOT NULL",
            name=conv("content_generation_tasks_attempt_errors_check"),
        ),
        CheckConstraint("progress BETWEEN '0' AND '1'", name=conv("content_generation_tasks_progress_check")),
        CheckConstraint("revision_count >= 0", name=conv("content_generation_tasks_revision_count_check")),
        CheckConstraint("isfinite(gate_entered_at)", name=conv("content_generation_tasks_gate_entered_at_check")),
        CheckConstraint("isfinite(ready_at)", name=conv("content_generation_tasks_ready_at_check")),
        CheckConstraint(
            "handler_state @> '{}' AND octet_length(handler_state::text) <= 8192",
            name=conv("content_generation_tasks_handler_state_check"),
        ),
        CheckConstraint("task_id <> ''", name=conv("content_generation_tasks_task_id_check")),
        Index(conv("content_generation_tasks_status_idx"), "status"),
        Index(conv("content_generation_tasks_account_id_idx"), "account_id"),
        Index(conv("content_generation_tasks_submitted_at_idx"), "submitted_at"),
        Index(
            conv("content_generation_tasks_content_id_idx"),
            "content_id",
            postgresql_where=text("content_id IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_batch_idx"),
            "batch",
            "status",
            "account_id",
            postgresql_where=text("batch IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_ready_idx"),
            text("priority DESC"),
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NULL"),
        ),
        Index(
            conv("content_generation_tasks_ready_account_idx"),
            text("(10 - priority)"),
            "account_id",
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NULL"),
        ),
        Index(
            conv("content_generation_tasks_ready_category_idx"),
            text("(10 - priority)"),
            "category",
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NULL"),
        ),
        Index(
            conv("content_generation_tasks_ready_deadline_idx"),
            text("(10 - priority)"),
            "timeout_at",
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NULL AND timeout_at IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_running_idx"),
            "account_id",
            "started_at",
            postgresql_where=text("status COLLATE \"C\" = 'processing'"),
        ),
        Index(
            conv("content_generation_tasks_scheduled_idx"),
            "scheduled_at",
            text("priority DESC"),
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_deadline_idx"),
            "timeout_at",
            postgresql_where=text("timeout_at IS NOT NULL AND status IN ('pending', 'processing')"),
        ),
        Index(
            conv("content_generation_tasks_held_idx"),
            "worker_id",
            postgresql_where=text("status = 'processing' AND worker_id IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_gate_idx"),
            "gate",
            postgresql_where=text("status || '' = 'processing' AND gate IS NOT NULL"),
        ),
        Index(
            conv("content_generation_tasks_revoked_idx"),
            "worker_id",
            postgresql_where=text(
                "worker_id IS NOT NULL AND (status <> 'processing' OR cancel_requested_at IS NOT NULL)"
            ),
        ),
        Index(
            conv("content_generation_tasks_completed_at_idx"),
            "completed_at",
            postgresql_where=text("status = 'completed'"),
        ),
        Index(
            conv("content_generation_tasks_failed_idx"),
            "id",
            postgresql_where=text("status IN ('failed', 'timeout')"),
        ),
        Index(
            conv("content_generation_tasks_retrying_idx"),
            "id",
            postgresql_where=text("status = 'pending' AND retry_count > 0"),
        ),
        {
            "comment": (
                "The queue: one row follows one piece of content from its submission to its end. "
                "Producers must set account_id; every other column has a default."
            )
        },
    )


def _schema_of(cls: Any) -> str:
    """The schema in __table_args__, with a dot; SQLAlchemy would use the schema of the MetaData."""
    arguments = cls.__table_args__
    options = arguments if isinstance(arguments, dict) else arguments[-1]
    schema = options.get("schema") if isinstance(options, dict) else None
    return f"{schema}." if schema else ""
