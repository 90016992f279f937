"""How one comes from a page to the next, and when there is none."""

import hashlib
from dataclasses import dataclass

from connectors.fields import Fields
from connectors.web.replies import Reply, text_at
from kernel.errors import ConfigurationError

BY = ("none", "page", "offset", "key", "cursor", "link")
LIMIT = 500
# By these the place is ours to count; by the others the server names it.
_COUNTED = {"page": "page", "offset": "offset", "key": "cursor", "cursor": "cursor"}


@dataclass(frozen=True, slots=True)
class Paging:
    """Pages by their number, by rows left out, behind a key, or where the server says."""

    by: str = "none"
    limit: int = LIMIT
    # What stands for the place at the first page.
    first: str = ""
    # By key: the column whose last value the next page lies behind.
    column: str = ""
    # Where the answer names what comes next; by link nothing means the header `Link`.
    next: str = ""
    # Whether a page that is not full is the last one; else an empty one is.
    short_is_last: bool = False

    def place(self, at: str) -> dict[str, str | int]:
        """Say where a page begins, as the request's places want it."""
        if self.by not in _COUNTED:
            return {}
        at = at or self.first
        return {_COUNTED[self.by]: int(at) if at.isdigit() and self.by != "cursor" else at}

    def after(
        self, at: str, rows: list[dict[str, str | None]], answer: object, reply: Reply
    ) -> str:
        """Tell where the next page begins; an empty text means that there is none."""
        if self.by == "cursor":
            return text_at(answer, self.next)
        if self.by == "link":
            return text_at(answer, self.next) if self.next else reply.next_link
        if self.by == "none" or not rows or (self.short_is_last and len(rows) < self.limit):
            return ""
        if self.by == "key":
            return rows[-1][self.column] or ""
        step = 1 if self.by == "page" else len(rows)
        return str(int(at or self.first) + step)


def require_new(met: set[bytes], told: object, where: str, cure: str) -> None:
    """Complain of a source that leads in a circle."""
    digest = hashlib.blake2b(repr(told).encode(), digest_size=12).digest()
    if digest in met:
        raise ConfigurationError(
            "The source gives the same page again and again.", where=where, cure=cure
        )
    met.add(digest)


def paging_of(fields: Fields | None) -> Paging:
    """Read how a product gives pages."""
    if fields is None:
        return Paging()
    by = fields.choice("by", BY)
    usual = {"page": "1", "offset": "0", "key": "0"}.get(by, "")
    paging = Paging(
        by,
        fields.whole("limit", LIMIT),
        fields.text("first", usual) if usual or by == "cursor" else "",
        fields.text("column") if by == "key" else "",
        fields.text("next", "" if by == "link" else None) if by in ("cursor", "link") else "",
        fields.flag("short_is_last", default=False),
    )
    if by in ("page", "offset") and not paging.first.isdigit():
        raise ConfigurationError(
            "`paging.first` is not a number.", cure="give the number of the first page in quotes."
        )
    fields.done()
    return paging
