"""Makes a Tryton ready for a factory of China; runs in Tryton's own environment.

Takes: configuration, database.
"""

import sys
from decimal import Decimal
from importlib import import_module

from proteus import Model
from proteus import config as proteus_config

CONF, DATABASE = sys.argv[1:]
config = proteus_config.set_trytond(database=DATABASE, user="admin", config_file=CONF)
# Tryton's own helpers can be imported when it is configured, and not before.
account = import_module("trytond.modules.account.tests.tools")
companies = import_module("trytond.modules.company.tests.tools")

yuan = Model.get("currency.currency")(name="人民币", code="CNY", symbol="¥")
yuan.rates.new(rate=Decimal(1))
yuan.save()
Model.get("country.country")(name="中国", code="CN").save()
owner = Model.get("party.party")(name="演示工厂（虚构）")
owner.save()
companies.create_company(owner, yuan)
company = companies.get_company()
config._context = Model.get("res.user").get_preferences(True, config.context)
account.create_chart(company)
account.create_tax(Decimal("0.13")).save()
# Whoever reads for the county may read all, and no more.
group = Model.get("res.group")(name="reader")
group.save()
for model in Model.get("ir.model").find([]):
    access = Model.get("ir.model.access")(model=model.name, group=group)
    access.perm_read, access.perm_write = True, False
    access.perm_create, access.perm_delete = False, False
    access.save()
reader = Model.get("res.user")(name="reader", login="reader")
reader.groups.append(group)
reader.companies.append(company)
reader.company = company
reader.save()
