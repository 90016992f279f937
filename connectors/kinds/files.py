"""Files that people or programs drop: CSV, Excel and XML, in a folder or behind SFTP."""

import hashlib
from collections.abc import Container, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter
from typing_extensions import override

from connectors.base import Connector, NoCatalogueError, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import readable
from connectors.extras import extra
from connectors.fields import Fields
from connectors.files.forms import Form, Login, UnopenedError, UnreadableError
from connectors.files.places import Folder, Listed, Place, fits, matching
from connectors.mapping import map_rows
from connectors.passes import Passes
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.log import logger
from kernel.skew import Clock

PAGE_ROWS = 20_000
SETTLE_SECONDS = 10
_PORT = 22
_CHUNK = 1 << 20
# So many files that are gone are remembered, the newest; an older one that is dropped again is
# read again.
_REMEMBERED = 20_000
_KINDS = ("csv", "excel", "xml")
_ENDINGS = {".csv": "csv", ".txt": "csv", ".xlsx": "excel", ".xls": "excel", ".xml": "xml"}
EXAMPLE = {"folder": "drop", "archive": "read"}


@dataclass(frozen=True, slots=True)
class FilesStream:
    """Which files, by a pattern of their names, and how rows stand in them."""

    pattern: str
    form: Form


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Where the files are, and where they go when they were read; nothing: they stay."""

    folder: str
    sftp: Login | None
    archive: str
    page_rows: int = PAGE_ROWS
    # A file that was written to so lately may still be written to.
    settle_seconds: int = SETTLE_SECONDS


_Plan = StreamPlan[FilesStream]
# Name, size and time of change: with these a file is not opened again.
_Mark = tuple[str, int, int]
_Saved = tuple[str, int, int, str]
# An older agent kept here too which files are odd.
_SAVED = TypeAdapter(tuple[list[_Saved], _Mark | None, int, list[_Saved]])


@dataclass(frozen=True, slots=True)
class _Cursor:
    """What was read: files by content, and how far the one that is being read was."""

    # In the order in which they were read.
    done: dict[_Mark, str] = field(default_factory=dict)
    now: _Mark | None = None
    rows: int = 0

    def has_read(self, name: str, digest: str) -> bool:
        """Tell whether a content was read: a name that goes back to an old one says it anew."""
        of_name = [known for mark, known in self.done.items() if mark[0] == name]
        return of_name[-1] == digest if of_name else digest in self.done.values()

    def behind(self, mark: _Mark, digest: str) -> "_Cursor":
        """Go on behind a file."""
        return _Cursor({**self.done, mark: digest})

    def forgetting(self, there: Container[_Mark]) -> "_Cursor":
        """Forget the oldest of what is no longer there."""
        gone = [mark for mark in self.done if mark not in there]
        old = set(gone[: max(0, len(gone) - _REMEMBERED)])
        done = {mark: digest for mark, digest in self.done.items() if mark not in old}
        return replace(self, done=done)


def stream_of(fields: Fields) -> FilesStream:
    """Read what a preset says of a stream."""
    form = Form(
        fields.choice("form", _KINDS),
        fields.whole("skip", 0, least=0),
        fields.text("sheet", ""),
        fields.text("row", ""),
        fields.names("bears"),
    )
    return FilesStream(fields.text("pattern"), form)


def way_of(fields: Fields) -> FilesSource:
    """Read what an agent's file says of a place."""
    login = None
    host = fields.text("host", "")
    folder = fields.text("folder") if host else fields.file("folder")
    if host:
        login = Login(
            host,
            fields.whole("port", _PORT),
            fields.text("host_key"),
            fields.text("user"),
            fields.text("password", ""),
            fields.file("key_file", ""),
            folder,
        )
    return FilesSource(
        folder,
        login,
        fields.text("archive", "").strip("/"),
        fields.whole("page_rows", PAGE_ROWS),
        fields.whole("settle_seconds", SETTLE_SECONDS),
    )


def open_source(source: Source[FilesSource]) -> "FilesConnector":
    """Get ready to read a place; nothing is asked of it yet."""
    return FilesConnector(source)


