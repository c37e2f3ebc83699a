"""A series of a run as braille: every step as the range of its column, a smoothed line over it, held-out as circles."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.chart_grid import ZOOMS, DotMask, Form, Grid, Point, Span, smoothed, span
from tui.widgets.curve import Curve

AXIS = 7  # cells of the numbers on the left
BLANK = 0x2800
HELD_OUT, CURSOR = "○", "│"
OTHERS = ("other-1", "other-2", "other-3")  # runs that may be laid over
PARTS = ("train", "smooth", "held-out", "cursor", *OTHERS)
TRAIN, SMOOTHED, CIRCLE, AT_CURSOR, FIRST_OTHER = range(5)  # places in PARTS


class ChartLine(NamedTuple):
    """A run in the chart: its steps, and its held-out points, if the series has such, with a word for them."""

    name: str
    curve: Curve
    held_out: Sequence[Point] = ()
    circles: str = "held-out"


class SeriesChart(Widget):
    """Handed lines by `show`, the run at hand first; draws any number of steps in time that does not grow with them."""

    DEFAULT_CSS = "SeriesChart { height: 1fr; }"
    COMPONENT_CLASSES = {f"series-chart--{name}" for name in (*PARTS, "axis")}

    zoom: reactive[str] = reactive(ZOOMS[0])
    logarithmic: reactive[bool] = reactive(False)
    cursor: reactive[float | None] = reactive(None)  # the step that is read

    class Looked(Message):
        """Something else of the chart is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[ChartLine] = []
        self._steps = 1.0
        self._form = Form("{:.{digits}f}", 2)
        self._drawn: tuple[Size, list[Strip]] | None = None

    def show(self, lines: Sequence[ChartLine], steps: int, form: Form) -> None:
        """Draw these, of a run of `steps` steps; in order of their steps. What is no number is left out."""
        self._lines = [
            line._replace(held_out=[point for point in line.held_out if math.isfinite(point[1])]) for line in lines
        ]
        self._steps, self._form = max(1, steps), form
        self._redraw()

    def _redraw(self) -> None:
        self._drawn = None
        self.refresh()

    def watch_zoom(self) -> None:
        """Another part of the run."""
        self._redraw()
        self.post_message(self.Looked())

    def watch_logarithmic(self) -> None:
        """Another scale."""
        self._redraw()
        self.post_message(self.Looked())

    def watch_cursor(self) -> None:
        """Another step."""
        self._redraw()
        self.post_message(self.Looked())

    @property
    def now(self) -> float:
        """The newest step of the run at hand."""
        return max((bucket.last for line in self._lines[:1] for bucket in line.curve.buckets[-1:]), default=0.0)

    @property
    def shown(self) -> Span:
        """The steps that are drawn."""
        return span(self.zoom, self.now, self._steps)

    def move(self, by: int) -> None:
        """The cursor by so many dots, at least a step; it begins at the newest."""
        first, last = self.shown
        dot = (last - first) / max(1, 2 * (self.size.width - AXIS) - 1)
        moved = (self.now if self.cursor is None else self.cursor) + (by * max(1.0, dot) if self.cursor else 0)
        self.cursor = max(first, min(self.now, round(moved), last))

    def reading(self) -> Content:
        """What the lines are at the cursor's step."""
        step = self.cursor or 0.0
        parts = [Content.assemble("step ", (f"{step:,.0f}", "bold"))]
        for line in self._lines:
            buckets = line.curve.buckets
            at = bisect_right(buckets, step, key=lambda bucket: bucket.first) - 1
            if at < 0 or buckets[at].last < step and at + 1 == len(buckets):
                continue
            here = buckets[at]
            name = line.name if len(self._lines) > 1 else ""
            mean = smoothed(buckets[: at + 1], 1)[-1][1]
            words = [f"{name} {self._form(here.sum / here.steps)}".strip(), f"smoothed {self._form(mean)}"]
            if before := [point for point in line.held_out if point[0] <= step]:
                words.append(f"{line.circles} {self._form(before[-1][1])} (step {before[-1][0]:,.0f})")
            parts.append(Content(", ".join(words)))
        return Content(" · ").join(parts)

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
        shown, form = self.shown, self._form
        whole = shown == (0, self._steps)
        width, height = self.size.width - AXIS, self.size.height - 2 + whole
        axis = self.get_component_rich_style("series-chart--axis", partial=True)
        if width < 8 or height < 3:
            return []
        values = self._values(shown)
        if not values:
            middle = Strip([Segment("no steps yet".center(self.size.width), axis)])
            return [Strip.blank(self.size.width)] * (height // 2) + [middle]
        grid = Grid(width, height, shown, min(values), max(values), self.logarithmic)
        layers = self._layers(grid, width, height)
        styles = [self.get_component_rich_style(f"series-chart--{name}", partial=True) for name in PARTS]
        strips, labels = [], grid.labels(form, AXIS - 1)
        for row in range(height):
            label = labels.get(row, "").rjust(AXIS - 1) + " "
            strips.append(Strip([Segment(label, axis), *_cells(row, width, layers, styles)]))
        strips.append(Strip([Segment(" " * AXIS + grid.steps(), axis)]))
        if not whole:
            strips.append(Strip([Segment(" " * AXIS), *self._scale(shown, width, axis, styles[SMOOTHED])]))
        return strips

    def _values(self, shown: Span) -> list[float]:
        """The lowest and highest values that are to be seen, of the first line's steps and all that is drawn of it."""
        first, last = shown
        values = [
            value
            for line in self._lines[:1]
            for bucket in line.curve.buckets
            if bucket.last >= first and bucket.first <= last
            for value in (bucket.low, bucket.high)
        ]
        values += [value for line in self._lines for step, value in line.held_out if first <= step <= last]
        for line in self._lines[1:]:
            values += [value for step, value in smoothed(line.curve.buckets, 64) if first <= step <= last]
        return [value for value in values if value > 0] if self.logarithmic else values

    def _layers(self, grid: Grid, width: int, height: int) -> list[tuple[int, dict[tuple[int, int], str]]]:
        """What is drawn, the topmost first: which of `PARTS`, and its signs by cell."""
        layers: list[tuple[int, dict[tuple[int, int], str]]] = []
        first, last = self.shown
        if self._lines:
            circles = [point for point in self._lines[0].held_out if first <= point[0] <= last]
            layers.append((CIRCLE, {grid.cell(*point): HELD_OUT for point in circles}))
        if self.cursor is not None and first <= self.cursor <= last:
            column = grid.column(self.cursor) // 2
            layers.append((AT_CURSOR, {(column, row): CURSOR for row in range(height)}))
        for place, line in enumerate(self._lines):
            part = SMOOTHED if place == 0 else FIRST_OTHER + (place - 1) % len(OTHERS)
            layers.append((part, _signs(grid.line(smoothed(line.curve.buckets, 2 * width)))))
        if self._lines:
            layers.append((TRAIN, _signs(grid.ranges(self._lines[0].curve.buckets))))
        return layers

    def _scale(self, shown: Span, width: int, axis: Style, bright: Style) -> list[Segment]:
        """A thin line for the whole run; what is shown of it is thick."""
        words = f" of {self._steps:,.0f}"
        room = max(4, width - len(words))
        left = min(room - 1, int(shown.first / self._steps * room))
        right = max(left + 1, min(room, round(shown.last / self._steps * room)))
        return [
            Segment("─" * left, axis), Segment("━" * (right - left), bright), Segment("─" * (room - right), axis),
            Segment(words, axis),
        ]  # fmt: skip


def _signs(mask: DotMask) -> dict[tuple[int, int], str]:
    return {place: chr(BLANK + dots) for place, dots in mask.items()}


def _cells(
    row: int, width: int, layers: Sequence[tuple[int, dict[tuple[int, int], str]]], styles: list[Style]
) -> list[Segment]:
    """A row, in as few segments as it has changes of style."""
    cells: list[tuple[int, str]] = []
    for column in range(width):
        place = (column, row)
        cells.append(next(((part, signs[place]) for part, signs in layers if place in signs), (TRAIN, " ")))
    runs = groupby(cells, key=itemgetter(0))
    return [Segment("".join(text for _, text in run), styles[part]) for part, run in runs]
