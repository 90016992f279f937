"""The catalogue of broken promises: each kind, its code, its wording in both languages."""

from dataclasses import dataclass
from enum import StrEnum

from contracts.model import Title


class Kind(StrEnum):
    """What can be wrong with a value, a row or a whole record; `<column>.<kind>` is a reason."""

    REQUIRED = "required"
    TYPE = "type"
    ENUM = "enum"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    LENGTH = "length"
    PATTERN = "pattern"
    FORMAT = "format"
    ORDER = "order"
    UNIQUE = "unique"
    REFERENCE = "reference"
    VERSION = "version"
    FREQUENCY = "frequency"
    ROWS = "rows"
    OPERATION = "operation"
    UNDECODABLE = "record.undecodable"
    TOO_LARGE = "record.too_large"
    ROW_COUNT = "record.row_count"
    HEADERS = "record.headers"
    CONTENT_TYPE = "record.content_type"
    STRUCTURED = "record.structured"
    DIGEST = "record.digest"
    SIGNATURE = "signature.invalid"
    UNSIGNED = "signature.missing"
    KEY = "signature.key"
    ENTERPRISE = "enterprise.unknown"
    PUBLISHER = "contract.not_permitted"
    CONTRACT = "contract.mismatch"
    FORK = "sequence.fork"


TITLES: dict[Kind, Title] = {
    Kind.REQUIRED: Title("必填项为空", "A required value is missing"),
    Kind.TYPE: Title("类型不符", "The value is not of the promised type"),
    Kind.ENUM: Title("不在允许值之列", "The value is not one of those allowed"),
    Kind.MINIMUM: Title("低于下限", "The value is below its minimum"),
    Kind.MAXIMUM: Title("高于上限", "The value is above its maximum"),
    Kind.LENGTH: Title("长度不符", "The text is too short or too long"),
    Kind.PATTERN: Title("格式不符", "The text does not match its pattern"),
    Kind.FORMAT: Title("校验位或编码不符", "The check digit or code is wrong"),
    Kind.ORDER: Title("早于应在其前的时间", "The time is before the one that it follows"),
    Kind.UNIQUE: Title("主键重复", "The key occurs twice in the batch"),
    Kind.REFERENCE: Title("所引用的对象一直未到", "What the row refers to has not come"),
    Kind.VERSION: Title("同一版本内容不同", "One version was told with different content"),
    Kind.FREQUENCY: Title("久未更新", "No row has come for too long"),
    Kind.ROWS: Title("行数不足", "There are too few rows"),
    Kind.OPERATION: Title("操作类型不符", "The operation is neither upsert nor delete"),
    Kind.UNDECODABLE: Title("无法解码", "The body cannot be decoded"),
    Kind.TOO_LARGE: Title("超过大小上限", "The record is larger than allowed"),
    Kind.ROW_COUNT: Title("行数与声明不符", "The number of rows is not the one claimed"),
    Kind.HEADERS: Title("消息头有误", "A header is missing or malformed"),
    Kind.CONTENT_TYPE: Title("内容类型未知", "The content type is not one of those read"),
    Kind.STRUCTURED: Title(
        "结构化模式的 CloudEvents：请把属性放在消息头中",
        "A CloudEvent in structured mode: send its attributes as headers",
    ),
    Kind.DIGEST: Title("内容摘要不符", "The body is not the one that was signed"),
    Kind.SIGNATURE: Title("签名无效", "The signature does not fit"),
    Kind.UNSIGNED: Title("缺少签名", "The enterprise's records must be signed"),
    Kind.KEY: Title("密钥未登记或已失效", "The key is unknown, expired or revoked"),
    Kind.ENTERPRISE: Title("企业未登记", "The enterprise is not registered"),
    Kind.PUBLISHER: Title("无权发布该契约", "This publisher may not publish this contract"),
    Kind.CONTRACT: Title("契约与主题不符", "Contract header and topic disagree"),
    Kind.FORK: Title("同一序号内容不同", "The same sequence number came with another content"),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise of one row: the column it is about, if any, and its kind."""

    kind: Kind
    column: str = ""

    @property
    def code(self) -> str:
        """Spell the reason code."""
        return f"{self.column}.{self.kind}" if self.column else str(self.kind)


def title_of(code: str) -> Title:
    """Word a reason code for a person."""
    column, _, kind = code.rpartition(".")
    if code in set(Kind):
        return TITLES[Kind(code)]
    found = TITLES[Kind(kind)]
    return Title(f"{column}：{found.zh}", f"{column}: {found.en}")
