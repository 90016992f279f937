"""Puts a county into real systems and keeps them up: databases, folders, machines, on loopback."""

import asyncio
import fcntl
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from county import later, load, machines, sources
from county.generate import (
    County,
    feeds_of,
    files_of,
    is_written,
    later_of,
    tables_of,
    truth_of,
    write,
)
from county.machines import STATE, Said
from county.reach import OFFICES, Reach
from county.servers import cap, tryton
from county.servers.cap import Cap
from county.servers.database import READER, Database
from county.servers.edge_node import EdgeNode
from county.servers.mariadb import MariaDb
from county.servers.mosquitto import Mosquitto
from county.servers.opcua import Line
from county.servers.plc import Gateway
from county.servers.postgres import Postgres
from county.servers.programs import LOOPBACK
from county.servers.sftp import Sftp
from county.servers.tryton import Tryton
from county.world import Factory, authority_uscc
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

# What there is to read, once all of it is there.
SOURCES = "sources.json"
_MACHINE_DAYS = 2
_PAUSE_SECONDS = 0.5
_DATABASES: Mapping[str, type[Database]] = {
    "yonyou_u8": Postgres,
    "kingdee_k3cloud_db": MariaDb,
    "shopfloor_mes": MariaDb,
    sources.ODATA: Postgres,
}


