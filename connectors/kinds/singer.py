"""Any Singer tap, run as a child process: its streams, its state, each row told once."""

import sys
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import cast

import pyarrow as pa
from typing_extensions import override

from connectors import comparing
from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import readable
from connectors.fields import Fields
from connectors.memory import Memory
from connectors.passes import Passes
from connectors.singer import catalog as catalogs
from connectors.singer import messages
from connectors.singer.taps import Tap, secrets_of
from kernel import canonical, clock
from kernel.errors import ConfigurationError

PAGE_ROWS = 20_000
SILENCE_SECONDS = 300
PAUSE_SECONDS = 300
LINE_BYTES = 64 << 20
_PAGE_BYTES = 32 << 20
_CATALOG_SECONDS = 3600
# Of a pass by change only its end comes again, so that much of it is remembered.
_REMEMBERED_PAGES = 10
_FEW = 3
_METHODS = ("", "full_table", "incremental", "log_based")
EXAMPLE = {
    "command": ["/opt/taps/example/bin/tap-example"],
    "config": {"user": "reader", "password": "${NPLUSX_SOURCE_PASSWORD}"},
}


@dataclass(frozen=True, slots=True)
class SingerStream:
    """A stream of the tap; how it finds changes where the tap's catalog does not say."""

    stream: str
    method: str = ""
    updated: str = ""
    keys: tuple[str, ...] = ()
    # Whether rows that a full table no longer holds are deleted.
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class SingerSource:
    """A tap's program and its configuration."""

    command: tuple[str, ...]
    config: Mapping[str, object]
    environment: Mapping[str, str]
    catalog_option: str = "catalog"
    page_rows: int = PAGE_ROWS
    # Between two passes of a stream: each starts a program.
    pause_seconds: int = PAUSE_SECONDS
    silence_seconds: int = SILENCE_SECONDS
    line_bytes: int = LINE_BYTES


_Plan = StreamPlan[SingerStream]


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The tap's newest state, and what was given that it may give again."""

    state: object = None
    # Views of the pass before and of this pass so far, or of a log since its state.
    known: tuple[str, ...] = ()
    now: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """How one stream is read in this pass."""

    entry: catalogs.Entry
    method: str
    updated: str
    keys: tuple[str, ...]


def stream_of(fields: Fields) -> SingerStream:
    """Read what a preset says of a stream."""
    return SingerStream(
        fields.text("stream"),
        fields.choice("method", _METHODS, ""),
        fields.text("updated", ""),
        fields.texts("keys", ()),
        deletes=fields.flag("deletes", default=False),
    )


def way_of(fields: Fields) -> SingerSource:
    """Read what an agent's file says of a tap."""
    return SingerSource(
        fields.texts("command"),
        fields.tree("config"),
        fields.names("environment"),
        fields.choice("catalog_option", ("catalog", "properties"), "catalog"),
        fields.whole("page_rows", PAGE_ROWS),
        fields.whole("pause_seconds", PAUSE_SECONDS, least=0),
        fields.whole("silence_seconds", SILENCE_SECONDS),
        fields.whole("line_bytes", LINE_BYTES),
    )


def open_source(source: Source[SingerSource]) -> "SingerConnector":
    """Get ready to run a tap; it is not started yet."""
    return SingerConnector(source)


