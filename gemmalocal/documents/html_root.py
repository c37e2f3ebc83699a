"""Where a web page's text is, by itself: what an article may not lack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gemmalocal.documents.html_shown import drop

MOST = 0.99  # of an element's letters that one child holds, if the text is within that
LINKS = 0.6  # of a list's or a table's letters, if it is there to go elsewhere
LISTS = frozenset(("ul", "ol", "dl", "table", "p", "div", "section", "nav"))
ELSEWHERE = frozenset(("script", "style", "noscript", "template", "nav", "footer", "form", "select", "button", "svg"))
PARAGRAPHS = ("p", "pre", "dd", "div")
BEGINNING, FEW = 40, 0.005  # characters, and the share of paragraphs that may be left out
FAR = 4000  # characters, within which the next paragraph is likely
NAMES = re.compile(r"\b(?:comments?|respond|disqus\w*|nav\w*|footer|header|menu|breadcrumbs?|cookie\w*|social|share)\b")


def paragraphs(tree: Any) -> Iterator[str]:
    """The beginnings of a page's longer paragraphs, without white space."""
    for node in tree.iter(*PARAGRAPHS):
        text = node.text or ""
        if len(text) < 3 * BEGINNING and node.tag != "div":
            text = "".join(node.itertext())
        if len(text) >= BEGINNING:
            key = "".join(text[: 3 * BEGINNING].split())[:BEGINNING]
            if len(key) == BEGINNING:
                yield key


def missing(beginnings: Sequence[str], text: str) -> list[str]:
    """The paragraphs that a text lacks between its first and its last; none if these are few."""
    text, position = "".join(text.split()), 0
    lacking = list[str]()
    since = list[str]()  # lacking since the last that is there
    for key in beginnings:
        match_start = text.find(key, position, position + FAR)  # most stand in their order
        match_start = text.find(key) if match_start < 0 else match_start
        if match_start < 0:
            since.append(key)
        else:
            lacking += since if position else ()
            since, position = [], match_start + 1
    return lacking if len(lacking) > FEW * len(beginnings) else []


def text_root(tree: Any) -> Any:
    """The innermost element that holds nearly all text of a page; takes navigation out of the tree."""
    body = tree.find("body") if tree.tag != "body" else tree
    if body is None:
        return tree
    sizes: dict[Any, int] = {}
    linked: dict[Any, int] = {}
    away = []
    for node in reversed(list(body.iter())):  # children come before their parents
        size, links = sizes.get(node, 0) + _letters(node.text), linked.get(node, 0)
        if not isinstance(node.tag, str) or node.tag in ELSEWHERE or (size and _is_apart(node, size, links)):
            away.append(node)
            size = links = 0
        elif node.tag == "a":
            links = size
        sizes[node], linked[node] = size, links
        parent = node.getparent()
        if node is not body and parent is not None:
            sizes[parent] = sizes.get(parent, 0) + size + _letters(node.tail)
            linked[parent] = linked.get(parent, 0) + links
    node = body
    while (inner := next((child for child in node if sizes[child] > MOST * sizes[node]), None)) is not None:
        node = inner
    for element in away:
        if element is not node and element is not body:
            drop(element)
    return node


def _is_apart(node: Any, size: int, links: int) -> bool:
    if node.tag in LISTS and links > LINKS * size:
        return True
    return bool(node.attrib) and bool(NAMES.fullmatch(node.get("id", "")) or NAMES.search(node.get("class", "")))


def _letters(text: str | None) -> int:
    return len(text.strip()) if text else 0
