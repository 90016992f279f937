-- The books as Yonyou U8 keeps them. A moment there has no zone; keys are whole numbers.

-- table UA_Account ("cAcc_Id" varchar(3) primary key, "cUnitName" varchar(120), "cUnitTaxNo" varchar(50))
select '001', name, uscc from factory

-- table Vendor ("cVenCode" varchar(20) primary key, "cVenName" varchar(98), "cVenRegCode" varchar(50), "bVenCargo" smallint, "bProxyForeign" smallint, "bVenService" smallint, "dEndDate" timestamp, "dVenCreateDatetime" timestamp, "dModifyDate" timestamp)
select supplier_code, supplier_name, supplier_uscc, 1, 0, 0, null, local(updated_at), null from srm_supplier
union all
select 'W' || lpad(cast(row_number() over (order by seller_uscc) as varchar), 3, '0'), any_value(seller_name), seller_uscc, 0, 0, 1, null,
  local(min(updated_at)), null
from erp_purchase_invoice where seller_uscc not in (select supplier_uscc from srm_supplier) group by seller_uscc

-- table Customer ("cCusCode" varchar(20) primary key, "cCusName" varchar(98), "cCusRegCode" varchar(50), "dCusCreateDatetime" timestamp, "dModifyDate" timestamp)
select customer_code, customer_name, customer_uscc, local(updated_at), null from erp_customer

-- table ComputationUnit ("cComunitCode" varchar(35) primary key, "cComUnitName" varchar(20))
select lpad(cast(row_number() over (order by unit_of_measure) as varchar), 2, '0'), unit_of_measure
from (select distinct unit_of_measure from erp_product)

-- table Inventory ("cInvCode" varchar(60) primary key, "cInvName" varchar(255), "cInvStd" varchar(255), "cComUnitCode" varchar(35), "bSelf" smallint, "bSale" smallint, "bService" smallint, "dInvCreateDatetime" timestamp, "dModifyDate" timestamp)
select product_code, product_name, null, "cComunitCode", case when product_kind = 'raw_material' then 0 else 1 end,
  case when product_kind = 'finished' then 1 else 0 end, 0, local(updated_at), null
from erp_product inner join "ComputationUnit" on "cComUnitName" = unit_of_measure
union all
select 'MT-' || lpad(cast(row_number() over (order by item_text) as varchar), 4, '0'), item_text, null, null, 0, 0, 1, null, null
from (select distinct item_text from erp_purchase_invoice)

-- table code ("ccode" varchar(40) primary key, "ccode_name" varchar(100))
select distinct account_code, account_name from erp_ledger_entry

-- table SO_SOMain ("ID" integer primary key, "cSOCode" varchar(30), "dDate" timestamp, "cCusCode" varchar(20), "cCusName" varchar(98), "cexch_name" varchar(8), "cVerifier" varchar(20), "cCloser" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp, "dclosesystime" timestamp)
select cast(order_id as integer), order_no, cast(ordered_on as timestamp), customer_code, customer_name, '人民币',
  case when status <> 'draft' then '审核员' end, case when status = 'closed' then '录入员' end,
  local(updated_at) - case when status = 'draft' then interval 0 minute else interval 25 minute end, null,
  case when status <> 'draft' then local(updated_at) end, case when status = 'closed' then local(updated_at) end
from erp_sales_order

-- table SO_SODetails ("AutoID" integer primary key, "iSOsID" integer, "ID" integer, "cInvCode" varchar(60), "iQuantity" numeric(30, 10), "dPreDate" timestamp, "iMoney" numeric(19, 4), "cSCloser" varchar(20), "dbclosesystime" timestamp)
select cast(order_line_id as integer), cast(order_line_id as integer), cast(order_id as integer), product_code, ordered_qty,
  cast(promised_on as timestamp), line_net_amount, case when is_closed then '录入员' end, case when is_closed then local(updated_at) end
from erp_sales_order_line

-- table DispatchList ("DLID" integer primary key, "cDLCode" varchar(30), "dDate" timestamp, "cVerifier" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select cast(delivery_line_id as integer), delivery_no, cast(delivered_on as timestamp), '审核员',
  local(updated_at) - interval 25 minute, null, local(updated_at)
from erp_delivery

-- table DispatchLists ("AutoID" integer primary key, "iDLsID" integer, "DLID" integer, "iSOsID" integer, "iQuantity" numeric(30, 10))
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), cast(delivery_line_id as integer),
  cast(order_line_id as integer), delivered_qty
from erp_delivery

