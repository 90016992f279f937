"""Books as sheets: CSV in GB 18030 as Chinese Excel writes it, and workbooks."""

import io
from datetime import datetime
from pathlib import Path

import pyarrow.csv as pc
import xlsxwriter

from county.shape import Table

# Of these a person made workbooks.
_WORKBOOKS = {"发货明细"}
# The same bytes whenever it is written.
_MADE = datetime.fromisoformat("2024-01-01")
_OPTIONS = {
    "default_date_format": "yyyy-mm-dd hh:mm:ss", "strings_to_formulas": False,
    "strings_to_urls": False,
}  # fmt: skip


def write_sheet(folder: Path, table: Table, mark: str = "") -> Path:
    """Write a table into a folder as the file that its factory would write, or a further one."""
    folder.mkdir(parents=True, exist_ok=True)
    if table.name in _WORKBOOKS:
        return _write_workbook(folder / f"{table.name}{mark}.xlsx", table)
    text = io.BytesIO()
    pc.write_csv(table.rows, text)
    path = folder / f"{table.name}{mark}.csv"
    path.write_bytes(text.getvalue().decode().encode("gb18030"))
    return path


def _write_workbook(path: Path, table: Table) -> Path:
    with xlsxwriter.Workbook(path, _OPTIONS) as book:
        book.set_properties({"created": _MADE})
        sheet = book.add_worksheet(table.name)
        sheet.write_row(0, 0, table.rows.column_names)
        for number, row in enumerate(table.rows.to_pylist(), 1):
            sheet.write_row(number, 0, list(row.values()))
    return path
