/*---
id: order_line_delivery
title: {zh: 订单行交付, en: Order lines with what was delivered by when}
grain: one row per order line
keys: [_enterprise, _source, order_line_id]
reads: [core__erp_sales_order, core__erp_sales_order_line, core__erp_delivery]
---*/
select
    line._enterprise, line._source, line.order_line_id, line.promised_on, line.ordered_qty,
    sum(coalesce(delivery.delivered_qty, 0)) as delivered_qty,
    sum(case when delivery.delivered_on <= line.promised_on then delivery.delivered_qty else 0 end) as on_time_qty
from core__erp_sales_order_line as line
inner join core__erp_sales_order as head
    on line._enterprise = head._enterprise and line._source = head._source and line.order_id = head.order_id
left join core__erp_delivery as delivery
    on line._enterprise = delivery._enterprise and line._source = delivery._source
    and line.order_line_id = delivery.order_line_id
-- A draft promises nothing yet.
where head.status <> 'draft'
group by line._enterprise, line._source, line.order_line_id, line.promised_on, line.ordered_qty
