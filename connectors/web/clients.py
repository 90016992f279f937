"""The clients of a source: one server, and one client for each login that its streams name."""

from connectors.web.client import Client
from connectors.web.login import Login
from connectors.web.way import Way
from kernel.skew import Clock


class Clients:
    """Makes each client when it is needed first."""

    def __init__(self, server: Way, source: str) -> None:
        self._server, self._source = server, source
        self._made: list[tuple[Login, Client]] = []

    def under(self, login: Login) -> Client:
        """Give the client of a login."""
        for known, client in self._made:
            if known == login:
                return client
        client = Client(self._server, login, self._source)
        self._made.append((login, client))
        return client

    @property
    def clock(self) -> Clock | str:
        """Tell how the server's clock was, if it has told the time."""
        heard = [each.clock for _, each in self._made if each.clock]
        return heard[-1] if heard else "No answer of the server has borne a date yet."

    @property
    def product(self) -> str:
        """Tell what the server says that it is."""
        return next((each.product for _, each in self._made if each.product), "")

    def close(self) -> None:
        """Hang up."""
        for _, client in self._made:
            client.close()
