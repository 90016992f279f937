/*---
id: claim_ledger
title: {zh: 申报发票的记账, en: The factory's own bookkeeping of claimed invoices}
grain: one row per claim and entry
keys: [claim_id, entry_id]
reads: [core__erp_ledger_entry, mart__claim_line, mart__claim_project]
---*/
select distinct
    claim.claim_id, entry.entry_id, entry.voucher_no, entry.invoice_no, entry.booked_on, entry.account_code,
    entry.debit_amount, entry.credit_amount, entry.currency, entry._origin as origin
from core__erp_ledger_entry as entry
inner join mart__claim_project as claim on entry._enterprise = claim.enterprise_uscc
inner join mart__claim_line as line on claim.claim_id = line.claim_id and entry.invoice_no = line.invoice_no
