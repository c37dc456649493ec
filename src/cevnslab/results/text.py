"""Numbers and intervals in words, the same in terminals, notebooks, pages and figures."""

from __future__ import annotations

import math

from cevnslab.results.limits import CouplingInfo, Limit, natural_exponent


def number_text(value: float, exponent: int = 0) -> str:
    """A value in units of 10^exponent with digits that make sense: three significant ones.

    >>> number_text(-3.8516e-9, -9)
    '-3.85'
    """
    scaled = value / 10.0**exponent
    rounded = float(f"{scaled:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 2
    return f"{rounded:.{decimals}f}"


def end_sizes(limit: Limit) -> list[float]:
    """The sizes of the ends that the data make, or of all where they make none; no zeros."""
    return [abs(end) for end in limit.crossings if end] or [
        abs(end) for piece in limit.segments for end in piece if end
    ]


def limit_exponent(limit: Limit, info: CouplingInfo | None = None) -> int:
    """The power of ten in which an interval reads best: the coupling's natural one unless it is far off."""
    sizes = end_sizes(limit)
    if info is None:
        return natural_exponent(max(sizes, default=1.0))
    natural = natural_exponent(info.scale)
    if not sizes:
        return natural
    exponent = math.floor(math.log10(max(sizes)))
    if natural == 0 and -3 <= exponent <= 2:
        return 0
    return natural if 0 <= exponent - natural <= 2 else exponent


def pieces_text(limit: Limit, exponent: int) -> str:
    """All pieces of an interval; an end that is no crossing of the data says what it is."""
    if any("unconstrained" in kinds for kinds in limit.kinds):
        low, high = (number_text(end, exponent) for end in limit.segments[0])
        return f"unconstrained in [{low}, {high}]"

    def text(end: float, kind: str) -> str:
        return number_text(end, exponent) + ("" if kind == "limit" else f" ({kind})")

    return " or ".join(
        f"[{text(piece[0], kinds[0])}, {text(piece[1], kinds[1])}]"
        for piece, kinds in zip(limit.segments, limit.kinds, strict=True)
    )


def interval_text(limit: Limit, info: CouplingInfo | None = None) -> str:
    """An interval as text, all its pieces, with its power of ten and unit: [-3.85, 4.87] 1e-9 e."""
    exponent = limit_exponent(limit, info)
    pieces = pieces_text(limit, exponent)
    unit = "" if limit.unit == "1" else f" {limit.unit}"
    power = f" 1e{exponent}" if exponent else ""
    return f"{pieces}{power}{unit}" if pieces else "none"


def level_text(levels: set[float] | frozenset[float], percent: str = " %") -> str:
    """Confidence levels in words, with the digits that they need; figures write the sign without a blank.

    >>> level_text({0.9}), level_text({0.9999999, 0.6827}, percent="%")
    ('90 % CL', '68.27% and 99.99999% CL')
    """
    return " and ".join(f"{100 * level:.10g}{percent}" for level in sorted(levels)) + " CL"


def measured_text(value: float, error: float | None, sign: str = "+/-") -> str:
    """A value with its error, to the error's second digit.

    >>> measured_text(306.4, 20.13), measured_text(306.4, math.inf)
    ('306 +/- 20', '306.4 +/- inf')
    """
    if error is None or error == 0:
        return f"{value:.4g}"
    if not (0 < error < math.inf and math.isfinite(value)):  # a fit that knows nothing of it
        return f"{value:.4g} {sign} {error:.4g}"
    if error < 1e-4:  # in powers of ten, as couplings are
        exponent = math.floor(math.log10(max(abs(value), error)))
        decimals = max(0, 1 - math.floor(math.log10(error / 10.0**exponent)))
        return f"({value / 10.0**exponent:.{decimals}f} {sign} {error / 10.0**exponent:.{decimals}f}) 1e{exponent}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} {sign} {error:.{decimals}f}"
