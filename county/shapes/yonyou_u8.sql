-- The books as Yonyou U8 keeps them. A moment there has no zone; keys are whole numbers.

-- table UA_Account ("cAcc_Id" varchar(3) primary key, "cUnitName" varchar(120), "cUnitTaxNo" varchar(50))
select '001', name, uscc from factory

-- table Vendor ("cVenCode" varchar(20) primary key, "cVenName" varchar(98), "cVenRegCode" varchar(50))
select 'V' || lpad(cast(row_number() over (order by seller_uscc) as varchar), 4, '0'), any_value(seller_name), seller_uscc
from erp_purchase_invoice group by seller_uscc

-- table Inventory ("cInvCode" varchar(60) primary key, "cInvName" varchar(255))
select product_code, product_name from erp_product
union all
select 'MT-' || lpad(cast(row_number() over (order by item_text) as varchar), 4, '0'), item_text
from (select distinct item_text from erp_purchase_invoice)

-- table code ("ccode" varchar(40) primary key, "ccode_name" varchar(100))
select distinct account_code, account_name from erp_ledger_entry

-- table SO_SOMain ("ID" integer primary key, "cSOCode" varchar(30), "dDate" timestamp, "cCusCode" varchar(20), "cCusName" varchar(98), "cexch_name" varchar(8), "cVerifier" varchar(20), "cCloser" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select cast(order_id as integer), order_no, cast(ordered_on as timestamp), customer_code, customer_name, '人民币',
  case when status <> 'draft' then '审核员' end, case when status = 'closed' then '录入员' end,
  local(updated_at) - case when status = 'draft' then interval 0 minute else interval 25 minute end, null,
  case when status <> 'draft' then local(updated_at) end
from erp_sales_order

-- table SO_SODetails ("AutoID" integer primary key, "iSOsID" integer, "ID" integer, "cInvCode" varchar(60), "iQuantity" numeric(30, 10), "dPreDate" timestamp, "iMoney" numeric(19, 4), "cSCloser" varchar(20))
select cast(order_line_id as integer), cast(order_line_id as integer), cast(order_id as integer), product_code, ordered_qty,
  cast(promised_on as timestamp), line_net_amount, case when is_closed then '录入员' end
from erp_sales_order_line

-- table DispatchList ("DLID" integer primary key, "cDLCode" varchar(30), "dDate" timestamp, "cVerifier" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select cast(delivery_line_id as integer), delivery_no, cast(delivered_on as timestamp), '审核员',
  local(updated_at) - interval 25 minute, null, local(updated_at)
from erp_delivery

-- table DispatchLists ("AutoID" integer primary key, "iDLsID" integer, "DLID" integer, "iSOsID" integer, "iQuantity" numeric(30, 10))
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), cast(delivery_line_id as integer),
  cast(order_line_id as integer), delivered_qty
from erp_delivery

-- table PurBillVouch ("PBVID" integer primary key, "cPBVCode" varchar(30), "dPBVDate" timestamp, "cVenCode" varchar(20), "cexch_name" varchar(8), "bNegative" boolean, "cDefine10" varchar(60), "cPBVVerifier" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select distinct on (invoice_id) cast(invoice_id as integer), invoice_no, cast(issued_on as timestamp), "cVenCode", '人民币',
  is_red, red_of_invoice_no, '审核员', local(updated_at) - interval 25 minute, null, local(updated_at)
from erp_purchase_invoice inner join "Vendor" on "cVenRegCode" = seller_uscc
order by invoice_id, line_no

-- table PurBillVouchs ("ID" integer primary key, "PBVID" integer, "ivouchrowno" integer, "cInvCode" varchar(60), "iOriMoney" numeric(19, 4), "iTaxRate" numeric(9, 4), "iOriTaxPrice" numeric(19, 4))
select cast(invoice_id as integer) * 10 + line_no, cast(invoice_id as integer), line_no, "cInvCode", net_amount, tax_rate * 100, tax_amount
from erp_purchase_invoice inner join "Inventory" on "cInvName" = item_text

-- table Ap_CloseBill ("iID" integer primary key, "cVouchType" varchar(2), "dVouchDate" timestamp, "cDwCode" varchar(20), "cexch_name" varchar(8), "cNoteNo" varchar(40), "cCheckMan" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select cast(payment_id as integer), '49', cast(paid_on as timestamp), "cVenCode", '人民币', bank_reference, '审核员',
  local(updated_at) - interval 25 minute, null, local(updated_at)
from erp_payment inner join "Vendor" on "cVenRegCode" = payee_uscc

-- table Ap_CloseBills ("ID" integer primary key, "iID" integer, "cCoVouchID" varchar(30), "iAmt_f" numeric(19, 4))
select cast(payment_id as integer), cast(payment_id as integer), invoice_no, paid_amount from erp_payment

-- table GL_accvouch ("i_id" integer primary key, "iperiod" smallint, "csign" varchar(8), "ino_id" integer, "inid" smallint, "dbill_date" timestamp, "cdigest" varchar(120), "ccode" varchar(40), "cn_id" varchar(30), "md" numeric(19, 4), "mc" numeric(19, 4), "ibook" smallint, "tvouchtime" timestamp)
select cast(entry_id as integer), split_part(voucher_no, '-', 2), split_part(voucher_no, '-', 1), split_part(voucher_no, '-', 3),
  row_number() over (partition by voucher_no order by cast(entry_id as integer)), cast(booked_on as timestamp), summary, account_code,
  invoice_no, debit_amount, credit_amount, 1, local(updated_at)
from erp_ledger_entry
