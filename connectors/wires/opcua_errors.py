"""What OPC UA servers complain of, in plain words with a cure."""

import re

from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

_COMPLAINTS: tuple[tuple[str, type[NplusxError], str, str], ...] = (
    (
        "BadUserAccessDenied|BadIdentityToken",
        ConfigurationError,
        "The server refuses the user or the password",
        "correct `user`, and the password in its file or variable.",
    ),
    (
        "BadCertificate|BadSecurityChecksFailed|BadNonce|Certificate mismatch|BadApplicationSign",
        ConfigurationError,
        "The server and this agent do not trust each other's certificate",
        "let the server trust `certificate`, and compare `server_certificate` with the server's.",
    ),
    (
        "No matching endpoint|BadSecurityPolicyRejected|BadSecurityModeRejected",
        ConfigurationError,
        "The server does not offer this security",
        "give `certificate`, `private_key`, `server_certificate`, or none of them if it has none.",
    ),
    (
        "BadTooMany(Sessions|Subscriptions|MonitoredItems|Operations)",
        DependencyUnavailableError,
        "The server has no room for another client or so many variables",
        "end clients that nobody needs, or name fewer `variables`.",
    ),
)


def plain(failed: BaseException, url: str) -> NplusxError:
    """Say what went wrong and what to do."""
    if isinstance(failed, NplusxError):
        return failed
    said = f"{type(failed).__name__} {failed}".strip()
    for pattern, kind, what, cure in _COMPLAINTS:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{what}: {said}", where=url, cure=cure)
    return DependencyUnavailableError(
        f"The server cannot be reached: {said}.",
        where=url,
        cure="check `url`, that the server runs, and the network between.",
    )
