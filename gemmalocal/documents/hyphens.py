"""Words that are broken at the end of a line, made whole; hyphens that belong to a word stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise

MARKS = "\x02\ufffe"  # PDFium's, for a hyphen at the end of a line
BROKEN = re.compile(rf"([\w-]*\w)[{MARKS}][ \t]*\n?[ \t]*(\w+)")
WORDS = re.compile(r"\w+(?:-\w+)*")
ENDINGS = re.compile(  # of words, which are no words by themselves
    r"(?:ly|er|ers|est|ings?|ed|en|ens|ened|ness|ments?|ish|less|ful|ism|ist|able|al|ages?|ow\w*|s|y)"
)
SUSPENDED = ("and", "or", "und", "oder")  # "pre- and post-war"
SMALL = "a an and as at by de for from if in into la of off on or out over per so than the to up with"
BEFORE = (  # words that a hyphen joins to the next
    "self well high low long short full half cross non all ever ill best better much so then one two three four five "
    "six seven eight nine ten twenty thirty forty fifty sixty seventy eighty ninety user time state real open left "
    "right top bottom end hard soft large small single double multi"
)
AFTER = (  # and to the one before
    "based oriented driven defined specific aware dependent independent related friendly style sized called known "
    "ended purpose scale quality free only wide led made like looking minded speaking proof readable level"
)
PARTS = "un re in im dis pre mis con com pro de ex en em sub per be ir il ab ad"  # of words; no words
SMALL_WORDS, FIRST, LAST = frozenset(SMALL.split()), frozenset(BEFORE.split()), frozenset(AFTER.split())
PREFIXES = frozenset(PARTS.split())
LINE_END = re.compile(r"(?:^|(?<=[\s(\"'“‘«\[]))([^\W\d_]+(?:-[^\W\d_]+)*)-$")  # of plain text, where a mark is a "-"
NEXT_LINE = re.compile(r"([ \t]*)(([^\W\d_]+)\S*)[ \t]*(.*)$")
LONGEST = 200  # characters of a line that was wrapped
MANY, OFTEN = 5, 0.03  # broken words, and of the lines: more than those who wrap lines at hyphens leave


def join(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """The lines of pages with their broken words whole.

    A hyphen stays if the pages have the word with it elsewhere, or if it parts words, numbers or names by what they
    are ("state-of-the-art", "MX-5"), and not if they have the word without.
    """
    texts = ["\n".join(page) for page in pages]
    broken = [_is_cut(text) for text in texts]
    if not any(broken):
        return [list(page) for page in pages]
    words = _words(_unbroken(text) if cut else text for text, cut in zip(texts, broken, strict=True))

    def whole(broken: re.Match[str]) -> str:
        first, second = broken[1], broken[2]
        if second in SUSPENDED and first.lower() + second not in words:
            return f"{first}- {second}"
        return f"{first}-{second}" if _belongs(first, second, words) else f"{first}{second}"

    return [
        [_joined(line, whole) for line in page] if cut else list(page) for page, cut in zip(pages, broken, strict=True)
    ]


def of_text(lines: list[str]) -> list[str]:
    """The lines of a plain text, with broken words whole at the end of the upper line; `lines` if it breaks none.

    Most texts break lines at a word's own hyphen only. One that breaks words has some of them whole elsewhere, or
    very many hyphens at the ends of lines.
    """
    breaks = [pair for upper, lower in pairwise(lines) if (pair := _broken(upper, lower))]
    if not breaks:
        return lines
    words = _words(lines)
    whole = sum((first.rpartition("-")[2] + second).lower() in words for first, second in breaks)
    hyphened = sum(f"{first}-{second}".lower() in words for first, second in breaks)
    many = len(breaks) >= max(MANY, OFTEN * sum(1 for line in lines if line.strip())) and 4 * hyphened < len(breaks)
    return join([_marked(lines)])[0] if whole > hyphened or many else lines


def _broken(upper: str, lower: str) -> tuple[str, str] | None:
    """The two pieces of a word that may be broken between two lines."""
    if len(upper) > LONGEST or len(lower) > LONGEST or not upper.endswith("-"):
        return None
    end, start = LINE_END.search(upper), NEXT_LINE.match(lower)
    return (end[1], start[3]) if end and start and start[3].islower() else None


def _marked(lines: Sequence[str]) -> list[str]:
    """The lines with a broken word's end behind its beginning, and a mark between them."""
    marked: list[str] = []
    for line in lines:
        if marked and _broken(marked[-1], line) and (start := NEXT_LINE.match(line)):
            marked[-1] = marked[-1][:-1] + MARKS[0] + start[2]
            if not start[4]:
                continue
            line = start[1] + start[4]
        marked.append(line)
    return marked


def _unbroken(text: str) -> str:
    """A page without its broken words."""
    return "\n".join(BROKEN.sub(" ", line) if _is_cut(line) else line for line in text.split("\n"))


def _is_cut(line: str) -> bool:
    return MARKS[0] in line or MARKS[1] in line


def _words(texts: Iterable[str]) -> set[str]:
    """The words of texts, in small letters."""
    tokens = set[str]()
    for text in texts:
        tokens.update(text.lower().split())
    return {match[0] for token in tokens if (match := WORDS.search(token))}


def _joined(line: str, whole: Callable[[re.Match[str]], str]) -> str:
    if not _is_cut(line):
        return line
    while (joined := BROKEN.sub(whole, line)) != line:
        line = joined
    return line.replace(MARKS[0], "-").replace(MARKS[1], "-")


def _belongs(first: str, second: str, words: Collection[str]) -> bool:
    """Is the hyphen between two pieces a part of the word?"""
    chain, _, piece = first.rpartition("-")
    if second[0].isdigit() or piece[-1:].isdigit() or len(piece) == 1:
        return True
    if second[0].isupper() and not piece.isupper():
        return True
    head, tail = piece.lower(), second.lower()
    if f"{chain}-{head}{tail}".lower().lstrip("-") in words or head + tail in words:
        return False
    if f"{first}-{second}".lower() in words or f"{head}-{tail}" in words:
        return True
    if chain and (head in SMALL_WORDS or (len(head) <= 2 and head not in PREFIXES)):
        return True
    if tail in LAST and len(head) > 2 and head not in PREFIXES:
        return True
    return head in FIRST and len(tail) > 2 and not ENDINGS.fullmatch(tail)
