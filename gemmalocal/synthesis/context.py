"""Where a passage stands: what came before it, and what its document means by the words that it uses."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gemmalocal.synthesis import ground
from gemmalocal.synthesis.english_words import LEANING
from gemmalocal.synthesis.language import english, sentences, unspaced
from gemmalocal.synthesis.piece import Piece

LINE, MEANING = 160, 90  # letters of what came before, and of what a word means
BUDGET = 360  # letters of all words that are told: each prompt has them
TERMS = 6  # words of a passage that are told
OFTEN = 3  # times that a name occurs in a document whose name it is
LONGEST = 40  # letters of a term
CUT = " ..."  # behind what was cut off
MEANS = re.compile(  # "A pump is a machine that", "Lintian is the checker of"
    r"^(?:An? |The )?(?P<term>[\w+.'’/-]+(?: [\w+.'’/-]+){0,3}) (?:is|are|was|were|means|stands for|refers to) "
    r"(?:an? |the |any |one of |used |short for |called )"
)
ENTRY = re.compile(  # "- pump: a machine that moves water"
    r"^\s*(?:[-*•]\s+)?(?P<term>[^\s:–—][^:–—\n]{1,38}?)(?::| [-–—]) (?P<means>[a-zA-Z]\w*(?: [^\s<>@]+){3,})$", re.M
)
SHORT_FOR = re.compile(r"(?P<long>(?:[A-Z][\w-]+ (?:of |for |and )?){1,5})\((?P<term>[A-Z][A-Za-z]{1,7})\)")
MARKED = re.compile(r"[“\"`*]{1,2}(?P<term>[^\W\d_][\w+./ -]{1,38}?)[”\"`*]{1,2}")
NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][\w+-]*[\w+](?: (?:of |the |and )?[A-Z][\w+-]*[\w+]){0,3}", re.M)


@dataclass(frozen=True)
class Vocabulary:
    """The words of a document: `meanings` of those that it defines, and the `names` that it often uses."""

    meanings: dict[str, str]
    names: tuple[str, ...]


def situated(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, each with the line before it and the words that it shares with the rest of its document."""
    by_document: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.row is None:
            by_document[piece.document].append(piece)
    words = {document: vocabulary(own) for document, own in by_document.items()}
    lines = {
        (piece.document, piece.passage.number): _last_line(piece.passage.text)
        for own in by_document.values()
        for piece in own
    }

    def situate(piece: Piece) -> Piece:
        if piece.row is not None:
            return piece
        document, number = _place(piece)
        before = lines.get((document, number - 1), "")
        return replace(piece, before=before, terms=tuple(_terms(piece.passage.text, words[piece.document])))

    return [situate(piece) for piece in pieces]


def _place(piece: Piece) -> tuple[str, int]:
    return piece.document, piece.passage.number


def vocabulary(pieces: Sequence[Piece]) -> Vocabulary:
    """What a document defines and names, by rule: definitions, marked words, and names that come often."""
    meanings, counts = dict[str, str](), Counter[str]()
    for piece in pieces:
        text = piece.passage.text
        for term, meaning in _definitions(text):
            meanings.setdefault(term, meaning)
        counts.update({match["term"].strip() for match in MARKED.finditer(text)})
        counts.update(_names(text))
    small = Counter(word for piece in pieces for word in re.findall(r"\b[a-z]\w+", piece.passage.text))
    proper = {name: count for name, count in counts.items() if count >= max(OFTEN, 2 * small[name.lower()])}
    often = sorted(proper, key=lambda name: (-counts[name], name))
    return Vocabulary(meanings, tuple(often))


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    """Terms with the sentence, or the words, that say what each is."""
    if unspaced(text):
        return
    if english(text):
        for line in sentences(text):
            match = MEANS.match(line)
            if match and match["term"].split()[0].lower() not in LEANING and len(match["term"]) <= LONGEST:
                yield match["term"], _cut(line, MEANING)
    for match in SHORT_FOR.finditer(text):
        yield match["term"], match["long"].strip()
    for match in ENTRY.finditer(text):
        term = match["term"].strip('*`“”" ')
        small = term.isalpha() and term.islower() and len(term) < 5  # also a word of the language, such as "as", "for"
        if len(term.split()) <= 4 and not term.endswith((".", ",")) and not small:
            yield term, _cut(match["means"], MEANING)


def _names(text: str) -> list[str]:
    names = [match[0] for match in NAME.finditer(text)]
    return [name for name in names if name.split()[0].lower() not in LEANING and len(name) <= LONGEST]


def _terms(text: str, words: Vocabulary) -> Iterator[str]:
    """At most `TERMS` of the document's words that occur in a text: first those that it defines elsewhere."""
    told, left, normal = list[str](), BUDGET, ground.normal(text)
    for term, meaning in words.meanings.items():
        entry = f"{term} ({meaning.rstrip('.')})"
        fits = len(told) < TERMS and len(entry) < left and _occurs(term, text)
        if fits and ground.normal(meaning.removesuffix(CUT)) not in normal:  # what it says itself, it is not told
            told.append(term)
            left -= len(entry)
            yield entry
    for name in words.names:
        new = not any(name in other or other in name for other in told)
        if len(told) < TERMS and len(name) < left and new and _occurs(name, text):
            told.append(name)
            left -= len(name)
            yield name


def _occurs(term: str, text: str) -> bool:
    return bool(term) and re.search(rf"(?<!\w){re.escape(term)}(?!\w)", text) is not None


def _last_line(text: str) -> str:
    """The last sentence of a text, or its last line."""
    own = sentences(text[-2000:])
    return _cut(own[-1] if own else (text.strip().splitlines() or [""])[-1], LINE)


def _cut(text: str, most: int) -> str:
    """A text on one line, of at most so many letters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rsplit(' ', 1)[0]}{CUT}"
