"""What is wrong with one file, or with the archive, holds up no other file, and passes."""

import io
from dataclasses import replace
from typing import BinaryIO

import pytest
import xlsxwriter
from typing_extensions import override

from connectors.base import StreamPlan
from connectors.files.forms import Form
from connectors.files.places import Folder
from connectors.kinds.files import FilesStream
from kernel.errors import DependencyUnavailableError
from tests.connectors.dropped import HEAD, PLAN, Drop, keys, until_trouble
from tests.connectors.reading import read_all


def test_a_file_with_other_columns_is_named_and_the_others_read(folder: Drop) -> None:
    folder.put("a.csv", "编号,新名称\n1,甲\n", age=90)
    folder.put("b.csv", f"{HEAD}2,乙\n", age=80)
    folder.put("c.csv", f"{HEAD}3,丙,多\n", age=70)
    connector = folder.connector()
    read, cursor, why = until_trouble(connector, None)
    assert read == ["2"]
    assert "a.csv: The mapping does not fit" in why
    assert "c.csv: line 2 has 3 fields" in why
    folder.put("d.csv", f"{HEAD}4,丁\n", age=60)
    assert until_trouble(connector, cursor)[0] == ["4"]
    connector.close()


def test_files_that_a_wrong_preset_refused_are_read_when_it_is_mended(folder: Drop) -> None:
    folder.put("a.csv", f"{HEAD}1,甲\n")
    wrong = replace(PLAN, mapping="select code as key from rows")
    connector = folder.connector()
    _, cursor, why = until_trouble(connector, None, wrong)
    assert "a.csv: The mapping does not fit" in why
    connector.close()
    again = folder.connector()
    assert keys(read_all(again, PLAN, cursor)[0]) == ["1"]
    again.close()


def test_an_archive_that_cannot_be_written_holds_up_no_new_file(drop: Drop) -> None:
    drop.put("a.csv", f"{HEAD}1,甲\n", age=90)
    # No folder can be made there.
    drop.put("done", "")
    connector = drop.connector(archive="done")
    _, cursor = read_all(connector, PLAN)
    drop.put("b.csv", f"{HEAD}2,乙\n", age=80)
    page = connector.read(PLAN, cursor)
    assert page.rows is not None
    assert page.rows.column("编号").to_pylist() == ["2"]
    page = connector.read(PLAN, page.cursor)
    with pytest.raises(DependencyUnavailableError, match="cannot be put away"):
        connector.read(PLAN, page.cursor)
    (drop.folder / "done").unlink()
    assert read_all(connector, PLAN, page.cursor)[0] == []
    assert sorted(each.name[9:] for each in (drop.folder / "done").iterdir()) == ["a.csv", "b.csv"]
    connector.close()


class Broken(io.BytesIO):
    """A file on a share that went away after it was opened."""

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError("the share is gone")


def test_a_file_whose_share_goes_away_is_read_later(
    folder: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("a.csv", f"{HEAD}1,甲\n", age=90)
    folder.put("b.csv", f"{HEAD}2,乙\n", age=80)
    real = Folder.open

    def opened(self: Folder, name: str) -> BinaryIO:
        return Broken() if name == "a.csv" else real(self, name)

    monkeypatch.setattr(Folder, "open", opened)
    connector = folder.connector()
    read, cursor, why = until_trouble(connector, None)
    assert (read, "a.csv: the share is gone" in why) == (["2"], True)
    monkeypatch.setattr(Folder, "open", real)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["1"]
    connector.close()


def test_bytes_that_are_no_text_above_the_names_are_one_file_s_trouble(folder: Drop) -> None:
    skipping = replace(PLAN, how=FilesStream("*.csv", Form("csv", skip=1)))
    folder.put("a.csv", b"\xef\xbb\xbf\xff\xff\n" + f"{HEAD}1,甲\n".encode(), age=90)
    folder.put("b.csv", f"报表\n{HEAD}2,乙\n", age=80)
    read, _, why = until_trouble(folder.connector(), None, skipping)
    assert (read, "a.csv: the names of its columns" in why) == (["2"], True)


def test_a_stray_cell_far_away_does_not_take_all_memory(folder: Drop) -> None:
    plan = StreamPlan(PLAN.contract, "1.0.0", PLAN.mapping, FilesStream("*.xlsx", Form("excel")))
    for name, row, age in (("a.xlsx", 1_048_575, 90), ("b.xlsx", 1, 80)):
        with xlsxwriter.Workbook(folder.folder / name) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, ["编号", "名称"])
            sheet.write_row(1, 0, ["1", "甲"])
            sheet.write_string(row, 16_383 if row > 1 else 1, "x")
        folder.put(name, (folder.folder / name).read_bytes(), age)
    read, _, why = until_trouble(folder.connector(), None, plan)
    assert read == ["1"]
    assert "a.xlsx: xl/worksheets/sheet1.xml goes as far as row 1048576" in why
