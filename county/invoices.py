"""E-invoices as the tax platform delivers them: an XML file for each."""

from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from county.world import Row, entered
from kernel.clock import SHANGHAI

CONTRACT = "erp.purchase_invoice.v1"


def as_delivered(rows: list[Row]) -> None:
    """Name invoices as one does who has the files only: by number, changed when issued."""
    for row in rows:
        issued = row["issued_on"]
        if not isinstance(issued, date):
            raise TypeError(issued)
        row["updated_at"] = entered(issued, int(str(row["invoice_id"])))
        row["invoice_id"] = row["invoice_no"]


def write(rows: list[Row], folder: Path) -> None:
    """Write each invoice into a file of its own, named by its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, lines in groupby(rows, lambda each: str(each["invoice_no"])):
        tree = ElementTree(_invoice(list(lines)))
        indent(tree)
        tree.write(folder / f"{number}.xml", encoding="UTF-8", xml_declaration=True)


def _invoice(lines: list[Row]) -> Element:
    first, root = lines[0], Element("EInvoice")
    _texts(SubElement(root, "Header"), {"EIid": first["invoice_no"]})
    data = SubElement(root, "EInvoiceData")
    seller = {"SellerIdNum": first["seller_uscc"], "SellerName": first["seller_name"]}
    _texts(SubElement(data, "SellerInformation"), seller)
    _texts(SubElement(data, "BuyerInformation"), {"BuyerIdNum": first["buyer_uscc"]})
    for tag, values in _items(lines):
        _texts(SubElement(data, tag), values)
    issued = first["updated_at"]
    if not isinstance(issued, datetime):
        raise TypeError(issued)
    when = {
        "InvoiceNumber": first["invoice_no"],
        "IssueTime": f"{issued.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}",
    }
    _texts(SubElement(root, "TaxSupervisionInfo"), when)
    return root


def _items(lines: list[Row]) -> Iterator[tuple[str, Row]]:
    for each in lines:
        yield "IssuItemInformation", {
            "ItemName": each["item_text"], "Amount": each["net_amount"],
            "TaxRate": each["tax_rate"], "ComTaxAm": each["tax_amount"],
        }  # fmt: skip


def _texts(parent: Element, values: Row) -> None:
    for tag, value in values.items():
        SubElement(parent, tag).text = str(value)
