"""Which systems a factory has, and what of its books stands in them."""

from collections.abc import Mapping

from county import invoices, shape, tryton
from county.books import Books
from county.machines import ENERGY, STATE
from county.world import Factory

ODATA, TRYTON = "odata_factory", "tryton"
# In which products factories keep their books, and how their machines talk, in turns.
SYSTEMS = ("yonyou_u8", "kingdee_k3cloud_db", "office_sheets", "shopfloor_mes", ODATA, TRYTON)
WIRES = ("", "opcua", "sparkplug", "modbus")
# Books that are files anyway, and what those have whose product holds neither invoices nor ledger.
SHEETS, FINANCE, EINVOICES = "office_sheets", "finance_sheets", "einvoice_xml"
FILES = (SHEETS, FINANCE, EINVOICES)
# What of the machines' telling reaches which contract.
WIRED: Mapping[str, Mapping[str, str]] = {
    "": {},
    "opcua": {STATE: "mes.equipment_state.v1", ENERGY: "mes.energy_reading.v1"},
    "sparkplug": {STATE: "mes.equipment_state.v1"},
    "modbus": {STATE: "mes.equipment_state.v1"},
}
_RED = "red_of_invoice_no"


def systems(factory: Factory) -> tuple[str, ...]:
    """List the products and folders in which a factory's books stand."""
    kept = shape.contracts_of(factory.system)
    found = [factory.system]
    if invoices.CONTRACT not in kept:
        found.append(EINVOICES)
    if "erp.payment.v1" not in kept:
        found.append(FINANCE)
    return tuple(found)


def held(factory: Factory) -> frozenset[str]:
    """Tell which contracts the factory's sources have anything of."""
    found = {invoices.CONTRACT, *WIRED[factory.wire].values()}
    for system in systems(factory):
        if system != EINVOICES:
            found |= shape.contracts_of(system)
    return frozenset(found)


def plantable(factory: Factory) -> frozenset[str]:
    """Tell in which contracts faults can be planted.

    A Tryton takes a line of less than nothing for a return, and always has a day for a line.
    """
    untouched = {"erp.sales_order_line.v1"} if factory.system == TRYTON else set()
    return held(factory) - untouched


def knows_red(factory: Factory) -> bool:
    """Tell whether a source says which invoice a red one takes back."""
    return _RED in shape.text_of(factory.system)


def as_told(factory: Factory, books: Books) -> None:
    """Name rows as the factory's systems name them, where these have no room for other names."""
    if EINVOICES in systems(factory):
        invoices.as_delivered(books[invoices.CONTRACT])
    if factory.system == TRYTON:
        tryton.as_told(books)
    if factory.system == ODATA:
        lines = books["erp.sales_order_line.v1"]
        names = {e["order_line_id"]: f"{e['order_id']}-{e['order_line_id']}" for e in lines}
        for rows in books.values():
            for each in rows:
                if each.get("order_line_id"):
                    each["order_line_id"] = names[each["order_line_id"]]
