"""A real HTTP server that answers as a test says, and remembers what it was asked."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from connectors.web.way import Way


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Answer:
    """What is answered: bytes as they are, anything else as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        body = self.body
        return (
            body
            if isinstance(body, bytes)
            else json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
        )


Says = Callable[[Asked], Answer]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: "Server"

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.of.asked.append(asked)
        answer = self.of.says(asked)
        if answer.status == 0:
            # It dies in the middle.
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(answer.raw))}
        for name, value in (usual | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.raw)
        self.close_connection = "Content-Length" in answer.headers

    def do_POST(self) -> None:
        self.do_GET()


class Server:
    """Answers by one function, which may be changed while it runs."""

    def __init__(self, says: Says, certificate: tuple[Path, Path] | None = None) -> None:
        self.says = says
        self.asked: list[Asked] = []

        class Handler(_Handler):
            of = self

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
            self.scheme = "https"
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    def way(self, login: Mapping[str, str] | None = None) -> Way:
        return Way(self.address, login or {}, timeout_seconds=10, requests_per_second=1000)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)


@contextmanager
def serving(says: Says, certificate: tuple[Path, Path] | None = None) -> Iterator[Server]:
    server = Server(says, certificate)
    server.start()
    try:
        yield server
    finally:
        server.stop()
