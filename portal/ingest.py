"""The county's gateway for factories that only reach the web: one record a request, own port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from kernel import clock
from kernel.errors import NplusxError
from kernel.ids import AgentId
from kernel.log import logger
from pipeline import wiring
from pipeline.ingest import Ingest, NotTakenError, RefusedError, UnknownCallerError, caller
from pipeline.settings import Settings, read_settings

_SCHEME = "bearer "
_MINUTE = 60.0
_MOST_AGENTS = 10_000


class Allowance:
    """So many records a minute for each agent, saved up for a minute at most."""

    def __init__(self, a_minute: int) -> None:
        self._rate, self._most = a_minute / _MINUTE, float(a_minute)
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def wait(self, agent: str) -> float:
        """Take one; give the seconds until there is one if there is none."""
        now = clock.monotonic()
        with self._lock:
            left, at = self._left.pop(agent, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            # Who spoke longest ago makes room first.
            while len(self._left) >= _MOST_AGENTS:
                self._left.pop(next(iter(self._left)))
            self._left[agent] = (left - 1 if left >= 1 else left, now)
        return 0.0 if left >= 1 else (1 - left) / self._rate


class Gate:
    """Lets agents in, one record at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ingest = Ingest(settings, wiring.bus(settings))
        self._allowance = Allowance(settings.ingest.records_per_minute)

    async def take(self, request: Request) -> Response:
        """Answer a request with a record."""
        said = request.headers.get("authorization", "")
        token = said[len(_SCHEME) :] if said.lower().startswith(_SCHEME) else ""
        try:
            agent = caller(self._settings, token)
        except UnknownCallerError as unknown:
            return PlainTextResponse(f"{unknown}\n", 401)
        if pause := self._allowance.wait(agent):
            headers = {"Retry-After": str(int(pause) + 1)}
            return PlainTextResponse("too many records\n", 429, headers)
        most = self._settings.land.record_bytes
        body = await _body(request, most)
        if body is None:
            text = f"it has more than {most} bytes. Cure: let the county raise its limit.\n"
            return PlainTextResponse(text, 413)
        return await run_in_threadpool(self._hand_on, agent, request, body)

    def _hand_on(self, agent: AgentId, request: Request, body: bytes) -> Response:
        try:
            self.ingest.take(agent, request.headers.items(), body)
        except RefusedError as refused:
            return PlainTextResponse(f"{refused}\n", 403)
        except NplusxError as trouble:
            # What it names is the county's own affair.
            logger("ingest").error("record not taken", agent=agent, why=str(trouble))
            if isinstance(trouble, NotTakenError):
                text = f"{trouble.where} is closed. Cure: let the county read its gateway's log.\n"
                return PlainTextResponse(text, 424)
            return PlainTextResponse("the county's bus does not take records now\n", 503)
        return Response(status_code=204)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the gateway."""
    gate = Gate(settings or read_settings())

    @asynccontextmanager
    async def living(_app: FastAPI) -> AsyncIterator[None]:
        yield
        gate.ingest.close()

    app = FastAPI(title="nplusx ingest", openapi_url=None, lifespan=living)
    app.add_api_route("/health", _health)
    app.add_api_route("/records", gate.take, methods=["POST"])
    return app


async def _health() -> Response:
    return PlainTextResponse("ok\n")


async def _body(request: Request, most: int) -> bytes | None:
    """Read a body, whatever it says of its size; nothing if it is too large."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        return None
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > most:
            return None
    return bytes(read)
