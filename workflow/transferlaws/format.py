"""Numbers in words, one way for logs, texts, pages and figures."""

import math
import unicodedata
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from itertools import product

PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def short_number(value: float) -> str:
    """A number as in '64k', '1.5M', '0.02': at most three digits."""
    number, prefix = _scaled(value)
    return f"{number}{prefix}"


def amount(value: float, unit: str = "") -> str:
    """A number with its unit as in '1.5 GB', or with the prefix alone as in '64 k': at most three digits."""
    number, prefix = _scaled(value)
    return f"{number} {prefix}{unit}".rstrip()


def _scaled(value: float) -> tuple[str, str]:
    for limit, prefix in PREFIXES:
        # three digits of anything above 999.5 are 1,000, which the next prefix writes as 1
        if abs(value) >= limit * 0.9995:
            return f"{value / limit:.3g}", prefix
    return f"{value:.3g}", ""


def count(value: float) -> str:
    """A count with thin spaces between thousands: '12 000'."""
    return f"{value:,.0f}".replace(",", "\u202f") if math.isclose(value, round(value)) else f"{value:g}"


def percent(share: float) -> str:
    """A share as in '90 %'."""
    return f"{100 * share:.3g} %"


def interval(found: dict) -> str:
    """Estimate and interval of a quantity as JSON (`estimate`, `low`, `high`), four digits."""
    return _with_ends(found, ".4g")


def signed(found: dict) -> str:
    """A gain as JSON (`estimate`, `low`, `high`) and its interval, with signs, three digits."""
    return _with_ends(found, "+.3g")


def _with_ends(found: dict, digits: str) -> str:
    """An estimate with the ends of its interval; of an interval with one end the other is unbounded, without ends it is unknown."""
    if found["estimate"] is None:
        return "unknown"
    ends = [None if end is None or math.isinf(end) else f"{end:{digits}}" for end in (found["low"], found["high"])]
    text = f"{found['estimate']:{digits}}"
    return text if ends == [None, None] else f"{text} [{ends[0] or 'unbounded'}, {ends[1] or 'unbounded'}]"


def probability(share: float, *bounds: float) -> str:
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


def some(rows: list[int]) -> str:
    """The first rows of a list, and how many more there are: '2, 5, 7 and 12 more'."""
    return ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def printable(text: str) -> str:
    """Text without control, format (bidirectional override) and unassigned characters; line breaks and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)
