"""Mixins for tables that a host may already have; the classes of contentq.models use them, too."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CheckConstraint, Numeric, Text, and_, text
from sqlalchemy.orm import Mapped, declared_attr, foreign, mapped_column, relationship
from sqlalchemy.sql.elements import conv

from contentq.models.related import Row, related_class
from contentq.models.types import WHEN


class AccountMixin(Row):
    """The columns and relationships that contentq adds to `accounts`; the class itself has all other columns."""

    _role = "account"
    _shown = ("id", "name")

    if TYPE_CHECKING:
        id: Any
        generation_tasks: Mapped[list[Any]]
        contents: Mapped[list[Any]]

    external_id: Mapped[str | None] = mapped_column(
        Text,
        sort_order=1,
        comment="Identifier of the account in another system, such as its UUID; unique if set.",
    )
    paused_until: Mapped[datetime | None] = mapped_column(
        WHEN,
        sort_order=1,
        comment=(
            "No task of the account is claimed before this time; infinity: until it is set to NULL. "
            "NULL: not paused."
        ),
    )
    monthly_budget: Mapped[Decimal | None] = mapped_column(
        Numeric,
        CheckConstraint(
            "monthly_budget >= 0 AND monthly_budget <> 'NaN'", name=conv("accounts_monthly_budget_check")
        ),
        sort_order=1,
        comment=(
            "Maximum cost of attempts in a month (UTC); NULL: no limit. Other budgets are in contentq.budgets."
        ),
    )
    share: Mapped[int] = mapped_column(
        CheckConstraint("share BETWEEN 1 AND 1000000", name=conv("accounts_share_check")),
        server_default=text("1"),
        sort_order=1,
        comment="Weight in fair order (settings.claim_order): an account with share 3 runs three times as "
        "many tasks as one with 1.",
    )
    max_running: Mapped[int | None] = mapped_column(
        CheckConstraint("max_running >= 0", name=conv("accounts_max_running_check")),
        sort_order=1,
        comment=("Maximum number of tasks of the account that run at once, in any claim order; NULL: no limit."),
    )

    if not TYPE_CHECKING:

        @declared_attr
        def generation_tasks(cls):
            """The tasks of the account. The database refuses to delete an account that has tasks."""
            task = related_class(cls, "task")
            return relationship(
                task,
                primaryjoin=lambda: cls.id == foreign(task().account_id),
                back_populates="account",
                passive_deletes="all",
            )

        @declared_attr
        def contents(cls):
            """The contents of the account. The database refuses to delete an account that has contents."""
            content = related_class(cls, "content")
            return relationship(
                content,
                primaryjoin=lambda: cls.id == foreign(content().account_id),
                back_populates="account",
                passive_deletes="all",
            )


class ContentMixin(Row):
    """The columns and relationships that contentq adds to `contents`; the class itself has all other columns."""

    _role = "content"
    _shown = ("id", "title", "review_status")

    generation_task_id: Mapped[int | None] = mapped_column(
        BigInteger,
        sort_order=1,
        comment=(
            "Id of the task that produced it. All versions from one task have the same id; the latest "
            "has the largest contents.id. The task may have been deleted since."
        ),
    )
    reviewed_by: Mapped[str | None] = mapped_column(
        Text, sort_order=1, comment="Who last approved or rejected it; NULL: nobody."
    )
    reviewed_at: Mapped[datetime | None] = mapped_column(
        WHEN, sort_order=1, comment="When it was last approved or rejected."
    )
    review_note: Mapped[str | None] = mapped_column(
        Text,
        sort_order=1,
        comment="The note of the reviewer; for a draft that failed checks, the failed checks.",
    )

    if TYPE_CHECKING:
        id: Any
        account_id: Any
        account: Mapped[Any]
        generation_tasks: Mapped[list[Any]]
        task: Mapped[Any]
    else:

        @declared_attr
        def account(cls):
            "The account for which it was generated."
            account = related_class(cls, "account")
            return relationship(
                account,
                primaryjoin=lambda: foreign(cls.account_id) == account().id,
                back_populates="contents",
            )

        @declared_attr
        def generation_tasks(cls):
            """The tasks of its account that refer to it; the database clears their content_id on deletion."""
            task = related_class(cls, "task")
            return relationship(
                task,
                primaryjoin=lambda: and_(
                    cls.id == foreign(task().content_id), cls.account_id == task().account_id
                ),
                back_populates="content",
                passive_deletes=True,
            )

        @declared_attr
        def task(cls):
            """The task of its account that produced it, even if it is not the latest version; or None."""
            task = related_class(cls, "task")
            return relationship(
                task,
                primaryjoin=lambda: and_(
                    foreign(cls.generation_task_id) == task().id, cls.account_id == task().account_id
                ),
                viewonly=True,
            )
