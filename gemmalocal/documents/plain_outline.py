"""The numbered or named headings of plain text: "Chapter 3. Trees", "3.1.2. Oaks", "A.1. Tables"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gemmalocal.documents.heads import roman

LINES = 3  # of a heading, at most
LONGEST = 220  # characters of a heading
FULL = 45  # characters of a line that goes on in the next
FEWEST = 3  # headings; fewer are no scheme
FEWEST_NAMED = 2  # called "Chapter", "Appendix"
BODY = 40  # words below a heading, in the mean, where no heading is nested: steps and lists have fewer
NESTED_BODY = 15  # where some are
STRAYS = 0.2  # headings out of order for one in order: more, and the numbers are no outline
STEP = 2  # by which a number goes on at most: one heading may be missed
SHAPES = 8  # kinds of first heading that are tried
LETTER = 1000  # added to a letter's place in the alphabet: appendices come behind chapters
CHAPTERS = "chapter section kapitel abschnitt chapitre capítulo capitolo глава"
APPENDICES = "appendix anhang annexe apéndice"
PARTS = "part teil partie parte часть"
WORDS = "|".join(f"{CHAPTERS} {APPENDICES} {PARTS}".split())
MONTHS = (
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec januar februar märz mai juni juli oktober dezember okt dez janvier février mars avril juin "
    "juillet août septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre "
    "octubre noviembre diciembre"
)
ROMAN = re.compile(r"(?=[IVXLC])(?:XC|XL|L?X{0,4})(?:IX|IV|V?I{0,4})", re.IGNORECASE)
NAMED = re.compile(
    rf"(?P<word>{WORDS})\s+(?P<number>\d{{1,3}}|[A-Z]|[IVXLC]+)"
    r"(?P<stop>\s*[.:)—–-]|)(?:\s+(?P<text>.*)|)$",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"(?P<number>\d{1,3}(?:\.\d{1,3})*|[A-Z](?:(?:\.\d{1,3})+|(?=\.)))(?P<stop>[.]?)\s+(?P<text>[^\W_].*|[(\"'“‘`«¿].*)$"
)
LEADERS = re.compile(
    r"\.{4}|\.{2,}\s*\w+$|(?:\. ){3}|\s{3,}\S+$|\t\S+$"
)  # an entry of a table of contents, a row of a table
DATE = re.compile(rf"(?:{'|'.join(MONTHS.split())})(?:\W|$)|\d", re.IGNORECASE)
CONTENTS = re.compile(
    r"\W*(?:(?:table of )?contents|inhalt(?:s?verzeichnis)?|table des matières|índice|目次|目录)\W*", re.IGNORECASE
)
FIRST = ((1,), (0,), (LETTER + 1,))  # numbers that an outline begins with


class Heading(NamedTuple):
    """Lines `start` up to `end` of a text; `level` counts from 1, a part's is 0."""

    start: int
    end: int
    level: int
    text: str


class Candidate(NamedTuple):
    """A block of lines that looks like a heading: `path` is its number, `shape` what all of its level share."""

    start: int
    end: int
    path: tuple[int, ...]
    shape: tuple[int, str, bool]  # indentation (of a word: 0, it may be centred), the word, whether a stop is behind
    name: str  # without the number
    text: str

    @property
    def is_part(self) -> bool:
        return self.shape[1] in PARTS.split()


class Walk(NamedTuple):
    """Headings that are in order, and how many of their shapes are not."""

    headings: list[Candidate]
    strays: int


def headings(lines: Sequence[str]) -> list[Heading]:
    """The headings of a text whose numbers ascend and nest as an outline does; none if they do not.

    A table of contents in front of them is one more.
    """
    blocks = list(_blocks(lines))
    candidates = _last_of_each([found for block in blocks if (found := _candidate(lines, *block))])
    shapes = dict.fromkeys(found.shape for found in candidates if found.path in FIRST)
    walks = [_walk(candidates, shape) for shape in list(shapes)[:SHAPES]]
    sound = [walk for walk in walks if _is_outline(walk, lines)]
    if not sound:
        return []
    best = max(sound, key=lambda walk: len(walk.headings)).headings
    outline = [Heading(one.start, one.end, 0 if one.is_part else len(one.path), one.text) for one in best]
    return [*_contents(lines, blocks, outline[0].start), *outline]


