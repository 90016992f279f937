// A factory's orders and invoices as an SAP-like service offers them: OData V4, and V2 through CAP's adapter.
namespace nplusx.factory;

entity SalesOrders {
  key ID         : String(36);
  orderNo        : String(64);
  orderedOn      : Date;
  customerCode   : String(64);
  customerName   : String(200);
  currency       : String(3);
  status         : String(20);
  note           : LargeString;
  modifiedAt     : Timestamp;
}

entity SalesOrderLines {
  key orderID    : String(36);
  key lineNo     : Integer;
  productCode    : String(64);
  orderedQty     : Decimal(18, 4);
  promisedOn     : Date;
  lineNetAmount  : Decimal(18, 2);
  currency       : String(3);
  isClosed       : Boolean;
  modifiedAt     : Timestamp;
}

entity PurchaseInvoices {
  key ID         : String(36);
  key lineNo     : Integer;
  invoiceNo      : String(64);
  issuedOn       : Date;
  sellerID       : String(18);
  sellerName     : String(200);
  buyerID        : String(18);
  itemText       : String(500);
  netAmount      : Decimal(18, 2);
  taxRate        : Decimal(6, 4);
  taxAmount      : Decimal(18, 2);
  currency       : String(3);
  modifiedAt     : Timestamp;
}

@requires: 'authenticated-user'
service Factory @(path: '/odata/v4/factory') {
  @readonly entity SalesOrders      as projection on factory.SalesOrders;
  @readonly entity SalesOrderLines  as projection on factory.SalesOrderLines;
  @readonly entity PurchaseInvoices as projection on factory.PurchaseInvoices;
  @restrict: [{grant: 'READ', to: 'auditor'}]
  entity Secrets as projection on factory.SalesOrders;
}
