"""The overview page."""

from __future__ import annotations

from collections import Counter
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from contentq.queue import inspection, overview
from contentq.web import charts
from contentq.web.charts import Series
from contentq.web.database import read_part
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/"

NAME = mark("Overview")

MOST_ACCOUNTS = 8

MOST_ROWS = 200
"""Maximum number of workers and gates that are read."""


def show_overview(page: Page) -> Response:
    """Shows the state of the queue at a glance."""
    with page.database.reading() as connection:
        rates = read_part(connection, overview.rates)
        spending = read_part(connection, overview.spending, MOST_ACCOUNTS)
        workers = read_part(connection, inspection.view, "worker_status", MOST_ROWS)
        gates = read_part(connection, inspection.view, "gate_status", MOST_ROWS)
        return page.render(
            "overview.html",
            counts=read_part(connection, overview.count_by_status),
            about=read_part(connection, overview.about_all),
            reviews=read_part(connection, overview.count_reviews),
            priorities=read_part(connection, overview.ready_by_priority),
            accounts=read_part(connection, overview.front_by_account, MOST_ACCOUNTS),
            rates=rates,
            completed_chart=_completed(page, rates.value),
            waited_chart=_waited(page, rates.value),
            spending=spending,
            days_chart=_days(page, spending.value),
            workers=workers,
            fleet=_fleet(workers.value),
            gates=gates,
            MOST_COUNTED=overview.MOST_COUNTED,
        )


def _completed(page: Page, rates: overview.Rates | None) -> Markup | None:
    if rates is None or not any(rates.completed):
        return None
    seconds = (rates.until - rates.since).total_seconds() / overview.BUCKETS
    values = [number / seconds for number in rates.completed]
    return charts.columns(
        page.gettext("Completed tasks per second"),
        _labels(rates),
        [Series(page.gettext("completed"), values)],
        "/s",
    )


def _waited(page: Page, rates: overview.Rates | None) -> Markup | None:
    if rates is None or not any(rates.completed):
        return None
    series = [
        Series(name, [None if waited is None else waited[place] for waited in rates.waited])
        for place, name in enumerate(("p50", "p95", "p99"))
    ]
    return charts.lines(page.gettext("Seconds from ready to started"), _labels(rates), series, " s")


def _labels(rates: overview.Rates) -> list[str]:
    """The end time of each interval."""
    step = (rates.until - rates.since) / overview.BUCKETS
    written = "%H:%M" if step.total_seconds() >= 60 else "%H:%M:%S"
    return [f"{rates.since + step * (place + 1):{written}}" for place in range(overview.BUCKETS)]


def _days(page: Page, spending: overview.Spending | None) -> Markup | None:
    if spending is None or not any(cost for _, cost in spending.days):
        return None
    labels, values = [day for day, _ in spending.days], [float(cost) for _, cost in spending.days]
    return charts.columns(page.gettext("Cost by day"), labels, [Series(page.gettext("cost"), values)])


def _fleet(workers: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Summarizes the workers."""
    if workers is None:
        return None
    live = [worker for worker in workers if worker["state"] != "silent"]
    return {
        "workers": len(live),
        "silent": len(workers) - len(live),
        "busy": sum(worker["busy"] for worker in live),
        "slots": sum(worker["slots"] for worker in live),
        "states": Counter(worker["state"] for worker in workers),
        "reasons": Counter(worker["waits_for"] for worker in workers if worker["waits_for"]),
    }


ROUTES = [get(PATH, show_overview)]
