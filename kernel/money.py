"""Amounts in yuan: decimals with named rounding."""

from decimal import ROUND_HALF_UP, Decimal

NOTHING = Decimal("0.00")
FEN = Decimal("0.01")


def round_fen(amount: Decimal) -> Decimal:
    """Round to the fen, halves away from zero, as Chinese bookkeeping does."""
    return amount.quantize(FEN, rounding=ROUND_HALF_UP)
