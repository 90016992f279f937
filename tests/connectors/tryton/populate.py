"""Fills a Tryton with a small furniture factory as its people do; runs in Tryton's environment.

Takes: configuration, database, number of orders, passwords of the owner and of a stranger.
"""

import sys
from decimal import Decimal
from importlib import import_module

from proteus import Model
from proteus import config as proteus_config

CONF, DATABASE, ORDERS, PASSWORD, STRANGER = sys.argv[1:]
config = proteus_config.set_trytond(database=DATABASE, user="admin", config_file=CONF)
# Tryton's own helpers can be imported when it is configured, and not before.
account = import_module("trytond.modules.account.tests.tools")
invoice = import_module("trytond.modules.account_invoice.tests.tools")
company_tools = import_module("trytond.modules.company.tests.tools")

company = company_tools.get_company()
config._context = Model.get("res.user").get_preferences(True, config.context)
year = invoice.set_fiscalyear_invoice_sequences(account.create_fiscalyear(company))
year.click("create_period")
accounts = account.get_accounts(company)
(unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
(kilogram,) = Model.get("product.uom").find([("name", "=", "Kilogram")])
(stock,) = Model.get("stock.location").find([("code", "=", "STO")])
category = Model.get("product.category")(name="Default", accounting=True)
category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
category.customer_taxes.append(*Model.get("account.tax").find([]))
category.save()


def product(code, name, uom, cost, **kinds):
    """Make a product that may be bought, made or sold."""
    template = Model.get("product.template")(name=name, code=code, default_uom=uom, type="goods")
    template.account_category = category
    template.list_price = Decimal(cost) * 2
    for kind, holds in kinds.items():
        setattr(template, kind, holds)
    template.products[0].cost_price = Decimal(cost)
    template.save()
    return template.products[0]


def party(name):
    """Make somebody to trade with."""
    made = Model.get("party.party")(name=name)
    made.save()
    return made


raws = [
    product(f"RM-{n}", f"板材 {n} 🪵", (unit, kilogram)[n % 2], n + 1, purchasable=True)
    for n in (0, 1)
]
chair = product("FG-0", "办公椅", unit, 50, producible=True, salable=True)
bom = Model.get("production.bom")(name="BOM FG-0")
for count, raw in enumerate(raws, 1):
    line = bom.inputs.new()
    line.product, line.quantity = raw, count + 0.25 * (count - 1)
made = bom.outputs.new()
made.product, made.quantity = chair, 1
bom.save()
chair.boms.append(Model.get("product.product-production.bom")(bom=bom))
chair.save()
supplier, customer = party("苏州供应商"), party("Customer GmbH")
inventory = Model.get("stock.inventory")(location=stock)
for each in (*raws, chair):
    line = inventory.lines.new()
    line.product, line.quantity = each, 1000
inventory.click("confirm")
for number in range(int(ORDERS)):
    purchase = Model.get("purchase.purchase")(party=supplier, invoice_method="order")
    for raw in raws:
        line = purchase.lines.new()
        line.product, line.quantity, line.unit_price = raw, 10 + number, Decimal("1.50")
    sale = Model.get("sale.sale")(party=customer, invoice_method="order")
    line = sale.lines.new()
    line.product, line.quantity, line.unit_price = chair, number + 1, Decimal("99.99")
    for order in (purchase, sale):
        order.click("quote")
        order.click("confirm")
    order = Model.get("production")(product=chair, bom=bom, quantity=5)
    order.save()
    order.click("wait")
    order.click("assign_try")
    if number % 2:
        order.click("run")
        order.click("do")
# The first purchase arrives, the first sale leaves.
arrived = Model.get("stock.shipment.in")(supplier=supplier)
first = Model.get("purchase.purchase").find([], order=[("id", "ASC")], limit=1)[0]
for move in first.moves:
    arrived.incoming_moves.append(Model.get("stock.move")(move.id))
arrived.save()
arrived.click("receive")
arrived.click("do")
left = Model.get("stock.shipment.out").find([], order=[("id", "ASC")], limit=1)[0]
left.click("assign_try")
left.click("pick")
left.click("pack")
left.click("do")
# What left is invoiced; what is bought by order has a draft that is nobody's invoice yet.
sold = Model.get("account.invoice").find([("type", "=", "out")], order=[("id", "ASC")])[0]
sold.invoice_date, sold.reference = left.effective_date, "24332000000000000001"
sold.click("post")
# Who may do everything, and who may read nothing.
(admin,) = Model.get("res.user").find([("login", "=", "admin")])
stranger = Model.get("res.user")(name="stranger", login="stranger")
for user, word in ((admin, PASSWORD), (stranger, STRANGER)):
    user.password = word
    user.save()
