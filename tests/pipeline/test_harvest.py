"""Records that say the same of themselves are judged together, and fare as each would alone."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from kernel import canonical
from pipeline.settings import LandSettings
from tests.pipeline.county import County, payments
from tests.rows import FACTORY, valid_row
from warehouse import attempts, quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS

CONTRACT = find("erp.payment.v1")
LARGEST = 1 << 16


def body(kind: str, number: int) -> bytes | None:
    good = canonical.dumps(payments(number)[0])
    broken = valid_row(CONTRACT, payment_id=f"PAY{number}", payee_uscc="91330523719500014X")
    bodies = {
        "good": good,
        "refused": canonical.dumps(broken),
        "with more": canonical.dumps({**payments(number)[0], "odd": number}),
        "over lines": good.replace(b",", b",\n"),
        "no object": good[:-1],
        "nothing": b"",
        "several": canonical.dumps([payments(number)[0], broken]),
        "too large": canonical.dumps({**payments(number)[0], "odd": "x" * LARGEST}),
        "a tombstone": None,
    }
    return bodies[kind]


KINDS = [
    "good", "refused", "with more", "over lines", "no object", "nothing", "several", "too large",
    "a tombstone",
]  # fmt: skip
# Whom the county knows, whom it does not, one who sends lines, one who speaks of a record's rows.
HEADERS = {
    "vendor": {},
    "of lines": {"content-type": "application/x-ndjson"},
    "stranger": {"ce_source": "/91330523719500015U/vendor/u8"},
    "counts rows": {"ce_rowcount": "2"},
}


def sent(sender: str, kind: str, number: int) -> Record:
    source = f"{FACTORY}/vendor/u8"
    headers = {
        "ce_source": f"/{source}",
        "ce_contractid": CONTRACT.id,
        "content-type": "application/json",
        **HEADERS[sender],
    }
    return Record(
        topic_of(CONTRACT.id),
        f"{source}/{CONTRACT.id}".encode(),
        body(kind, number),
        tuple((name, text.encode()) for name, text in headers.items()),
    )


def tables(county: County) -> list[list[str]]:
    """Give all that landing wrote, but for the names of attempts."""
    found = [
        county.landed(),
        attempts.visible(county.store, RECORDS, RECORD_SCHEMA).to_pylist(),
        attempts.visible(county.store, quarantine.QUARANTINE, quarantine.SCHEMA).to_pylist(),
    ]
    return [
        sorted(repr({name: each[name] for name in each if name != "attempt"}) for each in some)
        for some in found
    ]


def landed(folder: str, records: list[Record], **limits: int) -> County:
    county = County(Path(folder), land=LandSettings(record_bytes=LARGEST, **limits))
    county.enterprises[FACTORY] = replace(county.enterprises[FACTORY], accepts_unsigned=True)
    county.send(*records)
    county.land()
    return county


# Many of what is common, few of the rest, so that long runs come up.
SPANS = st.lists(
    st.tuples(st.sampled_from([*HEADERS, "vendor"]), st.sampled_from(KINDS), st.integers(1, 9)),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(SPANS, st.integers(2, 40))
@example([("vendor", "good", 20), ("vendor", "refused", 2), ("vendor", "good", 20)], 100)
@example([("vendor", "good", 20), ("vendor", "no object", 1), ("vendor", "good", 20)], 7)
@example([("stranger", "good", 20), ("of lines", "good", 20), ("counts rows", "good", 9)], 100)
def test_records_fare_together_as_each_would_alone(
    spans: list[tuple[str, str, int]], commit_rows: int
) -> None:
    kinds = [(sender, kind) for sender, kind, count in spans for _ in range(count)]
    records = [sent(*each, number) for number, each in enumerate(kinds)]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        together = landed(one, records, commit_rows=commit_rows)
        alone = landed(other, records, commit_rows=1)
        assert tables(together) == tables(alone)
        assert len(attempts.visible(alone.store, RECORDS, RECORD_SCHEMA)) == len(records)
