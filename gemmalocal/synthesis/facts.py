"""What a passage says, fact by fact: what an author is asked about one by one, and which sentences prove it."""

from __future__ import annotations

import re

from gemmalocal.documents.document import BETWEEN
from gemmalocal.documents.plain_outline import CONTENTS
from gemmalocal.synthesis import ground
from gemmalocal.synthesis.context import MEANS
from gemmalocal.synthesis.english_words import LEANING
from gemmalocal.synthesis.language import english, sentences, unspaced
from gemmalocal.synthesis.piece import Piece

WORDS = range(4, 61)  # of a sentence, or a line, that says something
LETTERS = range(8, 301)  # of one in a script without spaces
ASKS = re.compile(r"[?？؟]\W*$")
TORN = re.compile(r"\. \. |\.{4}|[:,;]$")  # of a list of contents, or without its end
ITEM = re.compile(
    r"^(?:\(?\d{1,3}[.)]|\(?[a-z][.)]|\d+(?:\.\d+){1,4}\.?)\s+(?=\S)"
)  # the number of an item, or of a heading
REFERENCE = re.compile(  # to another place of the document
    r"§|\(see |\b(?:see|section|chapter|appendix|figure|table) (?:also |the )?[\d“\"(A-Z]", re.IGNORECASE
)
ENTRY = re.compile(
    r"^\s*(?:(?:chapter|appendix|part|section)\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.)]?\s|\.{4}|\. \. ", re.IGNORECASE
)
POINTS = re.compile(
    r"^(?:see|refer|please see|please refer|for (?:more|further) (?:information|details|help|on|about)|for details)\b",
    re.IGNORECASE,
)


def key_sentences(piece: Piece) -> list[str]:
    """The sentences of a passage that tell something, those that say most first; without sentences, its longer lines.

    One that leans on the sentence before it comes with that one.
    """
    text, heading = piece.passage.text, piece.passage.heading.rpartition(BETWEEN)[2]
    if CONTENTS.fullmatch(heading) and _lists_contents(text):
        return []
    own = _facts(text, heading)
    own = own or [" ".join(line.split()) for line in text.splitlines() if _fits(line) and not line.startswith("#")]
    distinct = list(dict.fromkeys(own))
    return sorted(distinct, key=lambda line: -_weight(line, piece))


def _facts(text: str, heading: str) -> list[str]:
    """The sentences that tell something, each with the one before it where it leans on that."""
    name = ground.normal(heading)
    named = heading if name and any(ground.normal(line) == name for line in _headings(text)) else ""
    own = [_without(named, ITEM.sub("", line)) for line in sentences(text)]
    whole, told = ground.normal(text), list[str]()
    speaks_english = english(text)
    for number, line in enumerate(own):
        if not _tells(line) or (speaks_english and (POINTS.match(line) or line[0].islower())):
            continue
        both = f"{own[number - 1]} {line}" if number else ""
        if both and leans(line) and _fits(both) and _tells(own[number - 1]) and ground.normal(both) in whole:
            if told and told[-1] == own[number - 1]:
                told.pop()  # it is told with this one
            told.append(both)
        else:
            told.append(line)
    return told


def _headings(text: str) -> list[str]:
    """What may be a heading of its own: the lines of a text without their numbers."""
    return [ITEM.sub("", line.strip()) for line in text.splitlines()]


def _lists_contents(text: str) -> bool:
    """Whether most lines are entries of a list of contents."""
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(bool(ENTRY.search(line)) for line in lines) > len(lines) / 3


def _without(heading: str, line: str) -> str:
    """A sentence without the heading that a page put in front of it."""
    rest = line.removeprefix(heading).lstrip() if heading else line
    return rest if len(rest) < len(line) and rest[:1].isupper() else line


def leans(line: str) -> bool:
    """Whether an English sentence speaks of what stands before it."""
    return line[:40].partition(" ")[0].lower().strip("\"'“‘(,") in LEANING


def _tells(line: str) -> bool:
    return _fits(line) and not (ASKS.search(line) or TORN.search(line))


def _fits(line: str) -> bool:
    return len(line) in LETTERS if unspaced(line) else len(line.split()) in WORDS


def _weight(line: str, piece: Piece) -> float:
    """More for a number, a definition, a name, and for what leans on nothing before it."""
    named = any(term.partition(" (")[0] in line for term in piece.terms) or re.search(r"(?<=[a-z,] )[A-Z]", line)
    weight = 2.0 * bool(MEANS.match(line)) + bool(re.search(r"\d", line)) + bool(named)
    return weight - 2.0 * leans(line) - 2.0 * bool(REFERENCE.search(line)) + min(len(line), 200) / 400