def is_numbered(line: str) -> bool:
    """Does a line begin as an item of a list, or a heading with a number?"""
    return bool(NUMBERED.match(line) or NAMED.match(line))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First line, and the one behind the last, of each run of lines between empty ones."""
    start = None
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            start = number if start is None else start
        elif start is not None:
            yield start, number
            start = None


def _candidate(lines: Sequence[str], start: int, end: int) -> Candidate | None:
    """A block as a heading, if it may be one by its own look."""
    if end - start > LINES or sum(map(len, lines[start:end])) > 2 * LONGEST:  # centred lines have many spaces
        return None
    block = [line.strip() for line in lines[start:end]]
    text = " ".join(" ".join(block).split())
    match = NAMED.match(block[0]) or NUMBERED.match(block[0])
    if not match or len(text) > LONGEST or any(LEADERS.search(line) for line in block if line != block[0]):
        return None
    name = " ".join([match["text"] or "", *block[1:]]).strip()
    word = match.groupdict().get("word", "").lower()
    if not _goes_on(block, bool(word) and not match["text"]) or not _is_name(match, word, name):
        return None
    indent = 0 if word else len(lines[start]) - len(lines[start].lstrip())
    path = _path(match["number"], bool(word))
    return Candidate(start, end, path, (indent, word, bool(match["stop"])), " ".join(name.split()), text)


def _goes_on(block: Sequence[str], titled_below: bool) -> bool:
    """Are the lines of a block one heading: each but the last full, and none with a number of its own?"""
    if any(is_numbered(line) for line in block[1:]):
        return False
    return titled_below or all(len(line) >= FULL for line in block[:-1])


def _is_name(match: re.Match[str], word: str, name: str) -> bool:
    """Is what stands behind the number a heading's name: no sentence, no date, no row of a table?"""
    if LEADERS.search(match["text"] or ""):
        return False
    if not word:
        return not name.endswith((".", ",", ";", ":")) and not DATE.match(name)
    if name and not match["stop"] and match["text"] and (name.endswith(".") or name[0].islower()):
        return False  # "Chapter 3 tells how."
    return not name.endswith((",", ";", ":"))


def _path(number: str, named: bool) -> tuple[int, ...]:
    """The number by level: of "3.1" (3, 1), of "A.1" (1001, 1), of chapter "IV" (4,)."""
    if named and not number.isdigit() and ROMAN.fullmatch(number) and number.upper() not in ("C", "D", "L"):
        return (roman(number.lower()),)
    return tuple(int(piece) if piece.isdigit() else LETTER + ord(piece[0].upper()) - 64 for piece in number.split("."))


def _last_of_each(candidates: list[Candidate]) -> list[Candidate]:
    """Without those that come again: entries of a table of contents stand before the headings."""
    if any(candidate.is_part for candidate in candidates):  # in each part a chapter 1
        return candidates
    last = {(found.path, found.name.lower()): found.start for found in candidates}
    return [found for found in candidates if not found.name or last[found.path, found.name.lower()] == found.start]


def _walk(candidates: Sequence[Candidate], root: tuple[int, str, bool]) -> Walk:
    """Down a text: the candidates that go on from the one before, with `root` the first level's shape."""
    kept: list[Candidate] = []
    shapes = {1: root}
    path: tuple[int, ...] = ()
    parts = strays = 0
    may_restart = False
    for found in candidates:
        depth = len(found.path)
        if found.is_part:
            if found.path == (parts + 1,):
                kept.append(found)
                parts, may_restart = parts + 1, True
        elif shapes.get(depth, found.shape) == found.shape or _is_appendix(found):
            if _follows(path, found.path) or (may_restart and found.path in FIRST):
                kept.append(found)
                path, may_restart = found.path, False
                shapes.setdefault(depth, found.shape)
            else:
                strays += bool(path)
    return Walk(kept, strays)


def _is_appendix(found: Candidate) -> bool:
    return found.shape[1] in APPENDICES.split() and found.path > (LETTER,)


def _follows(path: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Does a number come next in an outline: a first child, or the next of its level or of one above?"""
    if not path:
        return new in FIRST
    depth = len(new)
    if depth > len(path):
        return new[:-1] == path and new[-1] in (0, 1)
    step = new[-1] - path[depth - 1]
    first_appendix = depth == 1 and new == (LETTER + 1,) and path < (LETTER,)
    return new[:-1] == path[: depth - 1] and (1 <= step <= STEP or first_appendix)


def _is_outline(walk: Walk, lines: Sequence[str]) -> bool:
    """Are the headings enough, in order, and with text below them as sections have it?"""
    chapters = [heading for heading in walk.headings if not heading.is_part]
    named = any(heading.shape[1] for heading in chapters)
    nested = any(len(heading.path) > 1 for heading in chapters)
    if len(chapters) < (FEWEST_NAMED if named else FEWEST) or walk.strays > STRAYS * len(chapters):
        return False
    if not named and not nested and any(heading.name[0].islower() for heading in chapters):
        return False
    bodies = sorted(
        sum(len(line.split()) for line in lines[heading.end : after.start if after else len(lines)])
        for heading, after in zip(chapters, [*chapters[1:], None], strict=True)
        if after is None or len(after.path) <= len(heading.path)
    )
    return bodies[len(bodies) // 2] >= (NESTED_BODY if nested else BODY)


def _contents(lines: Sequence[str], blocks: Sequence[tuple[int, int]], first: int) -> list[Heading]:
    """The table of contents before the `first` heading."""
    for start, _ in blocks:
        if start >= first:
            break
        if CONTENTS.fullmatch(lines[start]):
            return [Heading(start, start + 1, 1, lines[start].strip(" \t:.-=*"))]
    return []
