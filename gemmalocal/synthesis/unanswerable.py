"""Rows that teach to say so: questions that the documents do not answer, and questions that take a fact wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from gemmalocal.synthesis import checks, ground
from gemmalocal.synthesis.asking import AskAuthor, Unanswered
from gemmalocal.synthesis.create import PieceResult
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.kinds import UNANSWERABLE, WRONG_PREMISE
from gemmalocal.synthesis.language import english, sentences
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.tasks import Answered, MissingFact, Premise, UnusableAnswer, parse
from gemmalocal.synthesis.wording import Wording

Row = TypeVar("Row", MissingFact, Premise, Answered)
KINDS = (UNANSWERABLE, WRONG_PREMISE)
BESIDE = 3  # nearest passages that a question must not be answered by
ANSWERED = 0.85  # of a question's longer words in one sentence: that may well answer it
ROUNDS = 3  # of asking, each for as many as are missing
SAYS_SO = re.compile(r"\b(?:not|no|nothing|nowhere|never|without|neither|nor|un\w+ed|unclear|unknown)\b|n['’]t\b", re.I)


@dataclass(frozen=True)
class Missed:
    """Asks for such rows: `wording` has the prompts, `index` all passages."""

    wording: Wording
    index: PassageIndex

    def unanswerable(self, piece: Piece) -> Dialogue[PieceResult]:
        """A question near a passage that no passage answers."""
        result = PieceResult(piece)
        beside = [other for other in self._nearest(piece.passage.text) if other is not piece]
        (answer,) = yield [self.wording.missing(piece, [other.passage.text for other in beside[: BESIDE - 1]])]
        if (row := _row(answer, MissingFact, result)) is None:
            return result
        record = pair(piece, row.question, row.answer)
        candidate = Candidate(piece, record, "", "model", row.question, row.answer, kind=UNANSWERABLE)
        near = self._nearest(row.question)
        if reason := _unfit(candidate, near, beside):
            result.rejected.append((candidate, reason))
            return result
        texts = [other.passage.text for other in ([piece] if piece not in near else []) + near]
        (answer,) = yield [self.wording.answered(row.question, texts)]
        if (verdict := _row(answer, Answered, result)) is None:
            result.rejected.append((candidate, "may be answered: its author did not say"))
        elif verdict.answered and any(ground.problem(verdict.evidence, text) is None for text in texts):
            result.rejected.append((candidate, f"is answered in the documents: {verdict.evidence}"))
        else:
            result.kept.append(candidate)
        return result

    def wrong_premise(self, row: Candidate) -> Dialogue[PieceResult]:
        """A question that takes a fact of a row's evidence wrong, and an answer that puts it right."""
        result = PieceResult(row.piece)
        sentence = _around(row.evidence, row.piece)
        (answer,) = yield [self.wording.premise(row.piece, sentence)]
        if (premise := _row(answer, Premise, result)) is None:
            return result
        record = pair(row.piece, premise.question, premise.answer)
        candidate = Candidate(
            row.piece, record, sentence, "model", premise.question, premise.answer, kind=WRONG_PREMISE
        )
        if reason := _not_wrong(premise, sentence, row.piece) or checks.problem(candidate):
            result.rejected.append((candidate, reason))
        else:
            result.kept.append(candidate)
        return result

    def _nearest(self, text: str) -> list[Piece]:
        return [self.index.pieces[near.place] for near in self.index.nearest(text, BESIDE)]


def wanted(rows: int, share: float) -> int:
    """How many such rows make a share of all, beside so many others."""
    return round(rows * share / (1 - share)) if share else 0


def create(kept: Sequence[Candidate], count: int, missed: Missed, ask: AskAuthor) -> Iterator[PieceResult]:
    """At most `count` rows of both kinds, about passages that have rows; which passages depends on their texts alone.

    Where some come to nothing, as many others are asked about, a few times.
    """
    sources = sorted({id(row.piece): row for row in kept}.values(), key=lambda row: _draw(row.piece.passage.text))
    talks = iter(_talks(sources, missed))
    missing = count
    for _ in range(ROUNDS):
        begun = [talk for _, talk in zip(range(missing), talks, strict=False)]
        if not begun:
            return
        for result in side_by_side(begun, ask):
            missing -= bool(result.kept)
            yield result


