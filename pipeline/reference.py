"""Writes docs/reference from contracts, tables and settings, and tells a page that drifted."""

from collections.abc import Callable, Mapping, Sequence

from pydantic_core import PydanticUndefined

from bus.topics import topic_of
from connectors.registry import all_connectors
from contracts.formats import FORMATS
from contracts.loader import all_contracts
from contracts.model import Contract, Property, Rule
from contracts.violations import TITLES
from pipeline.settings import ROOT, Settings
from warehouse.tables import SqlTable, core_tables, mart_tables, metric_tables

FOLDER = ROOT / "docs" / "reference"


def pages() -> Mapping[str, str]:
    """Give every generated page by its name."""
    made: dict[str, Callable[[], str]] = {
        "settings.md": _settings,
        "reasons.md": _reasons,
        "tables.md": _tables,
        "presets.md": _presets,
    }
    found = {name: write() for name, write in made.items()}
    for contract in all_contracts().values():
        found[f"contracts/{contract.id}.md"] = _contract(contract)
    return found


def drifted() -> list[str]:
    """List pages that differ from what would be written, are missing, or belong to nothing."""
    made = pages()
    there = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*.md")}
    return sorted(
        name
        for name in made.keys() | there.keys()
        if name not in there or there[name].read_text(encoding="utf-8") != made.get(name)
    )


def write() -> int:
    """Write every page and remove what belongs to nothing."""
    made = pages()
    for path in FOLDER.rglob("*.md"):
        if path.relative_to(FOLDER).as_posix() not in made:
            path.unlink()
    for name, text in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return len(made)


def _page(title: str, source: str, *blocks: str) -> str:
    head = f"Generated from {source}; edit that."
    return "\n\n".join([f"# {title}", head, *blocks]) + "\n"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _presets() -> str:
    rows = [
        (
            f"`{each.id}`",
            f"{each.title_zh} {each.title_en}",
            f"[{each.kind}](../connectors/{each.kind}.md)",
            each.proof,
            " ".join(f"[{plan.contract}](contracts/{plan.contract}.md)" for plan in each.streams),
        )
        for each in all_connectors().values()
    ]
    return _page(
        "接入预设 · Presets",
        "`connectors/presets`",
        "`documented, not seen live`：按厂家公开的表结构或接口文档写成，"
        "在照此搭建的数据库或服务上测试过，尚无客户在真实系统上确认 · written from the product's"
        " documents, tested on a database or server built after them, and not yet confirmed by a"
        " customer.",
        _grid(("preset", "产品 product", "kind", "proof", "contracts"), rows),
    )


def _settings() -> str:
    rows = []
    for area, field in Settings.model_fields.items():
        model = field.annotation
        for key, each in getattr(model, "model_fields", {}).items():
            default = "" if each.default is PydanticUndefined else str(each.default)
            variable = f"`NPLUSX_{area}_{key}`".upper()
            rows.append((variable, each.description or "", f"`{default}`" if default else "–"))
    return _page(
        "Settings",
        "`pipeline/settings.py`",
        "Every setting is an environment variable; an empty one is unset; a wrong value, or a name "
        "that is nearly a setting's, is an error that names it.",
        _grid(("variable", "what it is", "default"), rows),
    )


def _reasons() -> str:
    rows = [(f"`{kind}`", title.zh, title.en) for kind, title in TITLES.items()]
    return _page(
        "Reasons · 隔离原因",
        "`contracts/violations.py`",
        "A reason about a column is spelt `<column>.<kind>`.",
        _grid(("code", "中文", "English"), rows),
    )


def _tables() -> str:
    def row(table: SqlTable) -> tuple[str, ...]:
        reads = ", ".join(f"`{each}`" for each in table.reads)
        return f"`{table.name}`", table.title.zh, table.title.en, table.grain, reads

    columns = ("table", "中文", "English", "grain", "reads")
    metrics = [
        (*row(each)[:3], each.unit, each.metric_class, each.formula, each.reference)
        for each in metric_tables()
    ]
    return _page(
        "Tables",
        "`warehouse/`",
        "## Core",
        _grid(columns, [row(each) for each in core_tables()]),
        "## Marts",
        _grid(columns, [row(each) for each in mart_tables()]),
        "## Metrics",
        _grid(("metric", "中文", "English", "unit", "class", "formula", "reference"), metrics),
    )


COLUMNS = ("column", "中文", "English", "type", "promises", "class")


def contract_facts(contract: Contract) -> Sequence[tuple[str, str]]:
    """Tell what a contract is called in every part of the house."""
    return [
        ("version", contract.version),
        ("topic", f"`{topic_of(contract.id)}`"),
        ("landing table", f"`{contract.table}`"),
        ("published by", contract.publisher),
        ("key", ", ".join(f"`{name}`" for name in contract.key)),
        *([("comes at least every", str(contract.frequency))] if contract.frequency else []),
        *([("rows of a source", f"at least {contract.least_rows}")] if contract.least_rows else []),
    ]


def contract_rows(contract: Contract) -> Sequence[Sequence[str]]:
    """Tell, per column, what is promised."""
    return [
        (
            f"`{each.name}`",
            each.title.zh,
            each.title.en,
            f"`{each.physical}`",
            _promises(each),
            each.classification,
        )
        for each in contract.properties
    ]


def with_servers(contract: Contract, brokers: str) -> str:
    """Give the file with the broker of one deployment in it; the file itself is everybody's."""
    servers = [
        "servers:",
        "  - server: bus",
        "    type: kafka",
        f"    host: '{brokers}'",
        "    format: json",
    ]
    head, found, rest = contract.text.partition("\nschema:\n")
    return head + "\n" + "\n".join(servers) + found + rest


def _contract(contract: Contract) -> str:
    return _page(
        f"{contract.id} · {contract.title.zh}",
        f"`contracts/{'/'.join(contract.id.split('.', 1))}.odcs.yaml`",
        contract.purpose,
        _grid(("", ""), contract_facts(contract)),
        _grid(COLUMNS, contract_rows(contract)),
    )


def _promises(column: Property) -> str:
    told = [_rule(rule) for rule in column.rules]
    said = [
        told[0],
        f"in {column.unit}" if column.unit else "",
        f"→ `{column.reference.contract}.{column.reference.column}`" if column.reference else "",
        *(f"{rule.severity}: {each}" for rule, each in zip(column.quality, told[1:], strict=True)),
    ]
    return "; ".join(each for each in said if each)


def _rule(rule: Rule) -> str:
    limits = rule.limits
    said = [
        "required" if rule.required else "",
        _choices(rule),
        f"≥ {limits.minimum}" if limits.minimum else "",
        f"> {limits.exclusive_minimum}" if limits.exclusive_minimum else "",
        f"≤ {limits.maximum}" if limits.maximum else "",
        f"< {limits.exclusive_maximum}" if limits.exclusive_maximum else "",
        f"{limits.min_length or 0}–{limits.max_length} characters" if limits.max_length else "",
        f"`{limits.pattern}`" if limits.pattern else "",
        f"format {rule.format}: {FORMATS[rule.format].title.en}" if rule.format else "",
        f"not before `{rule.not_before}`" if rule.not_before else "",
    ]
    return "; ".join(each for each in said if each)


def _choices(rule: Rule) -> str:
    listed = ", ".join(f"`{each.value}` {each.label}" for each in rule.enum)
    return f"one of {listed}" if listed else ""