def serve(county: County, folder: Path, say: Callable[[str], None], after: int) -> None:
    """Write a county unless it is there, put it into its systems, and keep them until told.

    What comes late comes so many seconds after all else is up.
    """
    # Its servers work in folders of their own.
    folder = folder.absolute()
    if any(each.system == sources.TRYTON for each in county.factories):
        # Told before anything is made, if it is not there.
        tryton.home()
    if not is_written(county, folder):
        for _ in write(county, folder):
            pass
    servers = folder / "servers"
    servers.mkdir(exist_ok=True)
    for each in (folder, servers):
        # Some servers run as accounts of their own, which may pass but not look.
        each.chmod(0o711)
    with _alone(servers / "lock"):
        (folder / SOURCES).unlink(missing_ok=True)
        try:
            asyncio.run(_Systems(county, folder, after).keep(say))
        except* NplusxError as failed:
            raise failed.exceptions[0] from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Refuse a second one: it would take away what the first one tells."""
    with path.open("wb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise ConfigurationError(
                "This county is up already.",
                where=str(path.parent.parent),
                cure="end the other `nplusx county generate --load`, or give another `--out`.",
            ) from taken
        yield


class _Systems:
    """The systems of a county; each server starts when the first factory needs it."""

    def __init__(self, county: County, folder: Path, after: int) -> None:
        self._county, self._folder, self._servers = county, folder, folder / "servers"
        self._after = after
        self._databases: dict[str, Database] = {}
        # All that must not end before the county does.
        self._running: dict[str, Database | Cap | Tryton] = {}
        self._sftp: Sftp | None = None
        self._tryton: Tryton | None = None
        # Its databases take their time, and are filled beside all else.
        self._beside = ThreadPoolExecutor()
        self._entering: list[Future[None]] = []
        self._mosquitto: Mosquitto | None = None
        self._tellers: list[Line | EdgeNode | Gateway] = []
        self._stop = asyncio.Event()

    async def keep(self, say: Callable[[str], None]) -> None:
        """Start everything and stay until told to stop, or until a server has ended."""
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self._stop.set)
        with ExitStack() as running:
            reached = [*self._load(running), *self._feeds()]
            for entering in self._entering:
                entering.result()
            if self._tryton is not None:
                self._start("tryton", self._tryton, running)
            if self._sftp is not None:
                await self._sftp.start()
            async with asyncio.TaskGroup() as tasks:
                for each in self._tellers:
                    tasks.create_task(each.serve(self._stop))
                draft = self._folder / f"{SOURCES}.new"
                draft.write_bytes(canonical.dumps([asdict(each) for each in reached]))
                draft.rename(self._folder / SOURCES)
                say(f"{len(reached)} systems of {len(self._county.factories)} factories are up")
                say(f"how each is reached stands in {self._folder / SOURCES}")
                due = clock.monotonic() + self._after
                while not self._stop.is_set():
                    self._watch()
                    if clock.monotonic() > due:
                        self._come_late()
                    await asyncio.sleep(_PAUSE_SECONDS)

    def _watch(self) -> None:
        for name, server in self._running.items():
            if not server.is_alive:
                raise DependencyUnavailableError(
                    "A server of the county has ended.",
                    where=str(self._servers / name / "log"),
                    cure="start the county again; what it said last stands in that file.",
                )

    def _come_late(self) -> None:
        """Let come what comes late, once."""
        for factory in self._county.factories:
            name = f"factory_{factory.number:03d}"
            mark, folder = self._servers / f"{name}.later", later_of(self._folder, factory)
            if mark.exists() or not folder.is_dir():
                continue
            if factory.system == sources.SHEETS:
                later.into_files(files_of(self._folder, factory) / sources.SHEETS, folder)
            elif factory.system == sources.TRYTON:
                self._erp().append(name, later.tables(folder))
            else:
                kind = _DATABASES[factory.system].__name__.lower()
                later.into_database(self._databases[kind].database(name), folder)
            mark.touch()

    def _load(self, running: ExitStack) -> Iterator[Reach]:
        for factory in self._county.factories:
            for system in sources.systems(factory):
                if system in sources.FILES:
                    name = "erp" if system == factory.system else system
                    folder = files_of(self._folder, factory)
                    way = self._share(f"factory{factory.number:03d}", folder, system)
                else:
                    name, way = "erp", self._fill(factory, running)
                yield _reach(factory, {"id": name, "preset": system, **way}, {})
            if factory.wire:
                books = {each: truth_of(self._folder, factory, each) for each, *_ in machines.TOLD}
                told = machines.last_days(books, _MACHINE_DAYS)
                source = {"id": "line", **self._connect(factory, told, running)}
                rows = (
                    _still_rows(told)
                    if factory.wire == "modbus"
                    else _least_rows(told, sources.WIRED[factory.wire])
                )
                yield _reach(factory, source, rows)

    def _feeds(self) -> Iterator[Reach]:
        """Open what each place's offices report; all of it comes to the county of the demo."""
        for place in dict.fromkeys(each.place for each in self._county.factories):
            folder = feeds_of(self._folder, place.region)
            rows = {each.stem: _lines(each) - 1 for each in sorted(folder.iterdir())}
            way = self._share(f"offices{place.region}", folder.parent, folder.name)
            source = {"id": f"offices-{place.region}", "preset": "place_feeds", **way}
            uscc = authority_uscc()
            yield Reach(OFFICES, uscc, place.name, place.region, place.industry, source, rows)

    def _connect(
        self, factory: Factory, told: Sequence[Said], running: ExitStack
    ) -> dict[str, object]:
        """Let a factory's machines talk; give how an agent hears them."""
        place = self._servers / "machines" / f"{factory.number:03d}"
        if factory.wire == "opcua":
            line = Line(place, told)
            self._tellers.append(line)
            return {
                "preset": "opcua_machine", "url": line.address, "machines": line.machines(),
            }  # fmt: skip
        if factory.wire == "modbus":
            gateway = Gateway(place, told)
            self._tellers.append(gateway)
            return {
                "preset": "modbus_machine", "host": LOOPBACK, "port": gateway.port,
                "machines": gateway.machines(),
            }  # fmt: skip
        broker = self._broker(running)
        node = EdgeNode(place, broker, factory.number, told)
        self._tellers.append(node)
        return {
            "preset": "sparkplug_device", "url": broker, "host_id": node.host,
            "groups": [node.group],
        }  # fmt: skip

    def _fill(self, factory: Factory, running: ExitStack) -> dict[str, object]:
        """Load a factory's database, once; give how an agent reaches it."""
        name = f"factory_{factory.number:03d}"
        mark = self._servers / f"{name}.loaded"
        if factory.system == sources.TRYTON:
            return self._enter(factory, name, mark)
        server = self._database(_DATABASES[factory.system], running)
        if factory.system == sources.ODATA:
            return self._offer(factory, server.database(name), mark, running)
        if not mark.exists():
            load.into_database(server.database(name), tables_of(self._folder, factory))
            mark.touch()
        word = f"${{file:{server.reader_file}}}"
        return {"url": server.address(name, READER, word)}

    def _offer(
        self, factory: Factory, database: str, mark: Path, running: ExitStack
    ) -> dict[str, object]:
        """Fill what stands behind a service, once, and start it; give how an agent reaches it."""
        name = f"cap{factory.number:03d}"
        service = Cap(self._servers / name, database)
        if not mark.exists():
            service.deploy()
            load.fill(database, tables_of(self._folder, factory))
            mark.touch()
        self._start(name, service, running)
        word = f"${{file:{service.password_file}}}"
        login = {"user": cap.READER, "password": word}
        return {"address": service.address(), "login": login}

    def _enter(self, factory: Factory, name: str, mark: Path) -> dict[str, object]:
        """Enter a factory's books into a Tryton, once; give how an agent reaches it."""
        server = self._erp()
        if not mark.exists():
            self._entering.append(self._beside.submit(self._enter_now, factory, name, mark))
        word = f"${{file:{server.password_file}}}"
        return {
            "address": server.address(name), "login": {"user": tryton.READER, "password": word},
        }  # fmt: skip

    def _enter_now(self, factory: Factory, name: str, mark: Path) -> None:
        self._erp().load(name, tables_of(self._folder, factory))
        mark.touch()

    def _erp(self) -> Tryton:
        """Give the server of all Trytons; it starts when their databases are there."""
        if self._tryton is None:
            self._tryton = Tryton(self._servers / "tryton")
        return self._tryton

    def _database(self, kind: type[Database], running: ExitStack) -> Database:
        name = kind.__name__.lower()
        if name not in self._databases:
            self._databases[name] = kind(self._servers / name)
            self._start(name, self._databases[name], running)
        return self._databases[name]

    def _start(self, name: str, server: Database | Cap | Tryton, running: ExitStack) -> None:
        server.start()
        running.callback(server.stop)
        self._running[name] = server

    def _broker(self, running: ExitStack) -> str:
        if self._mosquitto is None:
            self._mosquitto = Mosquitto(self._servers / "mosquitto")
            self._mosquitto.start()
            running.callback(self._mosquitto.stop)
        return self._mosquitto.address

    def _share(self, user: str, root: Path, folder: str) -> dict[str, object]:
        """Open files to a user; give how an agent reaches them."""
        if self._sftp is None:
            self._sftp = Sftp(self._servers / "sftp")
        self._sftp.let_in(user, root)
        return {
            "folder": f"/{folder}", "host": LOOPBACK, "port": self._sftp.port, "user": user,
            "host_key": self._sftp.host_key,
            "password": f"${{file:{self._sftp.password_file(user)}}}",
        }  # fmt: skip


def _reach(factory: Factory, source: Mapping[str, object], rows: Mapping[str, int]) -> Reach:
    place = factory.place
    return Reach(
        factory.number, factory.uscc, factory.name, place.region, place.industry, source, rows
    )


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _still_rows(told: Sequence[Said]) -> dict[str, int]:
    """Count the rows of registers that stand still: each machine's state, once."""
    return {"mes.equipment_state.v1": len({each.machine for each in told})}


def _least_rows(told: Sequence[Said], contracts: Mapping[str, str]) -> dict[str, int]:
    """Count the rows that machines' telling makes: a change ends one state and begins another."""
    said = Counter((each.machine, each.what) for each in told)
    rows: Counter[str] = Counter()
    for (_, what), count in said.items():
        if what in contracts:
            rows[contracts[what]] += 2 * count - 1 if what == STATE else count - 1
    return dict(rows)
