-- What the bookkeeper of a small factory hands out each month: a sheet of payments and one of the ledger, in Chinese, moments without a zone.

-- table 付款 ("付款内码" varchar, "付款日期" date, "收款方税号" varchar, "发票号码" varchar, "付款金额" decimal(18, 2), "银行流水号" varchar, "修改时间" timestamp)
select payment_id, paid_on, payee_uscc, invoice_no, paid_amount, bank_reference, local(updated_at) from erp_payment

-- table 记账凭证 ("分录内码" varchar, "凭证号" varchar, "日期" date, "科目编码" varchar, "科目名称" varchar, "摘要" varchar, "发票号码" varchar, "借方金额" decimal(18, 2), "贷方金额" decimal(18, 2), "修改时间" timestamp)
select entry_id, voucher_no, booked_on, account_code, account_name, summary, invoice_no, debit_amount, credit_amount, local(updated_at)
from erp_ledger_entry
