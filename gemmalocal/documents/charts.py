"""The figures of a chart of Office, from what its part keeps of them: a column a series, a row a category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemmalocal.documents.document import table

C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
MOST = 100_000  # points of a series


def text(chart: Any) -> str:
    """The chart's title, and a table of each plot; `chart` is the root element of its part."""
    title = chart.find(f"{C}chart/{C}title")
    words = "" if title is None else "".join(title.itertext(f"{A}t"))
    plots = chart.find(f"{C}chart/{C}plotArea")
    rows = [[words]] if words.strip() else []
    for plot in () if plots is None else plots:
        series = plot.findall(f"{C}ser")
        if series:
            rows += _rows(series)
    return table(rows)


def _rows(series: Sequence[Any]) -> list[list[str]]:
    names = [
        "".join(element.itertext(f"{C}v")) for element in (ser.find(f"{C}tx") for ser in series) if element is not None
    ]
    categories = _points(series[0], "cat") or _points(series[0], "xVal")
    values = [_points(element, "val") or _points(element, "yVal") for element in series]
    length = max(map(len, (categories, *values)))
    columns = [[column[row] if row < len(column) else "" for column in (categories, *values)] for row in range(length)]
    return [["", *names], *columns]


def _points(series: Any, name: str) -> list[str]:
    """What a series keeps under a name, each in its place."""
    values = series.find(f"{C}{name}")
    if values is None:
        return []
    points: dict[int, list[str]] = {}
    for point in values.iter(f"{C}pt"):
        index, value = point.get("idx", ""), point.findtext(f"{C}v") or ""
        if index.isdigit() and int(index) < MOST:
            points.setdefault(int(index), []).insert(0, _shown(value))
    return [" ".join(points.get(index, ())) for index in range(max(points, default=-1) + 1)]


def _shown(value: str) -> str:
    """A number as it is read: 4.5 for 4.5000000000000002."""
    try:
        return f"{float(value):g}" if len(value) > 15 and "." in value else value.removesuffix(".0")
    except ValueError:
        return value
