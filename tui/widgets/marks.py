"""The few glyphs, and small drawings of numbers in a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui.theme import state

LEVELS = "▁▂▃▄▅▆▇█"


def mark(status: str) -> str:
    """The sign of a run's state; the word always stands beside it."""
    return state(status).sign


def spark(values: Sequence[float], width: int) -> str:
    """Values as a line of `width` cells, each the mean of its share; what is no number is left out."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    cells = min(width, len(finite))
    edges = [len(finite) * cell // cells for cell in range(cells + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    return "".join(LEVELS[int((mean - low) / ((high - low) or 1) * (len(LEVELS) - 1))] for mean in means)


def bar(share: float, width: int) -> str:
    """A share of one as a bar of `width` cells; at least one cell if there is anything."""
    full = min(width, max(int(share > 0), round(share * width)))
    return "█" * full + "░" * (width - full)


def change(first: float, now: float) -> str:
    """By how much a loss has changed, in percent with its sign."""
    return f"{100 * (now / first - 1):+.0f} %".replace("-", "−") if first else ""
