"""Rows of CSV, Excel and XML files, a page at a time, every value as the text that stands there."""

import codecs
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
from defusedxml import DefusedXmlException, ElementTree
from python_calamine import CalamineError, CalamineWorkbook
from typing_extensions import override

from connectors.files.forms import Form, UnreadableError

# Of what people's systems write: with a mark at the beginning, UTF-8, or the national standard.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t|"
_CHUNK = 1 << 20
# Whole numbers up to here a cell of Excel holds exactly.
_EXACT = 1e15
# A document is held as a whole, and so is a workbook, unfolded.
_LARGEST, _LARGEST_UNFOLDED = 64 << 20, 512 << 20
# A sheet is held as a rectangle up to its last cell, even if nearly all of it is empty.
_MOST_CELLS = 1 << 24
_PLACE = re.compile(rb"""\sr=["']([A-Z]{0,3})([0-9]{1,7})["']""")
_PLACE_BYTES = 20
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*encoding=(["'])([\w-]+)\1[^>]*\?>""")
# What stands in quotes parts no columns.
_QUOTED = re.compile(r'"[^"]*"')
# The longest text of one field.
_LONGEST = 16 << 20
Rows = Iterator[Sequence[str | None]]
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def pages(file: BinaryIO, form: Form, size: int) -> Iterator[pa.Table]:
    """Read a file's rows; `row_number` counts them from 1."""
    names, rows = _READERS[form.kind](file, form)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableError(f"two columns are called {twice[0]!r}")
    number = 1
    while page := list(islice(rows, size)):
        columns: dict[str, pa.Array] = {
            name: pa.array(values, pa.string())
            for name, values in zip(names, zip(*page, strict=True), strict=True)
        }
        columns["row_number"] = pa.array(range(number, number + len(page)), pa.int64())
        number += len(page)
        yield pa.table(columns)


class _Lent(io.BufferedIOBase):
    """A file that somebody else closes; what is made of it does not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.name = file, "a lent file"

    @override
    def readable(self) -> bool:
        return True

    @override
    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


def _csv(file: BinaryIO, form: Form) -> tuple[list[str], Rows]:
    csv.field_size_limit(_LONGEST)
    text = io.TextIOWrapper(_Lent(file), encoding=encoding_of(file), errors="strict", newline="")
    head = _head(text, form.skip)
    delimiter = max(_DELIMITERS, key=_QUOTED.sub("", head).count)
    names = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])

    def rows() -> Rows:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                # Sheets leave lines of commas behind their last row.
                if not any(map(str.strip, row)):
                    continue
                if len(row) != len(names):
                    line = form.skip + 1 + reader.line_num
                    raise UnreadableError(f"line {line} has {len(row)} fields, not {len(names)}")
                yield [value or None for value in row]
        except (csv.Error, UnicodeError) as odd:
            line = form.skip + 1 + reader.line_num
            raise UnreadableError(f"line {line}: {odd}") from odd

    return [name.strip() for name in names], rows()


def _head(text: io.TextIOBase, skip: int) -> str:
    """Read the line of the names; one in quotes may go on behind its end."""
    head = ""
    try:
        for _ in range(skip):
            text.readline()
        while line := text.readline(_LONGEST):
            head += line
            if head.count('"') % 2 == 0 or len(head) > _LONGEST:
                break
    except UnicodeError as odd:
        raise UnreadableError(f"the names of its columns: {odd}") from odd
    return head


def encoding_of(file: BinaryIO) -> str:
    """Tell how a text file is written: by its mark, else UTF-8 if all of it is, else GB 18030."""
    beginning = file.read(4)
    for mark, name in _MARKS:
        if beginning.startswith(mark):
            file.seek(0)
            return name
    for name in ("utf-8", "gb18030"):
        file.seek(0)
        decoder = codecs.getincrementaldecoder(name)()
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        file.seek(0)
        return name
    raise UnreadableError("it is neither UTF-8 nor GB 18030")


def _require_small(book: zipfile.ZipFile) -> None:
    """Refuse what unfolds, and a stray cell far away: the engine would take all memory for it."""
    unfolded = sum(each.file_size for each in book.infolist())
    if unfolded > _LARGEST_UNFOLDED:
        raise UnreadableError(f"it unfolds to more than {_LARGEST_UNFOLDED >> 20} MiB")
    sheets = (each for each in book.namelist() if each.startswith("xl/worksheets/"))
    for name in sheets:
        rows, letters = 1, {b""}
        with book.open(name) as sheet:
            before = b""
            while chunk := sheet.read(_CHUNK):
                found = _PLACE.findall(before + chunk)
                rows = max([rows, *map(int, {row for _, row in found})])
                letters |= {column for column, _ in found}
                before = chunk[-_PLACE_BYTES:]
        columns = max(map(_column_number, letters))
        if rows * columns > _MOST_CELLS:
            raise UnreadableError(
                f"{name} goes as far as row {rows} and column {columns}: clear what stands there,"
                " and save it again"
            )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _excel(file: BinaryIO, form: Form) -> tuple[list[str], Rows]:
    if zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as parts:
                _require_small(parts)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as odd:
            raise UnreadableError(f"it is no whole workbook: {odd}") from odd
    file.seek(0)
    try:
        book = CalamineWorkbook.from_filelike(file)
        sheet = book.get_sheet_by_name(form.sheet) if form.sheet else book.get_sheet_by_index(0)
    except CalamineError as odd:
        raise UnreadableError(f"it is no workbook, or has no sheet {form.sheet!r}: {odd}") from odd
    lines = islice(sheet.iter_rows(), form.skip, None)
    names = [_text(value) or "" for value in next(lines, [])]
    while names and not names[-1]:
        names.pop()
    rows = ([_text(value) for value in row[: len(names)]] for row in lines)
    return [name.strip() for name in names], (row for row in rows if any(row))


def _text(value: object) -> str | None:
    """Spell a cell as people read it."""
    if value is None or value == "":
        return None
    if isinstance(value, float):
        # Excel knows no whole numbers; repr is the shortest text of the same number.
        return repr(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return str(value)


def _xml(file: BinaryIO, form: Form) -> tuple[list[str], Rows]:
    """Read an element for each row: its children by their names, and what the document bears."""
    try:
        # Neither document types nor entities: with them a few bytes unfold to any number.
        root = ElementTree.fromstring(_xml_text(file), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, LookupError, ValueError) as odd:
        raise UnreadableError(f"it is no XML that is safe to read: {odd!r}") from odd
    first, _, path = form.row.partition("/")
    if _plain(root.tag) != first:
        raise UnreadableError(f"it does not begin with {first}")
    elements = _found([root], path)
    bears = {name: _told(root, path) for name, path in (form.bears or {}).items()}
    rows = [{_plain(each.tag): _value(each) for each in element} for element in elements]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in bears))
    return [*bears, *names], ([*bears.values(), *map(row.get, names)] for row in rows)


def _xml_text(file: BinaryIO) -> bytes | str:
    """Read a document; the national encodings, which no XML parser here knows, as text."""
    body = file.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise UnreadableError(f"it is larger than {_LARGEST >> 20} MiB")
    told = _DECLARED.match(body)
    if told is None or not told[2].lower().startswith(b"gb"):
        return body
    return body[told.end() :].decode("gb18030")


def _found(elements: "list[Element]", path: str) -> "list[Element]":
    """Follow names, whatever their namespaces are."""
    for name in filter(None, path.split("/")):
        elements = [child for each in elements for child in each if _plain(child.tag) == name]
    return elements


def _told(root: "Element", path: str) -> str | None:
    found = _found([root], path.partition("/")[2])
    return _value(found[0]) if found else None


def _value(element: "Element") -> str | None:
    return (element.text or "").strip() or None


def _plain(tag: object) -> str:
    return str(tag).rpartition("}")[2]


_READERS: dict[str, Callable[[BinaryIO, Form], tuple[list[str], Rows]]] = {
    "csv": _csv,
    "excel": _excel,
    "xml": _xml,
}