class FilesConnector(Connector[FilesStream]):
    """Reads each content once, whatever its file is called; the oldest file first."""

    def __init__(self, source: Source[FilesSource]) -> None:
        with extra("files"):
            from connectors.files.rows import pages
            from connectors.files.sftp import Sftp

        way = source.way
        self._way, self._zone, self._read_pages = way, source.zone, pages
        self._place: Place = Sftp(way.sftp) if way.sftp else Folder(Path(way.folder))
        self._where = f"source {source.id}, {way.sftp.shown if way.sftp else way.folder}"
        self._passes = Passes()
        # Of each stream that was asked for: its files, and where its safe cursor stood.
        self._asked: dict[str, tuple[str, _Cursor]] = {}
        # Of each stream: files that cannot be read as they are, and why. Who starts anew tries them
        # again: the preset may be another.
        self._odd: dict[str, dict[_Mark, str]] = {}

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pages(plan, _loads(at)))

    def _pages(self, plan: _Plan, at: _Cursor) -> Generator[Page]:
        stuck = self._put_away(plan, at)
        listed = matching(self._place, plan.how.pattern, self._way.archive)
        marks = {_mark(each) for each in listed}
        at = at.forgetting(marks)
        told = self._odd.get(plan.contract, {})
        odd = self._odd[plan.contract] = {mark: told[mark] for mark in told.keys() & marks}
        # What was begun goes first, or its rows would be read again from the beginning.
        listed.sort(key=lambda each: _mark(each) != at.now)
        latest = clock.now().timestamp() - self._way.settle_seconds
        passing: list[str] = []
        for each in listed:
            mark = _mark(each)
            if mark in at.done or mark in odd or each.modified > latest:
                continue
            try:
                at = yield from self._file(plan, at, each)
            except UnreadableError as wrong:
                odd[mark], at = str(wrong), replace(at, now=None, rows=0)
            except (UnopenedError, OSError) as wrong:
                # It may be another program's for a moment.
                passing.append(f"{each.name}: {wrong}")
        if why := [*(f"{mark[0]}: {odd[mark]}" for mark in sorted(odd)), *passing]:
            raise ConfigurationError(
                f"{len(why)} files cannot be read: {'; '.join(why[:3])}.",
                where=f"{self._where}, stream {plan.contract}",
                cure="mend them or take them away; the others were read. If the preset was wrong,"
                " mend it and start the agent again.",
            )
        if stuck:
            raise stuck
        yield Page(None, _dumps(at), more=False)

    def _file(self, plan: _Plan, at: _Cursor, listed: Listed) -> Generator[Page, None, _Cursor]:
        """Read a file from where it was left, unless its content was read before."""
        mark, digest = _mark(listed), self._digest(listed)
        if at.has_read(listed.name, digest):
            # Dropped again, or under another name: its rows are there.
            logger("files").info("read before", file=listed.name)
            return at.behind(mark, digest)
        start = at.rows if mark == at.now else 0
        with closing(self._rows(plan, listed, start)) as tables:
            for number, (table, count) in enumerate(tables):
                if not number:
                    self._require_fit(plan, table)
                yield Page(table, _dumps(replace(at, now=mark, rows=count)), more=True)
        at = at.behind(mark, digest)
        yield Page(None, _dumps(at), more=True)
        return at

    def _require_fit(self, plan: _Plan, table: pa.Table) -> None:
        """Refuse a file with other columns by itself: else it would hold up all behind it."""
        try:
            map_rows(table.slice(0, 0), plan, self._zone)
        except ConfigurationError as wrong:
            raise UnreadableError(wrong.what) from wrong

    def _put_away(self, plan: _Plan, at: _Cursor) -> DependencyUnavailableError | None:
        """Move what is as it was when all streams that read it had it safe; tell what hinders."""
        # When a stream is asked for again, each other of this source was asked for, too.
        is_first = plan.contract not in self._asked
        self._asked[plan.contract] = plan.how.pattern, at
        if is_first or not self._way.archive:
            return None
        done = {mark: told for _, at in self._asked.values() for mark, told in at.done.items()}
        for mark in done.keys() & set(map(_mark, self._place.files())):
            if all(mark in at.done for at in self._readers(mark[0])):
                away = f"{self._way.archive}/{done[mark][:8]}-{Path(mark[0]).name}"
                try:
                    self._place.move(mark[0], away)
                except DependencyUnavailableError as failed:
                    return DependencyUnavailableError(
                        f"What was read cannot be put away: {failed.what}",
                        where=f"{self._where}, {away}",
                        cure=f"let the agent's user write the folder {self._way.archive}, or leave"
                        " `archive` out; new files are read all the same.",
                    )
        return None

    def _readers(self, name: str) -> Iterator[_Cursor]:
        """Give the cursors of the streams that read a file."""
        for pattern, at in self._asked.values():
            if fits(name, pattern, self._way.archive):
                yield at

    def _digest(self, listed: Listed) -> str:
        told = hashlib.blake2b(digest_size=16)
        with closing(self._place.open(listed.name)) as file:
            while chunk := file.read(_CHUNK):
                told.update(chunk)
        return told.hexdigest()

    def _rows(self, plan: _Plan, listed: Listed, start: int) -> Generator[tuple[pa.Table, int]]:
        """Read a file's rows behind so many, page by page, with how many there were by then."""
        count = 0
        with closing(self._place.open(listed.name)) as file:
            for table in self._read_pages(file, plan.how.form, self._way.page_rows):
                count += table.num_rows
                if count > start:
                    name = pa.repeat(listed.name, table.num_rows)
                    rest = table.append_column("file_name", name)
                    yield rest.slice(max(0, start - count + table.num_rows)), count

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        listed = matching(self._place, plan.how.pattern, self._way.archive)
        if not listed:
            return Sample(None, "No file fits the pattern yet.", "drop one, or correct `pattern`.")
        try:
            with closing(self._rows(plan, listed[-1], 0)) as tables:
                table, _ = next(tables, (None, 0))
        except (UnreadableError, UnopenedError, OSError) as wrong:
            raise ConfigurationError(
                f"{listed[-1].name} cannot be read: {wrong}.",
                where=f"{self._where}, stream {plan.contract}",
                cure="compare the preset's `form` with the file.",
            ) from wrong
        return Sample(table)

    @override
    def discover(self) -> Iterator[Offer]:
        listed = matching(self._place, "*", self._way.archive)
        kinds = [_ENDINGS.get(Path(each.name).suffix.lower()) for each in listed]
        if set(kinds) - {None} == {"xml"}:
            raise NoCatalogueError(
                "XML does not say which of its elements is a row.",
                where=self._where,
                cure="write `row` and `bears` into the preset: docs/connectors/files.md.",
            )
        for each, kind in zip(listed, kinds, strict=True):
            if kind in (None, "xml"):
                continue
            columns: dict[str, str] = {}
            with (
                suppress(UnreadableError, UnopenedError, OSError),
                closing(self._place.open(each.name)) as file,
            ):
                table = next(self._read_pages(file, Form(kind), 1), pa.table({}))
                columns = dict.fromkeys(table.column_names, "text")
            yield Offer(each.name, columns, {"pattern": each.name, "form": kind})

    @override
    def clock(self) -> Clock | str:
        return "Files tell when they were written, not what time it is where they lie."

    @override
    def product(self) -> str:
        return self._place.product

    @override
    def close(self) -> None:
        self._passes.close()
        self._place.close()


def _mark(listed: Listed) -> _Mark:
    return listed.name, listed.size, int(listed.modified * 1000)


def _dumps(at: _Cursor) -> str:
    done = [(*mark, text) for mark, text in at.done.items()]
    return _SAVED.dump_json((done, at.now, at.rows, [])).decode()


def _loads(text: str | None) -> _Cursor:
    if text is None:
        return _Cursor()
    with readable("it then reads all files again"):
        done, now, rows, _ = _SAVED.validate_json(text)
    return _Cursor(_by_mark(done), now, rows)


def _by_mark(saved: list[_Saved]) -> dict[_Mark, str]:
    return {(name, size, at): text for name, size, at, text in saved}
