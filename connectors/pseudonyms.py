"""Names of persons leave a factory as pseudonyms: the same for the same person, and only there."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa

from kernel import canonical
from kernel.errors import ConfigurationError

_KEY_BYTES = 32
_ID_DIGITS, _DIGITS = 8, 32


@dataclass(frozen=True, slots=True)
class Key:
    """A factory's own secret; without it nobody can tell who a pseudonym is, nor try names."""

    raw: bytes

    @property
    def id(self) -> str:
        """Name the key by its digest: pseudonyms of different keys are not to be compared."""
        return canonical.digest(self.raw)[:_ID_DIGITS]

    def cover(self, names: Sequence[str | None]) -> list[str | None]:
        """Give each person's pseudonym; who is nobody stays so."""
        start = f"hmac:{self.id}:"
        return [name and start + _digits(self.raw, name) for name in names]


# A factory has so many persons that are named again and again.
@lru_cache(4096)
def _digits(key: bytes, name: str) -> str:
    return hmac.digest(key, name.encode(), hashlib.sha256).hex()[:_DIGITS]


def read_key(path: Path) -> Key:
    """Read a key from its file: 32 bytes in base64."""
    try:
        raw = base64.b64decode(path.read_text("utf-8").strip(), validate=True)
    except (OSError, ValueError) as wrong:
        raise ConfigurationError(
            "The key for pseudonyms cannot be read.",
            where=str(path),
            cure="make one with `nplusx agent key FILE`, and name it as agent.pseudonym_key.",
        ) from wrong
    if len(raw) != _KEY_BYTES:
        raise ConfigurationError(
            f"The key for pseudonyms has {len(raw)} bytes, not {_KEY_BYTES}.",
            where=str(path),
            cure="make one with `nplusx agent key FILE`.",
        )
    return Key(raw)


def cover(rows: pa.Table, personal: Sequence[str], key: Key | None) -> pa.Table:
    """Put pseudonyms in the place of what names a person; without a key nothing leaves."""
    for name in personal:
        if name not in rows.column_names:
            continue
        column = rows.column(name)
        if column.null_count == len(column):
            continue
        if key is None:
            raise ConfigurationError(
                f"{name} names persons, and there is no key to cover them.",
                where="agent.pseudonym_key",
                cure="make one with `nplusx agent key FILE`, name it as agent.pseudonym_key, and"
                " keep it at the factory; or leave the column out of the mapping.",
            )
        told = column.cast(pa.string()).combine_chunks().dictionary_encode()
        names = [normalize("NFC", each).strip() for each in told.dictionary.to_pylist()]
        covered = pa.array(key.cover(names), pa.string())
        column = pa.DictionaryArray.from_arrays(told.indices, covered).cast(pa.string())
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows
