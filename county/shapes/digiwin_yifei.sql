-- The books as Digiwin Yifei (易飞) keeps them: documents by type and number, days as eight digits, no hours at all.

-- table INVMB ("MB001" char(20) primary key, "MB002" varchar(60), "MB003" varchar(60), "MB004" char(4), "MB025" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8))
select product_code, product_name, '', unit_of_measure, case product_kind when 'raw_material' then 'P' else 'M' end, eight(updated_at), ''
from erp_product

-- table INVMC ("MC001" char(20), "MC002" char(10), "MC007" numeric(16, 3), "MC008" numeric(21, 6), "MC012" char(8), "MC013" char(8))
select product_code, warehouse_code, on_hand_qty, stock_amount, strftime(last_moved_on, '%Y%m%d'), ''
from erp_inventory where counted_on = (select max(counted_on) from erp_inventory)

-- table COPMA ("MA001" char(10) primary key, "MA003" varchar(72), "MA010" varchar(20), "CREATE_DATE" char(8), "MODI_DATE" char(8))
select customer_code, customer_name, customer_uscc, eight(updated_at), eight(updated_at) from erp_customer

-- table PURMA ("MA001" char(10) primary key, "MA003" varchar(72), "MA005" varchar(20), "MA016" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8))
select supplier_code, supplier_name, supplier_uscc, '1', eight(updated_at), null from srm_supplier

-- table COPTC ("TC001" char(4), "TC002" char(11), "TC003" char(8), "TC004" char(10), "TC008" char(4), "TC027" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TC001", "TC002"))
select '220', lpad(order_id, 11, '0'), strftime(ordered_on, '%Y%m%d'), customer_code, 'RMB', case status when 'draft' then 'N' else 'Y' end,
  eight(updated_at - interval 25 minute), eight(updated_at)
from erp_sales_order order by 2

-- table COPTD ("TD001" char(4), "TD002" char(11), "TD003" char(4), "TD004" char(20), "TD008" numeric(16, 3), "TD012" numeric(21, 6), "TD013" char(8), "TD016" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TD001", "TD002", "TD003"))
select '220', lpad(order_id, 11, '0'), lpad(cast(cast(order_line_id as bigint) % 10000 as varchar), 4, '0'), product_code, ordered_qty,
  line_net_amount, coalesce(strftime(promised_on, '%Y%m%d'), ''), case when is_closed then 'Y' else 'N' end, eight(updated_at), ''
from erp_sales_order_line

-- table COPTG ("TG001" char(4), "TG002" char(11), "TG003" char(8), "TG023" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TG001", "TG002"))
select '230', lpad(delivery_line_id, 11, '0'), strftime(delivered_on, '%Y%m%d'), 'Y', eight(updated_at), eight(updated_at) from erp_delivery

-- table COPTH ("TH001" char(4), "TH002" char(11), "TH003" char(4), "TH008" numeric(16, 3), "TH014" char(4), "TH015" char(11), "TH016" char(4), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TH001", "TH002", "TH003"))
select '230', lpad(delivery_line_id, 11, '0'), '0001', delivered_qty, '220', lpad(order_id, 11, '0'),
  lpad(cast(cast(order_line_id as bigint) % 10000 as varchar), 4, '0'), eight(erp_delivery.updated_at), ''
from erp_delivery left join erp_sales_order_line using (order_line_id)

-- table PURTC ("TC001" char(4), "TC002" char(11), "TC003" char(8), "TC004" char(10), "TC005" char(4), "TC014" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TC001", "TC002"))
select '330', lpad(purchase_order_id, 11, '0'), strftime(ordered_on, '%Y%m%d'), supplier_code, 'RMB', case status when 'draft' then 'N' else 'Y' end,
  eight(updated_at - interval 25 minute), eight(updated_at)
from srm_purchase_order

-- table PURTD ("TD001" char(4), "TD002" char(11), "TD003" char(4), "TD004" char(20), "TD008" numeric(16, 3), "TD009" char(4), "TD011" numeric(21, 6), "TD012" char(8), "TD016" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TD001", "TD002", "TD003"))
select '330', lpad(purchase_order_id, 11, '0'), lpad(cast(cast(purchase_order_line_id as bigint) % 10000 as varchar), 4, '0'), product_code,
  ordered_qty, unit_of_measure, line_net_amount, coalesce(strftime(promised_on, '%Y%m%d'), ''), case when is_closed then 'Y' else 'N' end,
  eight(updated_at), ''
from srm_purchase_order_line

-- table PURTG ("TG001" char(4), "TG002" char(11), "TG003" char(8), "TG005" char(10), "TG013" char(1), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TG001", "TG002"))
select '340', lpad(delivery_line_id, 11, '0'), strftime(delivered_on, '%Y%m%d'), supplier_code, 'Y', eight(updated_at), eight(updated_at)
from srm_delivery

-- table PURTH ("TH001" char(4), "TH002" char(11), "TH003" char(4), "TH007" numeric(16, 3), "TH008" char(4), "TH011" char(4), "TH012" char(11), "TH013" char(4), "TH015" numeric(16, 3), "TH017" numeric(16, 3), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TH001", "TH002", "TH003"))
select '340', lpad(delivery_line_id, 11, '0'), '0001', delivered_qty, srm_delivery.unit_of_measure, '330', lpad(purchase_order_id, 11, '0'),
  lpad(cast(cast(purchase_order_line_id as bigint) % 10000 as varchar), 4, '0'), accepted_qty, rejected_qty, eight(srm_delivery.updated_at), ''
from srm_delivery left join srm_purchase_order_line using (purchase_order_line_id)

-- table MOCTA ("TA001" char(4), "TA002" char(11), "TA003" char(8), "TA006" char(20), "TA007" char(4), "TA010" char(8), "TA011" char(1), "TA012" char(8), "TA013" char(1), "TA014" char(8), "TA015" numeric(16, 3), "TA017" numeric(16, 3), "TA018" numeric(16, 3), "TA026" char(4), "TA027" char(11), "TA028" char(4), "CREATE_DATE" char(8), "MODI_DATE" char(8), primary key ("TA001", "TA002"))
select '510', lpad(work_order_id, 11, '0'), eight(released_at), product_code, unit_of_measure, strftime(due_on, '%Y%m%d'),
  case status when 'released' then '1' when 'started' then '3' else 'Y' end, coalesce(eight(started_at), ''), 'Y', coalesce(eight(finished_at), ''),
  planned_qty, good_qty, scrap_qty, '220', lpad(order_id, 11, '0'), lpad(cast(cast(order_line_id as bigint) % 10000 as varchar), 4, '0'),
  eight(released_at), eight(mes_work_order.updated_at)
from mes_work_order left join (select order_line_id, order_id from erp_sales_order_line) as line using (order_line_id)
