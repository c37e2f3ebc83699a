"""Of how many passages a question could be asked: lexical retrieval over all passages of a dataset (BM25).

A question stands alone when it names enough, and its own passage, or a near copy, fits it best by a margin.

It names enough when those of its words that its document has tell `ENOUGH` together, set against language in general:
"What is the main purpose of the tutorial?" fits one passage of a dataset alone, and still could be asked of any.

What fits is told by the words that the question's own passage has: "please" tells nothing of a passage, and no list of
such words serves all languages. A rival is a passage that has nearly all of these words, rare ones weighing more, and
comes near by BM25, too, which counts how often each occurs; or one that fits the whole question far better. Where a
question names much, its thing is clear: there a rival must fit it better, not only as well. What stands beside the
passage in its section is no rival.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.documents.document import BETWEEN
from gemmalocal.documents.duplicates import nearly_repeats
from gemmalocal.jobs.plurals import counted
from gemmalocal.synthesis.piece import Piece, passage_key
from gemmalocal.synthesis.rarity import Rarity
from gemmalocal.synthesis.terms import names, terms, terms_of, tokens

# Chosen on tests/synthesis/questions.json: of 90 good questions by hand 91 % pass, of 88 bad ones 93 % are refused.
# By rivals alone, without ENOUGH and MUCH, it is 81 % and 47 %.
ENOUGH = 8.0  # bits that the known words of a question must tell together, beyond common ones
MUCH = 11.0  # bits of a question that leaves no doubt of its thing
MARGIN = 0.1  # by which each rival must stay behind in one of both
EXACTLY = 0.001  # the same, for what is added up in another order
FAR = 1.5  # times its own passage's score: what a passage must have that the whole question fits far better
BETTER = 1.25  # times its score, and FAR, where the question names MUCH
BESIDE = 2  # passages before and behind one in its section that are no rivals
COMPARED = 16  # rivals that are compared with a question's passage as near copies, the nearest first
ABOVE = 0.5  # of its weight has a word that stands in a title alone: it is that of all passages below
AMBIGUOUS = "has a question that does not stand alone"  # the kind of the reason
NAMED = 4  # words that would tell a passage from its rivals


@dataclass(frozen=True)
class IndexedText:
    """A text that questions are set against, with its `document` and its `number` in that, if it is a part of one.

    `records` are rows of a table, which share their form.
    """

    text: str
    title: str = ""
    heading: str = ""
    records: bool = False
    document: str = ""
    number: int = 0

    @property
    def section(self) -> tuple[str, str]:
        """Its document, and the headings that it stands under."""
        return self.document, self.heading

    @property
    def above(self) -> str:
        """What stands above it and above others, too: the title, and all headings but its own."""
        return f"{self.title}\n{self.heading.rpartition(BETWEEN)[0]}"

    @property
    def own(self) -> str:
        """Its own heading and text."""
        return f"{self.heading.rpartition(BETWEEN)[2]}\n{self.text}"


class Nearest(NamedTuple):
    """The place of an indexed text, and how well it fits; 0 is not at all."""

    place: int
    score: float


@dataclass(frozen=True)
class Ambiguity:
    """A question that could be asked of `passages`, and the words that it lacks to be asked of its own alone.

    Of None it names too little to tell what it asks about.
    """

    passages: int | None
    title: str = ""
    heading: str = ""
    words: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """A verb's phrase, its kind before the first ": "."""
        return f"{AMBIGUOUS}: it {self.fault}"

    @property
    def fault(self) -> str:
        """What is wrong with the question, as a verb's phrase."""
        return "names too little" if self.passages is None else f"could be asked of {counted(self.passages, 'passage')}"

    @property
    def told(self) -> str:
        """What its author is told of it, behind the question."""
        return f"{self.fault.replace('passages', 'texts')}. {self.remedy}"

    @property
    def remedy(self) -> str:
        """What would help, as a sentence."""
        parts = [f"the document (“{self.title}”)"] if self.title else []
        parts += [f"the section (“{self.heading}”)"] if self.heading else []
        parts += [f"what sets it apart ({', '.join(self.words)})"] if self.words else []
        return f"Name in the question {' or '.join(parts) or 'the very thing it is about'}."


