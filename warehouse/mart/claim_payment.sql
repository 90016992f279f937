/*---
id: claim_payment
title: {zh: 申报发票的付款, en: The factory's own payments of claimed invoices}
grain: one row per claim and payment
keys: [claim_id, payment_id]
reads: [core__erp_payment, mart__claim_line, mart__claim_project]
---*/
select distinct
    claim.claim_id, payment.payment_id, payment.invoice_no, payment.payee_uscc, payment.paid_on, payment.paid_amount,
    payment.currency, payment._origin as origin
from core__erp_payment as payment
inner join mart__claim_project as claim on payment._enterprise = claim.enterprise_uscc
inner join mart__claim_line as line on claim.claim_id = line.claim_id and payment.invoice_no = line.invoice_no
