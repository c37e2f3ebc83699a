"""Running heads and feet of pages: short lines at the edge that return on page after page, but for a number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gemmalocal.jobs.plurals import counted

EDGE = 2  # lines at the top and at the foot of a page that may be running
FEWEST = 4  # pages; of fewer nothing can be said to return
MOST = 0.5  # a line on more of the pages than this (or of the odd, or of the even ones) returns
ALIKE = 16  # characters at the beginning of a chapter's running head
LONGEST = 120  # characters
ZONE = 0.15  # of the page's height, in which a head or a foot stands
GAP = 1.6  # of the distance between lines: what is parted from the text by more is no line of it
AHEAD = 50  # by which a page's number may be ahead of its place, beside other words
LARGE = 1.2  # times the usual height: a title
MOSTLY = 0.8  # of a line's numbers, if they count the pages
MEASURED = 40  # pages, in the middle of a document, that tell what is usual
SHOWN = 3  # lines that are told
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b(?=\W*$)", re.IGNORECASE)
MASK = "\ufdd1"  # stands for a number
PAGE = re.compile(
    r"(?:page|pages|p|pg|seite|s|pagina|página|pág|стр|of|von|de|di|sur|из|第|页|頁|ページ|\W|_)*", re.IGNORECASE
)
DECIMAL = re.compile(f"{MASK}[.,]{MASK}")  # an amount
ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class Edge(NamedTuple):
    """A line at the top (side 0) or at the foot (1) of a page: which page and line, and its text but for numbers."""

    page: int
    line: int
    side: int
    mask: str


class Pages(NamedTuple):
    """Lines by page; how far from the top each stands (0 to 1) and how high it is, None where that is not known."""

    lines: list[list[str]]
    offsets: list[list[float | None]]
    heights: list[list[float | None]]
    distance: float = 0.0  # that is usual between lines, of the page's height
    height: float = 0.0  # that is usual


def _measured(pages: Pages) -> Pages:
    """The pages with what is usual in the middle of the document."""
    start = max((len(pages.lines) - MEASURED) // 2, 0)
    offsets = pages.offsets[start : start + MEASURED]
    pairs = (pair for page in offsets for pair in zip(page, page[1:], strict=False))
    distances = [
        abs(upper - lower) for upper, lower in pairs if upper is not None and lower is not None and upper != lower
    ]
    heights = [height for page in pages.heights[start : start + MEASURED] for height in page if height]
    return pages._replace(distance=_middle(distances), height=_middle(heights))


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def strip(pages: Pages) -> tuple[list[list[str]], str]:
    """The lines without running ones, and a sentence about those; "" if there are none. No page is emptied."""
    pages = _measured(pages)
    edges = [edge for page in range(len(pages.lines)) for edge in _edges(pages, page)]
    running = _running(pages, edges)
    running_lines: dict[int, set[int]] = {}
    for page, line in running:
        running_lines.setdefault(page, set()).add(line)
    kept_pages, removed = [], []
    for number, lines in enumerate(pages.lines):
        page_running = running_lines.get(number, set())
        if len(page_running) >= len(lines):
            kept_pages.append(lines)
            continue
        kept_pages.append([line for index, line in enumerate(lines) if index not in page_running])
        removed += [lines[index] for index in sorted(page_running)]
    return kept_pages, notice(removed)


def notice(lines: Sequence[str]) -> str:
    """A sentence about lines that were left out; "" if none was."""
    if not lines:
        return ""
    kinds = dict.fromkeys(masked(line) for line in lines)
    first = {masked(line): line for line in reversed(lines)}
    shown = ", ".join(f"'{first[kind]}'" for kind in list(kinds)[:SHOWN])
    number = counted(len(lines), "line")
    return f"Left out as running heads and page numbers: {number} at the edges of pages, such as {shown}."


def _edges(pages: Pages, page: int) -> Iterator[Edge]:
    lines = pages.lines[page]
    for index in dict.fromkeys((*range(min(EDGE, len(lines))), *range(max(len(lines) - EDGE, 0), len(lines)))):
        mask = masked(lines[index])
        large = (pages.heights[page][index] or 0) > LARGE * pages.height
        if len(lines[index]) <= LONGEST and (not large or _is_number(mask)):
            if index < EDGE:
                yield Edge(page, index, 0, mask)
            if len(lines) - index <= EDGE:
                yield Edge(page, index, 1, mask)


def _running(pages: Pages, edges: Sequence[Edge]) -> set[tuple[int, int]]:
    """The page and line of each running head or foot."""
    returning = _returning(pages, edges)
    records = _records(pages, edges, returning)
    accepted = dict[tuple[int, str], bool]()
    running = set[tuple[int, int]]()
    for edge in edges:
        key = (edge.side, edge.mask)
        if key in returning and key not in accepted:
            accepted[key] = _counts(pages, [peer for peer in edges if (peer.side, peer.mask) == key])
        stands = _is_at_edge(pages, edge) and (edge.page not in records or _parted(pages, edge))
        if (accepted.get(key) and (stands or _is_number(edge.mask))) or _of_chapter(pages, edge):
            running.add((edge.page, edge.line))
    return {(page, line) for page, line in running if _outermost(pages, running, page, line)}


def _returning(pages: Pages, edges: Sequence[Edge]) -> set[tuple[int, str]]:
    returning = set[tuple[int, str]]()
    full = [page for page, lines in enumerate(pages.lines) if lines]
    # Together, then the odd and the even pages by themselves: books have other heads at the left and at the right.
    for group in (full, [page for page in full if page % 2], [page for page in full if not page % 2]):
        if len(group) < FEWEST:
            continue
        members = set(group)
        occurrences = Counter({(edge.page, edge.side, edge.mask) for edge in edges if edge.page in members})
        pages_of = Counter((side, mask) for _, side, mask in occurrences)
        returning |= {key for key, count in pages_of.items() if count > MOST * len(group)}
    return returning


def _records(pages: Pages, edges: Sequence[Edge], returning: set[tuple[int, str]]) -> set[int]:
    """Pages that are forms, not text: two lines that follow each other without a gap return at their top."""
    heads = Counter(
        edge.page
        for edge in edges
        if edge.side == 0 and (0, edge.mask) in returning and not _is_number(edge.mask) and not _parted(pages, edge)
    )
    forms = {page for page, count in heads.items() if count >= EDGE}
    return set(range(len(pages.lines))) if len(forms) > MOST * len(pages.lines) else forms


def _counts(pages: Pages, edges: Sequence[Edge]) -> bool:
    """Do the numbers of a returning line go with the pages, or with chapters, or stay? An invoice's do not."""
    # For each number within the line its column: pairs of a page and what the line says there.
    rows = [(edge.page, _numbers(pages.lines[edge.page][edge.line])) for edge in edges]
    columns = [[(page, numbers[place]) for page, numbers in rows] for place in range(min(len(row) for _, row in rows))]
    if _is_number(edges[0].mask):
        return any(_steps(column) >= MOST for column in columns)
    words = re.findall(r"[^\W\d_]+", edges[0].mask)
    parted = sum(_parted(pages, edge) for edge in edges) > MOST * len(edges)
    for column in columns:
        ahead = Counter(value - page for page, value in column).most_common(1)[0][0]
        paged = _steps(column) >= MOSTLY and -len(pages.lines) < ahead <= max(AHEAD, len(pages.lines))
        if paged and len(words) < 2 and not parted:
            return False  # "Question 7"
        if not paged and len({value for _, value in column}) > len(column) / 2:
            return False
    return True


