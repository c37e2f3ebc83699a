"""Where points of a chart lie: steps and values to braille dots, whole or in part, linear or logarithmic."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import NamedTuple

from tui.widgets.curve import Bucket

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell: row, column
SMOOTH = 25  # the line is the mean of this share of all steps
LEAST = 5  # steps of that mean
ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # ends of an axis, times a power of ten
SHORTEST = 10  # steps of an axis at least
MORE = 3  # digits of a number on an axis at most, beside those of its form
NEWEST = 0.2  # share of what was trained that the newest part is

Point = tuple[float, float]  # step, value
DotMask = dict[tuple[int, int], int]  # column, row of a cell -> its braille dots


class Form(NamedTuple):
    """How a value is written: a format with a place for `digits`, which are after the point."""

    pattern: str
    digits: int

    def __call__(self, value: float, more: int = 0) -> str:
        """With so many more digits."""
        return self.pattern.format(value, digits=self.digits + more)


class Span(NamedTuple):
    """The steps that a chart shows."""

    first: float
    last: float


ZOOMS = ("so far", "newest part", "whole run")


def span(zoom: str, now: float, steps: float) -> Span:
    """What is shown of a run that has trained `now` of `steps`; what is so far has a round end, so as not to jump."""
    steps = max(1.0, steps)
    if zoom == "whole run" or now <= 0:
        return Span(0, steps)
    if zoom == "newest part":
        return Span(max(0.0, min(now * (1 - NEWEST), now - SHORTEST)), max(now, 1.0))
    return Span(0, min(steps, rounded_up(max(now, SHORTEST))))


def rounded_up(count: float) -> float:
    """The next number that an axis may end at."""
    power = 10.0 ** math.floor(math.log10(count))
    return next(share * power for share in ROUND if share * power >= count)


class Grid:
    """Steps and values to dots: `width` x `height` cells of two by four."""

    def __init__(
        self, width: int, height: int, shown: Span, low: float, high: float, logarithmic: bool = False
    ) -> None:
        self._width, self._height = width, height
        self._first, self._last = shown
        self._log = logarithmic and low > 0
        low, high = self._scaled(low), self._scaled(high)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
        self._low = max(low - room, 0.0) if low >= 0 and not self._log else low - room
        self._high = high + room

    def _scaled(self, value: float) -> float:
        if not self._log:
            return value
        return math.log10(value) if value > 0 else -math.inf

    @property
    def _per_step(self) -> float:
        return (2 * self._width - 1) / max(self._last - self._first, 1e-9)

    def column(self, step: float) -> int:
        """The dot column of a step."""
        return max(0, min(2 * self._width - 1, int((step - self._first) * self._per_step)))

    def row(self, value: float) -> int:
        """The dot row of a value, from the top."""
        share = (self._high - self._scaled(value)) / (self._high - self._low)
        return max(0, min(4 * self._height - 1, int(min(share, 2.0) * (4 * self._height - 1))))

    def cell(self, step: float, value: float) -> tuple[int, int]:
        """The cell of a point."""
        return self.column(step) // 2, self.row(value) // 4

    def ranges(self, buckets: list[Bucket]) -> DotMask:
        """For each dot column the range from the lowest to the highest value in it."""
        count, scale, zero = 2 * self._width, self._per_step, self._first
        lows, highs = [math.inf] * count, [-math.inf] * count
        for first, last, low, high, _, _ in buckets:  # thousands, several times a second
            left, right = int((first - zero) * scale), int((last - zero) * scale)
            if right < 0 or left >= count:
                continue
            for column in range(max(0, min(count - 1, left)), min(count - 1, right) + 1):
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
        """Points joined: a column without one takes its share of the way. What lies outside the span is left out."""
        inside = [point for point in points if self._first <= point[0] <= self._last]
        mask: DotMask = {}
        for (step, value), (after, then) in zip(inside, inside[1:], strict=False):
            left, right = self.column(step), self.column(after)
            for column in range(left, right + 1):
                here, there = ((column + more - left) / max(1, right - left + 1) for more in (0, 1))
                rows = sorted(self.row(value + share * (then - value)) for share in (here, there))
                _fill(mask, column, *rows)
        return mask

    def labels(self, form: Form, most: int) -> dict[int, str]:
        """The values at the middles of every fourth row and the last, in at most so many letters.

        They have as many digits as tell them apart, if there is room for these.
        """
        rows = [row for row in range(self._height) if not row % 4 or (row == self._height - 1 and row % 4 != 1)]
        values = [self._high - (row + 0.5) / self._height * (self._high - self._low) for row in rows]
        values = [10.0**value if self._log else value for value in values]
        written = [[form(value, more) for value in values] for more in range(MORE + 1)]
        apart = (words for words in written if len(set(words)) == len(words) and max(map(len, words)) <= most)
        return {row: word[:most] for row, word in zip(rows, next(apart, written[0]), strict=True)}

    def steps(self) -> str:
        """The axis of steps: its first, middle and last."""
        first, last = f"{self._first:,.0f}", f"{self._last:,.0f}"
        middle = f"{(self._first + self._last) / 2:,.0f}" if self._last - self._first > 1 else ""
        line = first.ljust(self._width // 2 - len(middle) // 2) + middle
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
