"""What factories file of their retrofits, what of that is wrong, and what must become of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from county.catalogue import Catalogue
from county.dice import Dice
from county.retrofit import (
    FIXED,
    HARDWARE_HOUSE,
    INTANGIBLE,
    SOFTWARE_HOUSE,
    Acceptance,
    ClaimLine,
    Dossier,
    Item,
    Project,
    Purchase,
)
from county.world import NIL, REGION, VAT, YEAR, Company, Factory, Row, entered, is_above_scale
from county.world import invoice_number as numbered
from kernel.money import round_fen

PROGRAMME = "anji_2023"
# As the programme has them: a quarter for an expansion enterprise, up to the ceiling.
_SHARE, _CEILING = 4, Decimal("300000.00")
ALLOWED, REFUSED = "allowed", "refused"
RED = "red_flushed"
# The bureau looks at the machines in the week of the acceptance.
ACCEPTED = date(YEAR, 11, 22)
_SERIAL = 900_000
_CLAIMS = "AB"
# What is bought from whom: orders, purchasing, reports of work; or the machines' data.
_MODULES = {True: "N1,N2,N4", False: "N7"}


@dataclass(frozen=True, slots=True)
class LineTruth:
    """What must become of a line of a claim: outcome, amount, and the rule that says so."""

    line_no: int
    outcome: str
    allowed_cny: Decimal
    rule: str
    why: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ClaimTruth:
    """What must become of a claim."""

    claim_id: str
    enterprise_uscc: str
    lines: tuple[LineTruth, ...]
    eligible_cny: Decimal
    award_cny: Decimal
    # The rule by which the whole claim is refused.
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Filed:
    """A factory's retrofit: what it bought, what it filed, and what must become of that."""

    purchases: tuple[Purchase, ...]
    dossiers: tuple[Dossier, ...]
    truths: tuple[ClaimTruth, ...]


@dataclass(slots=True)
class _Draft:
    """A retrofit while it is made up."""

    factory: Factory
    related: Company
    dice: Dice
    purchases: list[Purchase] = field(default_factory=list)
    # By claim: the line as claimed, and what must become of it.
    lines: dict[str, list[tuple[ClaimLine, LineTruth]]] = field(default_factory=dict)

    def buy(self, text: str, vendor: Company = HARDWARE_HOUSE, day: date | None = None) -> Purchase:
        """Buy one thing, booked and paid in full."""
        serial = 1_000_000 * self.factory.number + _SERIAL + len(self.purchases) + 1
        day = day or date(YEAR, self.dice.number(3, 8), self.dice.number(1, 28))
        bought = Purchase(numbered(day.year, serial), day, vendor, (self._item(text),), ())
        return self._keep(bought)

    def _item(self, text: str) -> Item:
        net = round_fen(Decimal(self.dice.number(900_000, 9_000_000)) / 100)
        is_software = text.startswith("*软件*")
        category = "software" if is_software else "supporting_hardware"
        account = INTANGIBLE if is_software else FIXED
        return Item(text, category, net, round_fen(net * VAT), account)

    def _keep(self, bought: Purchase) -> Purchase:
        total = sum((each.net + each.tax for each in bought.items), NIL)
        paid = ((date(bought.day.year, bought.day.month + 1, 15), total),)
        self.purchases.append(replace(bought, payments=paid))
        return self.purchases[-1]

    def two_things(self, texts: tuple[str, str]) -> Purchase:
        """Buy two things on one invoice."""
        first = self.buy(texts[0])
        both = replace(first, items=(*first.items, self._item(texts[1])))
        self.purchases.pop()
        return self._keep(both)

    def claim(self, bought: Purchase, told: LineTruth, part: int = 0, item: int = 0) -> None:
        """Claim a line of an invoice; the truth has its number and amount from here."""
        claim, project = _names(self.factory, part)
        lines, bears = self.lines.setdefault(claim, []), bought.items[item]
        number = len(lines) + 1
        line = ClaimLine(
            claim, number, project, bought.number, item + 1, bought.day, bought.vendor.uscc,
            self.factory.uscc, bears.text, bears.category, bears.net, bears.tax,
        )  # fmt: skip
        allowed = bears.net if told.outcome == ALLOWED else NIL
        lines.append((line, replace(told, line_no=number, allowed_cny=allowed)))


def _names(factory: Factory, part: int) -> tuple[str, str]:
    """Name claim and project; parts of what is one project bear letters."""
    letter = _CLAIMS[part] if part else ""
    return f"CL-{YEAR}-{factory.number:03d}{letter}", f"XM-{YEAR}-{factory.number:03d}{letter}"


def _told(outcome: str, rule: str, why: str, fault: str = "") -> LineTruth:
    return LineTruth(0, outcome, NIL, rule, why, fault)


_RIGHT = _told(ALLOWED, "", "bought, paid and booked")


def _reused(draft: _Draft) -> None:
    claimed = next(iter(draft.lines.values()))
    again = draft.purchases[len(claimed) % 2]
    draft.claim(again, _told(REFUSED, "R06", "an invoice line that is claimed already", "reused"))


def _red_flushed(draft: _Draft) -> None:
    bought = draft.buy("*计算机外部设备*工位扫码终端")
    why = "taken back by a red invoice of the whole amount"
    draft.claim(bought, _told(REFUSED, "R05", why, RED))
    items = tuple(replace(each, net=-each.net, tax=-each.tax) for each in bought.items)
    red = draft.buy("*计算机外部设备*工位扫码终端", day=date(YEAR, 9, 20))
    draft.purchases[-1] = replace(
        red, items=items, payments=(), is_booked=False, red_of=bought.number
    )


