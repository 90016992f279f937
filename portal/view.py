"""Renders a template in the reader's language."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.violations import title_of
from kernel.clock import SHANGHAI
from portal.access import LANGUAGE, csrf_token
from portal.words import LANGUAGES, WORDS

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


def instant(at: object) -> str:
    """Write an instant as Shanghai's clocks show it."""
    astimezone = getattr(at, "astimezone", None)
    return astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if astimezone else "–"


def render(
    request: Request, template: str, values: Mapping[str, object], status: int = 200
) -> HTMLResponse:
    """Fill a template with values, words and the form token."""
    language = language_of(request)

    def word(key: str) -> str:
        title = WORDS[key]
        return title.zh if language == "zh" else title.en

    def reason(code: str) -> str:
        title = title_of(code)
        return title.zh if language == "zh" else title.en

    text = _ENVIRONMENT.get_template(f"{template}.html").render(
        {
            "user": None,
            "t": word,
            "reason": reason,
            "yuan": yuan,
            "instant": instant,
            "language": language,
            "csrf": csrf_token(request),
            "path": request.url.path,
            **values,
        }
    )
    return HTMLResponse(text, status_code=status)
