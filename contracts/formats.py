"""Formats: codes that have a rule of their own, each checked in one place."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from contracts.model import Title
from kernel.ids import USCC_ALPHABET, is_uscc

# GB/T 4754-2017: which two-digit divisions belong to which section. C is manufacturing.
_DIVISIONS = {
    "A": "0[1-5]",
    "B": "0[6-9]|1[0-2]",
    "C": "1[3-9]|[23][0-9]|4[0-3]",
    "D": "4[4-6]",
    "E": "4[7-9]|50",
    "F": "5[12]",
    "G": "5[3-9]|60",
    "H": "6[12]",
    "I": "6[3-5]",
    "J": "6[6-9]",
    "K": "70",
    "L": "7[12]",
    "M": "7[3-5]",
    "N": "7[6-9]",
    "O": "8[0-2]",
    "P": "83",
    "Q": "8[45]",
    "R": "8[6-9]|90",
    "S": "9[1-6]",
    "T": "97",
}
# GB/T 2260: the first two digits name the province.
_PROVINCES = "1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12]"


@dataclass(frozen=True, slots=True)
class Format:
    """A code's spelling, and what no pattern can say of it."""

    title: Title
    pattern: str
    check: Callable[[str], bool] | None = None

    def holds(self, text: str) -> bool:
        """Tell whether one text is so."""
        spelt = re.fullmatch(self.pattern.removeprefix("^").removesuffix("$"), text)
        return spelt is not None and (self.check is None or self.check(text))

    def broken(self, values: pa.Array) -> pa.Array:
        """Mark the values that are not so; the costly check is made once per distinct code."""
        wrong = pc.invert(pc.match_substring_regex(values, self.pattern))
        if self.check is None:
            return wrong
        codes = [code for code in pc.unique(values).to_pylist() if code and not self.check(code)]
        return pc.or_(wrong, pc.is_in(values, value_set=pa.array(codes, pa.string())))


FORMATS = {
    "uscc": Format(
        Title("统一社会信用代码，含校验位", "GB 32100: 18 characters, the last checks the others"),
        f"^[{USCC_ALPHABET}]{{18}}$",
        is_uscc,
    ),
    "einvoice": Format(
        Title("数电发票号码，20 位数字", "Number of a fully digitalised e-invoice: 20 digits"),
        "^[0-9]{20}$",
    ),
    "invoice": Format(
        Title(
            "数电发票号码，或旧版发票代码加号码",
            "Number of an e-invoice, or code (10 or 12 digits) and number (8) of an older one",
        ),
        "^([0-9]{18}|[0-9]{20})$",
    ),
    "industry": Format(
        Title("国民经济行业小类", "GB/T 4754-2017: section, and a class within it"),
        "^("
        + "|".join(f"{section}({held})" for section, held in _DIVISIONS.items())
        + ")[0-9]{2}$",
    ),
    "region": Format(
        Title("行政区划代码", "GB/T 2260: six digits that begin with a province"),
        f"^({_PROVINCES})[0-9]{{4}}$",
    ),
    "period": Format(
        Title("期间：年或年-月", "A year, 2024, or a month, 2024-03"),
        "^(19|20)[0-9]{2}(-(0[1-9]|1[0-2]))?$",
    ),
}


# The year comes first in each: no day can be taken for another.
_DAYS = (
    # A month or a day of one digit gets its second.
    (r"^([0-9]{4}[/.年])([0-9][/.月])", r"\10\2"),
    (r"^([0-9]{4}[/.年][0-9]{2}[/.月])([0-9]日?)$", r"\10\2"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),
    (r"^([0-9]{4})/([0-9]{2})/([0-9]{2})$", r"\1-\2-\3"),
    (r"^([0-9]{4})\.([0-9]{2})\.([0-9]{2})$", r"\1-\2-\3"),
    (r"^([0-9]{4})年([0-9]{2})月([0-9]{2})日$", r"\1-\2-\3"),
    # Databases without a type for days give midnights.
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]00:00:00(?:\.0+)?$", r"\1"),
)


def iso_days(texts: pa.Array) -> pa.Array:
    """Spell days as ISO does: 20240305, 2024/3/5, 2024.3.5, 2024年3月5日, a day at midnight."""
    for pattern, replacement in _DAYS:
        texts = pc.replace_substring_regex(texts, pattern, replacement)
    return texts
