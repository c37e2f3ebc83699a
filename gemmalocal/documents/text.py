"""Text in any encoding: source code and logs as they are, Markdown by its headings."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from gemmalocal.documents.document import Content, Section, SectionBuilder, Unreadable

BOMS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LARGEST_TEXT = 64 << 20  # bytes of a file that is held whole while it is read
SAMPLE = 1 << 18  # bytes from which an unnamed encoding is guessed
STRAY = 20  # characters for one that is zero: a damaged text has fewer zeros, UTF-16 of any script more
ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def decode(data: bytes, declared: str = "") -> str:
    """Bytes to text: by byte order mark, as UTF-8, as the file declares, or as chardet guesses.

    Raises `Unreadable` if it is no text.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    for encoding in filter(None, ("utf-8", declared)):
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if not has_zeros(text):
            return text
    import chardet

    guess = chardet.detect(data[:SAMPLE])["encoding"]
    if guess is None or has_zeros(text := data.decode(guess, "replace")):
        raise Unreadable("is not text: no encoding fits its bytes", "If it is text, save it as UTF-8.")
    return text


def has_zeros(text: str) -> bool:
    """Whether there are more characters of zero than stray ones: it was UTF-16, or is no text at all."""
    sample = text[:SAMPLE]
    return sample.count("\x00") * STRAY > len(sample)


def read_text(file: Path, password: str | None = None) -> Content:
    """Source code, or a log, is one section."""
    return Content("", [Section(decode(file.read_bytes()))])


def read_markdown(file: Path, password: str | None = None) -> Content:
    """Markdown, a section a heading; what front matter says is left out."""
    return markdown(decode(file.read_bytes()))


def markdown(text: str) -> Content:
    """The sections of Markdown: both kinds of heading, outside of fenced code."""
    sections = SectionBuilder()
    paragraph: list[str] = []  # lines since the last heading
    fence = ""
    for line in _body(text.splitlines()):
        if fence or FENCE.match(line):
            fence = _fence(line, fence)
        elif match := ATX.match(line):
            sections.paragraph(paragraph)
            sections.heading(len(match[1]), match[2], line)
            continue
        elif (under := SETEXT.match(line)) and paragraph and _one_line(paragraph):
            title = paragraph.pop()
            sections.paragraph(paragraph)
            sections.heading(1 if under[1][0] == "=" else 2, title, f"{title}\n{line}")
            continue
        paragraph.append(line)
    sections.paragraph(paragraph)
    return sections.content()


def _body(lines: list[str]) -> list[str]:
    """The lines behind YAML front matter."""
    if lines and lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:200], 1):
            if line.rstrip() in ("---", "..."):
                return lines[number + 1 :]
    return lines


def _fence(line: str, fence: str) -> str:
    """The fence that is open after a line, or "" if none is; one closes what its own kind and length has opened."""
    match = FENCE.match(line)
    if not fence:
        return match[1] if match else ""
    closes = match is not None and match[1].startswith(fence) and not line.strip().strip(fence[0])
    return "" if closes else fence


def _one_line(paragraph: list[str]) -> bool:
    """Is the last line a paragraph of its own, as a title underlined with = or - is?"""
    alone = len(paragraph) == 1 or not paragraph[-2].strip()
    return alone and bool(paragraph[-1].strip()) and "|" not in paragraph[-1]
