"""The relationships between tasks, accounts and contents."""

from __future__ import annotations

import pytest
from contentq.models import Account, Content, ContentGenerationTask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


def content(account: Account) -> Content:
    return Content(account_id=account.id, title="Tea", body="Tea is good", word_count=3)


def test_task_leads_to_its_account_and_back(session: Session, account: Account) -> None:
    first, second = (ContentGenerationTask(account=account, topic=topic) for topic in ("Tea", "Coffee"))
    session.add_all([first, second])
    session.commit()

    assert first.account is account
    assert account.generation_tasks == [first, second]


def test_task_without_content_leads_to_none(session: Session, account: Account) -> None:
    task = ContentGenerationTask(account=account)
    session.add(task)
    session.commit()

    assert task.content is None


def test_task_leads_to_its_content_and_back(session: Session, account: Account) -> None:
    made = content(account)
    task = ContentGenerationTask(account=account, content=made)
    session.add(task)
    session.commit()

    assert task.content is made
    assert made.generation_tasks == [task]
    assert made.review_status == "pending"


def test_task_leads_to_all_versions_of_its_content_and_each_back(session: Session, account: Account) -> None:
    task = ContentGenerationTask(account=account)
    session.add(task)
    session.flush()
    first, second, other = (content(account) for _ in range(3))
    first.generation_task_id = second.generation_task_id = task.id
    session.add_all([first, second, other])
    session.commit()

    assert task.versions == [first, second]
    assert first.task is second.task is task
    assert other.task is None


def test_version_of_another_account_is_none_of_the_task(session: Session, account: Account) -> None:
    task = ContentGenerationTask(account=Account(name="Grace"))
    session.add(task)
    session.flush()
    foreign = content(account)
    foreign.generation_task_id = task.id
    session.add(foreign)
    session.commit()

    assert task.versions == []
    assert foreign.task is None


def test_content_that_is_deleted_leaves_its_task(session: Session, account: Account) -> None:
    task = ContentGenerationTask(account=account, content=content(account))
    session.add(task)
    session.commit()

    session.delete(task.content)
    session.commit()

    assert task.content_id is None
    assert task.content is None


@pytest.mark.parametrize("loaded", [True, False])
def test_account_with_tasks_cannot_be_deleted(session: Session, account: Account, loaded: bool) -> None:
    session.add(ContentGenerationTask(account=account))
    session.commit()
    if loaded:
        assert len(account.generation_tasks) == 1

    session.delete(account)
    with pytest.raises(IntegrityError, match="content_generation_tasks_account_id_fkey"):
        session.commit()

    session.rollback()
    assert session.scalars(select(ContentGenerationTask)).one().account_id == account.id


def test_new_task_for_a_new_account_is_stored_in_one_go(session: Session) -> None:
    session.add(Account(name="Grace", generation_tasks=[ContentGenerationTask(topic="Compilers")]))
    session.commit()

    assert session.scalars(select(ContentGenerationTask)).one().account.name == "Grace"


def test_result_of_none_is_null_and_not_json(session: Session, account: Account) -> None:
    session.add(ContentGenerationTask(account=account, result=None))
    session.commit()

    assert session.scalars(select(ContentGenerationTask).where(ContentGenerationTask.result.is_(None))).one()


def test_content_leads_to_its_account_and_back(session: Session, account: Account) -> None:
    first, second = content(account), content(account)
    session.add_all([first, second])
    session.commit()

    assert first.account is account
    assert account.contents == [first, second]


def test_account_with_contents_cannot_be_deleted(session: Session, account: Account) -> None:
    session.add(content(account))
    session.commit()

    session.delete(account)
    with pytest.raises(IntegrityError, match="contents_account_id_fkey"):
        session.commit()
