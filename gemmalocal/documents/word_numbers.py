"""The numbers and bullets that Word writes before paragraphs, counted as Word counts them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from gemmalocal.documents.counters import numeral

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
KINDS = {"lowerLetter": "a", "upperLetter": "A", "lowerRoman": "i", "upperRoman": "I"}
LEVELS = 9
HOPS = 20  # styles that are based on each other, at the most


class ListLevel(NamedTuple):
    """How one level of a list counts and what it writes, such as "%1.%2."."""

    start: int
    kind: str
    text: str
    legal: bool  # all numbers in it are plain
    restart: int  # 0: it never begins anew; else the level, from 1, after which it does


class Numbers:
    """Counts the paragraphs of a document, in their order."""

    def __init__(self, word: Any) -> None:
        self._styles = {style.get(f"{W}styleId"): style for style in word.styles.element.iter(f"{W}style")}
        part = next((rel.target_part for rel in word.part.rels.values() if rel.reltype.endswith("/numbering")), None)
        root = getattr(part, "element", None)
        self._abstract = (
            {}
            if root is None
            else {element.get(f"{W}abstractNumId"): element for element in root.iter(f"{W}abstractNum")}
        )
        self._lists = (
            {} if root is None else {element.get(f"{W}numId"): element for element in root.iterfind(f"{W}num")}
        )
        self._counts: dict[str, list[int | None]] = {}  # by abstract list
        self._begun = set[tuple[str, int]]()  # lists and levels whose own start has been taken

    def before(self, paragraph: Any) -> str:
        """What stands before a paragraph: "1.2. ", "a) ", "- ", or nothing. Counts it."""
        number, depth = self._list_of(paragraph)
        if number not in self._lists or not 0 <= depth < LEVELS:
            return ""
        kind = value_of(self._lists[number], "abstractNumId")
        level = self._level(number, kind, depth)
        if level is None:
            return ""
        indent = "  " * depth
        if level.kind == "bullet":
            return f"{indent}- " if level.text.strip() else ""
        counts = self._count(number, kind, depth, level)
        if level.kind == "none":
            return ""
        text = re.sub("%([1-9])", lambda match: self._shown(number, kind, int(match[1]) - 1, counts, level), level.text)
        return f"{indent}{text.strip()} " if text.strip() else ""

    def _list_of(self, paragraph: Any) -> tuple[str, int]:
        """The list of a paragraph and the level in it, from itself or from its style."""
        own = paragraph.find(f"{W}pPr/{W}numPr")
        number, depth = value_of(own, "numId"), value_of(own, "ilvl")
        style = value_of(paragraph.find(f"{W}pPr"), "pStyle")
        for _ in range(HOPS):
            node = self._styles.get(style)
            if node is None or (number and depth):
                break
            properties = node.find(f"{W}pPr/{W}numPr")
            if properties is not None and not number:
                number = value_of(properties, "numId")
                depth = depth or value_of(properties, "ilvl") or self._of_style(number, style)
            style = value_of(node, "basedOn")
        return number, int(depth) if depth.isdigit() else 0

    def _of_style(self, number: str, style: str) -> str:
        """The level that a list gives to a paragraph's style."""
        if number not in self._lists:
            return ""
        abstract = self._abstract.get(value_of(self._lists[number], "abstractNumId"))
        levels = () if abstract is None else abstract.iterfind(f"{W}lvl")
        return next((str(level.get(f"{W}ilvl")) for level in levels if value_of(level, "pStyle") == style), "")

    def _level(self, number: str, kind: str, depth: int) -> ListLevel | None:
        override = self._override(number, depth)
        node = None if override is None else override.find(f"{W}lvl")
        if node is None:
            node = _numbered(self._linked(kind), "lvl", depth)
        if node is None:
            return None
        start, restart = value_of(node, "start"), value_of(node, "lvlRestart")
        return ListLevel(
            int(start) if start.isdigit() else 1,
            value_of(node, "numFmt") or "decimal",
            value_of(node, "lvlText"),
            node.find(f"{W}isLgl") is not None,
            int(restart) if restart.isdigit() else depth,
        )

    def _linked(self, kind: str) -> Any:
        """An abstract list, or the one that it takes from a style."""
        abstract = self._abstract.get(kind)
        link = value_of(abstract, "numStyleLink")
        if not link:
            return abstract
        return next(
            (other_list for other_list in self._abstract.values() if value_of(other_list, "styleLink") == link),
            abstract,
        )

    def _override(self, number: str, depth: int) -> Any:
        return _numbered(self._lists[number], "lvlOverride", depth)

    def _count(self, number: str, kind: str, depth: int, level: ListLevel) -> list[int | None]:
        counts = self._counts.setdefault(kind, [None] * LEVELS)
        own = value_of(self._override(number, depth), "startOverride")
        if own.isdigit() and (number, depth) not in self._begun:
            counts[depth] = int(own)
        else:
            before = counts[depth]
            counts[depth] = level.start if before is None else before + 1
        self._begun.add((number, depth))
        for deeper in range(depth + 1, LEVELS):
            below = self._level(number, kind, deeper)
            if below is None or below.restart > depth:
                counts[deeper] = None
        return counts

    def _shown(self, number: str, kind: str, depth: int, counts: list[int | None], level: ListLevel) -> str:
        own = self._level(number, kind, depth)
        count = counts[depth]
        if own is None or own.kind in ("none", "bullet"):
            return ""
        count = own.start if count is None else count
        if own.kind == "decimalZero" and not level.legal:
            return f"{count:02}"
        return numeral(count, "1" if level.legal else KINDS.get(own.kind, "1"))


def value_of(node: Any, name: str) -> str:
    """The value of an element's child of this name; "" where there is none."""
    child = None if node is None else node.find(f"{W}{name}")
    return "" if child is None else str(child.get(f"{W}val", ""))


def _numbered(node: Any, name: str, depth: int) -> Any:
    children = () if node is None else node.iterfind(f"{W}{name}")
    return next((child for child in children if child.get(f"{W}ilvl") == str(depth)), None)
