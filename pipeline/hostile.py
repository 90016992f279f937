"""What a hostile source could put into a stream's rows: names, values, zones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

NAMES = (
    "a b",
    'quo"te',
    "semi;colon",
    "select",
    "列名",
    "😀",
    "100%",
    "{brace}",
    "new\nline",
    "x" * 300,
)
LONG = 10 << 20
FEW = 3
# Each of so many texts is tried in its length: more would take minutes.
_LONG_COLUMNS = 8
ZONES = ("UTC", "Asia/Shanghai", "America/St_Johns", "Pacific/Kiritimati")
_ODD = "👩\u200d🔧 \u0000 \u202e مرحبا '; drop table rows; --"


@dataclass(frozen=True, slots=True)
class Hostile:
    """Rows as they could come, and what is odd about them."""

    what: str
    rows: pa.Table


def of(rows: pa.Table) -> Iterator[Hostile]:
    """Give variants of a page's rows."""
    few = rows.slice(0, FEW)
    wide = few
    for name in NAMES:
        wide = wide.append_column(name, pa.repeat("?", few.num_rows))
    yield Hostile(f"{len(NAMES)} columns with odd names", wide)
    names = [each for each in few.column_names if each != "_op"]
    yield Hostile("a row of nulls", _with(few, dict.fromkeys(names)))
    texts = [name for name in names if _is_text(few.schema.field(name).type)]
    for name in texts:
        yield Hostile(f"odd signs in {name}", _with(few, {name: _ODD}))
    for name in texts[:_LONG_COLUMNS]:
        yield Hostile(f"{LONG >> 20} MB in {name}", _with(few, {name: "长" * (LONG // 3)}))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _with(rows: pa.Table, values: Mapping[str, str | None]) -> pa.Table:
    """Add a row like the first one, but for these values."""
    first = rows.slice(0, 1)
    for name, value in values.items():
        at = first.schema.get_field_index(name)
        kind = first.schema.field(at).type
        first = first.set_column(at, name, pa.array([value], kind))
    return pa.concat_tables([rows, first.cast(rows.schema)])
