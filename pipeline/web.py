"""Web: one call to an address from the settings; what goes wrong is one of `TROUBLE`."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

TROUBLE = (OSError, UnicodeError, ValueError, LookupError, TypeError, http.client.HTTPException)
_SECONDS = 5.0
_GOOD = range(200, 300)


def call(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """Ask, and give the answer; another status than a good one is an error."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.netloc, timeout=_SECONDS)
    path = f"{place.path or '/'}{'?' + place.query if place.query else ''}"
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in _GOOD:
            raise http.client.HTTPException(f"{method} {place.path} answers {answer.status}")
        return said
    finally:
        connection.close()
