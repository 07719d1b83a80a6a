"""Models that a host builds on its own Base with the mixins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import contentq
import pytest
from contentq.models import AccountMixin, ContentMixin, TaskMixin
from sqlalchemy import BigInteger, ForeignKey, Identity, MetaData, String, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, declarative_base, mapped_column

from tests.support.engines import engine_of
from tests.support.hosts import LARGE_KEYS, SMALL_KEYS, adopt

pytestmark = pytest.mark.slow


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "ck": "ck_%(constraint_name)s"})


class User(AccountMixin, Base):
    """Without a foreign key from contents."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(50))
    name: Mapped[str | None] = mapped_column(String(100))


class Article(ContentMixin, Base):
    __tablename__ = "contents"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    title: Mapped[str | None] = mapped_column(String(200))
    body: Mapped[str | None]
    word_count: Mapped[int | None]
    review_status: Mapped[str | None] = mapped_column(String(50), server_default="pending")
    publish_status: Mapped[str | None] = mapped_column(String(50))


class Job(TaskMixin, Base):
    __tablename__ = "content_generation_tasks"

    if TYPE_CHECKING:
        account: Mapped[User]
        content: Mapped[Article | None]


class Comment(Base):
    """A table of the host that references a task."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("content_generation_tasks.id"))


@pytest.fixture
def session(empty_dsn: str) -> Iterator[Session]:
    adopt(empty_dsn, SMALL_KEYS)
    with Session(engine_of(empty_dsn)) as session:
        yield session


def test_relationships_lead_to_the_classes_of_the_host(session: Session) -> None:
    user = User(username="grace", name="Grace", monthly_budget=5)
    article = Article(account=user, title="Tea", body="Tea is good", publish_status="draft")
    session.add(Job(account=user, content=article, topic="Tea"))
    session.commit()
    session.expunge_all()

    job = session.scalars(select(Job).join(User).where(User.username == "grace")).one()
    assert job.content is not None
    assert (job.account.username, job.content.publish_status) == ("grace", "draft")
    assert job.account.generation_tasks == job.content.generation_tasks == [job]
    assert job.account.contents == [job.content]
    assert job.account.monthly_budget == 5
    assert repr(job) == f"<Job id=1 task_id='{job.task_id}' status='pending'>"


def test_rules_of_the_database_hold(session: Session) -> None:
    user = session.scalars(select(User)).one()
    article = Article(account=user, title="Tea")
    job = Job(account=user, content=article)
    session.add(job)
    session.commit()
    before = job.updated_at

    job.priority = 9
    session.delete(article)
    session.commit()

    assert job.updated_at > before
    assert job.content is None


def classes_of(base: Any, key: Any, schema: str | None = None) -> tuple[Any, Any, Any]:
    """Creates the three classes on a base; schema: as set on each class."""
    place = {"schema": schema} if schema else {}
    prefix = f"{schema}." if schema else ""

    class Account(AccountMixin, base):  # type: ignore[misc]
        __tablename__ = "accounts"
        __table_args__ = place
        id: Mapped[int] = mapped_column(key, Identity(), primary_key=True)
        name: Mapped[str]

    class Content(ContentMixin, base):  # type: ignore[misc]
        __tablename__ = "contents"
        __table_args__ = place
        id: Mapped[int] = mapped_column(key, Identity(), primary_key=True)
        account_id: Mapped[int] = mapped_column(key, ForeignKey(f"{prefix}accounts.id"))
        title: Mapped[str]
        body: Mapped[str]

    if schema:

        class Task(TaskMixin, base):  # type: ignore[misc]
            __tablename__ = "content_generation_tasks"
            __table_args__ = place
    else:

        class Task(TaskMixin, base):  # type: ignore[misc,no-redef]
            __tablename__ = "content_generation_tasks"

    return Account, Content, Task


def work_with(session: Session, classes: tuple[Any, Any, Any]) -> None:
    Account, Content, Task = classes
    account = Account(name="Grace")
    session.add(Task(account=account, content=Content(account=account, title="T", body="B")))
    session.flush()
    session.expire_all()
    task = session.scalars(select(Task).order_by(Task.id.desc())).first()
    assert task is not None
    assert task.account.contents == [task.content]
    assert task.content.generation_tasks == [task]


def test_keys_of_eight_bytes(empty_dsn: str) -> None:
    adopt(empty_dsn, LARGE_KEYS)

    class Own(DeclarativeBase):
        pass

    with Session(engine_of(empty_dsn)) as session:
        work_with(session, classes_of(Own, BigInteger))
        session.commit()


def test_base_of_the_older_kind(dsn: str) -> None:
    with Session(engine_of(dsn)) as session:
        work_with(session, classes_of(declarative_base(), BigInteger))


@pytest.mark.parametrize("named_by", ["metadata", "each class"])
def test_tables_in_another_schema(empty_dsn: str, named_by: str) -> None:
    contentq.migrate(empty_dsn, schema="queue")

    class Own(DeclarativeBase):
        metadata = MetaData(schema="queue" if named_by == "metadata" else None)

    classes = classes_of(Own, BigInteger, None if named_by == "metadata" else "queue")
    with Session(engine_of(empty_dsn)) as session:
        work_with(session, classes)


def test_accounts_of_several_kinds(dsn: str) -> None:
    """A host's own inheritance works: rows contain their class."""

    class Own(DeclarativeBase):
        pass

    class Account(AccountMixin, Own):
        __tablename__ = "accounts"
        __mapper_args__ = {"polymorphic_on": "name", "polymorphic_identity": "plain"}  # noqa: RUF012
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Special(Account):
        __mapper_args__ = {"polymorphic_identity": "special"}  # noqa: RUF012

    class Content(ContentMixin, Own):
        __tablename__ = "contents"
        id: Mapped[int] = mapped_column(primary_key=True)
        account_id: Mapped[int]

    class Task(TaskMixin, Own):
        __tablename__ = "content_generation_tasks"

    with Session(engine_of(dsn)) as session:
        session.add(Task(account=Special()))
        session.commit()
        session.expunge_all()
        assert type(session.scalars(select(Task)).one().account) is Special


def test_class_that_is_missing_is_named() -> None:
    class Own(DeclarativeBase):
        pass

    class Task(TaskMixin, Own):
        __tablename__ = "content_generation_tasks"

    with pytest.raises(InvalidRequestError, match=r"Task needs exactly one class with AccountMixin .*found 0"):
        Own.registry.configure()
    Own.registry.dispose()
    configure_mappers()