def _steps(column: Sequence[tuple[int, int]]) -> float:
    """The share of numbers that go on from the page before, as pages do."""
    pairs = list(zip(column, column[1:], strict=False))
    return sum(later[1] - earlier[1] == later[0] - earlier[0] for earlier, later in pairs) / max(len(pairs), 1)


def _numbers(line: str) -> list[int]:
    return [int(number[-18:]) if number.isdigit() else roman(number.lower()) for number in NUMBER.findall(line)]


def roman(number: str) -> int:
    """What a Roman number in small letters is."""
    values = [ROMAN[letter] for letter in number]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _is_number(mask: str) -> bool:
    return MASK in mask and PAGE.fullmatch(mask) is not None and not DECIMAL.search(mask)


def _is_at_edge(pages: Pages, edge: Edge) -> bool:
    offset = pages.offsets[edge.page][edge.line]
    return offset is None or (offset < ZONE if edge.side == 0 else offset > 1 - ZONE)


def _parted(pages: Pages, edge: Edge) -> bool:
    """Is there more than a line's distance between an edge line, with those beyond it, and the text?"""
    offsets = pages.offsets[edge.page]
    inner = edge.line + 1 if edge.side == 0 else edge.line - 1
    own, text = offsets[edge.line], offsets[inner] if 0 <= inner < len(offsets) else None
    return own is not None and text is not None and abs(text - own) > GAP * pages.distance > 0


def _of_chapter(pages: Pages, edge: Edge) -> bool:
    """Is it a first line that a page nearby has too, parted from the text, or with a number that counts the pages?"""
    own = edge.mask[:ALIKE]
    if edge.line or edge.side or not _is_at_edge(pages, edge):
        return False
    line = pages.lines[edge.page][0]
    counted = MASK in edge.mask and len(own) == ALIKE
    for nearby in range(max(edge.page - 2, 0), min(edge.page + 3, len(pages.lines))):
        first = next(iter(pages.lines[nearby]), "")
        if nearby != edge.page and first == line and len(pages.lines) >= FEWEST and _parted(pages, edge):
            return True
        if nearby != edge.page and counted and masked(first).startswith(own):
            own_numbers, their_numbers = _numbers(line), _numbers(first)
            steps = {
                their_number - own_number for their_number, own_number in zip(their_numbers, own_numbers, strict=False)
            }
            if nearby - edge.page in steps and any(
                abs(n - edge.page) <= max(AHEAD, len(pages.lines)) for n in own_numbers
            ):
                return True
    return False


def _outermost(pages: Pages, running: set[tuple[int, int]], page: int, line: int) -> bool:
    """Is all between a line and the page's edge running too?"""
    last = len(pages.lines[page])
    return all((page, index) in running for index in range(line)) or all(
        (page, index) in running for index in range(line + 1, last)
    )


def masked(line: str) -> str:
    """A line with a mark for each of its numbers, and single spaces."""
    return NUMBER.sub(MASK, " ".join(line.split()))
