"""Finds what a screen cuts: words that end at an edge without an ellipsis, and lines that nobody can scroll to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.content import Content
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.visual import RichVisual
from textual.widget import Widget
from textual.widgets import DataTable, Input, OptionList, TextArea, Tree
from textual.widgets._toast import Toast

END = "…"


def cut(screen: Screen[object]) -> list[str]:
    """What is cut, and where; an empty list is as it should be."""
    strips = screen._compositor.render_strips()
    places = screen._compositor.visible_widgets
    toasts = [region for widget, (region, _) in places.items() if isinstance(widget, Toast)]
    found = []
    for widget, (region, clip) in places.items():
        inner = region.shrink(widget.gutter).intersection(clip)
        if not inner.area or any(toast.overlaps(inner) for toast in toasts) or widget.screen is not screen:
            continue
        found += [f"{type(widget).__name__} {widget.id or ''}: {lost}" for lost in _lost(widget, region, inner, strips)]
    return found


def _lost(widget: Widget, region: Region, inner: Region, strips: Sequence[Strip]) -> Iterator[str]:
    if widget.border_title and widget.styles.border_top[0] not in ("", "none"):
        top = strips[region.y].crop(region.x, region.right).text if 0 <= region.y < len(strips) else END
        if str(widget._border_title) not in top and END not in top:
            yield f"title {top}"
    if isinstance(widget, DataTable):
        yield from _lost_of_table(widget, inner, strips)
    elif (own := _own(widget)) is not None:
        drawn = [strips[y].crop(inner.x, inner.right).text for y in range(inner.y, inner.bottom)]
        yield from missing(own, drawn, _scrolls(widget))


def _own(widget: Widget) -> str | None:
    """All that a widget would show, if it had the room; None where that is not a text."""
    if isinstance(widget, TextArea | Tree):
        return None
    if isinstance(widget, Input):
        return widget.placeholder if not widget.value else None
    if isinstance(widget, OptionList):
        return "\n".join(_plain(option.prompt) for option in widget.options)
    if type(widget).render is Widget.render:  # it draws line by line
        return None
    visual = widget._render()
    if isinstance(visual, RichVisual):
        visual = visual._renderable  # type: ignore[assignment]
    return _plain(visual) if isinstance(visual, Content | Text) else None


def _plain(text: object) -> str:
    return text.plain if isinstance(text, Content | Text) else str(text)


def _scrolls(widget: Widget) -> bool:
    """Whether what is below can be scrolled to."""
    return any(isinstance(node, Widget) and node.allow_vertical_scroll for node in widget.ancestors_with_self)


def missing(own: str, drawn: Sequence[str], scrolls: bool) -> Iterator[str]:
    """Where lines that were drawn do not follow each other in a text, and do not say so."""
    text, lines = _letters(own), [line.rstrip() for line in drawn]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not text:
        return
    first = _letters(lines[0].rstrip(END))
    starts = [at for at in range(len(text)) if text.startswith(first, at)] if scrolls else [0]
    told = [_follow(text, lines, start, scrolls) for start in starts]
    if "" not in told:
        yield next(iter(told), f"{lines[0]!r} is not in {own!r}")


def _follow(text: str, lines: Sequence[str], at: int, scrolls: bool) -> str:
    """Go along the lines, from a place in the text on; what is wrong, or nothing."""
    open_end = False
    for line in lines:
        piece = _letters(line.rstrip(END))
        place = text.find(piece, at) if open_end else at
        if place < 0 or not text.startswith(piece, place):
            return f"before {line.strip()!r} comes {text[max(0, at - 12) : at + 12]!r}"
        at, open_end = place + len(piece), line.endswith(END)
    rest = text[at:].strip(END)
    return "" if open_end or scrolls or not rest else f"after {lines[-1].strip()!r} comes {rest[:24]!r}"


def _letters(text: str) -> str:
    return "".join(text.split())


def _lost_of_table(table: DataTable[Text], inner: Region, strips: Sequence[Strip]) -> Iterator[str]:
    """Of the cells that are seen, and of columns that have no room."""
    first = inner.y + table.header_height
    left = inner.x - table.scroll_offset.x
    for column in table.ordered_columns:
        width, pad = column.get_render_width(table), table.cell_padding
        place = Region(left + pad, 0, width - 2 * pad, 1)
        left += width
        cells = [(inner.y, _plain(column.label))] if table.show_header else []
        for row in range(table.row_count):
            y = first + row - int(table.scroll_offset.y)
            if first <= y < inner.bottom:
                cells.append((y, _plain(table.get_row_at(row)[table.ordered_columns.index(column)])))
        for y, own in cells:
            shown = strips[y].crop(place.x, min(place.right, inner.right)).text
            yield from missing(own, [shown], False)
