"""Rows without a model: plain, grammatical, and true by construction, since each answer is the passage's own words.

A rule asks only what a heading asks itself (`asked_headings`), what a sentence answers by its form (`english_forms`,
`spaceless`), what a numbered list answers (`steps`), and what a document says under a heading where that is one
statement. Sentences with a gap are asked only if they are wanted; in languages of which no such forms are known here,
they and the headings are all that there is.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from gemmalocal.synthesis import asked_headings, english_forms, ground, spaceless, steps, ways
from gemmalocal.synthesis.english_words import LEANING
from gemmalocal.synthesis.language import OWN, english, sentences, unspaced
from gemmalocal.synthesis.piece import GAP, Piece, RuleQuestion

WORDS = range(6, 61)  # of a sentence that may have a gap
WORD = re.compile(r"(?<![\w.,'’/-])(?:\d+(?:[.,:]\d+)*|[^\W\d][\w'’-]*\w)(?![\w'’/-]|[.,]\d)")  # what may be a gap
CODE = re.compile(r"`|\]\(|https?://|[{}<>=|\\]")  # a sentence with such is no prose to leave a word out of
HEADING_WORDS = range(1, 11)
FRAMES = (
    "Please help me with the following.\n\n{0}",
    "Could you take care of this for me?\n\n{0}",
    "I have a request.\n\n{0}",
    "This is what I would like you to do.\n\n{0}",
)


def questions(piece: Piece, count: int, seed: int, gaps: bool = False) -> list[RuleQuestion]:
    """At most `count` questions about a passage; each answer is a sentence of it, or its list. `gaps`: these too."""
    text = piece.passage.text
    if unspaced(text):
        return [*asked_headings.questions(piece), *spaceless.questions(piece, count, seed, gaps)][:count]
    own = [line for line in sentences(text) if GAP not in line]
    asked: list[ways.Way] = [asked_headings.questions(piece)]
    if english(text):
        plain = [line for line in own if english_forms.stands_alone(line)]
        asked += [steps.questions(piece), *(english_forms.questions(way, piece, plain) for way in english_forms.WAYS)]
        asked.append(_heading(piece, plain))
    if gaps:
        asked.append(ways.gaps(piece, [line for line in own if _may_have_gap(line)], seed, partial(_gap, piece)))
    return ways.questions(asked, count)


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


def silence(piece: Piece, gaps: bool = False) -> str:
    """Why a passage gives the rules nothing to ask about or to shorten, as a verb's phrase."""
    text = piece.passage.text
    if not sentences(text):
        return "have no whole sentence: lists, tables, code, or a script that marks none, as Thai"
    if not gaps and not english(text) and not spaceless.knows(text):
        return "are in a language of which rules know no questions: --gaps leaves words out of sentences"
    return "have too few sentences that rules can ask about, or shorten"


def statement(piece: Piece) -> str:
    """The sentence that is all of a section; "" if that says more."""
    own = sentences(piece.passage.text)
    names = {ground.normal(name) for name in (piece.section.rpartition(" > ")[2], piece.title, piece.passage.heading)}
    lines = [line.strip() for line in piece.passage.text.splitlines() if any(mark.isalnum() for mark in line)]
    body = [line for line in lines if ground.normal(line.strip("#*=- ")) not in names]
    joined = ground.normal("\n".join(body))
    return own[0] if len(own) == 1 and joined == ground.normal(own[0]) else ""


def _heading(piece: Piece, own: list[str]) -> Iterator[RuleQuestion]:
    heading, line = piece.section.rpartition(" > ")[2], statement(piece)
    names_something = re.search(r"[^\W\d]{3}", heading) and len(heading.split()) in HEADING_WORDS
    leans = line.partition(" ")[0].strip(",").lower() in LEANING
    if line in own and not leans and piece.title and names_something:
        question = f"What does “{piece.title}” say about “{heading}”?"
        yield RuleQuestion(question, line, line, f"Under “{heading}” it says: “{line}”", "heading")


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
        return RuleQuestion(gapped, line, line, line, "gap")
    where = f", from “{piece.title}”" if piece.title else ""
    says = f"“{piece.title}” says" if piece.title else "The source says"
    reasoning = f"{says}: “{line}” So the gap is filled by “{match[0]}”."
    return RuleQuestion(f"Fill in the gap in this sentence{where}: {gapped}", line, line, reasoning, "gap")


def _may_have_gap(line: str) -> bool:
    words = re.findall(r"[\w'’-]+", line)
    whole = all(line.count(left) == line.count(right) for left, right in ("()", "[]", "“”")) and not unspaced(line)
    whole = whole and not line[0].isdigit() and not english_forms.BROKEN.search(line)
    return whole and len(words) in WORDS and words[0].lower() not in LEANING


def _words(line: str) -> list[str]:
    return [word for word in re.findall(r"\w{4,}", line.lower()) if word not in OWN]