class TextIndex:
    """BM25, as Lucene counts it, over texts with their titles and headings.

    Texts that hold the questions themselves have their words too often: for them it does not count how `often`.
    Without a `rarity` no question names too little.
    """

    def __init__(self, texts: Sequence[IndexedText], often: bool = True, rarity: Rarity | None = None) -> None:
        import bm25s

        self.texts, self._often, self._rarity = texts, often, rarity
        documents = dict[str, int]()
        own = (text.document or str(place) for place, text in enumerate(texts))
        self._documents = np.array([documents.setdefault(name, len(documents)) for name in own], np.int32)
        self._vocabulary: dict[str, int] = {}
        self._above = dict[int, list[int]]()  # the places of the texts that have a term only above them
        ids = [self._read(place, text) for place, text in enumerate(texts)]
        self._bm25 = bm25s.BM25()
        if self._vocabulary:
            self._bm25.index((ids, self._vocabulary), create_empty_token=False, show_progress=False)

    def _read(self, place: int, text: IndexedText) -> array[int]:
        """The numbers of a text's terms."""
        own, above = (array("i", map(self._number, terms(part))) for part in (text.own, text.above))
        for term_id in set(above) - set(own):
            self._above.setdefault(term_id, []).append(place)
        return own + above

    def _number(self, term: str) -> int:
        return self._vocabulary.setdefault(term, len(self._vocabulary))

    def nearest(self, text: str, count: int) -> list[Nearest]:
        """The texts that fit one best, at most `count`, the best first; none that shares no word with it."""
        scores = self._scores(self._ids(text))
        return list(_descending(scores, count))

    def holding(self, text: str) -> int:
        """How many texts have each word of one; 0 also where it has none."""
        words = set(terms(text))
        ids = self._ids(text)
        if not len(ids) or len(ids) < len(words):
            return 0
        counts = np.zeros(len(self.texts), np.int32)
        for term_id in ids:
            counts[self._holders(term_id)] += 1
        return int(np.count_nonzero(counts == len(ids)))

    def weight(self, term: str) -> float:
        """How much a term tells of a text: the more, the fewer texts have it (Lucene's idf)."""
        term_id = self._vocabulary.get(term)
        return self._idf(0 if term_id is None else len(self._holders(term_id)))

    def ambiguity(
        self, question: str, place: int, evidence: str = "", answer: str = "", may_be_short: bool = False
    ) -> Ambiguity | None:
        """Of how many texts a question of the text at `place` could be asked; None if of that alone.

        What would tell it apart are words of the `evidence` first, and none that give the `answer` away. One that may
        be short ("What is a wheel?") is not asked to name much.
        """
        named = self.named(question, place)
        if named < ENOUGH and not may_be_short:
            return self._lacking(question, place, None, evidence, answer)
        rivals = self._rivals(self._ids(question), place, named > MUCH)
        return self._lacking(question, place, rivals, evidence, answer) if len(rivals) else None

    def named(self, question: str, place: int) -> float:
        """How many bits the words of a question tell that occur in the document of the text at `place`.

        `MUCH` where no rarity is known.
        """
        if self._rarity is None:
            return MUCH
        return sum(self._rarity(token) for token in set(tokens(question)) if self._in_document(token, place))

    def _in_document(self, token: str, place: int) -> bool:
        ids = (self._vocabulary.get(term) for term in terms_of(token))
        own = self._documents[place]
        return any(own in self._documents[self._holders(term_id)] for term_id in ids if term_id is not None)

    def _rivals(self, ids: NDArray[np.int32], place: int, clear: bool) -> NDArray[np.intp]:
        """The texts that words could be asked of as well, the nearest first; better, if what they name is `clear`."""
        own_ids = np.array([term_id for term_id in ids if place in self._holders(term_id)], np.int32)
        weights, scores, whole = self._weights(own_ids), self._scores(own_ids), self._scores(ids)
        margin, near, far = (EXACTLY, BETTER, BETTER * FAR) if clear else (MARGIN, 1 - MARGIN, FAR)
        rival = weights >= (1 - margin) * weights[place]
        if self._often:
            rival = rival & (scores >= near * scores[place]) | (whole > far * whole[place])
        rival[place] = False
        rivals = np.flatnonzero(rival)
        rivals = rivals[np.argsort(-scores[rivals], kind="stable")]
        none = [rival for rival in rivals if self._beside(place, int(rival))]
        none += [rival for rival in rivals[:COMPARED] if self._copies(place, int(rival))]
        return rivals[~np.isin(rivals, none)]

    def _beside(self, place: int, other: int) -> bool:
        """Whether two texts stand beside each other in a section; rows of a table do not."""
        left, right = self.texts[place], self.texts[other]
        part = bool(left.document) and not left.records and left.section == right.section
        return part and abs(left.number - right.number) <= BESIDE

    def _lacking(
        self, question: str, place: int, rivals: NDArray[np.intp] | None, evidence: str, answer: str
    ) -> Ambiguity:
        """What a question lacks beside its rivals; with None, to name anything."""
        own = self.texts[place]
        nearest = [] if rivals is None else [self.texts[rival] for rival in rivals[:NAMED]]
        asked = set(terms(question))

        def lacks(part: str) -> bool:
            name = getattr(own, part)
            other = rivals is None or any(getattr(text, part) != name for text in nearest)
            return bool(name) and other and not set(terms(name)) <= asked

        title, heading = (getattr(own, part) if lacks(part) else "" for part in ("title", "heading"))
        common = asked | set(terms(answer)) | {term for text in nearest for term in terms(f"{text.above} {text.own}")}
        words = [name for name in names(own.text) if not set(terms(name)) & common and self._bits(name)]
        near = set(names(evidence))
        words.sort(key=lambda name: (name not in near, name[0].isdigit(), *self._telling(name)))
        return Ambiguity(None if rivals is None else 1 + len(rivals), title, heading, tuple(words[:NAMED]))

    def _telling(self, name: str) -> tuple[int, float]:
        """How many texts have a name, and as a negative number what it tells: what sorts telling names first."""
        return min(len(self._holders(term_id)) for term_id in self._ids(name)), -self._bits(name)

    def _bits(self, name: str) -> float:
        """What a name tells; without a rarity as much as it has letters."""
        return len(name) if self._rarity is None else sum(map(self._rarity, tokens(name)))

    def _copies(self, place: int, rival: int) -> bool:
        own, other = self.texts[place], self.texts[rival]
        return nearly_repeats(own.text, other.text, own.records and other.records)

    def _ids(self, text: str) -> NDArray[np.int32]:
        """The known terms of a text, each once."""
        known = {self._vocabulary[term] for term in terms(text) if term in self._vocabulary}
        return np.array(sorted(known), np.int32)

    def _holders(self, term_id: int) -> NDArray[np.int32]:
        """The places of the texts that have a term."""
        starts, places = self._bm25.scores["indptr"], self._bm25.scores["indices"]
        return np.asarray(places[starts[term_id] : starts[term_id + 1]], np.int32)

    def _weights(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        """The weight of those of some terms that each text has, (texts,)."""
        weights = np.zeros(len(self.texts))
        for term_id in ids:
            holders = self._holders(term_id)  # each once
            weights[holders] += (weight := self._idf(len(holders)))
            weights[self._above.get(int(term_id), [])] -= (1 - ABOVE) * weight
        return weights

    def _idf(self, holders: int) -> float:
        return math.log1p((len(self.texts) - holders + 0.5) / (holders + 0.5))

    def _scores(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """How well each text fits some terms, (texts,)."""
        if not len(ids):
            return np.zeros(len(self.texts), np.float32)
        return np.asarray(self._bm25.get_scores_from_ids(ids), np.float32)


class PassageIndex(TextIndex):
    """The index of all passages of a dataset."""

    def __init__(self, pieces: Sequence[Piece], rarity: Rarity | None = None) -> None:
        super().__init__([indexed(piece) for piece in pieces], rarity=rarity)
        self.pieces = pieces
        self._places = {passage_key(piece): place for place, piece in enumerate(pieces)}

    def ambiguity_of(
        self, question: str, piece: Piece, evidence: str = "", answer: str = "", may_be_short: bool = False
    ) -> Ambiguity | None:
        """Of how many passages a question about a piece could be asked; None if of that alone: see `ambiguity`."""
        return self.ambiguity(question, self._places[passage_key(piece)], evidence, answer, may_be_short)

    def named_by(self, question: str, piece: Piece) -> float:
        """How many bits a question about a piece tells: see `named`."""
        return self.named(question, self._places[passage_key(piece)])


def indexed(piece: Piece) -> IndexedText:
    """A piece as it is indexed: an existing row by all that it says."""
    if piece.row is not None:
        return IndexedText("\n".join(turn.content for turn in piece.row.messages) or piece.row.text)
    passage = piece.passage
    table = passage.source != piece.file
    return IndexedText(passage.text, piece.title, passage.heading, table, piece.document, passage.number)


def _descending(scores: NDArray[np.float32], count: int) -> Iterator[Nearest]:
    for place in np.argsort(-scores, kind="stable")[:count]:
        if scores[place] > 0:
            yield Nearest(int(place), float(scores[place]))