def _unpaid(draft: _Draft) -> None:
    bought = draft.buy("*仪器仪表*注塑机传感器改造")
    draft.purchases[-1] = replace(bought, payments=())
    draft.claim(bought, _told(REFUSED, "R04", "nothing was paid", "unpaid"))


def _back_dated(draft: _Draft) -> None:
    bought = draft.buy("*软件*仓储管理系统", SOFTWARE_HOUSE, date(2022, 11, 18))
    why = "issued in 2022, and claimed with a day within the window"
    said = replace(bought, day=date(YEAR, 4, 18))
    draft.claim(said, _told(REFUSED, "R01", why, "back_dated"))


def _related_party(draft: _Draft) -> None:
    bought = draft.buy("*电子计算机*边缘计算服务器", draft.related)
    # R08 is not written yet: what must be seen by a person passes.
    why = "sold by one of the factory's own customers; no rule looks at that yet, R08 must"
    draft.claim(bought, _told(ALLOWED, "", why, "related_party"))


def _split_claim(draft: _Draft) -> None:
    bought = draft.two_things(("*计算机网络设备*工业交换机", "*计算机网络设备*无线接入点"))
    why = "one invoice over two projects; R13 counts what was granted, not what is filed beside"
    for part in (0, 1):
        draft.claim(bought, _told(ALLOWED, "", why, "split_claim"), part, part)


FAULTS: Mapping[str, Callable[[_Draft], None]] = {
    "reused": _reused,
    RED: _red_flushed,
    "unpaid": _unpaid,
    "back_dated": _back_dated,
    "related_party": _related_party,
    "split_claim": _split_claim,
}


def make_filed(
    factory: Factory, catalogue: Catalogue, faults: Mapping[str, int], dice: Dice
) -> Filed:
    """Let a factory buy what a retrofit takes, and claim it, with faults each so many times."""
    draft = _Draft(factory, catalogue.customers[0], dice)
    for text, vendor in (
        ("*软件*生产执行系统 MES", SOFTWARE_HOUSE),
        ("*软件*轻量化 ERP 与供应商协同 SRM", SOFTWARE_HOUSE),
        ("*计算机网络设备*数据采集网关", HARDWARE_HOUSE),
        ("*电子工业设备*车间看板终端", HARDWARE_HOUSE),
    ):
        draft.claim(draft.buy(text, vendor), _RIGHT)
    for name, plant in FAULTS.items():
        for _ in range(faults.get(name, 0)):
            plant(draft)
    filed = [
        _dossier(factory, [line for line, _ in lines], part)
        for part, lines in enumerate(draft.lines.values())
    ]
    truths = [
        _truth(factory, claim, [told for _, told in lines]) for claim, lines in draft.lines.items()
    ]
    return Filed(tuple(draft.purchases), tuple(filed), tuple(truths))


def contracts_of(filed: Filed) -> list[Row]:
    """Write what was agreed with whom before it was bought, as the bureau keeps it on file."""
    names = {each.vendor.uscc: each.vendor.name for each in filed.purchases}
    rows: list[Row] = []
    for told in filed.dossiers:
        project = told.project
        for n, uscc in enumerate(dict.fromkeys(e.seller_uscc for e in told.lines), 1):
            lines = {
                (e.invoice_no, e.invoice_line_no): e for e in told.lines if e.seller_uscc == uscc
            }
            net = sum((each.net_cny for each in lines.values()), NIL)
            tax = sum((each.tax_cny for each in lines.values()), NIL)
            is_software = any(each.category == "software" for each in lines.values())
            number = f"{project.project_id}-{n}"
            rows.append(
                {
                    "contract_id": number, "project_id": project.project_id,
                    "contract_no": f"HT-{number}", "signed_on": project.contract_signed_on,
                    "buyer_uscc": project.enterprise_uscc, "contractor_uscc": uscc,
                    "contractor_name": names[uscc], "module_codes": _MODULES[is_software],
                    "net_cny": net, "gross_cny": net + tax, "is_general_contractor": n == 1,
                    "is_standard_contract": True, "updated_at": entered(project.filed_on, n),
                }
            )  # fmt: skip
    return rows


def _dossier(factory: Factory, lines: Sequence[ClaimLine], part: int) -> Dossier:
    project = Project(
        lines[0].project_id, factory.uscc, PROGRAMME,
        f"{factory.name}“N+X”数字化改造" + ("（二期）" if part else ""), "expansion",
        date(YEAR, 1, 15), date(YEAR, 2, 1), date(YEAR, 10, 31), NIL, NIL,
    )  # fmt: skip
    accepted = Acceptance(project.project_id, ACCEPTED, "accepted", "县经信局专家组（演示）")
    return Dossier(project, tuple(lines), accepted)


def _truth(factory: Factory, claim: str, lines: Sequence[LineTruth]) -> ClaimTruth:
    eligible = sum((each.allowed_cny for each in lines), NIL)
    is_listed = is_above_scale(factory) and factory.place.region == REGION
    award = min(round_fen(eligible / _SHARE), _CEILING) if is_listed else NIL
    return ClaimTruth(
        claim, factory.uscc, tuple(lines), eligible, award, "" if is_listed else "R12"
    )
