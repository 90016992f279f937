"""The simulated factory: always the same, balanced, and wrong exactly where it says."""

from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from county.books import ACCOUNTS, BAD_VENDOR, LAST_DAY, make_books
from county.retrofit import PURCHASES, dossier
from county.truth import CLAIM, SEED, bad_rows, landed, on_time, produced
from county.u8 import tables
from county.world import YEAR, Books, authority_uscc
from kernel import canonical
from kernel.ids import is_uscc
from kernel.money import round_fen


@pytest.fixture(scope="module")
def books() -> Books:
    return make_books(SEED)


def test_the_same_seed_gives_the_same_bytes(books: Books) -> None:
    # A changed digest means that every demo, bench and screenshot changes: change it knowingly.
    digest = canonical.digest(repr(tables(books)).encode())
    assert digest == canonical.digest(repr(tables(make_books(SEED))).encode())
    assert digest != canonical.digest(repr(tables(make_books(SEED + 1))).encode())
    assert digest[:16] == "c77e6eaeeba15bfe"


def test_every_voucher_balances(books: Books) -> None:
    sums: defaultdict[int, Decimal] = defaultdict(Decimal)
    for entry in books.entries:
        assert entry.account in ACCOUNTS
        sums[entry.voucher] += entry.debit - entry.credit
    assert set(sums.values()) == {Decimal(0)}
    assert len(sums) > 400


def test_what_was_paid_and_owed_agrees_with_invoices(books: Books) -> None:
    paid = sum((each.amount for each in books.payments), Decimal(0))
    entries = [each for each in books.entries if each.account == "2202"]
    owed = sum((each.credit - each.debit for each in entries), Decimal(0))
    booked = sum((each.total for each in books.invoices if each.is_booked), Decimal(0))
    assert owed == booked - paid
    assert all(each.day <= LAST_DAY for each in books.payments)


def test_the_year_is_a_factory_year(books: Books) -> None:
    assert 1_800 <= produced(books)["erp.sales_order_line.v1"] <= 2_200
    months = on_time(books)
    assert list(months) == [f"{YEAR}-{month:02d}" for month in range(1, 13)]
    assert all(0.7 < kept / due < 0.95 for kept, due in months.values())
    assert Counter(order.is_draft for order in books.orders)[True] == 10
    assert any(each.quantity < 0 for each in books.deliveries)
    drafts = {line.id for order in books.orders if order.is_draft for line in order.lines}
    assert not drafts & {each.order_line for each in books.deliveries}


def test_identities_are_well_formed_but_for_the_planted_one(books: Books) -> None:
    for company in (*books.customers, *books.vendors):
        assert is_uscc(company.uscc) == (company != BAD_VENDOR)
    assert is_uscc(authority_uscc())
    assert authority_uscc().startswith("11330523")
    numbers = Counter(len(each.number) for each in books.invoices)
    assert numbers == {20: len(books.invoices) - 1, 19: 1}
    assert len({each.number for each in books.invoices}) == len(books.invoices)


def test_the_truth_counts_what_was_planted(books: Books) -> None:
    rows = bad_rows(books)
    reasons = {each.reason for each in rows}
    assert reasons == {
        "ordered_qty.minimum",
        "promised_on.required",
        "seller_uscc.format",
        "payee_uscc.format",
        "invoice_no.pattern",
    }
    assert sum(produced(books).values()) - sum(landed(books).values()) == len(rows)
    named = {each.number for each in PURCHASES}
    bad_invoices = {each.key.split("/")[0] for each in rows if "invoice" in each.contract}
    assert not {str(i.id) for i in books.invoices if i.number in named} & bad_invoices


def test_the_claim_is_what_the_purchases_say_but_where_it_cheats(books: Books) -> None:
    told = dossier()
    assert [each.line_no for each in told.lines] == [each.line_no for each in CLAIM.lines]
    bought = {(each.number, n): item for each in PURCHASES for n, item in enumerate(each.items, 1)}
    different = [
        line.line_no
        for line in told.lines
        if (line.net_cny, line.tax_cny)
        != (
            bought[line.invoice_no, line.invoice_line_no].net,
            bought[line.invoice_no, line.invoice_line_no].tax,
        )
    ]
    assert different == [8]
    in_books = {each.number: each for each in books.invoices}
    for purchase in PURCHASES:
        assert in_books[purchase.number].total == sum(i.net + i.tax for i in purchase.items)


def test_the_award_is_the_hand_worked_sum() -> None:
    assert sum((each.allowed_cny for each in CLAIM.lines), Decimal(0)) == CLAIM.eligible_cny
    assert round_fen(CLAIM.eligible_cny / 4) == CLAIM.award_cny
    assert CLAIM.award_cny < 300_000
    assert CLAIM.award_cny % 1000 != 0
