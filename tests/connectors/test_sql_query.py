"""What is asked of databases that no test can start: the text alone is tested."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from connectors.sql.query import select_behind, select_undated

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
