"""Web pages: trafilatura leaves navigation out; where it finds no article, the whole body."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemmalocal.documents import html_root
from gemmalocal.documents.document import Content, Section, SectionBuilder, Unreadable, table
from gemmalocal.documents.html_shown import keep_visible
from gemmalocal.documents.markup import bounded, is_deep
from gemmalocal.documents.text import decode

MARK = "\u2e3b"  # stands before a heading, with its level, while trafilatura works: it drops many headings
LEAST = 200  # characters; of less the body is read instead
LONGEST = 4 << 20  # characters; trafilatura takes seconds for a longer page
CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BESIDE = "//*[self::aside or contains(@class, 'side') or contains(@id, 'side')]"
ASIDE = re.compile(  # what is no part of an article, though it holds sentences
    r"comment|disqus|cookie|consent|banner|newsletter|subscri|popup|modal|foot(?!note)|nav|menu|crumb|share|social|"
    r"related|promo|advert|\bads?\b|sponsor|login|search|widget|byline|meta\b|skip",
    re.IGNORECASE,
)
MOST = 0.5  # of the paragraphs that trafilatura dropped: if our own walk lacks as many, they are no part of the text
PROSE, LINKS = 100, 0.3  # characters of an element that holds sentences, and the share of links in it
BREAK = "\ue0f1"  # stands for <br>
BLOCK = (
    "address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr li main ol p pre section summary table tbody td tfoot th thead tr ul"
)
APART = "head script style noscript template nav svg button select iframe object textarea"
BLOCKS, NOT_TEXT = frozenset(BLOCK.split()), frozenset(APART.split())


def read_html(file: Path, password: str | None = None) -> Content:
    """The article of a page, a section a heading."""
    data = file.read_bytes()
    declared = CHARSET.search(data[:2048])
    return page(decode(data, declared[1].decode() if declared else ""))


def page(html: str) -> Content:
    """Text by section of a page's source; raises `Unreadable` if it has none."""
    html = bounded(html)
    main = article(html) if len(html) <= LONGEST and not is_deep(html) else Content("", [])
    if sum(len(section.text) for section in main.sections) >= LEAST:
        return main
    return body(html)


def article(html: str) -> Content:
    """What trafilatura takes for the text, with its headings and tables; empty if it finds none."""
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it cannot read, `body` reads or refuses
    tree = trafilatura.load_html(html.encode("utf-8", "replace"))
    if tree is None:
        return Content("", [])
    hidden = keep_visible(tree)
    title = " ".join((tree.findtext(".//title") or "").split())
    paragraphs = list(html_root.paragraphs(tree))
    if "side" in html:
        _unname(tree)
    headings = list(tree.iter(*HEADINGS))
    for heading in headings:
        _mark(heading)
    text = trafilatura.extract(tree, include_comments=False, include_tables=True, favor_recall=True, fast=True) or ""
    text = re.sub(r"(?m)^-\n", "- ", text)  # an item of a list
    text = re.sub(r"(?m)^( *)- (?=(?:-|-?\d+\.|[a-zA-Z]\.|[ivxlcdmIVXLCDM]+\.) )", r"\1", text)  # that has its own mark
    sections = SectionBuilder()
    for block in re.split(f"\n(?=-? *{MARK})", text):
        first, _, rest = block.partition("\n")
        if match := re.match(f"-? *{MARK}([1-6])", first):
            sections.heading(int(match[1]), first[match.end() :])
        else:
            rest = block
        sections.add(re.sub(f"{MARK}[1-6]", "", rest))
    sections.end()
    if missing := html_root.missing(paragraphs, text):
        whole = _of_root(tree, headings)
        if len(html_root.missing(missing, "\n".join(section.text for section in whole))) < MOST * len(missing):
            return Content(title or sections.title, whole, hidden.warnings)
    return sections.content(title, hidden.warnings)


def _of_root(tree: Any, headings: Sequence[Any]) -> list[Section]:
    """The text of a page without its navigation, by our own walk; the headings get their names back."""
    for heading in headings:
        if heading.tag == "p":
            heading.tag, heading.text = f"h{heading.text[1]}", heading.text[2:]
    sections = SectionBuilder()
    _walk(html_root.text_root(tree), sections)
    sections.end()
    return sections.collected


def _unname(tree: Any) -> None:
    """Take their names from elements at the side that hold sentences: trafilatura drops what is called a sidebar."""
    for node in tree.xpath(BESIDE):
        if ASIDE.search(f"{node.get('class', '')} {node.get('id', '')} {node.get('role', '')}"):
            continue
        letters = sum(map(len, node.itertext()))
        linked = sum(len(text) for link in node.iter("a") for text in link.itertext())
        if letters < PROSE or linked > LINKS * letters:
            continue
        for name in ("class", "id", "role"):
            node.attrib.pop(name, None)
        if node.tag == "aside" and next(node.iterancestors("main", "article"), None) is not None:
            node.tag = "div"


def _mark(heading: Any) -> None:
    """Make a heading a paragraph with a mark: trafilatura keeps what looks like text."""
    words = " ".join("".join(heading.itertext()).split())
    if words:
        for child in list(heading):
            heading.remove(child)
        heading.text = f"{MARK}{heading.tag[1]}{words}"
        heading.attrib.clear()
        heading.tag = "p"


def body(html: str) -> Content:
    """All text of a page but scripts and navigation, block by block; raises `Unreadable` if there is none."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    tree = etree.fromstring(html.encode("utf-8", "replace"), parser)
    sections = SectionBuilder()
    hidden: tuple[str, ...] = ()
    if tree is not None:
        hidden = keep_visible(tree).warnings
        _walk(tree, sections)
    sections.end()
    if not sections.collected:
        raise Unreadable("is empty: there is no text on the page", "Leave it out.")
    title = " ".join((tree.findtext(".//title") or "").split())
    return sections.content(title, hidden)


def _walk(tree: Any, sections: SectionBuilder) -> None:
    """Elements in their order, without recursion: pages nest as deep as they like."""
    from lxml import etree

    loose: list[str] = []  # text since the last block

    def flush() -> None:
        lines = "".join(loose).split(BREAK)
        sections.add("\n".join(filter(None, (" ".join(line.split()) for line in lines))))
        loose.clear()

    walk = etree.iterwalk(tree, events=("start", "end"))
    for event, node in walk:
        block = node.tag in BLOCKS
        if block:
            flush()
        if event == "end":
            loose.append(node.tail or "")
        elif node.tag in NOT_TEXT or _whole(node, sections):
            walk.skip_subtree()
        else:
            loose.append(BREAK if node.tag == "br" else node.text or "")
    flush()


def _whole(node: Any, sections: SectionBuilder) -> bool:
    """Take a heading, a listing or a table of plain cells as one block; False if it is none of them."""
    if node.tag in HEADINGS:
        sections.heading(int(node.tag[1]), "".join(node.itertext()))
    elif node.tag == "pre":
        sections.add("".join(node.itertext()))
    elif node.tag == "table" and node.find(".//table") is None and not any(True for _ in node.iter(*HEADINGS)):
        rows = ([" ".join(cell.itertext()) for cell in row.iter("th", "td")] for row in node.iter("tr"))
        sections.add(table(list(rows)))
    else:
        return False
    return True
