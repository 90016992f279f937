-- What stands behind an SAP-like service, in the tables that CAP makes of `odata_factory.cds`: a line is named by its order and number.

-- table nplusx_factory_salesorders (id varchar, orderno varchar, orderedon date, customercode varchar, customername varchar, currency varchar, status varchar, note varchar, modifiedat timestamptz)
select order_id, order_no, ordered_on, customer_code, customer_name, currency, status, null, updated_at from erp_sales_order

-- table nplusx_factory_salesorderlines (orderid varchar, lineno integer, productcode varchar, orderedqty decimal(18, 4), promisedon date, linenetamount decimal(18, 2), currency varchar, isclosed boolean, modifiedat timestamptz)
select order_id, cast(split_part(order_line_id, '-', 2) as integer), product_code, ordered_qty, promised_on, line_net_amount, currency,
  is_closed, updated_at
from erp_sales_order_line

-- table nplusx_factory_purchaseinvoices (id varchar, lineno integer, invoiceno varchar, issuedon date, sellerid varchar, sellername varchar, buyerid varchar, itemtext varchar, netamount decimal(18, 2), taxrate decimal(6, 4), taxamount decimal(18, 2), currency varchar, modifiedat timestamptz)
select invoice_id, line_no, invoice_no, issued_on, seller_uscc, seller_name, buyer_uscc, item_text, net_amount, tax_rate, tax_amount,
  currency, updated_at
from erp_purchase_invoice
