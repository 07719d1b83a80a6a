"""The accounts page: costs, limits, pauses and budgets."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from contentq.queue import accounts, budgets, gates
from contentq.web.database import Part, read_part
from contentq.web.forms import Form, FormRefused
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get, post

PATH = "/accounts"

NAME = mark("Accounts")

ON_A_PAGE = 25

MOST_READY = 1_000
"""Ready tasks of an account are counted up to this number."""

MOST_BUDGETS = 200

LONGEST_CATEGORY = 200


def show_accounts(page: Page) -> Response:
    """Shows accounts by id, or those that match a search; and all budgets."""
    text = page.query("q")
    after = page.id("after") or 0
    with page.database.reading() as connection:
        listed = read_part(connection, accounts.list_accounts, text, after, ON_A_PAGE + 1)
        ids = [account["id"] for account in listed.value or ()][:ON_A_PAGE]
        return page.render(
            "accounts.html",
            accounts=Part((listed.value or [])[:ON_A_PAGE], listed.missing),
            next=ids[-1] if listed.value and len(listed.value) > ON_A_PAGE else None,
            q=text,
            after=after,
            activity=read_part(connection, accounts.activity, ids, MOST_READY + 1).value or {},
            costs=read_part(connection, accounts.costs, ids).value or {},
            budgets=read_part(connection, budgets.budget_status_of, ids),
            MOST_READY=MOST_READY,
            MOST_BUDGETS=MOST_BUDGETS,
        )


def set_account(page: Page, form: Form) -> Response:
    """Sets the share, cap and budget of an account."""
    id_ = form.id("id")
    share = form.limit("share", 1_000_000, least=1)
    if share is None:
        raise FormRefused(page.gettext("The share must be a number of 1 or more."))
    limits = {
        "share": share,
        "max_running": form.limit("max_running", 2_147_483_647),
        "monthly_budget": form.limit("monthly_budget", 10**12, whole=False),
    }
    with page.database.changing() as connection:
        accounts.set_limits(connection, id_, limits)
    return page.redirect(_place(form), page.gettext("The limits of account %(id)s are set.", id=id_))


def pause_account(page: Page, form: Form) -> Response:
    """Pauses an account, for a time or until it is resumed."""
    id_ = form.id("id")
    with page.database.changing() as connection:
        gates.pause_account(connection, id_, form.duration("for"))
    return page.redirect(_place(form), page.gettext("Account %(id)s is paused.", id=id_))


def resume_account(page: Page, form: Form) -> Response:
    """Ends the pause of an account."""
    id_ = form.id("id")
    with page.database.changing() as connection:
        gates.resume_account(connection, id_)
    return page.redirect(_place(form), page.gettext("Account %(id)s is resumed.", id=id_))


def set_budget(page: Page, form: Form) -> Response:
    """Sets the budget of an account, a category or both, for a day or a month."""
    amount, category = form.limit("amount", 10**12, whole=False), form.text("category")
    if amount is None:
        raise FormRefused(page.gettext("The amount must be a number."))
    if category is not None and len(category) > LONGEST_CATEGORY:
        raise FormRefused(page.gettext("The category is too long; the maximum is 200 characters."))
    with page.database.changing() as connection:
        named = form.text("account")
        account = None if named is None else accounts.find_account(connection, named)
        budgets.set_budget(connection, amount, account, category, _period(form))
    return page.redirect(PATH, page.gettext("The budget is set."))


def unset_budget(page: Page, form: Form) -> Response:
    """Removes a budget."""
    account = form.id("account") if form.text("account") else None
    with page.database.changing() as connection:
        budgets.unset_budget(connection, account, form.exact("category") or None, _period(form))
    return page.redirect(PATH, page.gettext("The budget was removed."))


def _period(form: Form) -> str:
    return "day" if form.text("period") == "day" else "month"


def _place(form: Form) -> str:
    """The page that contained a form."""
    given = {name: value for name in ("q", "after") if (value := form.text(name))}
    return f"{PATH}?{urlencode(given)}" if given else PATH


ROUTES = [
    get(PATH, show_accounts),
    post("/accounts/set", set_account, back=PATH),
    post("/accounts/pause", pause_account, back=PATH),
    post("/accounts/resume", resume_account, back=PATH),
    post("/accounts/budget", set_budget, back=PATH),
    post("/accounts/budget/unset", unset_budget, back=PATH),
]
