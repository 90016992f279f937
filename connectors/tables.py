"""Tables that came page by page, put together."""

from collections.abc import Collection, Sequence

import pyarrow as pa

from kernel.errors import ConfigurationError


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables together; a column of clashing types becomes text, for the gate to judge."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds: dict[str, set[pa.DataType]] = {}
        for field in (field for each in tables for field in each.schema):
            kinds.setdefault(field.name, set()).add(field.type)
        clashing = {name for name, found in kinds.items() if len(found - {pa.null()}) > 1}
        return pa.concat_tables(
            [_as_texts(each, clashing) for each in tables], promote_options="permissive"
        )


def _as_texts(table: pa.Table, names: Collection[str]) -> pa.Table:
    for at, name in enumerate(table.column_names):
        if name in names:
            texts = [None if v is None else str(v) for v in table.column(at).to_pylist()]
            table = table.set_column(at, name, pa.array(texts, pa.string()))
    return table


def require_apart(names: Sequence[str]) -> None:
    """Refuse two columns of one name: nobody could tell which is meant."""
    if len(set(names)) != len(names):
        raise ConfigurationError(
            "The query gives two columns one name.",
            where="the preset's query",
            cure="rename one of them with `as`.",
        )


def quoted(name: str) -> str:
    """Write a column's name as SQL does, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def column_of(values: Sequence[object]) -> pa.Array:
    """Make an Arrow column; a column of mixed kinds becomes text, for the gate to judge."""
    try:
        made = _large([bytes(v) if isinstance(v, memoryview) else v for v in values])
        if pa.types.is_decimal256(made.type):
            # More digits than a mapping reckons with.
            made = pa.array([None if v is None else format(v, "f") for v in values], pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return made


def _large(values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        return pa.array(values, pa.uint64())
