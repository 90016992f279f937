"""Passes over a source that go on where a cursor stands, one a stream, held between pages."""

from collections.abc import Callable, Generator

from connectors.base import Page


class Passes:
    """Goes on with a pass, or begins it anew where another cursor is given than it stands at."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Generator[Page]]] = {}

    def read(
        self, stream: str, cursor: str | None, begin: Callable[[str | None], Generator[Page]]
    ) -> Page:
        """Take the next page of a stream."""
        at, pages = self._held.pop(stream, (None, None))
        if pages is None or at != cursor:
            if pages is not None:
                pages.close()
            pages = begin(cursor)
        page = next(pages)
        if page.more:
            self._held[stream] = page.cursor, pages
        else:
            pages.close()
        return page

    def rest(self, stream: str) -> None:
        """Let go of a stream's pass, and of what it holds at the source."""
        _, pages = self._held.pop(stream, (None, None))
        if pages is not None:
            pages.close()

    def close(self) -> None:
        """Let go of every pass."""
        for _, pages in self._held.values():
            pages.close()
