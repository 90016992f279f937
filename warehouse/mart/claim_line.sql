/*---
id: claim_line
title: {zh: 申报明细, en: Lines of claims}
grain: one row per claim and line
keys: [claim_id, line_no]
reads: [core__retrofit_invoice_line]
---*/
select
    claim_id, line_no, project_id, invoice_no, invoice_line_no, issued_on, seller_uscc, buyer_uscc,
    item_text, category, net_cny, tax_cny, _origin as origin
from core__retrofit_invoice_line