-- table SaleBillVouch ("SBVID" integer primary key, "cSBVCode" varchar(30), "cVouchType" varchar(2), "dDate" timestamp, "cCusCode" varchar(20), "cCusName" varchar(98), "cexch_name" varchar(8), "bReturnFlag" smallint, "cChecker" varchar(20), "cInvalider" varchar(20), "dcreatesystime" timestamp, "dmodifysystime" timestamp, "dverifysystime" timestamp)
select distinct on (invoice_id) cast(invoice_id as integer), invoice_no, '26', cast(issued_on as timestamp), customer_code, buyer_name,
  '人民币', cast(is_red as smallint), '审核员', null, local(updated_at) - interval 25 minute, null, local(updated_at)
from erp_sales_invoice order by invoice_id, line_no

-- table SaleBillVouchs ("AutoID" integer primary key, "SBVID" integer, "irowno" smallint, "cInvCode" varchar(60), "cInvName" varchar(255), "iQuantity" numeric(30, 10), "iMoney" numeric(19, 4), "iTaxRate" numeric(9, 4), "iTax" numeric(19, 4), "iSOsID" integer)
select cast(invoice_id as integer) * 10 + line_no, cast(invoice_id as integer), line_no, product_code, item_text, invoiced_qty, net_amount,
  tax_rate * 100, tax_amount, cast(order_line_id as integer)
from erp_sales_invoice

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

-- table PO_Pomain ("POID" integer primary key, "cPOID" varchar(30), "dPODate" timestamp, "cVenCode" varchar(20), "cexch_name" varchar(8), "cVerifier" varchar(20), "cCloser" varchar(20), "cMakeTime" timestamp, "cModifyTime" timestamp, "cAuditTime" timestamp)
select cast(purchase_order_id as integer), purchase_order_no, cast(ordered_on as timestamp), supplier_code, '人民币',
  case when status <> 'draft' then '审核员' end, case when status = 'closed' then '录入员' end,
  local(updated_at) - interval 25 minute, null, local(updated_at)
from srm_purchase_order

-- table PO_Podetails ("ID" integer primary key, "POID" integer, "cInvCode" varchar(60), "iQuantity" numeric(30, 10), "iMoney" numeric(19, 4), "dArriveDate" timestamp, "cbCloser" varchar(20), "cbCloseTime" timestamp)
select cast(purchase_order_line_id as integer), cast(purchase_order_id as integer), product_code, ordered_qty, line_net_amount,
  cast(promised_on as timestamp), case when is_closed then '录入员' end, case when is_closed then local(updated_at) end
from srm_purchase_order_line

-- table RdRecord01 ("ID" integer primary key, "cCode" varchar(30), "dDate" timestamp, "cVenCode" varchar(20), "cHandler" varchar(20), "dnmaketime" timestamp, "dnmodifytime" timestamp, "dnverifytime" timestamp)
select cast(delivery_line_id as integer), delivery_no, cast(delivered_on as timestamp), supplier_code, '审核员',
  local(updated_at) - interval 25 minute, null, local(updated_at)
from srm_delivery

-- table rdrecords01 ("AutoID" integer primary key, "ID" integer, "cInvCode" varchar(60), "iNQuantity" numeric(30, 10), "iQuantity" numeric(30, 10), "iPOsID" integer)
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), "cInvCode", delivered_qty, accepted_qty, "ID"
from srm_delivery inner join "PO_Podetails" on "ID" = cast(purchase_order_line_id as integer)

-- table mom_order ("MoId" integer primary key, "MoCode" varchar(30), "CreateTime" timestamp, "ModifyTime" timestamp)
select cast(work_order_id as integer), work_order_no, local(released_at), case when updated_at > released_at then local(updated_at) end
from mes_work_order

-- table mom_orderdetail ("MoDId" integer primary key, "MoId" integer, "SortSeq" integer, "InvCode" varchar(60), "Qty" numeric(30, 10), "QualifiedInQty" numeric(30, 10), "Status" smallint, "OrderType" smallint, "OrderDId" integer, "RelsTime" timestamp, "CloseTime" timestamp)
select cast(work_order_id as integer), cast(work_order_id as integer), 1, product_code, planned_qty, good_qty,
  case when status = 'finished' then 4 else 3 end, 1, cast(order_line_id as integer), local(released_at), local(finished_at)
from mes_work_order

-- table mom_morder ("MoDId" integer primary key, "MoId" integer, "DueDate" timestamp)
select cast(work_order_id as integer), cast(work_order_id as integer), cast(due_on as timestamp) from mes_work_order

-- table mom_moallocate ("AllocateId" integer primary key, "MoDId" integer, "IssQty" numeric(30, 10))
select cast(work_order_id as integer), cast(work_order_id as integer), case when started_at is null then 0 else planned_qty end
from mes_work_order

-- table sfc_moroutingdetail ("MoRoutingDId" integer primary key, "MoDId" integer, "OpSeq" varchar(4), "BalScrapQty" numeric(30, 10))
select cast(work_order_id as integer), cast(work_order_id as integer), '0040', scrap_qty from mes_work_order
