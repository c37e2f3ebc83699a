"""Of how many passages a question could be asked: lexical retrieval over all passages of a dataset (BM25).

A question stands alone when its own passage, or a near copy, fits it best by a margin, by the words that this passage
has: "how much" and "please" tell nothing of a passage, and no list of such words serves all languages. A rival is a
passage that has nearly all of these words, rare ones weighing more, and comes near by BM25, too, which counts how often
each occurs; or one that fits the whole question far better.
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
from gemmalocal.synthesis.piece import Piece, passage_key
from gemmalocal.synthesis.terms import names, terms

# By how much each rival must stay behind in one of both. Of 176 passages of our own papers, which are all about one
# program, 0.1 refuses 19 of 20 questions by hand that name nothing, and half of 19 that do (an author is asked again).
# Measured without FAR; 0.2 and more refuse more of the good ones.
MARGIN = 0.1
FAR = 1.5  # times its own passage's score: what a passage must have that the whole question fits far better
COMPARED = 16  # rivals that are compared with a question's passage as near copies, the nearest first
ABOVE = 0.5  # of its weight has a word that stands in a title alone: it is that of all passages below
NAMED = 4  # words that would tell a passage from its rivals


@dataclass(frozen=True)
class IndexedText:
    """A text that questions are set against; `records` are rows of a table, which share their form."""

    text: str
    title: str = ""
    heading: str = ""
    records: bool = False

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
    """A question that could be asked of `passages`, and the words that it lacks to be asked of its own alone."""

    passages: int
    title: str = ""
    heading: str = ""
    words: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """A verb's phrase, its kind before the first ": "."""
        return f"has a question that does not stand alone: it could be asked of {self.passages} passages"

    @property
    def told(self) -> str:
        """What its author is told of it, behind the question."""
        return f"could be asked of {self.passages} texts. {self.remedy}"

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
    """

    def __init__(self, texts: Sequence[IndexedText], often: bool = True) -> None:
        import bm25s

        self.texts, self._often = texts, often
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

    def ambiguity(self, question: str, place: int, evidence: str = "", answer: str = "") -> Ambiguity | None:
        """Of how many texts a question of the text at `place` could be asked; None if of that alone.

        What would tell it apart are words of the `evidence` first, and none that give the `answer` away.
        """
        ids = self._ids(question)
        own_ids = np.array([term_id for term_id in ids if place in self._holders(term_id)], np.int32)
        weights, scores, whole = self._weights(own_ids), self._scores(own_ids), self._scores(ids)
        rival = weights >= (1 - MARGIN) * weights[place]
        if self._often:
            rival = rival & (scores >= (1 - MARGIN) * scores[place]) | (whole > FAR * whole[place])
        rival[place] = False
        rivals = np.flatnonzero(rival)
        rivals = rivals[np.argsort(-scores[rivals], kind="stable")]
        copies = [rival for rival in rivals[:COMPARED] if self._copies(place, rival)]
        rivals = rivals[~np.isin(rivals, copies)]
        if not len(rivals):
            return None
        return self._told_apart(question, place, rivals, evidence, answer)

    def _told_apart(self, question: str, place: int, rivals: NDArray[np.intp], evidence: str, answer: str) -> Ambiguity:
        own, nearest = self.texts[place], [self.texts[rival] for rival in rivals[:NAMED]]
        asked = set(terms(question))

        def lacks(name: str) -> bool:
            return bool(name) and not set(terms(name)) <= asked

        title = own.title if lacks(own.title) and any(text.title != own.title for text in nearest) else ""
        heading = own.heading if lacks(own.heading) and any(text.heading != own.heading for text in nearest) else ""
        common = asked | set(terms(answer)) | {term for text in nearest for term in terms(f"{text.above} {text.own}")}
        words = [name for name in names(own.text) if not set(terms(name)) & common]
        near = set(names(evidence))
        words.sort(key=lambda name: (name not in near, name[0].isdigit(), *self._rarity(name)))
        return Ambiguity(1 + len(rivals), title, heading, tuple(words[:NAMED]))

    def _rarity(self, name: str) -> tuple[int, int]:
        """How many texts have a name, and its length as a negative number: what sorts telling names first."""
        return min(len(self._holders(term_id)) for term_id in self._ids(name)), -len(name)

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

    def __init__(self, pieces: Sequence[Piece]) -> None:
        super().__init__([indexed(piece) for piece in pieces])
        self.pieces = pieces
        self._places = {passage_key(piece): place for place, piece in enumerate(pieces)}

    def ambiguity_of(self, question: str, piece: Piece, evidence: str = "", answer: str = "") -> Ambiguity | None:
        """Of how many passages a question about a piece could be asked; None if of that alone: see `ambiguity`."""
        return self.ambiguity(question, self._places[passage_key(piece)], evidence, answer)


def indexed(piece: Piece) -> IndexedText:
    """A piece as it is indexed: an existing row by all that it says."""
    if piece.row is not None:
        return IndexedText("\n".join(turn.content for turn in piece.row.messages) or piece.row.text)
    passage = piece.passage
    return IndexedText(passage.text, piece.title, passage.heading, records=passage.source != piece.file)


def _descending(scores: NDArray[np.float32], count: int) -> Iterator[Nearest]:
    for place in np.argsort(-scores, kind="stable")[:count]:
        if scores[place] > 0:
            yield Nearest(int(place), float(scores[place]))
