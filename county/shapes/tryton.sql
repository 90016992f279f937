-- The books as Tryton keeps them: a table for each model, with those fields that are not alike in every row. Moments are in UTC.

-- table product_uom_category (id integer, name varchar)
select 1000 + row_number() over (order by unit_of_measure), unit_of_measure from (select distinct unit_of_measure from erp_product)

-- table product_uom (id integer, category integer, name varchar, symbol varchar)
select id, id, name, name from product_uom_category

-- table product_template (id integer, code varchar, name varchar, default_uom integer, sale_uom integer, purchase_uom integer, salable boolean, producible boolean, purchasable boolean, create_date timestamp)
select 1000 + row_number() over (order by product_code), product_code, product_name, product_uom.id, product_uom.id, product_uom.id, product_kind = 'finished', product_kind = 'finished',
  product_kind = 'raw_material', updated_at
from erp_product inner join product_uom on symbol = unit_of_measure

-- table product_product (id integer, template integer, create_date timestamp)
select id, id, create_date from product_template

-- table production_bom (id integer, name varchar, create_date timestamp)
select 1000 + row_number() over (order by bom_version), bom_version, max(updated_at) from erp_bom group by bom_version

-- table production_bom_output (id integer, bom integer, product integer, quantity double, unit integer)
select production_bom.id, production_bom.id, product_template.id, 1, default_uom
from (select distinct bom_version, parent_code from erp_bom)
inner join production_bom on production_bom.name = bom_version inner join product_template on code = parent_code

-- table production_bom_input (id integer, bom integer, product integer, quantity double, unit integer, create_date timestamp)
select cast(bom_line_id as integer), production_bom.id, product_template.id, component_qty, default_uom, updated_at
from erp_bom inner join production_bom on production_bom.name = bom_version inner join product_template on code = component_code

-- table party_party (id integer, code varchar, name varchar, create_date timestamp)
select 1000 + row_number() over (order by customer_code), customer_code, customer_name, updated_at from erp_customer
union all
select 2000 + row_number() over (order by supplier_code), supplier_code, supplier_name, updated_at from srm_supplier

-- table party_address (id integer, party integer)
select id, id from party_party

-- table party_identifier (id integer, party integer, type varchar, code varchar)
select id, id, 'cn_vat', coalesce(customer_uscc, supplier_uscc)
from party_party left join erp_customer on code = customer_code left join srm_supplier on code = supplier_code

-- A house of one place, so that what comes or leaves is one move.
-- table stock_location (id integer, type varchar, name varchar, code varchar, parent integer, input_location integer, output_location integer, storage_location integer, production_location integer)
select row.* from (select unnest([
  {id: 1001, type: 'supplier', name: '供应商', code: 'GYS', parent: null, a: null, b: null, c: null, d: null},
  {id: 1002, type: 'customer', name: '客户', code: 'KH', parent: null, a: null, b: null, c: null, d: null},
  {id: 1003, type: 'lost_found', name: '盘点', code: 'PD', parent: null, a: null, b: null, c: null, d: null},
  {id: 1004, type: 'production', name: '车间', code: 'CJ', parent: null, a: null, b: null, c: null, d: null},
  {id: 1005, type: 'storage', name: '成品库', code: 'CK-CP', parent: null, a: null, b: null, c: null, d: null},
  {id: 1006, type: 'storage', name: '原料库', code: 'CK-YL', parent: null, a: null, b: null, c: null, d: null},
  {id: 1007, type: 'warehouse', name: '成品库', code: 'CP', parent: null, a: 1005, b: 1005, c: 1005, d: 1004},
  {id: 1008, type: 'warehouse', name: '原料库', code: 'YL', parent: null, a: 1006, b: 1006, c: 1006, d: 1004}]) as row)

-- table sale_sale (id integer, number varchar, sale_date date, shipping_date date, party integer, warehouse integer, state varchar, create_date timestamp)
select cast(order_id as integer), order_no, ordered_on, promised_on, party_party.id, 1007,
  case status when 'draft' then 'quotation' when 'closed' then 'done' else 'processing' end, updated_at
from erp_sales_order inner join party_party on code = customer_code
inner join (select order_id, max(promised_on) as promised_on from erp_sales_order_line group by order_id) using (order_id)

-- table sale_line (id integer, sale integer, product integer, quantity double, unit integer, unit_price decimal(18, 4), create_date timestamp)
select cast(order_line_id as integer), cast(order_id as integer), product_template.id, ordered_qty, default_uom, line_net_amount / ordered_qty, updated_at
from erp_sales_order_line inner join product_template on code = product_code

-- table account_invoice (id integer, party integer, invoice_address integer, number varchar, reference varchar, invoice_date date, state varchar, create_date timestamp)
select cast(invoice_id as integer), party_party.id, party_party.id, 'FP' || invoice_id, invoice_no, issued_on, 'posted', erp_sales_invoice.updated_at
from erp_sales_invoice inner join party_party on code = customer_code

