"""Which database is used, and that its password is never shown."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from contentq.database import dsn, embedded
from contentq.database.connect import connect
from contentq.errors import ContentQueueError, DatabaseUnreachable, EmbeddedServerError

HIDDEN = "s3cret"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder for one test; its embedded server is stopped afterwards."""
    monkeypatch.setenv("CONTENTQ_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield
    embedded.stop()


@pytest.mark.slow
def test_given_dsn_comes_before_the_environment_and_that_before_the_embedded_server(
    home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.start()
    assert dsn.resolve() == embedded.running_dsn()

    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/db")
    assert dsn.resolve() == "postgresql://environment/db"
    assert dsn.resolve("postgresql://given/db") == "postgresql://given/db"


def test_without_any_database_it_is_said_how_to_name_or_start_one(
    home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    with pytest.raises(EmbeddedServerError, match=r"contentq db start .*--dsn or DATABASE_URL"):
        dsn.resolve()


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql+asyncpg", "postgresql+psycopg2", "postgres"])
def test_url_for_sqlalchemy_is_read_as_one_for_libpq(scheme: str) -> None:
    assert dsn.resolve(f"{scheme}://u:p%40@h:5433/db?sslmode=require") == (
        "postgresql://u:p%40@h:5433/db?sslmode=require"
    )


@pytest.mark.parametrize(
    "given",
    ["host=/tmp dbname=db password='a postgresql+x://b'", "postgresql:///db?host=/var/run&user=postgres"],
)
def test_any_other_form_is_left_as_it_is(given: str) -> None:
    assert dsn.normalise(given) == given


def test_line_break_at_the_end_is_not_taken_for_part_of_the_database() -> None:
    assert dsn.parameters(dsn.normalise("postgresql://h/db\n"))["dbname"] == "db"


def test_several_hosts_are_kept() -> None:
    shown = dsn.without_secrets(
        dsn.normalise("postgres://u:s3cret@a:5432,[::1]:5433/db?target_session_attrs=read-write")
    )

    assert dsn.parameters(shown) == {
        "user": "u",
        "host": "a,::1",
        "port": "5432,5433",
        "dbname": "db",
        "target_session_attrs": "read-write",
    }


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:s3cret@h/db",
        "postgresql://u:%733cret@h/db",
        "postgresql://u:half?s3cret@h/db",
        "postgresql://u@h/db?password=s3cret",
        "postgresql://u@h/db?sslpassword=s3cret&passfile=/s3cret/pgpass",
        "host=h user=u dbname=db password=s3cret",
        "host=h user=u dbname=db password='it\\'s s3cret'",
        "host=h user=u dbname=db passfile=/s3cret sslpassword=s3cret",
        "host=h user=u dbname=db oauth_client_secret=s3cret scram_client_key=s3cret scram_server_key=s3cret",
    ],
)
def test_dsn_for_messages_has_no_secret_in_it(given: str) -> None:
    assert dsn.parameters(dsn.without_secrets(given)) == {"host": "h", "user": "u", "dbname": "db"}


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:s3cret@[::1/db",
        "postgresql://u:s3cret%zz@h/db",
        "postgresql://u:half@s3cret@h/db",
        "postgresql://u:half/s3cret@h/db",
        "postgresql://u:123/s3cret@h/db",
        "postgresql://u:s3cret",
        "mysql://u:s3cret@h/db",
        "host=h s3cret",
        "host=h password='s3cret",
        "host=h passwort=s3cret",
    ],
)
def test_dsn_that_cannot_be_read_is_refused_without_a_word_of_it(given: str) -> None:
    with pytest.raises(ContentQueueError, match="cannot be parsed; write it as postgresql://user:pass") as caught:
        dsn.normalise(given)

    assert HIDDEN not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:s3cret@127.0.0.1:1/db",
        "postgresql+psycopg://u:%733cret@127.0.0.1:1/db",
        "host=127.0.0.1 port=1 user=u dbname=db password=s3cret passfile=/s3cret sslpassword=s3cret",
    ],
)
def test_database_out_of_reach_is_named_without_its_password(given: str) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(dsn.normalise(given))

    said = "".join(traceback.format_exception(caught.value))
    assert "host=127.0.0.1" in said
    assert "user=u" in said
    assert HIDDEN not in said
