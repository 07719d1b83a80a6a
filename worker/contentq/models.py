"""SQLAlchemy models of the tables in the default schema; a mirror of sql/migrations/, which makes them.

A test compares what they declare with the migrated database, down to the comments. Triggers and functions
are not part of a model: make the tables with `contentq migrate`, not with create_all().
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

_NOW = text("CURRENT_TIMESTAMP")
_WHEN = DateTime(timezone=True)


class Base(DeclarativeBase):
    """The base of the models; its metadata names constraints and indexes the way PostgreSQL does."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "ix": "%(table_name)s_%(column_0_name)s_idx",
        }
    )


class Account(Base):
    """Whom content is generated for."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("monthly_budget >= 0 AND monthly_budget <> 'NaN'", name="monthly_budget"),
        {"comment": "Whom content is generated for."},
    )

    id: Mapped[int] = mapped_column(
        Integer, Identity(), primary_key=True, comment="Identifier that tasks and contents refer to."
    )
    name: Mapped[str] = mapped_column(String(200), comment="Name shown to people, up to 200 characters.")
    created_at: Mapped[datetime] = mapped_column(_WHEN, server_default=_NOW, comment="When the account was added.")
    paused_until: Mapped[datetime | None] = mapped_column(
        _WHEN,
        comment="No task of the account is claimed before this time; infinity: until it is set to NULL.",
    )
    monthly_budget: Mapped[Decimal | None] = mapped_column(
        Numeric,
        comment=("Cost from which on no further task of the account is claimed in a month (UTC); NULL: no limit."),
    )

    # An account that has tasks cannot be deleted: the database refuses.
    generation_tasks: Mapped[list[ContentGenerationTask]] = relationship(
        back_populates="account", passive_deletes="all"
    )


class Content(Base):
    """What completed tasks produced: one row a piece of content."""

    __tablename__ = "contents"
    __table_args__ = (
        CheckConstraint("word_count >= 0", name="word_count"),
        CheckConstraint("review_status IN ('pending', 'approved', 'rejected')", name="review_status"),
        {"comment": "What completed tasks produced: one row a piece of content."},
    )

    id: Mapped[int] = mapped_column(
        Integer, Identity(), primary_key=True, comment="Identifier that tasks refer to."
    )
    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id"), index=True, comment="The account that it was made for."
    )
    title: Mapped[str] = mapped_column(String(500), comment="Title, up to 500 characters.")
    body: Mapped[str] = mapped_column(Text, comment="The text itself, in Markdown.")
    word_count: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Words in the body; a CJK character counts as one."
    )
    review_status: Mapped[str] = mapped_column(
        String(20),
        server_default="pending",
        comment="pending, approved or rejected; approved at once when the task has auto_approve.",
    )
    created_at: Mapped[datetime] = mapped_column(
        _WHEN, server_default=_NOW, comment="When the content was stored."
    )

    # The database clears content_id of the tasks when a content is deleted.
    generation_tasks: Mapped[list[ContentGenerationTask]] = relationship(
        back_populates="content", passive_deletes=True
    )


class ContentGenerationTask(Base):
    """The queue: one row follows one piece of content from its submission to its end."""

    __tablename__ = "content_generation_tasks"
    __table_args__ = (
        UniqueConstraint("task_id"),
        CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed', 'timeout')", name="status"),
        CheckConstraint("priority BETWEEN 1 AND 10", name="priority"),
        CheckConstraint("retry_count >= 0", name="retry_count"),
        CheckConstraint("max_retries >= 0", name="max_retries"),
        CheckConstraint("attempt >= 0", name="attempt"),
        CheckConstraint("status <> 'processing' OR started_at IS NOT NULL", name="started_at"),
        CheckConstraint("status <> 'completed' OR completed_at IS NOT NULL", name="completed_at"),
        CheckConstraint("result IS NULL OR result::jsonb IS NOT NULL", name="result"),
        CheckConstraint("jsonb_typeof(attempt_errors) = 'array'", name="attempt_errors"),
        Index(
            "content_generation_tasks_content_id_idx",
            "content_id",
            postgresql_where=text("content_id IS NOT NULL"),
        ),
        Index(
            "content_generation_tasks_ready_idx",
            text("priority DESC"),
            "submitted_at",
            "id",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NULL"),
        ),
        Index(
            "content_generation_tasks_scheduled_idx",
            "scheduled_at",
            postgresql_where=text("status = 'pending' AND scheduled_at IS NOT NULL"),
        ),
        Index(
            "content_generation_tasks_deadline_idx",
            "timeout_at",
            postgresql_where=text("timeout_at IS NOT NULL AND status IN ('pending', 'processing')"),
        ),
        Index(
            "content_generation_tasks_held_idx",
            "worker_id",
            postgresql_where=text("status = 'processing' AND worker_id IS NOT NULL"),
        ),
        Index(
            "content_generation_tasks_revoked_idx",
            "worker_id",
            postgresql_where=text(
                "worker_id IS NOT NULL AND (status <> 'processing' OR cancel_requested_at IS NOT NULL)"
            ),
        ),
        Index(
            "content_generation_tasks_completed_at_idx",
            "completed_at",
            postgresql_where=text("status = 'completed'"),
        ),
        {
            "comment": (
                "The queue: one row follows one piece of content from its submission to its end. "
                "A producer names account_id and whatever else it likes; every other column has a default."
            )
        },
    )

    id: Mapped[int] = mapped_column(
        Integer, Identity(), primary_key=True, comment="Internal identifier (4 bytes by specification)."
    )
    task_id: Mapped[str] = mapped_column(
        String(100),
        server_default=text("('task-' || replace(gen_random_uuid()::text, '-', ''))"),
        comment="Public identifier; task-<32 hex digits> when the inserter leaves it out.",
    )
    content_id: Mapped[int | None] = mapped_column(
        ForeignKey("contents.id", ondelete="SET NULL"),
        comment="The content that the task produced; NULL until then.",
    )
    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id"), index=True, comment="The account that it works for."
    )
    topic: Mapped[str | None] = mapped_column(String(500), comment="Subject, up to 500 characters.")
    keywords: Mapped[str | None] = mapped_column(String(500), comment="Comma-separated, up to 500 characters.")
    category: Mapped[str | None] = mapped_column(
        String(100), comment="Category, up to 100 characters; a worker can claim by it."
    )
    requirements: Mapped[str | None] = mapped_column(Text, comment="Special instructions to the handler.")
    tone: Mapped[str | None] = mapped_column(String(50), comment="Style of voice, up to 50 characters.")
    status: Mapped[str] = mapped_column(
        String(50),
        server_default="pending",
        index=True,
        comment="pending, processing, completed, failed or timeout.",
    )
    priority: Mapped[int] = mapped_column(server_default=text("5"), comment="1 to 10; larger is more urgent.")
    retry_count: Mapped[int] = mapped_column(server_default=text("0"), comment="Retries charged so far.")
    max_retries: Mapped[int] = mapped_column(
        server_default=text("3"),
        comment="Retries allowed after the first attempt: max_retries + 1 attempts in all.",
    )
    submitted_at: Mapped[datetime] = mapped_column(
        _WHEN,
        server_default=_NOW,
        index=True,
        comment="When it was submitted; within a priority, older is claimed first.",
    )
    started_at: Mapped[datetime | None] = mapped_column(_WHEN, comment="Start of the latest attempt.")
    completed_at: Mapped[datetime | None] = mapped_column(_WHEN, comment="When it became completed.")
    timeout_at: Mapped[datetime | None] = mapped_column(
        _WHEN, comment="Deadline of the whole task, waiting included; past it the task becomes timeout."
    )
    result: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True),
        comment='What the handler returned, e.g. {"success": true, "content_id": 123, "word_count": 1500}.',
    )
    error_message: Mapped[str | None] = mapped_column(Text, comment="The latest error; NULL once completed.")
    auto_approve: Mapped[bool] = mapped_column(
        Boolean,
        server_default=text("true"),
        comment="Whether the content that the task produces is approved without review.",
    )
    created_at: Mapped[datetime] = mapped_column(_WHEN, server_default=_NOW, comment="When the row was inserted.")
    updated_at: Mapped[datetime] = mapped_column(
        _WHEN,
        server_default=_NOW,
        server_onupdate=FetchedValue(),
        comment="When the row was last updated; kept by a trigger.",
    )
    scheduled_at: Mapped[datetime | None] = mapped_column(
        _WHEN,
        comment=(
            "Not to be claimed before this time (delay or backoff); NULL means ready now, "
            "and it becomes NULL once due."
        ),
    )
    attempt: Mapped[int] = mapped_column(
        server_default=text("0"),
        comment=("Fencing token: +1 at each claim, never reset. An outcome counts only with the current value."),
    )
    worker_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="The worker that holds the task, or that has still to be told that it no longer does."
    )
    cancel_requested_at: Mapped[datetime | None] = mapped_column(
        _WHEN, comment="When cancelling was asked for while it was running; it can only end failed."
    )
    attempt_errors: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB,
        server_default=text("'[]'"),
        comment="The last 20 failures: array of {attempt, at, worker_id, error_class, message}.",
    )
    progress: Mapped[float | None] = mapped_column(
        REAL,
        comment="How far the latest attempt is, from 0 to 1, as its handler says; NULL when it does not.",
    )
    progress_note: Mapped[str | None] = mapped_column(
        Text, comment="What the handler of the latest attempt says of its progress."
    )

    account: Mapped[Account] = relationship(back_populates="generation_tasks")
    content: Mapped[Content | None] = relationship(back_populates="generation_tasks")
