"""What files put into text that no reader sees: soft hyphens, ligatures, control characters, running heads."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

EDGE = 2  # lines at the top and at the foot of a page that may be a running head
FEWEST = 4  # pages; of fewer nothing can be said to repeat
MOST = 0.5  # a line on more of the pages than this (or of the odd, or of the even ones) is no text
ALIKE = 16  # characters at the beginning of a chapter's running head
FORMS = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")  # ligatures and presentation forms, of Latin, Hebrew and Arabic
SOFT = re.compile("[\u00ad\x02\ufffe][ \t]*\n?[ \t]*(?=\\w)")  # a soft hyphen, and the end of line behind it
BROKEN = re.compile("[\x02\ufffe]")
HYPHEN = re.compile("(\\w+)[\x02\ufffe][ \t]*\n?[ \t]*(\\w+)")  # PDFium's mark for a hyphen at the end of a line
INVISIBLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff\ufffe\uffff]")
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b(?=\W*$)", re.IGNORECASE)  # of a page


def plain(text: str) -> str:
    """The text as it is meant: Unix line ends, no soft hyphens, ligatures as letters, no invisible characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n").replace("\u2028", "\n")
    text = SOFT.sub("", text)
    text = FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)
    text = INVISIBLE.sub("", text).replace("\u00a0", " ").replace("\u2029", "\n\n")
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # half a character
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def join_hyphens(pages: Sequence[str]) -> list[str]:
    """Words that PDFium marks as broken over two lines, made whole.

    The mark stands for a hyphen that may belong to the word ("file-name"): it stays if the pages have the word with
    it elsewhere, and not the word without.
    """
    if not any(BROKEN.search(page) for page in pages):
        return list(pages)
    words = set[str]()
    for page in pages:
        words.update(word.lower() for word in re.findall(r"\w+(?:-\w+)*", page))

    def whole(broken: re.Match[str]) -> str:
        joined, hyphened = f"{broken[1]}{broken[2]}", f"{broken[1]}-{broken[2]}"
        return hyphened if hyphened.lower() in words and joined.lower() not in words else joined

    return [HYPHEN.sub(whole, page) if BROKEN.search(page) else page for page in pages]


def without_running_heads(pages: Sequence[list[str]]) -> list[list[str]]:
    """The lines of pages without headers, footers and page numbers: edge lines that most pages have, but for numbers.

    Odd and even pages are also looked at by themselves, since books alternate. A first line with a number that a
    page nearby begins with too is the running head of a chapter.
    """
    running = _running(pages)
    masked = [_masked(lines[0]) if lines else "" for lines in pages]
    cut = []
    for number, lines in enumerate(pages):
        near = [*masked[max(number - 2, 0) : number], *masked[number + 1 : number + 3]]
        own = masked[number][:ALIKE]
        if "#" in masked[number] and len(own) == ALIKE and any(other.startswith(own) for other in near):
            lines = lines[1:]
        cut.append(_strip(lines, lambda line, where: (where, _masked(line)) in running))
    return cut


def _running(pages: Sequence[list[str]]) -> set[tuple[int, str]]:
    running = set[tuple[int, str]]()
    for group in (pages, pages[::2], pages[1::2]):
        full = [lines for lines in group if lines]
        if len(full) < FEWEST:
            continue
        seen = Counter[tuple[int, str]]()
        for lines in full:
            seen.update({(0, _masked(line)) for line in lines[:EDGE]} | {(1, _masked(line)) for line in lines[-EDGE:]})
        running |= {edge for edge, count in seen.items() if count > MOST * len(full)}
    return running


def _strip(lines: list[str], runs: Callable[[str, int], bool]) -> list[str]:
    head = [line for line in lines[:EDGE] if not runs(line, 0)]
    rest = lines[EDGE:]
    foot = [line for line in rest[-EDGE:] if not runs(line, 1)]
    return [*head, *rest[:-EDGE], *foot]


def _masked(line: str) -> str:
    return NUMBER.sub("#", " ".join(line.split()))
