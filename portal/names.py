"""What things are called in both languages: contracts, columns, reasons, terms of the law."""

from decimal import Decimal
from functools import cache
from pathlib import Path

from contracts.loader import all_contracts
from contracts.model import Title
from contracts.violations import title_of
from kernel import yaml
from kernel.ids import ContractId
from policy import programmes as programmes_package
from policy.engine import programmes


def contract_title(identity: str) -> Title:
    """Name a contract; one that is not known bears its id."""
    found = all_contracts().get(ContractId(identity))
    return found.title if found else Title(identity, identity)


def column_title(identity: str, column: str) -> Title:
    """Name a column of a contract."""
    found = all_contracts().get(ContractId(identity))
    titles = {each.name: each.title for each in found.properties} if found else {}
    # The English title of a column is a sentence; its name is shorter and as clear.
    return Title(titles[column].zh if column in titles else column, column)


def reason_title(code: str, contract: str = "") -> Title:
    """Word a reason code, with the column's name in the contract if that is known."""
    try:
        worded = title_of(code)
    except ValueError:
        # A code of another version than this: it still says more than nothing.
        return Title(code, code)
    column = code.rpartition(".")[0]
    zh = worded.zh.replace(f"{column}：", f"{column_title(contract, column).zh}：", 1)
    return Title(zh, worded.en)


def table_title(table: str) -> Title:
    """Name the contract that a landing table belongs to."""
    return _by_table().get(table, Title(table, table))


def term_title(programme: str, name: str) -> Title:
    """Name a fact or parameter of a programme."""
    return _terms(programme).get(name, Title(name, name))


def written(value: str, unit: str) -> str:
    """Write a value of the law or of a fact as people write it."""
    if unit == "ratio":
        return percent(Decimal(value))
    return f"{Decimal(value):,.2f}" if unit == "cny" else value


def percent(share: Decimal) -> str:
    """Write a share exactly as a percentage: 0.125 is 12.5%, not 12%."""
    return f"{format((share * 100).normalize(), 'f')}%"


@cache
def _by_table() -> dict[str, Title]:
    return {each.table: each.title for each in all_contracts().values()}


@cache
def _terms(programme: str) -> dict[str, Title]:
    known = programmes().get(programme)
    if known is None:
        return {}
    parameters = {
        name: Title(each.title_zh, each.title_en)
        for article in known.articles.values()
        for name, each in article.items()
    }
    folder = Path(next(iter(programmes_package.__path__))) / programme
    for name, body in yaml.load_mapping(folder / "facts.yaml").items():
        title = body.get("title") if isinstance(body, dict) else None
        if isinstance(title, dict):
            parameters[str(name)] = Title(str(title["zh"]), str(title["en"]))
    return parameters
