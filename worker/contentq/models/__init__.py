"""SQLAlchemy models of the three tables; they mirror sql/migrations/, which creates the tables.

Account, Content and ContentGenerationTask are ready to use. A host with its own classes for `accounts` and
`contents` defines its models with AccountMixin, ContentMixin and TaskMixin instead
(docs/how-to/adopt-an-application.md).

A test compares the models with the migrated database, including comments. Models do not include triggers and
functions: create the tables with `contentq migrate`, not with create_all().
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.elements import conv

from contentq.autogenerate import MODEL
from contentq.models.mixins import AccountMixin, ContentMixin
from contentq.models.task_mixin import TaskMixin
from contentq.models.types import NOW, WHEN, Key
from contentq.task import Status

__all__ = [
    "Account",
    "AccountMixin",
    "Base",
    "Content",
    "ContentGenerationTask",
    "ContentMixin",
    "Status",
    "TaskMixin",
]


class Base(DeclarativeBase):
    """The base of the models."""

    def __init_subclass__(cls, **options: Any) -> None:
        mapped = [base.__name__ for base in cls.__bases__ if "__table__" in base.__dict__]
        if mapped:
            raise TypeError(
                f"{cls.__name__} cannot be a subclass of {mapped[0]}, because a row does not tell which of the "
                "two it is; to add columns and methods, define classes with contentq.models.AccountMixin, "
                "ContentMixin and TaskMixin on your own Base"
            )
        super().__init_subclass__(**options)


class Account(AccountMixin, Base):
    "The accounts for which content is generated."

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("external_id", name=conv("accounts_external_id_key")),
        Index(conv("accounts_paused_idx"), "paused_until", postgresql_where=text("paused_until IS NOT NULL")),
        Index(conv("accounts_max_running_idx"), "max_running", postgresql_where=text("max_running IS NOT NULL")),
        Index(
            conv("accounts_monthly_budget_idx"),
            "monthly_budget",
            postgresql_where=text("monthly_budget IS NOT NULL"),
        ),
        {"comment": "The accounts for which content is generated.", "info": {MODEL: True}},
    )

    id: Mapped[int] = mapped_column(
        Key, Identity(), primary_key=True, comment="Identifier; tasks and contents refer to it."
    )
    name: Mapped[str] = mapped_column(String(200), comment="Display name, up to 200 characters.")
    created_at: Mapped[datetime] = mapped_column(WHEN, server_default=NOW, comment="When the account was added.")

    if TYPE_CHECKING:
        generation_tasks: Mapped[list[ContentGenerationTask]]
        contents: Mapped[list[Content]]


class Content(ContentMixin, Base):
    "The content that tasks produced, one row for each version."

    __tablename__ = "contents"
    __table_args__ = (
        CheckConstraint("word_count >= 0", name=conv("contents_word_count_check")),
        CheckConstraint(
            "review_status IN ('pending', 'approved', 'rejected')", name=conv("contents_review_status_check")
        ),
        Index(conv("contents_account_id_idx"), "account_id", text("(id + 0)")),
        Index(
            conv("contents_generation_task_id_idx"),
            "generation_task_id",
            postgresql_where=text("generation_task_id IS NOT NULL"),
        ),
        Index(conv("contents_review_idx"), text("(id + 0)"), postgresql_where=text("review_status = 'pending'")),
        {"comment": "The content that tasks produced, one row for each version.", "info": {MODEL: True}},
    )

    id: Mapped[int] = mapped_column(Key, Identity(), primary_key=True, comment="Identifier; tasks refer to it.")
    account_id: Mapped[int] = mapped_column(
        Key,
        ForeignKey("accounts.id", name=conv("contents_account_id_fkey")),
        comment="The account for which it was generated.",
    )
    title: Mapped[str] = mapped_column(String(500), comment="Title, up to 500 characters.")
    body: Mapped[str] = mapped_column(Text, comment="The text, in Markdown.")
    word_count: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Number of words in the body; a CJK character counts as one."
    )
    review_status: Mapped[str] = mapped_column(
        String(20),
        server_default="pending",
        comment=(
            "pending, approved or rejected. Content of a task with auto_approve is approved when it is stored."
        ),
    )
    created_at: Mapped[datetime] = mapped_column(WHEN, server_default=NOW, comment="When the content was stored.")

    if TYPE_CHECKING:
        account: Mapped[Account]
        generation_tasks: Mapped[list[ContentGenerationTask]]
        task: Mapped[ContentGenerationTask | None]


class ContentGenerationTask(TaskMixin, Base):
    """The queue: one row follows one piece of content from its submission to its end."""

    __tablename__ = "content_generation_tasks"

    if TYPE_CHECKING:
        account: Mapped[Account]
        content: Mapped[Content | None]
        versions: Mapped[list[Content]]
