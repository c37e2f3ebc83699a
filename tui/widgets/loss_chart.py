"""Losses as braille: every step as the range of its column, a smoothed line over it, held-out losses as circles."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.curve import Bucket, Curve

AXIS = 6  # cells of the numbers on the left
BLANK = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell: row, column
SMOOTH = 25  # the line is the mean of this share of all steps
LEAST = 5  # steps of that mean
HELD_OUT = "○"

Point = tuple[float, float]  # step, loss


class LossChart(Widget):
    """Handed losses by `show`; draws any number of them in time that does not grow with the steps."""

    DEFAULT_CSS = "LossChart { height: 1fr; }"
    COMPONENT_CLASSES = {"loss-chart--train", "loss-chart--smooth", "loss-chart--held-out", "loss-chart--axis"}

    def __init__(self) -> None:
        super().__init__()
        self._train: list[Bucket] = []
        self._held_out: list[Point] = []
        self._last = 1.0
        self._drawn: tuple[Size, list[Strip]] | None = None

    def show(self, train: Curve, held_out: Sequence[Point], steps: int) -> None:
        """Draw these, on an axis of `steps` steps; in order of their steps. What is no number is left out."""
        self._train = train.buckets
        self._held_out = [point for point in held_out if math.isfinite(point[1])]
        self._last = max(1, steps)
        self._drawn = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line out of the picture, which is drawn anew only for new points or another size."""
        if self._drawn is None or self._drawn[0] != self.size:
            self._drawn = (self.size, [strip.apply_style(self.rich_style) for strip in self._draw()])
        strips = self._drawn[1]
        return strips[y] if y < len(strips) else Strip.blank(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Another theme: other colours."""
        self._drawn = None
        super().notify_style_update()

    def _draw(self) -> list[Strip]:
        width, height = self.size.width - AXIS, self.size.height - 1
        axis = self.get_component_rich_style("loss-chart--axis", partial=True)
        if width < 8 or height < 3:
            return []
        values = [loss for _, loss in self._held_out]
        lows, highs = [bucket.low for bucket in self._train], [bucket.high for bucket in self._train]
        if not (values or lows):
            middle = Strip([Segment("no steps yet".center(self.size.width), axis)])
            return [Strip.blank(self.size.width)] * (height // 2) + [middle]
        grid = Grid(width, height, self._last, min(lows + values), max(highs + values))
        train = grid.ranges(self._train)
        line = grid.line(smoothed(self._train, 2 * width))
        circles = {grid.cell(*point) for point in self._held_out}
        styles = [self.get_component_rich_style(f"loss-chart--{name}", partial=True) for name in PARTS]
        strips = []
        for row in range(height):
            label = grid.label(row).rjust(AXIS - 1) + " "
            strips.append(Strip([Segment(label, axis), *_cells(row, width, train, line, circles, styles)]))
        return [*strips, Strip([Segment(" " * AXIS + grid.steps(), axis)])]


PARTS = ("train", "smooth", "held-out")
DotMask = dict[tuple[int, int], int]  # column, row of a cell -> its braille dots


def _cells(
    row: int, width: int, train: DotMask, line: DotMask, circles: set[tuple[int, int]], styles: list[Style]
) -> list[Segment]:
    """A row, in as few segments as it has changes of style."""
    cells: list[tuple[int, str]] = []
    for column in range(width):
        place = (column, row)
        if place in circles:
            cells.append((2, HELD_OUT))
        elif place in line:
            cells.append((1, chr(BLANK + line[place])))
        else:
            cells.append((0, chr(BLANK + train[place]) if place in train else " "))
    runs = groupby(cells, key=itemgetter(0))
    return [Segment("".join(text for _, text in run), styles[part]) for part, run in runs]


class Grid:
    """Steps and losses to dots: `width` x `height` cells of two by four."""

    def __init__(self, width: int, height: int, last: float, low: float, high: float) -> None:
        self._width, self._height, self._last = width, height, last
        room = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
        self._low, self._high = max(low - room, 0.0) if low >= 0 else low - room, high + room

    def column(self, step: float) -> int:
        """The dot column of a step."""
        return max(0, min(2 * self._width - 1, int(step / self._last * (2 * self._width - 1))))

    def row(self, loss: float) -> int:
        """The dot row of a loss, from the top."""
        share = (self._high - loss) / (self._high - self._low)
        return max(0, min(4 * self._height - 1, int(share * (4 * self._height - 1))))

    def cell(self, step: float, loss: float) -> tuple[int, int]:
        """The cell of a point."""
        return self.column(step) // 2, self.row(loss) // 4

    def ranges(self, buckets: list[Bucket]) -> DotMask:
        """For each dot column the range from the lowest to the highest loss in it."""
        count, scale = 2 * self._width, (2 * self._width - 1) / self._last
        lows, highs = [math.inf] * count, [-math.inf] * count
        for first, last, low, high, _, _ in buckets:  # thousands, several times a second
            for column in range(min(count - 1, int(first * scale)), min(count - 1, int(last * scale)) + 1):
                if low < lows[column]:
                    lows[column] = low
                if high > highs[column]:
                    highs[column] = high
        mask: DotMask = {}
        for column, (low, high) in enumerate(zip(lows, highs, strict=True)):
            if low <= high:
                _fill(mask, column, self.row(high), self.row(low))
        return mask

    def line(self, points: list[Point]) -> DotMask:
        """Points joined: a column without one takes its share of the way."""
        mask: DotMask = {}
        for (step, loss), (after, then) in zip(points, points[1:], strict=False):
            left, right = self.column(step), self.column(after)
            for column in range(left, right + 1):
                here, there = ((column + more - left) / max(1, right - left + 1) for more in (0, 1))
                rows = sorted(self.row(loss + share * (then - loss)) for share in (here, there))
                _fill(mask, column, *rows)
        return mask

    def label(self, row: int) -> str:
        """The loss at a row's middle, on every fourth row."""
        if row % 4 and row != self._height - 1:
            return ""
        if row == self._height - 1 and row % 4 in (1,):
            return ""
        return f"{self._high - (row + 0.5) / self._height * (self._high - self._low):.2f}"

    def steps(self) -> str:
        """The axis of steps: its first, middle and last."""
        last, middle = f"{self._last:,.0f}", f"{self._last / 2:,.0f}"
        line = "0".ljust(self._width // 2 - len(middle) // 2) + middle
        return line.ljust(self._width - len(last)) + last


def _fill(mask: DotMask, column: int, top: int, bottom: int) -> None:
    for row in range(top, bottom + 1):
        place = (column // 2, row // 4)
        mask[place] = mask.get(place, 0) | DOTS[row % 4][column % 2]


def smoothed(buckets: list[Bucket], most: int) -> list[Point]:
    """The mean of the steps up to each, at `most` steps evenly taken."""
    sums = [0.0, *accumulate(bucket.sum for bucket in buckets)]
    counts = [0, *accumulate(bucket.steps for bucket in buckets)]
    window = max(LEAST, counts[-1] // SMOOTH)
    points = []
    for n in sorted({round(n * (len(buckets) - 1) / most) for n in range(most + 1)}) if buckets else ():
        start = bisect_left(counts, counts[n + 1] - window, 0, n)
        points.append((buckets[n].last, (sums[n + 1] - sums[start]) / (counts[n + 1] - counts[start])))
    return points