-- table account_invoice_line (id integer, invoice integer, product integer, description varchar, quantity double, unit integer, unit_price decimal(18, 4), origin varchar, create_date timestamp)
select cast(invoice_id as integer), cast(invoice_id as integer), product_template.id, item_text, invoiced_qty, default_uom, net_amount / invoiced_qty,
  'sale.line,' || order_line_id, updated_at
from erp_sales_invoice inner join product_template on code = product_code

-- table purchase_purchase (id integer, number varchar, purchase_date date, party integer, warehouse integer, state varchar, create_date timestamp)
select cast(purchase_order_id as integer), purchase_order_no, ordered_on, party_party.id, 1008,
  case status when 'closed' then 'done' else 'processing' end, srm_purchase_order.updated_at
from srm_purchase_order inner join party_party on code = supplier_code

-- table purchase_line (id integer, purchase integer, product integer, quantity double, unit integer, unit_price decimal(18, 4), delivery_date_edit boolean, delivery_date_store date, create_date timestamp)
select cast(purchase_order_line_id as integer), cast(purchase_order_id as integer), product_template.id, ordered_qty, default_uom, line_net_amount / ordered_qty,
  true, promised_on, updated_at
from srm_purchase_order_line inner join product_template on code = product_code

-- table production (id integer, number varchar, product integer, bom integer, quantity double, unit integer, planned_start_date date, planned_date date, warehouse integer, location integer, state varchar, create_date timestamp)
select cast(work_order_id as integer), work_order_no, product_template.id, production_bom.id, planned_qty, default_uom, local(released_at), due_on, 1007, 1004,
  case status when 'finished' then 'done' when 'started' then 'running' else 'assigned' end, updated_at
from mes_work_order inner join product_template on code = product_code inner join production_bom on production_bom.name = bom_version

-- table stock_shipment_out (id integer, number varchar, customer integer, delivery_address integer, warehouse integer, warehouse_storage integer, warehouse_output integer, effective_date date, state varchar)
select cast(delivery_line_id as integer), delivery_no, party, party, 1007, 1005, 1005, delivered_on, 'done'
from erp_delivery inner join sale_line on sale_line.id = cast(order_line_id as integer) inner join sale_sale on sale_sale.id = sale
where delivered_qty > 0

-- table stock_shipment_out_return (id integer, number varchar, customer integer, contact_address integer, warehouse integer, warehouse_storage integer, warehouse_input integer, effective_date date, state varchar)
select cast(delivery_line_id as integer), delivery_no, party, party, 1007, 1005, 1005, delivered_on, 'done'
from erp_delivery inner join sale_line on sale_line.id = cast(order_line_id as integer) inner join sale_sale on sale_sale.id = sale
where delivered_qty < 0

-- table stock_shipment_in (id integer, number varchar, supplier integer, warehouse integer, warehouse_storage integer, warehouse_input integer, effective_date date, state varchar)
select cast(delivery_line_id as integer), delivery_no, party_party.id, 1008, 1006, 1006, delivered_on, 'done'
from srm_delivery inner join party_party on code = supplier_code

-- table stock_move (id integer, product integer, quantity double, unit integer, from_location integer, to_location integer, effective_date date, planned_date date, origin varchar, shipment varchar, production_input integer, production_output integer, unit_price decimal(18, 4), currency integer, state varchar, create_date timestamp)
select cast(stock_move_id as integer), product, abs(moved_qty), unit, case when moved_qty > 0 then place else house end, case when moved_qty > 0 then house else place end,
  moved_on, moved_on, origin, shipment, case when moved_qty < 0 then work_order end, case when moved_qty > 0 then work_order end, unit_price, case when unit_price is not null then 1 end, 'done', updated_at
from (
  select erp_stock_move.*, product_template.id as product, default_uom as unit, production.id as work_order,
    case warehouse_code when 'CK-CP' then 1005 else 1006 end as house,
    case when sold.order_line_id is not null then 1002 when bought.purchase_order_line_id is not null then 1001 when production.id is not null then 1004
      else 1003 end as place,
    coalesce('sale.line,' || sold.order_line_id, 'purchase.line,' || bought.purchase_order_line_id) as origin,
    case when sold.delivered_qty > 0 then 'stock.shipment.out,' || sold.delivery_line_id
      when sold.delivered_qty < 0 then 'stock.shipment.out.return,' || sold.delivery_line_id else 'stock.shipment.in,' || bought.delivery_line_id end as shipment,
    coalesce(sale_line.unit_price, purchase_line.unit_price, case when production.id is not null and moved_qty > 0 then cost_amount / moved_qty end) as unit_price
  from erp_stock_move inner join product_template on code = product_code
  left join production on number = work_order_no
  left join erp_delivery as sold on sold.delivery_line_id = stock_move_id left join sale_line on sale_line.id = cast(sold.order_line_id as integer)
  left join srm_delivery as bought on bought.delivery_line_id = stock_move_id
  left join purchase_line on purchase_line.id = cast(bought.purchase_order_line_id as integer))