def capped(candidates: Sequence[Candidate], share: float) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """No more such rows than their share of all; which stay is by their content."""
    such = sorted((row for row in candidates if row.kind in KINDS), key=lambda row: row.record.key)
    surplus = such[wanted(len(candidates) - len(such), share) :]
    gone = {row.record.key for row in surplus}
    reason = "is beyond the share of its kind: --unanswerable"
    return [row for row in candidates if row.record.key not in gone], [(row, reason) for row in surplus]


def counted(candidates: Sequence[Candidate]) -> dict[str, int]:
    """How many there are of each kind."""
    return {kind: sum(row.kind == kind for row in candidates) for kind in KINDS}


def _talks(sources: Sequence[Candidate], missed: Missed) -> Iterator[Dialogue[PieceResult]]:
    """The two kinds by turns, and then each where the other was asked."""
    for shift in range(2):
        for number, row in enumerate(sources):
            yield missed.wrong_premise(row) if (number + shift) % 2 else missed.unanswerable(row.piece)


def _row(answer: str | Unanswered, form: type[Row], result: PieceResult) -> Row | None:
    """The row of an answer; None, with `lost` saying why, if it holds none."""
    if isinstance(answer, Unanswered):
        result.lost = answer.reason
        return None
    try:
        return parse(answer, form)[0]
    except UnusableAnswer as problem:
        result.lost = str(problem)
        return None


def _unfit(candidate: Candidate, near: Sequence[Piece], beside: Sequence[Piece]) -> str | None:
    """Why a question is answered, or is not near its passage, or its answer does not say so; None if all is well."""
    if reason := checks.problem(candidate):
        return reason
    if candidate.piece not in near:
        return "is not near its passage: other passages have more of its words"
    own = [candidate.piece, *near]
    for line in (line for other in own for line in sentences(other.passage.text)):
        if ground.overlap(candidate.question, line) >= ANSWERED:
            return f"may be answered in the documents: {line}"
    told = "\n".join(other.passage.text for other in (*own, *beside))
    if invented := ground.numbers(candidate.answer) - ground.numbers(f"{told}\n{candidate.question}"):
        return f"has a number in its answer that is not in its passage: {min(invented)}"
    if english(told) and not SAYS_SO.search(candidate.answer):
        return "does not say that the documents do not answer it"
    return None


def _not_wrong(premise: Premise, sentence: str, piece: Piece) -> str | None:
    """Why a question takes nothing wrong for granted, or its answer does not put it right; None if all is well."""
    right, wrong = ground.normal(premise.right), ground.normal(premise.wrong)
    question, answer = ground.normal(premise.question), ground.normal(premise.answer)
    if right == wrong or not _has(right, ground.normal(sentence)):
        return f"has a fact that is not in its evidence: {premise.right}"
    if _has(wrong, ground.normal(f"{piece.title}\n{piece.passage.heading}\n{piece.passage.text}")):
        return f"takes for granted what its passage says: {premise.wrong}"
    if not _has(wrong, question) or _has(right, question):
        return f"does not take for granted what is wrong: {premise.wrong}"
    if not _has(right, answer):
        return f"does not put right what is wrong: {premise.right}"
    if bool(ground.numbers(right)) != bool(ground.numbers(wrong)):
        return f"has a wrong fact of another sort: {premise.wrong} for {premise.right}"
    return None


def _has(part: str, whole: str) -> bool:
    """Whether a text has a part as whole words."""
    return bool(part) and re.search(rf"(?<![a-z0-9]){re.escape(part)}(?![a-z0-9])", whole) is not None


def _around(evidence: str, piece: Piece) -> str:
    """The sentence that a quote stands in, if it stands in one."""
    quote = ground.normal(evidence)
    return next((line for line in sentences(piece.passage.text) if quote in ground.normal(line)), evidence)


def _draw(text: str) -> str:
    """An order that depends on texts alone."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()
