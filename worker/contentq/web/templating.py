"""The templates. Values from outside are never markup, and invisible characters are escaped."""

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
"""The content of a cell without a value."""


def exact(value: object) -> Markup:
    """Formats a value for a form attribute, without escaping invisible characters, because it is sent back."""
    return Markup.escape("" if value is None else str(value))


def prose(value: object) -> Markup:
    """Formats text with several lines; escapes other invisible characters."""
    return Markup.escape(escaping.escape("" if value is None else str(value), escaping.PROSE))


def finalize(value: Any) -> Any:
    """Is applied to every expression of a template: escapes invisible characters."""
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
    """The translation functions of templates; the values of a message are escaped like any other text."""

    def gettext(message: str, **values: Any) -> Markup:
        text = Markup(translations.gettext(message))
        return text % _finalized(values) if values else text

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
    "half open": mark("half-open"),
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
"""The states in views, as the page shows them."""


def _cell(value: Any) -> Any:
    """Formats a value in a table."""
    if value is None or value == "":
        return NOTHING
    return i18n.number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: Any) -> str:
    """Formats a number."""
    return NOTHING if value is None else i18n.number(int(value) if value == int(value) else float(value))


def _money(value: Any) -> str:
    """Formats an amount with two decimals, or with more if it is small."""
    if value is None:
        return NOTHING
    amount = Decimal(value)
    if amount == 0 or abs(amount) >= Decimal("0.1"):
        return f"{amount:,.2f}"
    return f"{amount:.6f}".rstrip("0")


def _time(value: Any) -> Any:
    """Formats a time in UTC. Times that Python cannot represent, such as infinity, are text already."""
    if not isinstance(value, datetime):
        return NOTHING if value is None else "∞" if value == "infinity" else str(value)
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S}")


def _duration(value: Any, gettext: Any) -> str:
    """Formats a duration with its two largest units; a number is in seconds."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if abs(seconds) < 10:
        return gettext("%(s)s s") % {"s": f"{seconds:.3g}"}  # type: ignore[no-any-return]
    left = abs(round(seconds))
    days, hours, minutes, rest = left // 86_400, left // 3600 % 24, left // 60 % 60, left % 60
    sign = "−" if seconds < 0 else ""
    if days:
        text = gettext("%(d)s d %(h)s h") % {"d": days, "h": hours}
    elif hours:
        text = gettext("%(h)s h %(m)s min") % {"h": hours, "m": minutes}
    elif minutes:
        text = gettext("%(m)s min %(s)s s") % {"m": minutes, "s": rest}
    else:
        text = gettext("%(s)s s") % {"s": rest}
    return f"{sign}{text}"
