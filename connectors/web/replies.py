"""What servers answer: JSON read without losing a digit, and what stands where in it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from kernel import canonical
from kernel.errors import ConfigurationError, DependencyUnavailableError

_SAID = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def date(self) -> datetime | None:
        """Tell what the server's clock showed."""
        return date_of(self.headers.get("date", ""))

    @property
    def next_link(self) -> str:
        """Give the address of the next page as the header `Link` names it, if it does."""
        for part in self.headers.get("link", "").split(","):
            found = re.match(r'\s*<([^>]*)>.*;\s*rel="?next"?', part)
            if found:
                return found.group(1)
        return ""


def date_of(said: str) -> datetime | None:
    """Read a date as HTTP writes it."""
    try:
        date = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """How an answer tells that all is well: at a path stands this text; or no error stands."""

    path: str = ""
    equals: str = ""
    error: str = ""


def parse(reply: Reply, where: str) -> object:
    """Read JSON; numbers come as the text that the server wrote, so no digit is lost."""
    try:
        text = reply.body.decode("utf-8-sig")
        parsed: object = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as wrong:
        said = reply.body[:_SAID].decode("utf-8", "replace").strip()
        kind = reply.headers.get("content-type", "no type given")
        raise DependencyUnavailableError(
            f"The answer is not JSON ({kind}): {said!r}.",
            where=where,
            cure="check the address: a login page or a proxy answers so, and so does maintenance.",
        ) from wrong
    return parsed


def at(value: object, path: str) -> object:
    """Follow a path such as `data.list` or `0.name`; where it leads nowhere there is nothing.

    A name asked of a list is asked of each in it.
    """
    parts = [each for each in path.split(".") if each]
    for number, part in enumerate(parts, 1):
        if isinstance(value, dict):
            # Tryton puts what belongs to `product` under `product.`, beside the product's number.
            inside = part + "." if number < len(parts) and part + "." in value else part
            value = value.get(inside)
        elif isinstance(value, list) and not part.isdigit():
            found = [at(each, ".".join(parts[number - 1 :])) for each in value]
            return None if all(each is None for each in found) else found
        elif isinstance(value, list) and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def text_at(value: object, path: str) -> str:
    """Give the text at a path, or an empty one."""
    found = at(value, path)
    if isinstance(found, bool):
        return str(found).lower()
    return (
        found
        if isinstance(found, str)
        else ""
        if found is None
        else canonical.dumps(found).decode()[:_SAID]
    )


def complaint(value: object, check: Check) -> str:
    """Tell what an answer complains of though the server called it a success."""
    said = text_at(value, check.error) if check.error else ""
    if check.path:
        found = text_at(value, check.path)
        return "" if found == check.equals else said or f"{check.path} is {found!r}"
    return said


def require_list(value: object, path: str, where: str) -> list[object]:
    """Give the list at a path; nothing is an empty one."""
    found = at(value, path)
    if found is None and path:
        return []
    if isinstance(found, list):
        return found
    raise ConfigurationError(
        f"There is no list at {path or 'the top of the answer'}.",
        where=where,
        cure="correct the stream's `rows`: the path to the list of rows in the answer.",
    )
