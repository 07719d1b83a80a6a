"""`contentq doctor`: its output, its exit code, and the findings that only a client can make."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from contentq.cli.main import execute
from contentq.database.migrations import migrate

from tests.cli.conftest import Run
from tests.support.cluster import Cluster
from tests.support.findings import IN_SQL, OF_A_TEST_SERVER, OF_THE_CLIENT
from tests.support.pooler import Pooler
from tests.support.programs import installed
from tests.support.queue import Queue


def findings(contentq: Run, *arguments: str) -> list[dict[str, Any]]:
    """Its findings, without those of every test server."""
    outcome = contentq("doctor", "--json", *arguments)
    assert outcome.err == ""
    found = json.loads(outcome.out)["findings"]
    assert {each["finding"] for each in found} <= IN_SQL | OF_THE_CLIENT
    return [each for each in found if each["subject"] not in OF_A_TEST_SERVER]


def test_nothing_is_wrong_with_a_fresh_database(contentq: Run, queue: Queue) -> None:
    assert findings(contentq) == []


def test_findings_are_printed_worst_first_with_what_mends_them(contentq: Run, queue: Queue) -> None:
    queue.run("DROP INDEX content_generation_tasks_status_idx")
    queue.run("INSERT INTO accounts (id, name) VALUES (2000000000, 'Imported')")

    outcome = contentq("doctor")

    assert outcome.code == 11
    assert outcome.err == ""
    assert (
        "error: ids_running_out\n"
        "  what  accounts.id: 93 % of the ids that it can hold are used: 2000000000 of 2147483647 (integer)\n"
        "  why   When all are used, every INSERT fails.\n"
        "  fix   see docs/how-to/widen-ids.md: "
    ) in outcome.out
    assert (
        "\nwarning: index_missing\n"
        "  what  content_generation_tasks_status_idx: content_generation_tasks has no such index\n"
    ) in outcome.out
    assert outcome.out.index("ids_running_out") < outcome.out.index("index_missing")
    assert outcome.out.splitlines()[-1].endswith("1 warning") or ", 1 warning, " in outcome.out.splitlines()[-1]


@pytest.mark.parametrize(("worst", "code"), [(None, 0), ("advice", 0), ("warning", 10), ("error", 11)])
def test_exit_code_is_by_the_worst(
    contentq: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch, worst: str | None, code: int
) -> None:
    queue.run(
        "CREATE OR REPLACE FUNCTION contentq.doctor(patience interval DEFAULT '10 minutes') "
        "RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text) "
        "LANGUAGE sql AS $$ SELECT v, 'f', 's', 'd', 'w', 'm' FROM unnest(%s::text[]) AS v $$".replace(
            "%s", f"'{{{worst or ''}}}'"
        )
    )

    outcome = contentq("doctor", "--json")

    assert outcome.code == code
    assert json.loads(outcome.out)["worst"] == worst
    assert contentq("doctor").code == code
    assert (contentq("doctor").out == "no problems found\n") == (worst is None)


def test_patience_reaches_the_sessions(contentq: Run, queue: Queue) -> None:
    with queue.connection.transaction():
        queue.run("SELECT 1")
        assert findings(contentq, "--patience", "1h") == []
        assert [each["finding"] for each in findings(contentq, "--patience", "0s")] == ["idle_transaction"]


def test_schema_of_another_version_is_told_and_the_rest_is_looked_at(contentq: Run, queue: Queue) -> None:
    queue.run("UPDATE contentq.alembic_version SET version_num = '9999'")
    queue.run("DROP INDEX content_generation_tasks_status_idx")

    found = findings(contentq)

    assert [each["finding"] for each in found] == ["schema_revision", "index_missing"]


def test_function_that_is_not_there_is_told(contentq: Run, queue: Queue) -> None:
    queue.run("DROP FUNCTION contentq.doctor(interval)")
    assert findings(contentq) == []

    queue.run("UPDATE contentq.alembic_version SET version_num = '9999'")
    assert [each["finding"] for each in findings(contentq)] == ["schema_revision"]


def test_database_that_is_not_migrated_is_refused(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)

    assert execute(["doctor"]) == 4
    assert capsys.readouterr().err == "Error: the database is not migrated; run: contentq migrate\n"


@pytest.mark.parametrize(("seconds", "where"), [(60, "60 seconds ahead of"), (-60, "60 seconds behind")])
def test_clock_of_this_machine_that_is_wrong_is_told(
    contentq: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch, seconds: int, where: str
) -> None:
    real = time.time
    monkeypatch.setattr("contentq.queue.diagnosis.time.time", lambda: real() + seconds)

    (found,) = findings(contentq)

    assert (found["severity"], found["finding"]) == ("advice", "clock_differs")
    assert found["detail"] == f"its clock is {where} the clock of the database"


@pytest.mark.slow
def test_pooler_whose_clients_share_sessions_is_told(
    contentq: Run, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Cluster(installed()[max(installed())].folder, tcp=True) as cluster:
        migrate(cluster.dsn())
        monkeypatch.setenv("DATABASE_URL", Pooler(cluster.dsn(host="127.0.0.1"), request).url)

        (found,) = findings(contentq)
        assert (found["severity"], found["finding"]) == ("advice", "pooler")

        monkeypatch.setenv("CONTENTQ_LISTEN_DSN", cluster.dsn())
        assert findings(contentq) == []


def test_models_of_a_settings_file_that_have_no_price(contentq: Run, queue: Queue, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'model = "priced"\n[prices.priced]\ninput = 1\noutput = 1\n[categories.news]\nmodel = "unpriced"\n'
    )

    (found,) = findings(contentq, "--settings", str(file))

    assert (found["severity"], found["finding"], found["subject"]) == (
        "warning",
        "model_without_price",
        "unpriced",
    )
    assert contentq("doctor", "--settings", str(file)).code in (10, 11)


def test_settings_that_cannot_be_read_are_refused(contentq: Run, queue: Queue, tmp_path: Path) -> None:
    outcome = contentq("doctor", "--settings", str(tmp_path / "missing.toml"))

    assert outcome.code == 2
    assert "cannot be read: No such file or directory" in outcome.error
