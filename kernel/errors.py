"""Errors grouped by what the caller should do next; each says what, where and how to mend it."""

import re
from collections.abc import Mapping

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class NplusxError(Exception):
    """Something a person can act on; its exit code tells a script what kind of act."""

    exit_code = 1
    usual_cure = ""

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        # Libraries answer in several lines, some in colour; a person gets one paragraph.
        what = " ".join(_COLOUR.sub("", what).split())
        cure = cure or self.usual_cure
        parts = [what]
        if where:
            parts.append(f"Where: {where}.")
        if cure:
            parts.append(f"Cure: {cure}")
        super().__init__(" ".join(parts))
        self.what, self.where, self.cure = what, where, cure


class ChecksFailedError(NplusxError):
    """A check ran and found something: look at what it names."""

    exit_code = 1


class ConfigurationError(NplusxError):
    """The command, a setting or a file is wrong: change it and run again."""

    exit_code = 2


class PartialSuccessError(NplusxError):
    """The good went through, some rows wait in quarantine: look at them."""

    exit_code = 3


class DependencyUnavailableError(NplusxError):
    """Something outside is missing or silent: bring it back and run again."""

    exit_code = 4


class TamperingError(NplusxError):
    """Signed or sealed bytes are not what was signed or sealed: do not trust them."""

    exit_code = 5
    usual_cure = "do not rely on it; ask for the original, and find out who changed it."


def as_one(failed: Mapping[str, NplusxError]) -> NplusxError:
    """Make one error of several, each under its name; its kind is the gravest."""
    gravest = max(failed.values(), key=lambda each: each.exit_code)
    return type(gravest)(
        " ".join(f"{name}: {each.what}" for name, each in failed.items()),
        where=", ".join(dict.fromkeys(each.where for each in failed.values() if each.where)),
        cure=" ".join(dict.fromkeys(each.cure for each in failed.values() if each.cure)),
    )
