"""Sparkplug B payloads: the fields that a host reads, described here and decoded by protobuf."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from connectors.inbox import EPOCH

SEQUENCES = 256
Raw = bool | int | float | str | bytes | None
# The types of Sparkplug B 3.0, 6.4.16, by their number; arrays and structures stay bytes.
TYPES = (
    "Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float",
    "Double", "Boolean", "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File",
    "Template", "PropertySet", "PropertySetList", "Int8Array", "Int16Array", "Int32Array",
    "Int64Array", "UInt8Array", "UInt16Array", "UInt32Array", "UInt64Array", "FloatArray",
    "DoubleArray", "BooleanArray", "StringArray", "DateTimeArray",
)  # fmt: skip
_BITS = {f"{sign}Int{bits}": bits for sign in ("", "U") for bits in (8, 16, 32, 64)}
# Name of a field: its number and its type of protobuf.
_METRIC = {
    "name": (1, "STRING"), "alias": (2, "UINT64"), "timestamp": (3, "UINT64"),
    "datatype": (4, "UINT32"), "is_historical": (5, "BOOL"), "is_null": (7, "BOOL"),
    "int_value": (10, "UINT32"), "long_value": (11, "UINT64"), "float_value": (12, "FLOAT"),
    "double_value": (13, "DOUBLE"), "boolean_value": (14, "BOOL"), "string_value": (15, "STRING"),
    "bytes_value": (16, "BYTES"), "dataset_value": (17, "BYTES"), "template_value": (18, "BYTES"),
}  # fmt: skip
_PAYLOAD = {"timestamp": (1, "UINT64"), "seq": (3, "UINT64")}
_VALUES = [name for name in _METRIC if name.endswith("_value")]


def _describe(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: Mapping[str, tuple[int, str]]
) -> descriptor_pb2.DescriptorProto:
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        made = message.field.add(name=field, number=number)
        made.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
        made.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind}")
    return message


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="nplusx_sparkplug.proto", package="nplusx")
    file.syntax = "proto2"
    _describe(file, "Metric", _METRIC)
    metrics = _describe(file, "Payload", _PAYLOAD).field.add(name="metrics", number=2)
    metrics.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    metrics.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    metrics.type_name = ".nplusx.Metric"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_Message = message_factory.GetMessageClass(_pool().FindMessageTypeByName("nplusx.Payload"))


@dataclass(frozen=True, slots=True)
class Metric:
    """What a message says of one metric; times in milliseconds."""

    name: str = ""
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    is_historical: bool = False
    raw: Raw = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A message."""

    metrics: tuple[Metric, ...]
    timestamp: int | None = None
    seq: int | None = None


def decode(body: bytes) -> Payload:
    """Read a message; a `ValueError` if it is none."""
    try:
        message = _Message.FromString(body)
        metrics = tuple(
            _metric({field.name: value for field, value in each.ListFields()})
            for each in message.metrics
        )
    except (DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise ValueError(str(broken)) from broken
    seq = message.seq if message.HasField("seq") else None
    if seq is not None and seq >= SEQUENCES:
        raise ValueError(f"{seq} is not a sequence number")
    return Payload(metrics, message.timestamp if message.HasField("timestamp") else None, seq)


def _metric(said: Mapping[str, Raw]) -> Metric:
    values = [said[name] for name in _VALUES if name in said]
    return Metric(
        str(said.get("name", "")),
        _whole_or_none(said.get("alias")),
        _whole_or_none(said.get("timestamp")),
        _whole_or_none(said.get("datatype")),
        bool(said.get("is_historical")),
        None if said.get("is_null") or not values else values[-1],
    )


def _whole_or_none(value: Raw) -> int | None:
    return value if isinstance(value, int) else None


def encode(payload: Payload) -> bytes:
    """Write a message."""
    message = _Message()
    for name in ("timestamp", "seq"):
        _set(message, name, getattr(payload, name))
    for metric in payload.metrics:
        made = message.metrics.add()
        for name in ("alias", "timestamp", "datatype"):
            _set(made, name, getattr(metric, name))
        _set(made, "name", metric.name or None)
        _set(made, "is_historical", metric.is_historical or None)
        _set(made, "is_null", True if metric.raw is None else None)
        _set(made, _field_of(metric.raw), metric.raw)
    body: bytes = message.SerializeToString()
    return body


def _set(message: object, name: str, value: Raw) -> None:
    if value is not None:
        setattr(message, name, value)


def _field_of(raw: Raw) -> str:
    fields: Sequence[tuple[type, str]] = (
        (bool, "boolean_value"), (int, "long_value"), (float, "double_value"),
        (str, "string_value"),
    )  # fmt: skip
    return next((name for kind, name in fields if isinstance(raw, kind)), "bytes_value")


def type_name(datatype: int | None) -> str:
    """Name a type."""
    return TYPES[datatype] if datatype is not None and datatype < len(TYPES) else TYPES[0]


def text_and_number(raw: Raw, kind: str) -> tuple[str | None, float | None]:
    """Give a value of a type as text, and as number if it is one."""
    if isinstance(raw, bool):
        return "true" if raw else "false", None
    if isinstance(raw, int):
        return _whole(raw, kind)
    if isinstance(raw, float):
        return repr(raw), raw if math.isfinite(raw) else None
    return base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw, None


def _whole(raw: int, kind: str) -> tuple[str | None, float | None]:
    if kind == "DateTime":
        try:
            return (EPOCH + timedelta(milliseconds=raw)).isoformat(), None
        except OverflowError:
            return str(raw), None
    bits = _BITS.get(kind, 64)
    value = raw & ((1 << bits) - 1)
    # Negative numbers travel as their two's complement.
    if not kind.startswith("U") and kind in _BITS and value >> (bits - 1):
        value -= 1 << bits
    return str(value), float(value)
