-- The books as Kingdee K3 Cloud (云星空) keeps them in its database. A moment there has no zone; C is approved, A a draft.

-- table T_BD_MATERIAL (FMATERIALID integer primary key, FNUMBER varchar(80), FUNIT varchar(20), FKIND varchar(20), FCREATEDATE datetime, FMODIFYDATE datetime)
select row_number() over (order by product_code), product_code, unit_of_measure, product_kind, local(updated_at), local(updated_at)
from erp_product

-- table T_BD_MATERIAL_L (FPKID integer primary key, FMATERIALID integer, FLOCALEID integer, FNAME varchar(255))
select FMATERIALID, FMATERIALID, 2052, product_name from erp_product inner join T_BD_MATERIAL on FNUMBER = product_code

-- table T_BD_CUSTOMER (FCUSTID integer primary key, FNUMBER varchar(80), FSOCIALCRECODE varchar(50), FCREATEDATE datetime, FMODIFYDATE datetime)
select row_number() over (order by customer_code), customer_code, customer_uscc, local(updated_at), local(updated_at) from erp_customer

-- table T_BD_CUSTOMER_L (FPKID integer primary key, FCUSTID integer, FLOCALEID integer, FNAME varchar(255))
select FCUSTID, FCUSTID, 2052, customer_name from erp_customer inner join T_BD_CUSTOMER on FNUMBER = customer_code

-- table T_BD_SUPPLIER (FSUPPLIERID integer primary key, FNUMBER varchar(80), FSOCIALCRECODE varchar(50), FFORBIDSTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime)
select row_number() over (order by supplier_code), supplier_code, supplier_uscc, 'A', local(updated_at), local(updated_at) from srm_supplier

-- table T_BD_SUPPLIER_L (FPKID integer primary key, FSUPPLIERID integer, FLOCALEID integer, FNAME varchar(255))
select FSUPPLIERID, FSUPPLIERID, 2052, supplier_name from srm_supplier inner join T_BD_SUPPLIER on FNUMBER = supplier_code

-- table T_SAL_ORDER (FID integer primary key, FBILLNO varchar(80), FDATE datetime, FCUSTID integer, FDOCUMENTSTATUS varchar(1), FCLOSESTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime, FAPPROVEDATE datetime)
select cast(order_id as integer), order_no, cast(ordered_on as timestamp), FCUSTID, case status when 'draft' then 'A' else 'C' end,
  case status when 'closed' then 'B' else 'A' end, local(updated_at) - interval 25 minute,
  case status when 'draft' then local(updated_at) else local(updated_at) - interval 25 minute end,
  case status when 'draft' then null else local(updated_at) end
from erp_sales_order inner join T_BD_CUSTOMER on FNUMBER = customer_code

-- table T_SAL_ORDERENTRY (FENTRYID integer primary key, FID integer, FMATERIALID integer, FQTY decimal(23, 10), FMRPCLOSESTATUS varchar(1))
select cast(order_line_id as integer), cast(order_id as integer), FMATERIALID, ordered_qty, case when is_closed then 'B' else 'A' end
from erp_sales_order_line inner join T_BD_MATERIAL on FNUMBER = product_code

-- table T_SAL_ORDERENTRY_F (FENTRYID integer primary key, FID integer, FAMOUNT decimal(23, 10))
select cast(order_line_id as integer), cast(order_id as integer), line_net_amount from erp_sales_order_line

-- table T_SAL_ORDERENTRY_D (FENTRYID integer primary key, FID integer, FDELIVERYDATE datetime)
select cast(order_line_id as integer), cast(order_id as integer), cast(promised_on as timestamp) from erp_sales_order_line

-- table T_SAL_OUTSTOCK (FID integer primary key, FBILLNO varchar(80), FDATE datetime, FDOCUMENTSTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime, FAPPROVEDATE datetime)
select cast(delivery_line_id as integer), delivery_no, cast(delivered_on as timestamp), 'C', local(updated_at) - interval 25 minute,
  local(updated_at) - interval 25 minute, local(updated_at)
from erp_delivery

-- table T_SAL_OUTSTOCKENTRY (FENTRYID integer primary key, FID integer, FREALQTY decimal(23, 10))
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), delivered_qty from erp_delivery

