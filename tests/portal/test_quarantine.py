"""Quarantine: every reason in words, the row as it was sent, a factory's own only."""

import html

import pyarrow as pa
import pytest

from bus.ports import Record
from kernel import canonical
from pipeline import wiring
from portal.pages import quarantine as page
from tests.portal.conftest import LogIn
from tests.portal.county import OTHER_NAME, SCRIPT, Site
from tests.rows import FACTORY
from warehouse import quarantine


@pytest.mark.parametrize("name", ["engineer", "auditor"])
def test_the_county_sees_every_row_with_all_reasons_in_words(as_user: LogIn, name: str) -> None:
    text = as_user(name).get("/quarantine").text
    for key in ("PI-BAD", "PI-HOSTILE", "SECRET-0", "SECRET-1", "SECRET-2"):
        assert f"<code>{key}</code>" in text
    assert "PI-GOOD" not in text
    assert text.count("收款方统一社会信用代码：长度不符") == 3 + 1
    assert text.count("收款方统一社会信用代码：校验位或编码不符") == 3 + 1
    assert "发票号码：格式不符" in text
    assert "<code>seller_uscc.format</code>" in text
    assert "nplusx.erp.payment.v1 / " in text


def test_in_english_too(as_user: LogIn) -> None:
    inside = as_user("engineer")
    inside.post("/language", {"csrf": inside.token("/quarantine"), "back": "/quarantine"})
    text = inside.get("/quarantine").text
    assert "seller_uscc: The check digit or code is wrong" in text
    assert "Place on the bus" in text


def test_a_factory_sees_its_own_rows_reasons_and_counts_only(as_user: LogIn) -> None:
    mine, theirs = (as_user(name).get("/quarantine").text for name in ("factory", "neighbour"))
    assert "PI-BAD" in mine
    assert "SECRET" not in mine
    assert "payee_uscc" not in mine
    assert "2 条" in mine
    assert "SECRET-0" in theirs
    assert "PI-" not in theirs
    assert "seller_uscc" not in theirs
    assert "3 条" in theirs


def test_asking_for_a_reason_of_others_tells_nothing(as_user: LogIn) -> None:
    text = as_user("factory").get("/quarantine?reason=payee_uscc.format").text
    assert "没有符合条件的隔离行。" in text
    assert "SECRET" not in text


def test_one_reason_can_be_chosen(as_user: LogIn) -> None:
    text = as_user("engineer").get("/quarantine?reason=invoice_no.pattern").text
    assert "PI-HOSTILE" in text
    assert "PI-BAD" not in text
    assert 'aria-current="true"' in text
    odd = as_user("engineer").get('/quarantine?reason="><script>x')
    assert odd.status_code == 200
    assert "<script>x" not in odd.text


def test_a_hostile_row_is_text(as_user: LogIn) -> None:
    text = as_user("factory").get("/quarantine").text
    assert "<script>alert" not in text
    assert SCRIPT in html.unescape(text)


@pytest.mark.parametrize(("name", "status"), [("nobody", 200), ("leader", 403)])
def test_who_has_none_sees_none(as_user: LogIn, name: str, status: int) -> None:
    answer = as_user(name).get("/quarantine")
    assert answer.status_code == status
    assert FACTORY not in answer.text
    assert OTHER_NAME not in answer.text
    assert "PI-" not in answer.text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("竹".encode() * 3, "竹竹竹"),
        ("竹".encode()[:2], ""),
        (b"\xff\xfe\x00", "ff fe 00"),
        (b"", ""),
    ],
)
def test_bytes_are_shown_as_what_they_are(raw: bytes, shown: str) -> None:
    assert page._text(raw) == shown


def test_a_large_row_is_cut_and_says_so(site: Site, as_user: LogIn) -> None:
    """Add a whole undecodable record of the factory's to the table, as the lander writes it."""
    store = wiring.store(site.settings)
    table = store.open(quarantine.QUARANTINE).dataset().to_table()
    template = next(row for row in table.to_pylist() if row["enterprise"] == FACTORY)
    record = Record("nplusx.erp.payment.v1", b"", b"\xff" * 5000, ())
    whole = {
        **template,
        "contract": "erp.payment.v1",
        "topic": record.topic,
        "offset": 4711,
        "row": quarantine.WHOLE_RECORD,
        "business_key": "",
        "reasons": ["record.undecodable", "a.code.of.tomorrow"],
        "raw": record.value,
        "id": canonical.digest_of(["whole"]),
    }
    unseen = {**whole, "attempt": "came-to-nothing", "offset": 4712}
    rows = pa.Table.from_pylist([whole, unseen], schema=quarantine.SCHEMA)
    store.open(quarantine.QUARANTINE).append(rows, {}, {})
    text = as_user("factory").get("/quarantine").text
    assert "无法解码" in text
    assert "a.code.of.tomorrow" in text
    assert "未显示的字节数 3,000" in text
    assert "nplusx.erp.payment.v1 / " in text
    assert "4711" in text
    # Written by an attempt that no landing commit names: it does not exist.
    assert "4712" not in text