class SingerConnector(Connector[SingerStream]):
    """Runs a tap for one stream at a time; it runs no longer than a pass lasts."""

    def __init__(self, source: Source[SingerSource]) -> None:
        if sys.platform == "win32":
            raise ConfigurationError(
                "Taps run under Linux only.",
                where=f"source {source.id}",
                cure="run the agent in the Windows Subsystem for Linux, or use another kind.",
            )
        self._source, self._way = source, source.way
        self._where = f"source {source.id}, {source.way.command[0]}"
        self._secrets = tuple(sorted(set(secrets_of(source.way.config)), key=len, reverse=True))
        self._offered: list[catalogs.Entry] = []
        self._offered_until = 0.0
        self._passes = Passes()
        self._due: dict[str, float] = {}

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        if cursor is not None and clock.monotonic() < self._due.get(plan.contract, 0.0):
            return Page(None, cursor, more=False)
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, _loads(at)))

    def _pass(self, plan: _Plan, at: _Cursor) -> Generator[Page]:
        """Let the tap go on behind its state, and leave out what it gives again."""
        run, memory = self._run(plan.how, plan.contract), self._memory(plan)
        memory.forget_all_but((*at.known, *at.now))
        given = _Given(run, memory, at)
        with closing(self._pages(run, at.state)) as pages:
            for rows, since, state in pages:
                at, told = given.page(rows, since, replace(at, state=state))
                yield Page(told, _dumps(at), more=True)
        told = self._gone(plan, run, at) if plan.how.deletes else None
        now = at.now or at.known
        if run.method == catalogs.CHANGES:
            now = now[-_REMEMBERED_PAGES:]
        self._due[plan.contract] = clock.monotonic() + self._way.pause_seconds
        at = _Cursor(at.state) if run.method == catalogs.LOG else _Cursor(at.state, known=now)
        yield Page(told, _dumps(at), more=False)

    def _pages(self, run: _Run, state: object) -> Generator[tuple[pa.Table, int | None, object]]:
        """Give tables of rows, how many came before a new state, and the newest state."""
        rows: list[catalogs.Tree] = []
        columns, size = tuple(run.entry.columns), 0
        since: int | None = None
        selected = run.entry.selected(run.method, run.updated, run.keys)
        files: dict[str, object] = {self._way.catalog_option: selected}
        if state is not None:
            files["state"] = state
        # Taps differ in which of its two names a stream bears in messages.
        names = {run.entry.name, run.entry.said.get("stream")}
        with closing(self._tap().lines(**files)) as lines:
            for said in messages.read(lines, names, run.entry.where):
                match said:
                    case messages.Record():
                        rows.append(said.row)
                        size += said.size
                    case messages.State():
                        state, since = said.value, len(rows)
                    case messages.Schema():
                        columns = said.columns
                if len(rows) >= self._way.page_rows or size >= _PAGE_BYTES:
                    yield messages.table(rows, columns), since, state
                    rows, size, since = [], 0, None
        yield messages.table(rows, columns), since, state

    def _run(self, how: SingerStream, subject: str) -> _Run:
        try:
            return self._found(how, subject)
        except ConfigurationError:
            # What is mended at the source is seen at once.
            self._offered_until = 0.0
            raise

    def _found(self, how: SingerStream, subject: str) -> _Run:
        where = f"{self._where}, stream {subject}"
        entry = catalogs.find(self._catalog(), how.stream, where)
        updated = how.updated or entry.updated
        run = _Run(entry, entry.method(how.method, updated), updated, how.keys or entry.keys)
        catalogs.require(entry, (*run.keys, *filter(None, [how.updated])))
        if how.deletes and run.method != catalogs.FULL:
            raise ConfigurationError(
                f"The tap gives {run.method} of {how.stream}: what is missing is not deleted.",
                where=where,
                cure="leave `deletes` out of the preset's stream, or say `method: full_table`.",
            )
        return run

    def _catalog(self) -> list[catalogs.Entry]:
        """Ask the tap what it offers, now and then."""
        if clock.monotonic() >= self._offered_until:
            with closing(self._tap().lines(discover=None)) as lines:
                text = b"".join(lines)
            try:
                told = canonical.loads(text)
            except ValueError:
                told = None
            self._offered = catalogs.entries(told, self._where)
            self._offered_until = clock.monotonic() + _CATALOG_SECONDS
        return self._offered

    def _tap(self) -> Tap:
        way = self._way
        return Tap(
            way.command, way.config, way.environment, self._source.memory.absolute(), self._where,
            way.silence_seconds, way.line_bytes, self._secrets,
        )  # fmt: skip

    def _memory(self, plan: _Plan) -> Memory:
        return Memory(self._source.memory / plan.contract)

    def _gone(self, plan: _Plan, run: _Run, at: _Cursor) -> pa.Table | None:
        """Give deletes for the rows that the pass before had and this one has not."""
        memory = self._memory(plan)
        known, present = memory.recall(at.known), memory.recall(at.now)
        keys = () if known is None else _told_apart(run.keys, known)
        present = pa.table({}) if present is None else present
        cure = f"remove the folder {self._source.memory / plan.contract}"
        gone = comparing.gone(known, present, keys, run.entry.where, cure)
        return gone[0] if gone else None

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        run = self._run(plan.how, plan.contract)
        small = replace(self._way, page_rows=_FEW)
        trial = SingerConnector(replace(self._source, way=small))
        with closing(trial._pages(run, None)) as pages:
            rows, _, _ = next(pages)
        return Sample(rows if rows.num_rows else None)

    @override
    def discover(self) -> Iterator[Offer]:
        for each in self._catalog():
            how: dict[str, object] = {"stream": each.name}
            if each.keys:
                how["keys"] = list(each.keys)
            if each.updated:
                how["updated"] = each.updated
            yield Offer(each.name, each.columns, how)

    @override
    def close(self) -> None:
        self._passes.close()


