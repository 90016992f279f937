"""Files are read once, whatever they are called and however written; odd ones are named."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from connectors.base import ZONE, NoCatalogueError, StreamPlan
from connectors.check import check, product_of
from connectors.files.forms import Form, UnopenedError
from connectors.files.places import Folder
from connectors.kinds.files import FilesStream
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId
from tests.broker import free_port
from tests.connectors.dropped import HEAD, PLAN, Drop, keys, until_trouble
from tests.connectors.reading import read_all


def test_each_file_is_read_once_the_oldest_first(drop: Drop) -> None:
    drop.put("b.csv", f"{HEAD}3,丙\n", age=50)
    drop.put("sub/a.csv", f"{HEAD}1,甲\n2,\n", age=100)
    connector = drop.connector()
    rows, cursor = read_all(connector, PLAN)
    assert [(r["key"], r["name"], r["file_name"], r["row_number"]) for r in rows] == [
        ("1", "甲", "sub/a.csv", 1), ("2", None, "sub/a.csv", 2), ("3", "丙", "b.csv", 1),
    ]  # fmt: skip
    assert read_all(connector, PLAN, cursor)[0] == []
    drop.put("c.csv", f"{HEAD}4,丁\n")
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["4"]
    connector.close()


def test_the_same_content_under_another_name_is_read_no_more(drop: Drop) -> None:
    drop.put("a.csv", f"{HEAD}1,甲\n", age=100)
    connector = drop.connector()
    _, cursor = read_all(connector, PLAN)
    (drop.folder / "a.csv").rename(drop.folder / "renamed.csv")
    drop.put("again.csv", f"{HEAD}1,甲\n")
    rows, cursor = read_all(connector, PLAN, cursor)
    assert rows == []
    drop.put("again.csv", f"{HEAD}1,改\n", age=20)
    assert [row["name"] for row in read_all(connector, PLAN, cursor)[0]] == ["改"]
    connector.close()


def test_a_file_that_is_still_written_waits(drop: Drop) -> None:
    drop.put("now.csv", f"{HEAD}1,甲\n", age=0)
    for name in ("~$a.csv", ".a.csv", "a.csv.part", "b.csv.tmp"):
        drop.put(name, f"{HEAD}9,半\n")
    connector = drop.connector()
    rows, cursor = read_all(connector, PLAN)
    assert rows == []
    drop.put("now.csv", f"{HEAD}1,甲\n2,乙\n", age=30)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["1", "2"]
    connector.close()


def test_what_was_read_is_moved_when_it_is_safe_and_not_before(drop: Drop) -> None:
    drop.put("a.csv", f"{HEAD}1,甲\n")
    connector = drop.connector(archive="done")
    page = connector.read(PLAN, None)
    assert (drop.folder / "a.csv").exists()
    rows, cursor = read_all(connector, PLAN, page.cursor)
    assert rows == []
    assert read_all(connector, PLAN, cursor)[0] == []
    assert [each.name[9:] for each in (drop.folder / "done").iterdir()] == ["a.csv"]
    assert not (drop.folder / "a.csv").exists()
    drop.put("a.csv", f"{HEAD}1,甲\n", age=70)
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_what_two_streams_read_is_moved_when_both_have_it(drop: Drop) -> None:
    other = replace(PLAN, contract=ContractId("test.other.v1"))
    drop.put("a.csv", f"{HEAD}1,甲\n")
    connector = drop.connector(archive="done")
    _, cursor = read_all(connector, PLAN)
    behind = connector.read(other, None)
    # The other's page is not safe yet.
    _, cursor = read_all(connector, PLAN, cursor)
    assert (drop.folder / "a.csv").exists()
    _, safe = read_all(connector, other, behind.cursor)
    read_all(connector, PLAN, cursor)
    assert (drop.folder / "a.csv").exists()
    read_all(connector, other, safe)
    assert not (drop.folder / "a.csv").exists()
    connector.close()


def test_a_large_file_goes_on_where_it_was_left(drop: Drop) -> None:
    lines = "".join(f"{n},名{n}\n" for n in range(25))
    drop.put("a.csv", HEAD + lines)
    connector = drop.connector(page_rows=10)
    page = connector.read(PLAN, None)
    connector.close()
    connector = drop.connector(page_rows=7)
    rest, cursor = read_all(connector, PLAN, page.cursor)
    assert page.rows is not None
    first = page.rows.column("编号").to_pylist()
    assert first + keys(rest) == [str(n) for n in range(25)]
    assert [row["row_number"] for row in rest] == list(range(11, 26))
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


@pytest.mark.parametrize(
    "head",
    ['编号,名称,"a;b|c;d"', '编号\t名称\t"a,b,c,d"', '编号;名称;"a ""b"", c,\nd,e"', "编号,名称,c"],
)
def test_what_stands_in_quotes_parts_no_columns(folder: Drop, head: str) -> None:
    sign = next(each for each in ",;\t" if f"编号{each}" in head)
    folder.put("a.csv", f"{head}\n1{sign}甲{sign}x\n")
    rows, _ = read_all(folder.connector(), PLAN)
    assert [(row["key"], row["name"]) for row in rows] == [("1", "甲")]


def test_lines_that_say_nothing_are_no_rows(folder: Drop) -> None:
    folder.put("a.csv", f"{HEAD}1,甲\n\n  \n2,乙\n,\n , \n")
    rows, _ = read_all(folder.connector(), PLAN)
    assert [(row["key"], row["row_number"]) for row in rows] == [("1", 1), ("2", 2)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_told_by_what_is_there(folder: Drop, encoding: str) -> None:
    folder.put("a.csv", f'{HEAD}1,"甲, 乙\n丙"\n'.encode(encoding))
    connector = folder.connector()
    assert [row["name"] for row in read_all(connector, PLAN)[0]] == ["甲, 乙\n丙"]
    connector.close()


def test_odd_files_are_named_and_the_others_read(drop: Drop) -> None:
    drop.put("good.csv", f"{HEAD}1,甲\n", age=50)
    drop.put("long.csv", f"{HEAD}2,乙,多\n", age=90)
    drop.put("bytes.csv", b"\xff\xff\xff\x00" * 9, age=80)
    drop.put("twice.csv", "编号,编号\n1,2\n", age=70)
    connector = drop.connector()
    read, cursor, caught = until_trouble(connector, None)
    assert read == ["1"]
    assert "3 files cannot be read" in caught
    assert "line 2 has 3 fields" in caught
    # As long as they are as they are nobody opens them again.
    assert until_trouble(connector, cursor)[::2] == ([], caught)
    drop.put("long.csv", f"{HEAD}2,乙\n", age=60)
    for name in ("bytes.csv", "twice.csv"):
        (drop.folder / name).unlink()
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["2"]
    connector.close()


def test_an_old_content_under_its_old_name_is_news_again(drop: Drop) -> None:
    connector, cursor, found = drop.connector(), None, []
    for age, stock in ((90, "5"), (80, "6"), (70, "5")):
        drop.put("stock.csv", f"{HEAD}{stock},库存\n", age=age)
        rows, cursor = read_all(connector, PLAN, cursor)
        found += keys(rows)
    assert found == ["5", "6", "5"]
    connector.close()


def test_an_older_file_that_comes_meanwhile_does_not_begin_the_other_anew(drop: Drop) -> None:
    drop.put("b.csv", HEAD + "".join(f"{n},乙\n" for n in range(6)), age=50)
    connector = drop.connector(page_rows=2)
    first = connector.read(PLAN, None)
    connector.close()
    drop.put("a.csv", f"{HEAD}9,甲\n", age=500)
    connector = drop.connector(page_rows=2)
    rest, _ = read_all(connector, PLAN, first.cursor)
    assert sorted(map(str, keys(rest))) == ["2", "3", "4", "5", "9"]
    connector.close()


def test_more_files_than_are_remembered_are_read_once(
    folder: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kinds.files._REMEMBERED", 3)
    for n in range(7):
        folder.put(f"{n}.csv", f"{HEAD}{n},甲\n", age=100 - n)
    connector = folder.connector()
    rows, cursor = read_all(connector, PLAN)
    assert len(rows) == 7
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_a_file_that_cannot_be_opened_holds_up_no_other(
    folder: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        folder.put(f"{n}.csv", f"{HEAD}{n},甲\n", age=100 - n)
    real = Folder.open

    def locked(self: Folder, name: str) -> BinaryIO:
        if name == "1.csv":
            raise UnopenedError("another program has it")
        return real(self, name)

    monkeypatch.setattr(Folder, "open", locked)
    connector = folder.connector()
    read, cursor, why = until_trouble(connector, None)
    assert (read, "1.csv: another program has it" in why) == (["0", "2"], True)
    monkeypatch.setattr(Folder, "open", real)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["1"]
    connector.close()


INVOICE = """<?xml version="1.0" encoding="UTF-8"?>
<EInvoice><TaxSupervisionInfo><InvoiceNumber>24332000000000000001</InvoiceNumber>
</TaxSupervisionInfo><EInvoiceData>
<IssuItemInformation><ItemName>*软件*MES</ItemName><Quantity>1</Quantity></IssuItemInformation>
<IssuItemInformation><ItemName>*电子计算机*服务器</ItemName></IssuItemInformation>
</EInvoiceData></EInvoice>"""
XML = StreamPlan(
    ContractId("test.line.v1"),
    "1.0.0",
    "select number, ItemName, try_cast(Quantity as integer) as quantity, row_number from rows",
    FilesStream(
        "*.xml",
        Form(
            "xml",
            row="EInvoice/EInvoiceData/IssuItemInformation",
            bears={"number": "EInvoice/TaxSupervisionInfo/InvoiceNumber"},
        ),
    ),
)


def test_a_row_of_xml_bears_what_its_document_says(folder: Drop) -> None:
    folder.put("a.xml", INVOICE)
    connector = folder.connector()
    rows, _ = read_all(connector, XML)
    assert [tuple(row.values()) for row in rows] == [
        ("24332000000000000001", "*软件*MES", 1, 1),
        ("24332000000000000001", "*电子计算机*服务器", None, 2),
    ]
    connector.close()


def test_xml_in_the_national_encoding_is_read(folder: Drop) -> None:
    told = INVOICE.replace('encoding="UTF-8"', 'encoding="GB2312"').encode("gb18030")
    folder.put("a.xml", told)
    connector = folder.connector()
    assert read_all(connector, XML)[0][0]["ItemName"] == "*软件*MES"
    connector.close()


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb">]><EInvoice>&b;</EInvoice>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><EInvoice>&b;</EInvoice>'


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<EInvoice>", "<Other/>", "no xml"])
def test_hostile_xml_is_refused(folder: Drop, text: str) -> None:
    folder.put("a.xml", text)
    connector = folder.connector()
    with pytest.raises(ConfigurationError, match=r"a\.xml"):
        read_all(connector, XML)
    connector.close()


def test_a_check_tells_what_there_is(drop: Drop) -> None:
    connector = drop.connector()
    (finding,) = check(connector, [PLAN], ZONE)
    assert "No file" in finding.problem
    drop.put("a.csv", f"{HEAD}1,甲\n")
    (finding,) = check(connector, [PLAN], ZONE)
    assert finding.problem == ""
    (offer,) = connector.discover()
    assert list(offer.columns) == ["编号", "名称", "row_number"]
    assert offer.how == {"pattern": "a.csv", "form": "csv"}
    drop.put("a.xml", "<EInvoice/>")
    assert list(connector.discover()) == [offer]
    connector.close()


def test_files_of_xml_alone_have_no_catalogue(folder: Drop) -> None:
    folder.put("a.xml", "<EInvoice/>")
    folder.put("read me.pdf", "")
    connector = folder.connector()
    with pytest.raises(NoCatalogueError, match="which of its elements"):
        list(connector.discover())
    connector.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    connector = Drop(tmp_path / "gone", None).connector()
    with pytest.raises(DependencyUnavailableError, match="not there"):
        read_all(connector, PLAN)


@pytest.mark.real_system
class TestSftp:
    """What only a server can refuse, and say of itself."""

    def test_a_server_is_known_by_its_greeting(self, sftp: Drop) -> None:
        connector = sftp.connector()
        assert product_of(connector) == ""
        connector.sample(PLAN)
        assert product_of(connector).startswith("SSH-2.0-AsyncSSH")
        connector.close()

    def test_a_wrong_password_a_foreign_key_and_silence_are_told_apart(self, sftp: Drop) -> None:
        assert sftp.login is not None
        for login, kind, says in (
            (replace(sftp.login, user="nobody"), ConfigurationError, "user or the password"),
            (replace(sftp.login, host_key="ssh-ed25519 AAAA"), ConfigurationError, "another key"),
            (replace(sftp.login, port=free_port()), DependencyUnavailableError, "cannot be read"),
            (replace(sftp.login, folder="/none"), DependencyUnavailableError, "not on the server"),
        ):
            connector = Drop(sftp.folder, login).connector()
            with pytest.raises(kind, match=says) as caught:
                read_all(connector, PLAN)
            assert "sesame" not in str(caught.value)
            connector.close()
