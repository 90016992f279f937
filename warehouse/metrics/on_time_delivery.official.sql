/*---
id: on_time_delivery
title: {zh: 准时交付率, en: On-time delivery}
unit: ratio
class: official
subject_kind: enterprise
grain: one row per enterprise and month of promise
keys: [subject, period]
reads: [mart__order_line_delivery, core__erp_delivery]
formula: {text: 按承诺交期足量发货的订单行数 ÷ 订单行数, reference: 产业大脑指标 5.1 运行}
---*/
select
    line._enterprise as subject,
    strftime(line.promised_on, '%Y-%m') as period,
    -- A quotient is a double in DuckDB, a decimal in Spark: cast it here, once.
    cast(
        sum(case when line.on_time_qty >= line.ordered_qty then 1 else 0 end) / count(*) as decimal(38, 10)
    ) as value
from mart__order_line_delivery as line
-- What is not due yet is neither on time nor late.
cross join (select max(_broker_at) as seen_at from core__erp_delivery) as newest
where line.promised_on <= cast(newest.seen_at as date)
group by line._enterprise, strftime(line.promised_on, '%Y-%m')
