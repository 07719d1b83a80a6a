"""The templates, in which nothing that comes from outside is markup or goes unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from contentq import escaping
from contentq.web import charts, i18n
from contentq.web.i18n import mark
from contentq.web.markdown import to_html

NOTHING = "–"
"""In a cell of which nothing is known."""


def exact(value: object) -> Markup:
    """A value for an attribute of a form, of which the server gets back what cannot be seen, too."""
    return Markup.escape("" if value is None else str(value))


def prose(value: object) -> Markup:
    """Text of several lines, which stay; what else cannot be seen is written."""
    return Markup.escape(escaping.escape("" if value is None else str(value), escaping.PROSE))


def finalize(value: Any) -> Any:
    """What every expression in a template becomes before it is escaped: what cannot be seen is written."""
    if value is None:
        return ""
    return escaping.escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment(language: str) -> Environment:
    """The templates in a language."""
    made = Environment(
        loader=PackageLoader("contentq.web"),
        autoescape=True,
        extensions=["jinja2.ext.i18n"],
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["ext.i18n.trimmed"] = True
    translations = i18n.translations(language)
    made.filters |= {
        "exact": exact,
        "prose": prose,
        "cell": _cell,
        "number": _number,
        "money": _money,
        "time": _time,
        "duration": lambda value: _duration(value, translations.gettext),
        "state": lambda value: translations.gettext(STATES.get(value) or str(value)),
        "markdown": to_html,
    }
    made.globals |= _messages(translations) | {
        "bar": charts.bar,
        "LANGUAGES": i18n.LANGUAGES,
        "LANGUAGE": language,
    }
    return made


def _messages(translations: NullTranslations) -> dict[str, Any]:
    """How templates say something in their language; what is put into it is text, as elsewhere."""

    def gettext(message: str, **values: Any) -> Markup:
        said = Markup(translations.gettext(message))
        return said % _finalized(values) if values else said

    def ngettext(singular: str, plural: str, number: int, **values: Any) -> Markup:
        return Markup(translations.ngettext(singular, plural, number)) % _finalized({"n": number, **values})

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext}


def _finalized(values: dict[str, Any]) -> dict[str, Any]:
    return {name: finalize(value) for name, value in values.items()}


STATES = {
    "pending": mark("pending"),
    "processing": mark("processing"),
    "completed": mark("completed"),
    "failed": mark("failed"),
    "timeout": mark("timeout"),
    "approved": mark("approved"),
    "rejected": mark("rejected"),
    "idle": mark("idle"),
    "working": mark("working"),
    "waits": mark("waits"),
    "full": mark("full"),
    "draining": mark("draining"),
    "silent": mark("silent"),
    "open": mark("open"),
    "closed": mark("closed"),
    "half open": mark("half open"),
    "set": mark("set"),
    "learned": mark("learned"),
    "ok": mark("ok"),
    "near": mark("near"),
    "used_up": mark("used up"),
    "error": mark("error"),
    "warning": mark("warning"),
    "advice": mark("advice"),
    "day": mark("day"),
    "month": mark("month"),
}
"""The words of views, as people read them."""


def _cell(value: Any) -> Any:
    """A value in a table."""
    if value is None or value == "":
        return NOTHING
    return i18n.number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: Any) -> str:
    """A number; nothing when it is not known."""
    return NOTHING if value is None else i18n.number(int(value) if value == int(value) else float(value))


def _money(value: Any) -> str:
    """An amount: to the cent, or to the first two digits that are not zero."""
    if value is None:
        return NOTHING
    amount = Decimal(value)
    if amount == 0 or abs(amount) >= Decimal("0.1"):
        return f"{amount:,.2f}"
    return f"{amount:.6f}".rstrip("0")


def _time(value: Any) -> Any:
    """A time, in UTC. One that Python cannot hold, such as infinity, is the text that PostgreSQL writes."""
    if not isinstance(value, datetime):
        return NOTHING if value is None else "∞" if value == "infinity" else str(value)
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S}")


def _duration(value: Any, gettext: Any) -> str:
    """A duration, of which the two largest units are enough; a number is one of seconds."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if abs(seconds) < 10:
        return gettext("%(s)s s") % {"s": f"{seconds:.3g}"}  # type: ignore[no-any-return]
    left = abs(round(seconds))
    days, hours, minutes, rest = left // 86_400, left // 3600 % 24, left // 60 % 60, left % 60
    sign = "−" if seconds < 0 else ""
    if days:
        said = gettext("%(d)s d %(h)s h") % {"d": days, "h": hours}
    elif hours:
        said = gettext("%(h)s h %(m)s min") % {"h": hours, "m": minutes}
    elif minutes:
        said = gettext("%(m)s min %(s)s s") % {"m": minutes, "s": rest}
    else:
        said = gettext("%(s)s s") % {"s": rest}
    return f"{sign}{said}"
