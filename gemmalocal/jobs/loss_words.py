"""A loss in words."""

from __future__ import annotations


def loss_text(loss: float, digits: int = 3) -> str:
    """Nats a token with so many digits after the point; a small one in two digits that are not 0.

    2.310 and, where 0.00 would hide that anything is left or still falls, 0.0051 and 5.1e-05.
    """
    return f"{loss:.{digits}f}" if loss == 0 or abs(loss) >= 10 ** (1 - digits) else f"{loss:.2g}"


def loss_in_a_list(loss: float) -> str:
    """The same in five cells, for a column: 2.31, 0.005, 5e-05."""
    return f"{loss:.2f}" if loss == 0 or abs(loss) >= 0.1 else f"{loss:.1g}"
