"""Rows without a model: plain, grammatical, and true by construction, since each answer is the passage's own words.

English gets questions from definitions and headings, and gaps to fill. Of other languages that put spaces between
words only the gaps are asked, without a word of English; of those that do not, see `spaceless`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from gemmalocal.synthesis import spaceless, ways
from gemmalocal.synthesis.language import OWN, english, sentences, unspaced
from gemmalocal.synthesis.piece import GAP, Piece, RuleQuestion

WORDS = range(6, 61)  # of a sentence that stands for itself
LEANS = (  # what a sentence begins with that leans on the one before it
    "it this that these those he she they we i you there here his her its their such both each another other either "
    "neither however but and or so then thus therefore also moreover furthermore instead otherwise finally next "
    "yet still if when while what which who where how why for as because although"
)
LEANING = frozenset(LEANS.split())
SUBJECT = r"(?P<subject>(?:(?:The|A|An) )?[\w'’-]+(?: [\w'’-]+){0,4})"
DEFINITION = re.compile(  # "A pump is a machine that": a short subject, and a verb with what begins a definition
    rf"^{SUBJECT} (?P<verb>is|are|was|were) (?:an? |the |one of |any |some |used |made |called |[a-z]+ of )"
)
WORD = re.compile(r"(?<![\w.,'’/-])(?:\d+(?:[.,:]\d+)*|[^\W\d][\w'’-]*\w)(?![\w'’/-]|[.,]\d)")  # what may be a gap
CODE = re.compile(r"`|\]\(|https?://|[{}<>=|\\]")  # a sentence with such is no prose to leave a word out of
BROKEN = re.compile(r" \.$|\w- \w")  # a line that is torn, or a word at a line's end
FRAMES = (
    "Please help me with the following.\n\n{0}",
    "Could you take care of this for me?\n\n{0}",
    "I have a request.\n\n{0}",
    "This is what I would like you to do.\n\n{0}",
)


def questions(piece: Piece, count: int, seed: int) -> list[RuleQuestion]:
    """At most `count` questions about a passage; each answer is a sentence of it."""
    text = piece.passage.text
    if unspaced(text):
        return spaceless.questions(piece, count, seed)
    own = [line for line in sentences(text) if _stands_alone(line)]
    first = (partial(_definitions, piece), partial(_heading, piece)) if english(text) else ()
    return ways.questions(piece, own, count, seed, first, partial(_gap, piece))


def summary(piece: Piece) -> str:
    """The two sentences whose words are most frequent in the passage, in their order with an ellipsis; or ''."""
    own = sentences(piece.passage.text)
    if len(own) < 4:
        return ""
    split = spaceless.words if unspaced(piece.passage.text) else _words
    counts = Counter(word for line in own for word in split(line))

    def weight(line: str) -> float:
        words = split(line)
        return sum(counts[word] for word in words) / (len(words) + 4)

    chosen = sorted(sorted(range(len(own)), key=lambda index: -weight(own[index]))[:2])
    return " ... ".join(own[index] for index in chosen)


def rewrites(instruction: str, count: int, seed: int) -> list[str]:
    """An instruction inside a polite frame; only of English ones."""
    if not english(instruction):
        return []
    frames = random.Random(f"{seed}\x00{instruction}").sample(FRAMES, min(count, len(FRAMES)))
    return [frame.format(instruction) for frame in frames]


def silence(piece: Piece) -> str:
    """Why a passage gives the rules nothing to ask about or to shorten, as a verb's phrase."""
    if not sentences(piece.passage.text):
        return "have no whole sentence: lists, tables, code, or a script that marks none, as Thai"
    return "have too few sentences that stand by themselves"


def _definitions(piece: Piece, own: list[str]) -> Iterator[RuleQuestion]:
    for line in own:
        match = DEFINITION.match(line)
        if match is None or not (subject := _subject(match["subject"], line)):
            continue
        interrogative = "who or what" if match["verb"] in ("was", "were") and subject[0].isupper() else "what"
        question = f"{interrogative} {match['verb']} {subject}?"
        prefix = f"In “{piece.title}”, " if subject.startswith("the ") and piece.title else ""  # the one of this text
        full_question = prefix + question if prefix else question[0].upper() + question[1:]
        yield RuleQuestion(full_question, line, line, f"{_says(piece)}: “{line}”")


def _subject(words: str, line: str) -> str:
    """What a definition defines, as it stands inside a sentence; '' if it is no name of a thing."""
    first, _, rest = words.partition(" ")
    if first.lower() in LEANING or re.search(r"\b(?:that|which|who|and|or|of it|there)\b", words):
        return ""
    if first in ("The", "A", "An"):
        return f"{first.lower()} {rest}" if rest else ""
    proper = rest[:1].isupper() or first.isupper() or any(mark.isdigit() for mark in first)
    return words if proper or len(re.findall(rf"\b{re.escape(first)}\b", line)) > 1 else words[0].lower() + words[1:]


def _heading(piece: Piece, own: list[str]) -> Iterator[RuleQuestion]:
    heading = piece.section
    if own and piece.title and re.search(r"[^\W\d]{3}", heading):
        question = f"What does “{piece.title}” say under “{heading}”?"
        yield RuleQuestion(question, own[0], own[0], f"Under “{heading}” it says: “{own[0]}”")


def _gap(piece: Piece, line: str, chance: random.Random) -> RuleQuestion | None:
    words = [
        match
        for match in WORD.finditer(line)
        if match.start() and (match[0][0].isdigit() or len(match[0]) > 4) and match[0].lower() not in OWN
    ]
    if not words or CODE.search(line):
        return None
    telling = [match for match in words if match[0][0].isdigit() or match[0][0].isupper()]
    match = chance.choice(telling or words)
    gapped = f"{line[: match.start()]}{GAP}{line[match.end() :]}"
    if not english(piece.passage.text):
        return RuleQuestion(gapped, line, line, line)
    where = f", from “{piece.title}”" if piece.title else ""
    reasoning = f"{_says(piece)}: “{line}” So the gap is filled by “{match[0]}”."
    return RuleQuestion(f"Fill in the gap in this sentence{where}: {gapped}", line, line, reasoning)


def _says(piece: Piece) -> str:
    return f"“{piece.title}” says" if piece.title else "The source says"


def _stands_alone(line: str) -> bool:
    words = re.findall(r"[\w'’-]+", line)
    whole = all(line.count(left) == line.count(right) for left, right in ("()", "[]", "“”")) and not unspaced(line)
    whole = whole and not line[0].isdigit() and not BROKEN.search(line)
    return whole and len(words) in WORDS and words[0].lower() not in LEANING and GAP not in line


def _words(line: str) -> list[str]:
    return [word for word in re.findall(r"\w{4,}", line.lower()) if word not in OWN]
