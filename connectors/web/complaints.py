"""What goes wrong between an agent and a server, in plain words with a cure."""

import ssl

from connectors.web.replies import Reply, text_at
from kernel import canonical
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

_SAID = 200
_FAILURE = 500
_UNTRUSTED = (
    "The source's certificate is not trusted.",
    "name the file of its authority as the source's `ca_file`.",
)
_OTHER_NAME = (
    "The source's certificate is for another name.",
    "write the name in the certificate into the source's `address`.",
)
# By OpenSSL's number.
_BY_VERDICT = {
    9: (
        "The source's certificate is not in force yet.",
        "set the clocks of this machine and of the source.",
    ),
    10: (
        "The source's certificate has expired.",
        "let its administrator renew it; reading goes on by itself.",
    ),
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}


class RefusedError(ConfigurationError):
    """The server knows us, but not what was asked for."""


_BY_STATUS: dict[int, tuple[type[NplusxError], str, str]] = {
    401: (
        ConfigurationError,
        "The source refuses the login.",
        "correct the source's `login`, and the secrets in their files or variables.",
    ),
    403: (
        ConfigurationError,
        "The source does not let this user read.",
        "let the source's administrator grant the right to read what the stream names.",
    ),
    404: (
        RefusedError,
        "The source has no such address.",
        "correct the source's `address`, or check that the preset fits the product's version.",
    ),
    407: (
        ConfigurationError,
        "A proxy stands in between and asks for a login.",
        "let this machine reach the source without a proxy.",
    ),
    429: (
        DependencyUnavailableError,
        "The source asks for fewer requests.",
        "lower the source's `requests_per_second`; reading goes on by itself.",
    ),
    503: (
        DependencyUnavailableError,
        "The source is in maintenance or overloaded.",
        "wait: reading goes on by itself when the source is back.",
    ),
}


def of_status(reply: Reply, where: str, like: int = 0) -> NplusxError:
    """Say what a status means, perhaps that of another one, and what the server said with it."""
    usual: tuple[type[NplusxError], str, str] = (
        RefusedError,
        "The source does not understand the request.",
        "check that the preset fits the product's version.",
    )
    if reply.status >= _FAILURE:
        usual = (
            DependencyUnavailableError,
            "The source failed.",
            "look into the source's own log; reading goes on by itself when it is well.",
        )
    kind, what, cure = _BY_STATUS.get(like or reply.status, usual)
    said = _words(reply.body) or reply.body[: 4 * _SAID].decode("utf-8", "replace")
    said = " ".join(said.split())[:_SAID]
    # A page for browsers tells nothing.
    told = "" if "<" in said[:1] else said
    return kind(
        f"{what} (HTTP {reply.status}{': ' + told if told else ''})", where=where, cure=cure
    )


def _words(body: bytes) -> str:
    """Take the sentence out of an error of OData, in which much else stands."""
    try:
        told = canonical.loads(body)
    except ValueError:
        return ""
    return text_at(told, "error.message.value") or text_at(told, "error.message")


def of_wire(failed: BaseException, where: str) -> NplusxError:
    """Say why no answer came."""
    if (refused := _certificate(failed)) is not None:
        return _of_certificate(refused, where)
    said = str(failed) or type(failed).__name__
    return DependencyUnavailableError(
        f"The source cannot be reached: {said}.",
        where=where,
        cure="check that it runs, that this machine may reach it, and the source's `address`.",
    )


def _certificate(failed: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while failed is not None:
        if isinstance(failed, ssl.SSLCertVerificationError):
            return failed
        failed = failed.__cause__ or failed.__context__
    return None


def _of_certificate(refused: ssl.SSLCertVerificationError, where: str) -> NplusxError:
    what, cure = _BY_VERDICT.get(refused.verify_code, _UNTRUSTED)
    return ConfigurationError(f"{what} ({refused.verify_message})", where=where, cure=cure)
