"""A loss as a word."""

from __future__ import annotations


def nats(loss: float, digits: int = 3) -> str:
    """A loss in nats a token with so many digits after the point, and with at least two that are not a leading zero.

    2.310 and, where 0.00 would hide that anything is left or still falls, 0.0051.
    """
    return f"{loss:.{digits}f}" if loss == 0 or abs(loss) >= 10 ** (1 - digits) else f"{loss:.2g}"
