"""The one door to logging: structured lines on standard error, silent while all is well."""

import logging
import sys
from typing import Protocol

import structlog


class Logger(Protocol):
    """What our code asks of a logger: an event and its facts."""

    def info(self, event: str, **facts: object) -> None:
        """A stage ended."""
        ...

    def warning(self, event: str, **facts: object) -> None:
        """Something is wrong and was dealt with."""
        ...

    def error(self, event: str, **facts: object) -> None:
        """Something is wrong and needs a person."""
        ...


def configure(*, as_json: bool, level: str) -> None:
    """Choose JSON lines for machines or coloured lines for a terminal."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> Logger:
    """Give the logger of a part."""
    found: Logger = structlog.get_logger(part=name)
    return found


def hush(library: str) -> None:
    """Silence a library's own lines: what is wrong comes as an error, and they may hold secrets."""
    logging.getLogger(library).setLevel(logging.CRITICAL)
