"""What is asked of databases that no test can start: the text alone is tested."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from connectors.sql.query import select_behind, select_by_moment, select_undated

QUERY = 'select "TC001", changed from "COPTC"'


@pytest.mark.parametrize("dialect", [mssql.dialect(), oracle.dialect()])
def test_keys_are_compared_as_texts_behind_a_place(dialect: sa.Dialect) -> None:
    select = select_behind(QUERY, "changed", ["TC001"], ("20240301", "'; drop"))
    text = str(select.limit(5).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    assert "changed >= '20240301'" in text
    assert "'''; drop'" in text
    assert QUERY in text


def test_sql_server_tells_keys_apart_that_differ_by_case() -> None:
    for select in (
        select_behind(QUERY, "", ["TC001"], ("a",)),
        select_undated(QUERY, "changed", ["TC001"], ("a",)),
    ):
        options = {"literal_binds": True}
        text = str(select.compile(dialect=mssql.dialect(), compile_kwargs=options))
        key = "(coalesce(CAST([TC001] AS NVARCHAR(255)), '')) collate Latin1_General_BIN2"
        assert f"{key} > 'a'" in text
        assert f"ORDER BY {key}" in text


def test_behind_a_moment_nothing_of_it_comes_again() -> None:
    for place, said in (
        ((), "changed IS NOT NULL ORDER BY changed"),
        (("20240301",), "changed >= '20240301' ORDER BY changed"),
        (("20240301", None), "changed > '20240301' ORDER BY changed"),
    ):
        select = select_by_moment(QUERY, "changed", place)
        text = str(select.compile(dialect=oracle.dialect(), compile_kwargs={"literal_binds": True}))
        assert " ".join(text.split()).endswith(said)
        assert "nplusx_key" not in text


def test_by_keys_too_what_is_behind_a_moment_is_behind_all_of_it() -> None:
    select = select_behind(QUERY, "changed", ["TC001"], ("20240301", None))
    text = str(select.compile(dialect=oracle.dialect(), compile_kwargs={"literal_binds": True}))
    assert "changed > '20240301' ORDER BY" in " ".join(text.split())