-- table T_SAL_OUTSTOCKENTRY_R (FENTRYID integer primary key, FID integer, FSOENTRYID integer)
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), cast(order_line_id as integer) from erp_delivery

-- table T_PUR_POORDER (FID integer primary key, FBILLNO varchar(80), FDATE datetime, FSUPPLIERID integer, FDOCUMENTSTATUS varchar(1), FCLOSESTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime, FAPPROVEDATE datetime)
select cast(purchase_order_id as integer), purchase_order_no, cast(ordered_on as timestamp), FSUPPLIERID, 'C',
  case status when 'closed' then 'B' else 'A' end, local(updated_at) - interval 25 minute, local(updated_at) - interval 25 minute, local(updated_at)
from srm_purchase_order inner join T_BD_SUPPLIER on FNUMBER = supplier_code

-- table T_PUR_POORDERENTRY (FENTRYID integer primary key, FID integer, FMATERIALID integer, FQTY decimal(23, 10), FMRPCLOSESTATUS varchar(1))
select cast(purchase_order_line_id as integer), cast(purchase_order_id as integer), FMATERIALID, ordered_qty,
  case when is_closed then 'B' else 'A' end
from srm_purchase_order_line inner join T_BD_MATERIAL on FNUMBER = product_code

-- table T_PUR_POORDERENTRY_F (FENTRYID integer primary key, FID integer, FAMOUNT decimal(23, 10))
select cast(purchase_order_line_id as integer), cast(purchase_order_id as integer), line_net_amount from srm_purchase_order_line

-- table T_PUR_POORDERENTRY_D (FENTRYID integer primary key, FID integer, FDELIVERYDATE datetime)
select cast(purchase_order_line_id as integer), cast(purchase_order_id as integer), cast(promised_on as timestamp) from srm_purchase_order_line

-- table T_STK_INSTOCK (FID integer primary key, FBILLNO varchar(80), FDATE datetime, FSUPPLIERID integer, FDOCUMENTSTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime, FAPPROVEDATE datetime)
select cast(delivery_line_id as integer), delivery_no, cast(delivered_on as timestamp), FSUPPLIERID, 'C', local(updated_at) - interval 25 minute,
  local(updated_at) - interval 25 minute, local(updated_at)
from srm_delivery inner join T_BD_SUPPLIER on FNUMBER = supplier_code

-- table T_STK_INSTOCKENTRY (FENTRYID integer primary key, FID integer, FMUSTQTY decimal(23, 10), FREALQTY decimal(23, 10), FPOORDERENTRYID integer, FUNIT varchar(20))
select cast(delivery_line_id as integer), cast(delivery_line_id as integer), delivered_qty, accepted_qty,
  cast(purchase_order_line_id as integer), unit_of_measure
from srm_delivery

-- table T_PRD_MO (FID integer primary key, FBILLNO varchar(80), FDATE datetime, FDOCUMENTSTATUS varchar(1), FCREATEDATE datetime, FMODIFYDATE datetime, FAPPROVEDATE datetime)
select cast(work_order_id as integer), work_order_no, local(released_at), 'C', local(released_at), local(updated_at), local(released_at)
from mes_work_order

-- table T_PRD_MOENTRY (FENTRYID integer primary key, FID integer, FMATERIALID integer, FQTY decimal(23, 10), FPLANFINISHDATE datetime, FSALEORDERENTRYID integer, FUNIT varchar(20))
select cast(work_order_id as integer), cast(work_order_id as integer), FMATERIALID, planned_qty, cast(due_on as timestamp),
  cast(order_line_id as integer), unit_of_measure
from mes_work_order inner join T_BD_MATERIAL on FNUMBER = product_code

-- table T_PRD_MOENTRY_A (FENTRYID integer primary key, FID integer, FSTATUS varchar(1), FSTOCKINQUAQTY decimal(23, 10), FSTOCKINSCRAPQTY decimal(23, 10), FSTARTDATE datetime, FFINISHDATE datetime)
select cast(work_order_id as integer), cast(work_order_id as integer), case status when 'released' then '3' when 'started' then '4' else '5' end,
  good_qty, scrap_qty, local(started_at), local(finished_at)
from mes_work_order
