/*---
id: claim_invoice
title: {zh: 申报发票的企业自有记录, en: The factory's own rows of claimed invoices}
grain: one row per claim and line of an invoice that it names or that takes one back
keys: [claim_id, invoice_no, line_no]
reads: [core__erp_purchase_invoice, mart__claim_line, mart__claim_project]
---*/
-- The factory's own books only: rows that it published itself, of invoices that the claim names.
select distinct
    claim.claim_id, invoice.invoice_no, invoice.line_no, invoice.issued_on, invoice.seller_uscc, invoice.buyer_uscc,
    invoice.item_text, invoice.net_amount, invoice.tax_amount, invoice.currency, invoice.is_red,
    invoice.red_of_invoice_no, invoice._origin as origin
from core__erp_purchase_invoice as invoice
inner join mart__claim_project as claim on invoice._enterprise = claim.enterprise_uscc
inner join mart__claim_line as line
    on claim.claim_id = line.claim_id
    and (invoice.invoice_no = line.invoice_no or invoice.red_of_invoice_no = line.invoice_no)
