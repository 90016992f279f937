"""What a factory has before its first order: products, materials, partners, machines."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import count

from county.dice import Dice
from county.world import Company, Factory, Row, company_uscc, entered

OPENED = date(2022, 1, 4)
# Before that the retrofit had not connected the machines.
CONNECTED = date(2024, 5, 6)
PIECE = "件"
CHAIRS = ("办公椅", "会议椅", "电竞椅", "休闲椅", "吧椅")


@dataclass(frozen=True, slots=True)
class Material:
    """Something bought, and what a unit of it costs."""

    code: str
    name: str
    unit: str
    material_class: str
    price: Decimal


MATERIALS = tuple(
    Material(f"YL-{n:03d}", name, unit, kind, Decimal(price))
    for n, (name, unit, kind, price) in enumerate(
        (
            ("海绵", "千克", "foam", "18.50"),
            ("面料", "米", "fabric", "26.00"),
            ("钢制五金", "千克", "steel_tube", "5.20"),
            ("塑料件", "个", "plastic", "3.80"),
            ("胶合板", "张", "board", "42.00"),
            ("气压棒", "根", "gas_lift", "21.00"),
            ("脚轮", "个", "other", "2.60"),
            ("包装纸箱", "个", "carton", "7.50"),
        ),
        1,
    )
)


@dataclass(frozen=True, slots=True)
class Component:
    """How much of a material one piece of a product takes."""

    line: int
    material: Material
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Product:
    """What is made and sold, what it costs to buy, and what it is made of."""

    code: str
    name: str
    price: Decimal
    components: tuple[Component, ...]

    @property
    def cost(self) -> Decimal:
        """Add up its materials."""
        return sum((c.quantity * c.material.price for c in self.components), Decimal(0))


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a line, and what it needs for a piece."""

    code: str
    name: str
    operation: int
    cycle_seconds: int
    power_kw: Decimal
    serial: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that documents refer to."""

    customers: tuple[Company, ...]
    # The nth supplies the nth material.
    suppliers: tuple[Company, ...]
    products: tuple[Product, ...]
    machines: tuple[Machine, ...]


OPERATIONS = ((10, "下料"), (20, "焊接"), (30, "缝制"), (40, "总装"))
_MACHINES = (("激光切管机", 10, "6.5"), ("焊接机器人", 20, "12"), ("缝纫单元", 30, "1.5"))


def make_catalogue(factory: Factory, dice: Dice) -> Catalogue:
    """Make what a factory works with."""
    base = 1000 * (factory.number - 1)
    customers = tuple(
        Company(f"C{n:03d}", f"演示客户{base + n:02d}（虚构）", company_uscc(base + n))
        for n in range(1, 13)
    )
    suppliers = tuple(
        Company(f"V{n:03d}", f"演示{each.name}供应商{factory.number:02d}（虚构）",
                company_uscc(base + 100 + n))
        for n, each in enumerate(MATERIALS, 1)
    )  # fmt: skip
    lines = count(1)
    products = tuple(
        Product(
            f"CP-{n:03d}",
            f"演示{CHAIRS[n % len(CHAIRS)]}{n:02d}型",
            Decimal(220 + 37 * n),
            tuple(
                Component(next(lines), each, Decimal(dice.number(1, 4)))
                for each in MATERIALS
                if dice.happens(65) or each is MATERIALS[-1]
            ),
        )
        for n in range(1, factory.products + 1)
    )
    return Catalogue(customers, suppliers, products, tuple(_machines(factory, dice)))


def _machines(factory: Factory, dice: Dice) -> list[Machine]:
    made = []
    for n in range(1, factory.machines + 1):
        name, operation, power = _MACHINES[(n - 1) % len(_MACHINES)]
        code = f"SB-{n:02d}"
        serial = f"{factory.uscc[-6:]}-{2021 + n % 3}-{n:04d}"
        cycle = dice.number(40, 90)
        made.append(Machine(code, f"{n:02d}号{name}", operation, cycle, Decimal(power), serial))
    return made


def rows_of(catalogue: Catalogue, factory: Factory) -> dict[str, list[Row]]:
    """Write it in the columns of contracts."""
    at = entered(OPENED, factory.number)
    return {
        "erp.product.v1": [
            *(_product(each.code, each.name, each.unit, "raw_material", at) for each in MATERIALS),
            *(_product(e.code, e.name, PIECE, "finished", at) for e in catalogue.products),
        ],
        "erp.bom.v1": [
            {
                "bom_line_id": str(c.line), "parent_code": each.code,
                "component_code": c.material.code, "component_qty": c.quantity,
                "unit_of_measure": c.material.unit, "updated_at": at,
            }
            for each in catalogue.products
            for c in each.components
        ],
        **_partners(catalogue, factory),
        "mes.equipment.v1": [_machine_row(each, factory) for each in catalogue.machines],
    }  # fmt: skip


def _product(code: str, name: str, unit: str, kind: str, updated_at: datetime) -> Row:
    return {
        "product_code": code, "product_name": name, "unit_of_measure": unit,
        "product_kind": kind, "updated_at": updated_at,
    }  # fmt: skip


def _partners(catalogue: Catalogue, factory: Factory) -> dict[str, list[Row]]:
    at, region = entered(OPENED, factory.number), factory.place.region
    return {
        "erp.customer.v1": [
            {
                "customer_code": each.code, "customer_name": each.name,
                "customer_uscc": each.uscc, "country_code": "CN", "region_code": region,
                "customer_kind": "distributor", "updated_at": at,
            }
            for each in catalogue.customers
        ],
        "srm.supplier.v1": [
            {
                "supplier_code": each.code, "supplier_name": each.name,
                "supplier_uscc": each.uscc, "country_code": "CN", "region_code": region,
                "supplied_class": item.name, "status": "approved", "approved_on": OPENED,
                "updated_at": at,
            }
            for each, item in zip(catalogue.suppliers, MATERIALS, strict=True)
        ],
    }  # fmt: skip


def _machine_row(each: Machine, factory: Factory) -> Row:
    return {
        "equipment_code": each.code, "equipment_name": each.name,
        "equipment_class": each.name[3:], "serial_no": each.serial,
        "network_id": f"{factory.uscc[-6:].lower()}-{each.code.lower()}",
        "is_digital": True, "is_networked": True, "is_numerically_controlled": True,
        "rated_power_kw": each.power_kw, "commissioned_on": CONNECTED,
        "updated_at": entered(CONNECTED, factory.number),
    }  # fmt: skip
