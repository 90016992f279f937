-- The books of a small factory whose programs write sheets for the office: a file for each, in Chinese, moments without a zone.

-- table 产品 ("产品编码" varchar, "产品名称" varchar, "计量单位" varchar, "产品类别" varchar, "修改时间" timestamp)
select product_code, product_name, unit_of_measure, case product_kind when 'raw_material' then '原材料' else '成品' end, local(updated_at)
from erp_product

-- table 客户 ("客户编码" varchar, "客户名称" varchar, "统一社会信用代码" varchar, "修改时间" timestamp)
select customer_code, customer_name, customer_uscc, local(updated_at) from erp_customer

-- table 销售订单 ("单据内码" varchar, "单据编号" varchar, "单据日期" date, "客户编码" varchar, "客户名称" varchar, "单据状态" varchar, "修改时间" timestamp)
select order_id, order_no, ordered_on, customer_code, customer_name,
  case status when 'draft' then '未审核' when 'closed' then '已关闭' else '已审核' end, local(updated_at)
from erp_sales_order

-- table 销售订单明细 ("明细内码" varchar, "单据内码" varchar, "产品编码" varchar, "订货数量" decimal(18, 4), "交货日期" date, "金额" decimal(18, 2), "行关闭" varchar, "修改时间" timestamp)
select order_line_id, order_id, product_code, ordered_qty, promised_on, line_net_amount, case when is_closed then '是' else '否' end, local(updated_at)
from erp_sales_order_line

-- table 发货明细 ("明细内码" varchar, "发货单号" varchar, "订单明细内码" varchar, "发货日期" date, "发货数量" decimal(18, 4), "修改时间" timestamp)
select delivery_line_id, delivery_no, order_line_id, delivered_on, delivered_qty, local(updated_at) from erp_delivery
