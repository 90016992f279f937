-- A plain MES that a factory had made for itself: a table for each thing, keys as texts, moments without a zone.

-- table products (code varchar(64) primary key, name varchar(200), unit varchar(20), kind varchar(40), changed_at datetime(6))
select product_code, product_name, unit_of_measure, product_kind, local(updated_at) from erp_product

-- table equipment (code varchar(64) primary key, name varchar(200), class varchar(100), serial varchar(64), network varchar(64), digital boolean, networked boolean, numeric_control boolean, power_kw decimal(10, 3), since date, changed_at datetime(6))
select equipment_code, equipment_name, equipment_class, serial_no, network_id, is_digital, is_networked, is_numerically_controlled,
  rated_power_kw, commissioned_on, local(updated_at)
from mes_equipment

-- table orders (id varchar(64) primary key, no varchar(64), product varchar(64), planned decimal(18, 4), good decimal(18, 4), scrap decimal(18, 4), unit varchar(20), status varchar(20), due date, released_at datetime(6), started_at datetime(6), finished_at datetime(6), changed_at datetime(6))
select work_order_id, work_order_no, product_code, planned_qty, good_qty, scrap_qty, unit_of_measure, status, due_on,
  local(released_at), local(started_at), local(finished_at), local(updated_at)
from mes_work_order

-- table reports (id varchar(64) primary key, order_id varchar(64), operation_no integer, operation varchar(100), centre varchar(64), equipment varchar(64), minutes decimal(10, 2), started_at datetime(6), finished_at datetime(6), good decimal(18, 4), scrap decimal(18, 4), unit varchar(20), source varchar(20), changed_at datetime(6))
select report_id, work_order_id, operation_no, operation_name, work_centre_code, equipment_code, run_minutes, local(started_at),
  local(finished_at), good_qty, scrap_qty, unit_of_measure, report_source, local(updated_at)
from mes_operation_report
