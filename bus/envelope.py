"""The CloudEvents 1.0 Kafka binding in binary mode: one record, one batch of one stream, signed."""

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from bus.ports import Headers, Received, Record, Run
from bus.topics import topic_of
from kernel import canonical
from kernel.evidence import PublicKey, SigningKey
from kernel.ids import Stream, StreamId

ARROW_STREAM = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"
JSON = "application/json"
CONTENT_TYPES = (ARROW_STREAM, NDJSON, JSON)
_CHARSETS = {"utf-8", "utf8", "us-ascii"}
# How a body may be folded besides; nothing is the usual case.
ENCODINGS = ("", "gzip", "zstd")

# CloudEvents compares extensions as text, so the number is padded to sort as it counts.
_SEQUENCE_DIGITS = 20
# Every number of so many digits fits a table's 64 bits.
_COUNT_DIGITS = 18
_SIGNATURE = "ce_signature"
_KEY = "ce_keyid"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one stream, encoded, with their place in the stream."""

    stream: Stream
    contract_version: str
    epoch: str
    sequence: int
    content_type: str
    body: bytes
    rows: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a received record say; nothing in it is proven yet."""

    fields: dict[str, str]
    faults: tuple[str, ...]
    signature: bytes
    # What is asked of every record, so it is looked up once.
    content_type: str
    encoding: str
    contract_version: str
    body_digest: str
    # The place in the stream, when the sender counts; the number of rows that it claims.
    epoch: str
    sequence: int | None
    row_count: int | None

    def get(self, name: str) -> str:
        """Give an attribute, or nothing."""
        return self.fields.get(name, "")

    def is_signed_by(self, key: PublicKey) -> bool:
        """Tell whether the key signed these headers; the body is bound by its digest."""
        return key.verifies(self.signature, _signed_part(self.fields))


def _counted(text: str) -> int | None:
    """Read a number that a table can hold; anything longer is no number of ours."""
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdigit()) or len(digits) > _COUNT_DIGITS:
        return None
    return int(digits or "0")


def _signed_part(fields: dict[str, str]) -> bytes:
    """Give the bytes that a signature covers: every header but itself, in order of name."""
    return canonical.dumps(
        sorted([name, text] for name, text in fields.items() if name != _SIGNATURE)
    )


def seal(batch: Batch, key: SigningKey | None) -> Record:
    """Write a batch as a record, signed when a key is given."""
    stream = batch.stream
    body_digest = canonical.digest(batch.body)
    sequence = str(batch.sequence).zfill(_SEQUENCE_DIGITS)
    fields = {
        "ce_specversion": "1.0",
        "ce_id": canonical.digest_of([stream.id, batch.epoch, sequence, body_digest])[:32],
        "ce_source": f"/{stream.enterprise}/{stream.agent}/{stream.source}",
        "ce_type": f"nplusx.{stream.contract}",
        "ce_time": batch.recorded_at.isoformat(),
        "ce_recordedtime": batch.recorded_at.isoformat(),
        "ce_contractid": stream.contract,
        "ce_contractver": batch.contract_version,
        "ce_enterpriseid": stream.enterprise,
        "ce_agentid": stream.agent,
        "ce_streamepoch": batch.epoch,
        "ce_sequence": sequence,
        "ce_partitionkey": stream.id,
        "ce_rowcount": str(batch.rows),
        "ce_bodydigest": body_digest,
        "content-type": batch.content_type,
    }
    headers = _signed(fields, key)
    return Record(topic_of(stream.contract), stream.id.encode(), batch.body, headers)


def signed_by(record: Record, key: SigningKey) -> Record:
    """Give a record of ours as the key signs it, whichever signed it before."""
    fields = {name: text.decode() for name, text in record.headers}
    if fields.get(_KEY) == key.public.id:
        return record
    fields.pop(_SIGNATURE, None)
    return replace(record, headers=_signed(fields, key))


def _signed(fields: dict[str, str], key: SigningKey | None) -> Headers:
    if key is not None:
        fields[_KEY] = key.public.id
        fields[_SIGNATURE] = base64.b64encode(key.sign(_signed_part(fields))).decode()
    return tuple((name, text.encode()) for name, text in fields.items())


def read(record: Received) -> Envelope:
    """Read the headers of a record; what is wrong with them is listed, not raised."""
    fields: dict[str, str] = {}
    faults: list[str] = []
    for name, raw in record.headers:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            faults.append(f"header {name} is not UTF-8")
            continue
        # A repeated header could show one value to the check and another to the reader.
        if name in fields:
            faults.append(f"header {name} occurs twice")
        fields[name] = text
    try:
        signature = base64.b64decode(fields.get(_SIGNATURE, ""), validate=True)
    except ValueError:
        signature = b""
        faults.append("the signature is not base64")
    return Envelope(
        fields,
        tuple(faults),
        signature,
        content_type=_media_type(fields.get("content-type", "")),
        encoding=fields.get("content-encoding", ""),
        contract_version=fields.get("ce_contractver", ""),
        body_digest=fields.get("ce_bodydigest", ""),
        epoch=fields.get("ce_streamepoch", ""),
        sequence=_counted(fields.get("ce_sequence", "")),
        row_count=_counted(fields.get("ce_rowcount", "")),
    )


def _media_type(text: str) -> str:
    """Leave out the parameters that change nothing: every body of ours is in UTF-8."""
    kind, *told = (each.strip() for each in text.lower().split(";"))
    charsets = {each[len("charset=") :].strip('"') for each in told if each.startswith("charset=")}
    return kind if charsets <= _CHARSETS else text


def claimed_rows(run: Run) -> list[int]:
    """Tell how many rows records say that they hold, before anything else is read of them."""
    least, is_json = _claims(run.headers)
    if not is_json:
        return [least] * len(run)
    # Whatever is claimed: an object begins with a brace.
    return [max(least, (value or b"").count(b"{")) for value in run.values]


@lru_cache(maxsize=1024)
def _claims(headers: Headers) -> tuple[int, bool]:
    """Tell how many rows headers speak of at least, and whether the body is JSON."""
    rows, kind, is_folded = b"", b"", False
    for name, value in headers:
        if name == "ce_rowcount":
            rows = value
        elif name == "content-type":
            kind = value
        elif name == "content-encoding":
            is_folded = True
    # A folded body may hold any number.
    claimed = _counted(rows.decode("utf-8", "replace")) or 1
    return max(5000 if is_folded else 1, claimed), b"json" in kind.lower()


def stream_id(record: Received, envelope: Envelope) -> StreamId:
    """Name the stream of a record: its partition key, else the record's key."""
    named = envelope.get("ce_partitionkey")
    return StreamId(named or (record.key or b"").decode("utf-8", "replace"))
