"""Text that is written with marks for its headings: reStructuredText, Org, AsciiDoc, and Markdown with components."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from gemmalocal.documents.document import Content, SectionBuilder
from gemmalocal.documents.text import FENCE, decode, markdown

Heading = tuple[int, str]  # its level and its title
UNDERLINE = re.compile(r"""([=\-`:.'"~^_*+#<>!$%&(),/;?@\[\\\]{|}])\1{2,}[ \t]*$""")
RST_SILENT = (
    "image figure toctree index contents meta highlight include role default-role currentmodule module sectionauthor "
    "tabularcolumns raw only automodule autoclass autofunction"
)
RST_ASIDE = re.compile(  # comments, targets, and directives that show nothing
    r"\.\.(?: *$| _| \[?[^:\n]*$| (?:\|[^|]+\| )?(?:" + "|".join(RST_SILENT.split()) + ")::)"
)
ORG_ASIDE = re.compile(r"[ \t]*(?:#\+(?!title)[\w-]+:|:[\w-]+:(?:[ \t]|$)|# )", re.IGNORECASE)
ORG_TITLE = re.compile(r"#\+title:[ \t]*(.+)", re.IGNORECASE)
ORG_HEADING = re.compile(r"(\*+)[ \t]+(.+?)(?:[ \t]+:[\w@:]+:)?[ \t]*$")
ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_\w+", re.IGNORECASE)
ADOC_HEADING, ADOC_ASIDE = (
    re.compile(r"(={1,6})[ \t]+(\S.*)$"),
    re.compile(r"(?://(?!/)|:[\w!-]+:|\[.*\]$|include::|image::)"),
)
JSX = re.compile(r"[ \t]*(?:</?[A-Z][^>\n]*/?>|\{/\*.*\*/\})[ \t]*$")
MODULE = re.compile(r"(?:import|export)\s")


def read_rst(file: Path, password: str | None = None) -> Content:
    """reStructuredText, a section a heading; comments, and directives that show nothing, are left out."""
    lines = list(_without_asides(decode(file.read_bytes()).splitlines()))
    sections, paragraph, styles = SectionBuilder(), list[str](), list[str]()
    index = 0
    while index < len(lines):
        over = bool(UNDERLINE.match(lines[index])) and index + 2 < len(lines) and lines[index + 2] == lines[index]
        title = index + over
        if title + 1 < len(lines) and _is_title(lines[title], lines[title + 1]) and (over or not _goes_on(paragraph)):
            style = f"{over}{lines[title + 1][0]}"
            if style not in styles:
                styles.append(style)
            sections.paragraph(paragraph)
            sections.heading(styles.index(style) + 1, lines[title].strip())
            index = title + 2
        else:
            paragraph.append(lines[index])
            index += 1
    sections.paragraph(paragraph)
    return sections.content()


def read_org(file: Path, password: str | None = None) -> Content:
    """Org, a section a heading; drawers and settings are left out."""
    text = decode(file.read_bytes())
    named = ORG_TITLE.search(text)
    within = False

    def heading(line: str) -> Heading | None:
        nonlocal within
        if mark := ORG_BLOCK.match(line):
            within = mark[1].lower() == "begin"
        match = None if within else ORG_HEADING.match(line)
        return (len(match[1]), match[2]) if match else None

    def aside(line: str) -> bool:
        return bool(ORG_BLOCK.match(line) or ORG_TITLE.match(line)) or (not within and bool(ORG_ASIDE.match(line)))

    return _outlined(text, heading, aside, named[1].strip() if named else "")


def read_asciidoc(file: Path, password: str | None = None) -> Content:
    """AsciiDoc, a section a heading; comments, attributes and includes are left out."""

    def heading(line: str) -> Heading | None:
        match = ADOC_HEADING.match(line)
        return (len(match[1]), match[2]) if match else None

    return _outlined(decode(file.read_bytes()), heading, lambda line: bool(ADOC_ASIDE.match(line)), "")


def read_mdx(file: Path, password: str | None = None) -> Content:
    """Markdown with components, without these and their modules."""
    lines, fenced, module = list[str](), False, False
    for line in decode(file.read_bytes()).splitlines():
        fenced ^= bool(FENCE.match(line))
        module = not fenced and (bool(MODULE.match(line)) or (module and bool(line.strip())))
        if fenced or not (module or JSX.match(line)):
            lines.append(line)
    return markdown("\n".join(lines))


def _outlined(text: str, heading: Callable[[str], Heading | None], aside: Callable[[str], bool], title: str) -> Content:
    """Lines to sections: those that are headings, those that are left out, and the others."""
    sections, paragraph = SectionBuilder(), list[str]()
    for line in text.splitlines():
        level_and_title = heading(line)
        if level_and_title:
            sections.paragraph(paragraph)
            sections.heading(*level_and_title)
        elif not aside(line):
            paragraph.append(line)
    sections.paragraph(paragraph)
    return sections.content(title)


def _is_title(line: str, under: str) -> bool:
    title = line.rstrip()
    return (
        bool(title)
        and not UNDERLINE.match(title)
        and bool(UNDERLINE.match(under))
        and len(under.rstrip()) >= len(title.strip())
    )


def _goes_on(paragraph: list[str]) -> bool:
    """Does the line before belong to a paragraph? Then what follows is no title."""
    return bool(paragraph) and bool(paragraph[-1].strip())


def _without_asides(lines: list[str]) -> Iterator[str]:
    """Lines without comments and directives that show nothing, and without what is indented under them."""
    within = False
    for line in lines:
        if RST_ASIDE.match(line):
            within = True
        elif not (within and (not line.strip() or line[:1].isspace())):
            within = False
            yield line