class _Given:
    """What was given before, against what a tap gives now."""

    def __init__(self, run: _Run, memory: Memory, at: _Cursor) -> None:
        self._run, self._memory = run, memory
        known, before = memory.recall(at.known), memory.recall(at.now)
        self._known, self._expected = known, Counter[str]()
        if run.method == catalogs.LOG:
            # The same change may come twice in a log; each is left out once for once given.
            self._expected.update([] if before is None else _digests(before))
        elif known is None:
            self._known = before
        elif before is not None:
            # What this pass gave of a row counts, not what the pass before gave.
            rest = comparing.without(known, before, _told_apart(run.keys, known))
            self._known = pa.concat_tables([rest, before], promote_options="permissive")

    def page(
        self, rows: pa.Table, since: int | None, at: _Cursor
    ) -> tuple[_Cursor, pa.Table | None]:
        """Leave out what was given; note what the tap may give again."""
        is_log = self._run.method == catalogs.LOG
        if not rows.num_rows and not (is_log and since is not None):
            return at, None
        view = comparing.view_of(rows, _told_apart(self._run.keys, rows))
        if not is_log:
            told = comparing.changed(rows, view, self._known)
            # A pass that breaks off again and again keeps each page once.
            kept = dict.fromkeys((*at.now, self._memory.keep(view)))
            at = replace(at, now=tuple(kept))
            return at, told if told.num_rows else None
        new = pa.array([not self._was(each) for each in _digests(view)], pa.bool_())
        told = rows.filter(new)
        if since is None:
            views, now = [view.filter(new)], at.now
        else:
            # Behind the state: what came, and what was given before and has not come again yet.
            left = pa.table({comparing.DIGEST: pa.array(self._expected.elements(), pa.string())})
            views, now = [view.slice(since), left], ()
        now = (*now, *(self._memory.keep(each) for each in views if each.num_rows))
        return replace(at, now=now), told if told.num_rows else None

    def _was(self, digest: str) -> bool:
        if self._expected[digest] < 1:
            return False
        self._expected[digest] -= 1
        return True


def _digests(view: pa.Table) -> list[str]:
    return cast("list[str]", view.column(comparing.DIGEST).to_pylist())


def _told_apart(keys: tuple[str, ...], rows: pa.Table) -> tuple[str, ...]:
    """Give the columns that tell rows apart; all of them where the tap knows none."""
    return keys or tuple(name for name in rows.column_names if name != comparing.DIGEST)


def _dumps(at: _Cursor) -> str:
    return canonical.dumps({"state": at.state, "known": at.known, "now": at.now}).decode()


def _loads(text: str | None) -> _Cursor:
    if text is None:
        return _Cursor()
    with readable("it then reads the source from the beginning"):
        told = catalogs.tree(canonical.loads(text))
        known, now = (tuple(cast("list[str]", told[name])) for name in ("known", "now"))
        return _Cursor(told["state"], known, now)
