"""How one gets in: what a preset declares, and the ticket that a server gives for it."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.fields import Fields
from connectors.web.replies import Check, text_at
from connectors.web.templates import fill, fill_texts, places
from kernel import clock
from kernel.errors import ConfigurationError

WAYS = ("none", "basic", "token", "oauth2", "signed", "session")
# Asked for at the server itself, with what it told of us.
_ASKED = ("oauth2", "signed", "session")
_BEARER = {"Authorization": "Bearer {token}"}
_EARLY_SECONDS = 60
_CODED = re.compile(r"base64\((.*)\)")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: a path below the source's address, or a whole address on the same host."""

    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    # Instead of a body in JSON.
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Login:
    """What the product wants: by which way, how it is asked, where its answer holds the token."""

    by: str = "none"
    ask: Request = field(default_factory=lambda: Request(""))
    # Of a signed request: which of the given texts is the key.
    signed_with: str = ""
    ok: Check = field(default_factory=Check)
    # Paths in its answer: to what goes with each request, mostly a token, by name; and to the
    # seconds that it lasts. Without any its cookies let one in.
    takes: Mapping[str, str] = field(default_factory=dict)
    lasts: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    # What an answer says when the session is over and the status is a success all the same.
    lost: str = ""

    @property
    def renews(self) -> bool:
        """Tell whether another ticket can be asked for."""
        return self.by in _ASKED

    def require(self, given: Mapping[str, str], where: str) -> None:
        """Complain of texts that the login needs and the agent's file does not give."""
        asked = (self.ask.path, self.ask.query, self.ask.body, self.ask.form)
        wanted = {*places((*map(_plain, asked), _plain(self.headers), _plain(self.query)))}
        wanted |= {"user", "password"} if self.by == "basic" else set()
        wanted |= {self.signed_with} if self.signed_with else set()
        wanted -= {"milliseconds", *self.takes}
        missing, odd = sorted(wanted - set(given)), sorted(set(given) - wanted)
        if missing or odd:
            raise ConfigurationError(
                f"The source's `login` lacks {', '.join(missing)}."
                if missing
                else f"The source's `login` gives {', '.join(odd)}, which nobody asks for.",
                where=where,
                cure=f"give `login` the keys {', '.join(sorted(wanted)) or '– none –'};"
                " secrets as ${NPLUSX_…}.",
            )


def _plain(template: object) -> object:
    return dict(template) if isinstance(template, Mapping) else template


def login_of(fields: Fields) -> Login:
    """Read how a product lets one in."""
    by = fields.choice("by", WAYS)
    ask = request_of(fields.section("ask")) if by in _ASKED else Request("")
    if by == "oauth2":
        given = {"client_id": "{client_id}", "client_secret": "{client_secret}"}
        form = {"grant_type": "client_credentials", **given, **ask.form}
        ask = Request(ask.path, "POST", ask.query, ask.headers, form=form)
    takes = fields.names("takes") or ({"token": "access_token"} if by == "oauth2" else {})
    headers, query = fields.names("headers"), fields.names("query")
    if not (headers or query) and (takes or by == "token"):
        headers = dict(_BEARER)
    return Login(
        by,
        ask,
        fields.text("signed_with") if by == "signed" else "",
        check_of(fields),
        takes,
        fields.text("lasts", "expires_in" if by == "oauth2" else ""),
        headers,
        query,
        fields.text("lost", ""),
    )


def request_of(fields: Fields) -> Request:
    """Read how something is asked for."""
    body, form = fields.anything("body"), fields.names("form")
    request = Request(
        fields.text("path"),
        fields.choice("method", ("GET", "POST"), "GET" if body is None and not form else "POST"),
        fields.names("query"),
        fields.names("headers"),
        body,
        form,
    )
    fields.done()
    return request


def check_of(fields: Fields) -> Check:
    """Read how an answer tells that all is well: `ok`, and where an `error` stands."""
    error = fields.text("error", "")
    ok = fields.optional("ok")
    if ok is None:
        return Check(error=error)
    check = Check(ok.text("path"), ok.text("equals"), error)
    ok.done()
    return check


@dataclass(frozen=True, slots=True)
class Ticket:
    """What lets one in for a while: headers and query that go with each request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    until: float | None = None

    @property
    def holds(self) -> bool:
        """Tell whether it is still good."""
        return self.until is None or clock.monotonic() < self.until


def asking(login: Login, given: Mapping[str, str]) -> Request:
    """Write the request for a ticket, signed if the product wants that."""
    ask = login.ask
    values: dict[str, str | int] = dict(given)
    values["milliseconds"] = int(clock.now().timestamp() * 1000)
    query = fill_texts(ask.query, values)
    if login.by == "signed":
        query["signature"] = signature(query, given[login.signed_with])
    path, body = str(fill(ask.path, values)), fill(_plain(ask.body), values)
    return Request(path, ask.method, query, ask.headers, body, fill_texts(ask.form, values))


def signature(query: Mapping[str, str], secret: str) -> str:
    """Sign names and values, sorted by name and joined, as YonSuite asks."""
    text = "".join(name + query[name] for name in sorted(query))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()


def ticket_of(login: Login, given: Mapping[str, str], answer: object, where: str) -> Ticket:
    """Take the token out of a server's answer; without one its cookies are the ticket."""
    taken = {name: text_at(answer, path) for name, path in login.takes.items()}
    if missing := [login.takes[name] for name, each in taken.items() if not each]:
        raise ConfigurationError(
            f"The answer to the login holds nothing at {missing[0]}.",
            where=where,
            cure="check that the preset fits the product's version.",
        )
    lasts = text_at(answer, login.lasts) if login.lasts else ""
    until = None
    if lasts.isdigit():
        until = clock.monotonic() + max(int(lasts) - _EARLY_SECONDS, int(lasts) // 2)
    return given_ticket(login, {**given, **taken}, until)


def given_ticket(login: Login, given: Mapping[str, str], until: float | None = None) -> Ticket:
    """Make a ticket of what is known without asking."""
    if login.by == "basic":
        pair = f"{given['user']}:{given['password']}".encode()
        return Ticket({"Authorization": "Basic " + base64.b64encode(pair).decode()})
    headers = {name: _coded(each) for name, each in fill_texts(login.headers, given).items()}
    return Ticket(headers, fill_texts(login.query, given), until)


def _coded(text: str) -> str:
    """Write `base64(…)` as what it stands for."""
    return _CODED.sub(lambda found: base64.b64encode(found.group(1).encode()).decode(), text)
