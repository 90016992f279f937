"""The one door to HTTP: asks a server politely, patiently, and never another host than its own."""

import re
import secrets
import ssl
from contextlib import suppress
from datetime import datetime
from urllib.parse import quote, quote_plus

import httpx

from connectors.web import complaints
from connectors.web.login import Login, Request, Ticket, asking, given_ticket, ticket_of
from connectors.web.replies import Reply, complaint, date_of, parse
from connectors.web.way import Way
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.log import hush
from kernel.skew import Clock

_CONNECT_SECONDS = 10
# Products lock an account after a few wrong passwords.
_REFUSED_SECONDS = 300
_TRIES = 4
_REDIRECTS = 5
_LONGEST_WAIT = 30.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_AWAY = frozenset({502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})
_AS_IT_WAS = frozenset({307, 308})
_FAILED = 400
_NOT_SO, _UNKNOWN = 400, 401
_SECRET = re.compile(r"(?i)(password|passphrase|secret|token|key)$")

hush("httpx")


class Client:
    """Asks one server under one login; what goes wrong is said without any secret."""

    def __init__(self, way: Way, login: Login, source: str) -> None:
        self._way, self._login = way, login
        self._base = _base(way.address, source)
        self._where = f"source {source}, {_shown(self._base)}"
        login.require(way.login, self._where)
        self._ticket: Ticket | None = None
        self._earliest = 0.0
        # Why we were not let in, and until when that is believed.
        self._refusal: tuple[NplusxError, float] | None = None
        self._let_in = False
        self._is_away = False
        # As the last answer showed it.
        self.clock: Clock | None = None
        # What the server says that it is.
        self.product = ""
        self._trusted = _trust(way.ca_file, self._where)
        # The last answer was of somebody whose certificate we do not believe.
        self._is_strange = False
        self._http = httpx.Client(
            verify=self._trusted,
            trust_env=False,
            timeout=httpx.Timeout(way.timeout_seconds, connect=_CONNECT_SECONDS),
            headers={"User-Agent": "nplusx", "Accept": "application/json"},
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def json(self, request: Request, stream: str) -> tuple[object, Reply]:
        """Ask for JSON; give it with the answer that it came in."""
        reply = self.ask(request, stream)
        try:
            return parse(reply, self._at(stream)), reply
        except NplusxError as wrong:
            raise self._covered(wrong) from None

    def ask(self, request: Request, stream: str) -> Reply:
        """Ask, logged in; where the server no longer knows us, log in anew once."""
        try:
            if self._refusal and clock.monotonic() < self._refusal[1]:
                raise self._refusal[0]
            self._refusal = None
            return self._ask_known(request, stream)
        except NplusxError as wrong:
            raise self._covered(wrong) from None

    def _ask_known(self, request: Request, stream: str) -> Reply:
        reply = self._ask(self._with_ticket(request, stream), stream)
        if self._login.renews and self._is_lost(reply):
            self._ticket = None
            self._http.cookies.clear()
            reply = self._ask(self._with_ticket(request, stream), stream)
        # Who was let in before is not unknown: one address may be closed to him.
        self._require_well(reply, self._at(stream), is_login=not self._let_in)
        self._let_in = True
        return reply

    def _require_well(self, reply: Reply, where: str, *, is_login: bool) -> None:
        if reply.status >= _FAILED:
            wrong = complaints.of_status(reply, where)
            raise self._noted(wrong) if is_login and reply.status == _UNKNOWN else wrong

    def _noted(self, refusal: NplusxError) -> NplusxError:
        self._refusal = refusal, clock.monotonic() + _REFUSED_SECONDS
        return refusal

    def _at(self, stream: str) -> str:
        return f"{self._where}, stream {stream}"

    def _is_lost(self, reply: Reply) -> bool:
        lost = self._login.lost.encode()
        return reply.status == _UNKNOWN or bool(lost and lost in reply.body)

    def _with_ticket(self, request: Request, stream: str) -> Request:
        if self._ticket is None or not self._ticket.holds:
            self._ticket = self._log_in(stream)
        ticket = self._ticket
        return Request(
            request.path,
            request.method,
            {**request.query, **ticket.query},
            {**request.headers, **ticket.headers},
            request.body,
            request.form,
        )

    def _log_in(self, stream: str) -> Ticket:
        login, where = self._login, self._at(f"{stream}, login")
        if not login.renews:
            return given_ticket(login, self._way.login)
        reply = self._ask(asking(login, self._way.login), stream)
        if reply.status == _NOT_SO and login.by == "oauth2":
            # So OAuth 2.0 says that it does not know a client.
            raise self._noted(complaints.of_status(reply, where, like=_UNKNOWN))
        self._require_well(reply, where, is_login=True)
        self._let_in = True
        answer = parse(reply, where) if login.takes or login.ok.path else None
        if said := complaint(answer, login.ok):
            raise self._noted(
                ConfigurationError(
                    f"The source refuses the login: {said}",
                    where=where,
                    cure="correct the source's `login`, and the secrets in their files or"
                    " variables.",
                )
            )
        return ticket_of(login, self._way.login, answer, where)

    def _ask(self, request: Request, stream: str) -> Reply:
        """Ask until there is an answer, or it is no longer polite to."""
        # Who was away for one stream is not waited for by each of the others.
        tries = 1 if self._is_away else _TRIES
        if self._is_strange and self._way.ca_file:
            # Somebody may have put the right authority in place since.
            with suppress(OSError):
                self._trusted.load_verify_locations(self._way.ca_file)
        for attempt in range(tries):
            last = attempt == tries - 1
            try:
                reply = self._follow(request, stream)
            except httpx.RequestError as failed:
                wrong = complaints.of_wire(failed, self._at(stream))
                self._is_strange = isinstance(wrong, ConfigurationError)
                if last or isinstance(wrong, ConfigurationError):
                    self._is_away = isinstance(failed, httpx.ConnectError | httpx.ConnectTimeout)
                    raise wrong from failed
                wait = _pause(attempt)
            else:
                asked = _asked_wait(reply)
                if reply.status not in _AGAIN or last or (asked or 0) > _LONGEST_WAIT:
                    self._is_away = reply.status in _AWAY
                    return reply
                wait = _pause(attempt) if asked is None else asked
            self._earliest = max(self._earliest, clock.monotonic() + wait)
        raise AssertionError("the last try returns or raises")

    def _follow(self, request: Request, stream: str) -> Reply:
        """Ask once, and where the same host sends on, there."""
        url = self._address(request.path, stream).copy_merge_params(dict(request.query))
        if url.query:
            # A plus sign stands for a space in forms only.
            url = url.copy_with(query=url.query.replace(b"+", b"%20"))
        for _ in range(_REDIRECTS):
            built = self._http.build_request(
                request.method,
                url,
                headers=dict(request.headers),
                json=request.body,
                data=dict(request.form) or None,
            )
            reply = self._once(built, stream)
            onward = reply.headers.get("location", "")
            if reply.status not in _MOVED or not onward:
                return reply
            url = self._address(str(url.join(onward)), stream)
            if request.method != "GET" and reply.status not in _AS_IT_WAS:
                break
        raise ConfigurationError(
            f"The source sends on to {_shown(url)}.",
            where=self._at(stream),
            cure="write the address that it names into the source's `address`; a login page"
            " means that the login was lost.",
        )

    def _once(self, request: httpx.Request, stream: str) -> Reply:
        """Ask at the pace that the source bears; the answer may be so long and no longer."""
        clock.sleep(max(0.0, self._earliest - clock.monotonic()))
        self._earliest = clock.monotonic() + 1 / self._way.requests_per_second
        deadline = clock.monotonic() + 5 * self._way.timeout_seconds
        asked = clock.now()
        reply = self._http.send(request, stream=True)
        self._look_at_clock(reply.headers, asked)
        self.product = reply.headers.get("server", self.product)
        try:
            body = bytearray()
            for chunk in reply.iter_bytes():
                body += chunk
                if len(body) > self._way.answer_bytes:
                    raise ConfigurationError(
                        f"An answer is longer than {self._way.answer_bytes} bytes.",
                        where=self._at(stream),
                        cure="ask for fewer rows a page, or raise the source's `answer_bytes`.",
                    )
                if clock.monotonic() > deadline:
                    raise DependencyUnavailableError(
                        "An answer does not end.",
                        where=self._at(stream),
                        cure="ask for fewer rows a page, or read when the source is less busy.",
                    )
        finally:
            reply.close()
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Reply(reply.status_code, headers, bytes(body), _shown(reply.url))

    def _look_at_clock(self, headers: httpx.Headers, asked: datetime) -> None:
        told = date_of(headers.get("date", ""))
        # What a proxy had kept bears the date of then.
        if told and "age" not in headers:
            self.clock = Clock.between(asked, told, clock.now(), step_seconds=1)

    def _address(self, path: str, stream: str) -> httpx.URL:
        """Give the whole address of a path; whatever a server says, it stays on its host."""
        try:
            url = self._base.join(path)
        except httpx.InvalidURL:
            url = httpx.URL("odd:")
        safer = (self._base.scheme, url.scheme) == ("http", "https")
        if url.host != self._base.host or not (_door(url) == _door(self._base) or safer):
            raise ConfigurationError(
                f"The source sends on to another server, {url.host or 'with no name'}.",
                where=self._at(stream),
                cure="write that server's address into the source's `address`, if you trust it.",
            )
        return url

    def _covered(self, wrong: NplusxError) -> NplusxError:
        """Take secrets out of what a server or a library said."""
        ticket = self._ticket or Ticket()
        given = [text for name, text in self._way.login.items() if _SECRET.search(name)]
        for text in (*ticket.headers.values(), *ticket.query.values()):
            given += text.split()[-1:]
        hidden = {each for text in given for each in (text, quote(text, ""), quote_plus(text))}
        what = wrong.what
        for each in sorted(filter(None, hidden), key=len, reverse=True):
            what = what.replace(each, "…")
        return type(wrong)(what, where=wrong.where, cure=wrong.cure)


def _base(address: str, source: str) -> httpx.URL:
    url = httpx.URL()
    with suppress(httpx.InvalidURL):
        url = httpx.URL(address if address.endswith("/") else address + "/")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(
            "The source's address is not of the form https://host/path.",
            where=f"source {source}",
            cure="correct the source's `address`.",
        )
    return url


def _door(url: httpx.URL) -> tuple[str, int | None]:
    return url.scheme, url.port


def _shown(url: httpx.URL) -> str:
    """Write an address without what may be secret in it."""
    return str(url.copy_with(query=None, fragment=None, userinfo=b""))


def _trust(ca_file: str, where: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigurationError(
            f"The authority's certificate cannot be read: {wrong}.",
            where=f"{where}, {ca_file}",
            cure="name a file in PEM that the agent may read as the source's `ca_file`.",
        ) from wrong


def _pause(attempt: int) -> float:
    """Wait longer each time, and never all agents at once."""
    whole: float = 2**attempt
    return whole * (0.5 + secrets.randbelow(1000) / 1000)


def _asked_wait(reply: Reply) -> float | None:
    """Read how long the server asks to wait: seconds, or a date on its own clock."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    until, now = date_of(said), reply.date or clock.now()
    return None if until is None else max(0.0, (until - now).total_seconds())
