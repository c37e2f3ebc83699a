"""The few glyphs, and small drawings of numbers in a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.theme import state

if TYPE_CHECKING:
    from gemmalocal.jobs.events import Progress

LEVELS = "▁▂▃▄▅▆▇█"


def mark(status: str) -> str:
    """The sign of a run's state; the word always stands beside it."""
    return state(status).sign


def spark(values: Sequence[float], width: int) -> str:
    """Values as a line of `width` cells, each the mean of its share; what is no number is left out."""
    return "".join(LEVELS[level] for level in _levels(values, width, len(LEVELS)))


def area(values: Sequence[float], width: int, height: int) -> list[str]:
    """The same in `height` lines, the space below the values filled; no lines of no values."""
    levels = [level + 1 for level in _levels(values, width, height * len(LEVELS), wide=True)]
    full = len(LEVELS)
    rows = range(height - 1, -1, -1) if levels else ()
    return ["".join(" " if level <= row * full else LEVELS[min(level - row * full, full) - 1] for level in levels)
            for row in rows]  # fmt: skip


def _levels(values: Sequence[float], width: int, levels: int, wide: bool = False) -> list[int]:
    """The means of each cell's share, from 0 to `levels` - 1; of few values few cells, unless it is to be `wide`."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1:
        return []
    cells = width if wide else min(width, len(finite))
    edges = [len(finite) * cell // cells for cell in range(cells + 1)]
    means = [sum(finite[a : max(b, a + 1)]) / max(1, b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    return [int((mean - low) / ((high - low) or 1) * (levels - 1)) for mean in means]


def bar(share: float, width: int) -> str:
    """A share of one as a bar of `width` cells; at least one cell if there is anything."""
    full = min(width, max(int(share > 0), round(share * width)))
    return "█" * full + "░" * (width - full)


def progress(event: Progress, width: int = 16) -> str:
    """How far something long has come, what it is, and the time that is left of it, where that is known."""
    from gemmalocal.planning import throughput

    left = f", {throughput.duration(event.left)} left" if event.left is not None else ""
    return f"{bar(event.done / max(1, event.total), width)} {event.what}{left}"


def change(first: float, now: float) -> str:
    """By how much a loss has changed, in percent with its sign."""
    if not first:
        return ""
    percent = round(100 * (now / first - 1))  # a whole number: none is "-0"
    return f"{percent:+} %".replace("-", "−") if percent else "0 %"
