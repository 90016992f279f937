"""E-invoices dropped as XML become lines that the gate accepts."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

from connectors.base import Source
from connectors.kinds.files import FilesSource
from connectors.registry import find, open_source
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.loader import find as find_contract
from county.retrofit import SOFTWARE_HOUSE
from kernel.ids import SourceId
from pipeline.bodies import encode
from tests.connectors.reading import mapped

INVOICE = """<?xml version="1.0" encoding="UTF-8"?>
<EInvoice>
  <Header><EIid>24332000000000000001</EIid></Header>
  <EInvoiceData>
    <SellerInformation>
      <SellerIdNum>91330523MA9000901A</SellerIdNum><SellerName>演示软件服务商（虚构）</SellerName>
    </SellerInformation>
    <BuyerInformation><BuyerIdNum>91330523719500014U</BuyerIdNum></BuyerInformation>
    <IssuItemInformation>
      <ItemName>*软件*生产执行系统</ItemName><Quantity>1</Quantity><Amount>286725.66</Amount>
      <TaxRate>0.13</TaxRate><ComTaxAm>37274.34</ComTaxAm>
    </IssuItemInformation>
    <IssuItemInformation>
      <ItemName>*信息技术服务*实施</ItemName><Amount>1000.00</Amount>
      <TaxRate>6%</TaxRate><ComTaxAm>60.00</ComTaxAm>
    </IssuItemInformation>
  </EInvoiceData>
  <TaxSupervisionInfo>
    <InvoiceNumber>24332000000000000001</InvoiceNumber>
    <IssueTime>2024-03-05 10:00:00</IssueTime>
  </TaxSupervisionInfo>
</EInvoice>"""


def test_the_lines_of_an_invoice_pass_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "数电票 1.xml"
    path.write_text(INVOICE.replace("91330523MA9000901A", SOFTWARE_HOUSE.uscc), "utf-8")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    preset = find("einvoice_xml")
    connector = open_source(Source(SourceId("s"), preset.id, FilesSource(str(tmp_path), None, "")))
    (plan,) = preset.streams
    contract = find_contract(plan.contract)
    rows = mapped(connector.read(plan, None), plan)
    assert rows is not None
    (body,) = encode(rows, plan.version)
    decoded = decode_arrow(body.body, contract)
    assert judge(decoded.rows, contract, decoded.faults).refused == {}
    told = decoded.rows.select(["line_no", "issued_on", "tax_rate", "net_amount"]).to_pylist()
    assert [tuple(row.values()) for row in told] == [
        (1, date(2024, 3, 5), Decimal("0.1300"), Decimal("286725.66")),
        (2, date(2024, 3, 5), Decimal("0.0600"), Decimal("1000.00")),
    ]
    connector.close()
