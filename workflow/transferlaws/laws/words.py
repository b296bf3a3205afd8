"""Numbers in words."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from itertools import product


def interval_text(found: dict) -> str:
    """Estimate and interval, four digits."""
    if found["low"] is None:
        return f"{found['estimate']:.4g}"
    return f"{found['estimate']:.4g} [{found['low']:.4g}, {found['high']:.4g}]"


def signed_text(found: dict) -> str:
    """Gain and interval, with signs."""
    if found["low"] is None:
        return f"{found['estimate']:+.3g}"
    return f"{found['estimate']:+.3g} [{found['low']:+.3g}, {found['high']:+.3g}]"


def probability_text(share: float, *bounds: float) -> str:
    """A probability in whole percent; draws cannot tell those near 0 and 1 from them.

    Where rounding would put the number on another side of a bound than `share` it is cut, if need be after a further digit.
    """
    if share < 0.01 or share > max((0.99, *bounds)):
        return "below 1%" if share < 0.01 else "above 99%"
    for digits, rounding in product(range(3), (ROUND_HALF_EVEN, ROUND_DOWN)):
        shown = Decimal(str(share)).quantize(Decimal(10) ** -(2 + digits), rounding)
        if all((float(shown) >= bound) == (share >= bound) for bound in bounds):
            break
    return f"{shown:.{digits}%}"


def tokens_text(count: float) -> str:
    """A count with k, M, G or T."""
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.3g}{suffix}"
    return f"{count:.3g}"
