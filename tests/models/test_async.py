"""The models in an AsyncSession: later reads of attributes need no database access without an await."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from contentq.models import Account, Content, ContentGenerationTask
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from tests.support.engines import async_engine_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


def in_session(dsn: str, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    engine = async_engine_of(dsn)
    from sqlalchemy.ext.asyncio import AsyncSession

    async def run() -> None:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await work(session)

    asyncio.run(run())


def test_defaults_and_what_triggers_set_are_there_after_a_commit(dsn: str) -> None:
    async def work(session: AsyncSession) -> None:
        task = ContentGenerationTask(account=Account(name="Ada"), topic="Tea")
        session.add(task)
        await session.commit()
        assert task.task_id.startswith("task-")
        assert (task.status, task.priority, task.attempt_errors) == ("pending", 5, [])
        before = task.updated_at

        task.status, task.started_at = "processing", datetime.now(UTC)
        await session.commit()
        assert task.updated_at > before

        task.status, task.completed_at = "completed", datetime.now(UTC)
        task.result = {"success": True}
        await session.commit()
        assert task.result == {"success": True}
        assert repr(task) == f"<ContentGenerationTask id=1 task_id='{task.task_id}' status='completed'>"

    in_session(dsn, work)


def test_relationships_are_loaded_when_a_query_says_so(dsn: str) -> None:
    async def work(session: AsyncSession) -> None:
        account = Account(name="Ada")
        content = Content(account=account, title="Tea", body="Tea is good")
        session.add(ContentGenerationTask(account=account, content=content))
        await session.commit()
        session.expunge_all()

        tasks = await session.scalars(
            select(ContentGenerationTask).options(
                selectinload(ContentGenerationTask.account).selectinload(Account.contents),
                selectinload(ContentGenerationTask.content),
            )
        )

        task = tasks.one()
        assert task.content is not None
        assert (task.account.name, task.content.title) == ("Ada", "Tea")
        assert task.account.contents == [task.content]

    in_session(dsn, work)


def test_change_in_place_of_a_result_is_refused(dsn: str) -> None:
    async def work(session: AsyncSession) -> None:
        session.add(ContentGenerationTask(account=Account(name="Ada"), result={"parts": [1]}))
        await session.commit()
        session.expunge_all()

        task = (await session.scalars(select(ContentGenerationTask))).one()
        with pytest.raises(TypeError, match="assign a new value"):
            task.result["parts"].append(2)
        task.result = {**task.result, "parts": [1, 2]}
        await session.commit()
        await session.refresh(task)
        assert task.result == {"parts": [1, 2]}

    in_session(dsn, work)
