"""Plain text that people wrote: its title, its numbered headings, words that are broken at the ends of lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gemmalocal.documents import hyphens, plain_outline, plain_pages
from gemmalocal.documents.document import Content, Section, SectionBuilder
from gemmalocal.documents.text import decode

LONGEST_TITLE = 80  # characters
MOST_WORDS = 14  # of a title
TITLE_LINES = 2
CODE = 0.2  # lines with signs of code or of a table for one without: more, and it is no prose
SIGNS = re.compile(r"[{};\\<>|=\t]|^\s*[#$%@]|^\s*\S+:\s")
SENTENCE = re.compile(r"[^\W\d_]{2}[)\"'”’]*[.!?…](?:['\")”’]*\s|$)|。")  # the end of one
SENTENCE_WORDS = 3  # on a line that ends one; Chinese and Japanese part none
OPENING = "(\"'“‘«¿¡「『《"  # what a title may begin with beside a letter
CLOSING = (".", ",", ";", ":", "-", "。", "、")  # what it never ends with
RULE = re.compile(r"\W*")
NO_TITLE = re.compile(  # a date, a copyright, an author, an address, a greeting, an entry ("Name: value")
    r"(?:copyright|©|\(c\)|by|von|par|from|to|subject|date|version|dear|hi|hello|hey|hallo|sehr|liebe[rs]?)\b"
    r"|.*(?:@|://|www\.|©)|.*\s{4,}|[-+*\d]|[\w-]+:\s",
    re.IGNORECASE,
)
DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag "
    "sonntag lundi mardi mercredi jeudi vendredi samedi dimanche"
)
DATES = re.compile(
    rf"(?:{'|'.join(f'{plain_outline.MONTHS} {DAYS} the of st nd rd th'.split())}|\d|\W)*", re.IGNORECASE
)


def read_plain(file: Path, password: str | None = None) -> Content:
    """Plain text, a section a heading where numbers or names tell headings, else one section."""
    return plain(decode(file.read_bytes()))


def plain(text: str) -> Content:
    """The title and the sections of a text; one that looks like code, a log or a table is one section as it is."""
    lines = text.splitlines()
    if not _is_prose(lines):
        return Content("", [Section(text)])
    unpaged, stripped = plain_pages.strip(lines)
    whole = hyphens.of_text(unpaged)
    warnings = (stripped,) if stripped else ()
    headings = plain_outline.headings(whole)
    if not headings:
        return Content(_title(whole), [Section(text if whole is lines else "\n".join(whole))], warnings)
    sections = SectionBuilder()
    sections.paragraph(whole[: headings[0].start])
    for heading, after in zip(headings, [*headings[1:], None], strict=True):
        sections.heading(heading.level, heading.text, "\n".join(whole[heading.start : heading.end]))
        sections.paragraph(whole[heading.end : after.start if after else None])
    sections.end()
    return Content(_title(whole), sections.collected, warnings)  # a first heading is not the name of the whole


def _is_prose(lines: Sequence[str]) -> bool:
    """Is there a sentence, and little of what code, logs and tables are made of?"""
    full = [line for line in lines if line.strip()]
    signs = sum(bool(SIGNS.search(line)) for line in full)
    return signs <= CODE * len(full) and any(map(_ends_sentence, full))


def _ends_sentence(line: str) -> bool:
    return SENTENCE.search(line) is not None and ("。" in line or len(line.split()) >= SENTENCE_WORDS)


def _title(lines: Sequence[str]) -> str:
    """What stands alone at the top as a title does; "" if there is doubt."""
    start = next((number for number, line in enumerate(lines) if not RULE.fullmatch(line)), len(lines))
    end = next((number for number, line in enumerate(lines[start:], start) if RULE.fullmatch(line)), len(lines))
    block = list(lines[start:end])
    if not 0 < len(block) <= TITLE_LINES or not any(line.strip() for line in lines[end:]):
        return ""
    later = range(end + 1, len(lines))
    if _is_underlined(lines, end) and any(_is_underlined(lines, place, lines[end]) for place in later):
        return ""  # it is the first of many headings
    if len(block) > 1 and not _is_centred(block):
        return ""
    title = " ".join(" ".join(block).split())
    return title if all(map(_may_be_title, [*block, title])) else ""


def _is_underlined(lines: Sequence[str], place: int, like: str = "") -> bool:
    """Is there a rule at a place, of signs as in `like`, and words right above it?"""
    rule = lines[place].strip() if place < len(lines) else ""
    same = bool(rule) and RULE.fullmatch(rule) is not None and (not like or rule[0] == like.strip()[0])
    return same and not RULE.fullmatch(lines[place - 1])


def _is_centred(block: Sequence[str]) -> bool:
    """Do the middles of lines meet, far from the margin?"""
    starts = [len(line) - len(line.lstrip()) for line in block]
    middles = [start + len(line.strip()) / 2 for start, line in zip(starts, block, strict=True)]
    return min(starts) >= 4 and max(middles) - min(middles) <= 2


def _may_be_title(line: str) -> bool:
    line = line.strip()
    letters = sum(character.isalpha() for character in line)
    if len(line) > LONGEST_TITLE or len(line.split()) > MOST_WORDS or letters < max(len(line) / 2, 3):
        return False
    if line[0].islower() or not (line[0].isalpha() or line[0] in OPENING) or line.endswith(CLOSING):
        return False
    return not any((SIGNS.search(line), NO_TITLE.match(line), DATES.fullmatch(line), plain_outline.is_numbered(line)))
