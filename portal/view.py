"""Renders a template in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import ParamSpec

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.model import Title
from kernel.clock import SHANGHAI
from portal import names
from portal.access import LANGUAGE, csrf_token
from portal.words import LANGUAGES, WORDS

Of = ParamSpec("Of")
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def language_of(request: Request) -> str:
    """Give the reader's language: Chinese unless English was chosen."""
    chosen = request.session.get(LANGUAGE)
    return chosen if chosen in LANGUAGES else LANGUAGES[0]


def yuan(amount: object) -> str:
    """Write an amount with thousands and fen."""
    return f"{Decimal(str(amount)):,.2f}"


def count(number: int) -> str:
    """Write a number with thousands."""
    return f"{number:,}"


def instant(at: datetime | date | None) -> str:
    """Write an instant as Shanghai's clocks show it."""
    return (
        at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if isinstance(at, datetime) else "–"
    )


def render(
    request: Request, template: str, values: Mapping[str, object], status: int = 200
) -> HTMLResponse:
    """Fill a template with values, words and the form token."""
    language = language_of(request)

    def said(title: Title) -> str:
        return title.zh if language == "zh" else title.en

    def in_words(titled: Callable[Of, Title]) -> Callable[Of, str]:
        return lambda *of, **by: said(titled(*of, **by))

    text = _ENVIRONMENT.get_template(f"{template}.html").render(
        {
            "user": None,
            "t": lambda key: said(WORDS[key]),
            "contract": in_words(names.contract_title),
            "column": in_words(names.column_title),
            "reason": in_words(names.reason_title),
            "table": in_words(names.table_title),
            "term": in_words(names.term_title),
            "written": names.written,
            "percent": names.percent,
            "yuan": yuan,
            "count": count,
            "instant": instant,
            "language": language,
            "csrf": csrf_token(request),
            "path": request.url.path,
            "here": _here(request),
            **values,
        }
    )
    return HTMLResponse(text, status_code=status)


def _here(request: Request) -> str:
    """Name the page to come back to; what a form was sent to is no page."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
