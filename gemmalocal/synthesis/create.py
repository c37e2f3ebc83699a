"""Pieces to candidates: ask, read, tell the mistake and ask again, and at last let the rules do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gemmalocal.synthesis import base, checks
from gemmalocal.synthesis.asking import AskAuthor, Unanswered
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.tasks import Task, UnusableAnswer, Verdict, parse
from gemmalocal.synthesis.wording import Wording

Rejection = tuple[Candidate, str]  # and why, as a verb's phrase


@dataclass
class PieceResult:
    """What came of one piece; `lost` says why its author failed, where the rules had to step in."""

    piece: Piece
    kept: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    lost: str = ""

    def take(self, candidates: Sequence[Candidate]) -> str:
        """Check candidates and sort them; the first reason why one was rejected, '' if none was."""
        first = ""
        for candidate in candidates:
            if reason := checks.problem(candidate):
                self.rejected.append((candidate, reason))
                first = first or reason
            else:
                self.kept.append(candidate)
        return first


@dataclass(frozen=True)
class Order:
    """What is wanted of each piece: `count` rows, by an author who is told mistakes until its `attempts` are used."""

    task: Task
    count: int
    attempts: int
    seed: int
    wording: Wording
    instructed: bool = True  # else the author only goes on from examples


def create(pieces: Sequence[Piece], order: Order, ask: AskAuthor | None) -> Iterator[PieceResult]:
    """What comes of each piece, as soon as it does; without an `ask` the rules make it all."""
    return side_by_side((_rows_of(piece, order, ask is not None) for piece in pieces), ask)


def _rows_of(piece: Piece, order: Order, asked: bool) -> Dialogue[PieceResult]:
    result = PieceResult(piece, order.task.ready_made(piece))
    if asked and order.task.form is not None and order.instructed:
        yield from _ask_author(result, order)
    if not any(candidate.by == "model" for candidate in result.kept):
        candidates = order.task.rules(piece, order.count, order.seed)
        if asked and not order.instructed:
            candidates = yield from base.worded(candidates, order.task, order.wording)
        result.take(candidates)
    return result


def _ask_author(result: PieceResult, order: Order) -> Dialogue[None]:
    """Ask about a piece until it has a row, or its attempts are used."""
    prompt = order.wording.ask(order.task, result.piece, order.count)
    for _ in range(order.attempts):
        (answer,) = yield [prompt]
        if isinstance(answer, Unanswered):
            result.lost = answer.reason
            return
        if not (problem := _read(result, order, answer)):
            return
        result.lost = problem
        prompt = order.wording.with_correction(prompt, answer, problem)


def _read(result: PieceResult, order: Order, answer: str) -> str:
    """Take the rows of an answer; what to tell its author if none of them can be kept."""
    assert order.task.form is not None
    try:
        rows = parse(answer, order.task.form.row)[: order.count]
    except UnusableAnswer as problem:
        return str(problem)
    kept_before = len(result.kept)
    reason = result.take([order.task.form.read(result.piece, row) for row in rows])
    if len(result.kept) > kept_before:
        result.lost = ""
        return ""
    return f"The row {reason}."


def judge(candidates: Sequence[Candidate], wording: Wording, ask: AskAuthor, threshold: int) -> Iterator[PieceResult]:
    """Each candidate scored, as soon as it is: kept are those of at least `threshold`, of 1 to 10."""
    return side_by_side((_judged(candidate, wording, threshold) for candidate in candidates), ask)


def _judged(candidate: Candidate, wording: Wording, threshold: int) -> Dialogue[PieceResult]:
    result = PieceResult(candidate.piece)
    (answer,) = yield [wording.judge(candidate)]
    verdict = _verdict(answer)
    if isinstance(verdict, str):
        result.rejected.append((candidate, f"could not be judged: {verdict}"))
        return result
    scored = replace(candidate, score=verdict.score)
    if verdict.score >= threshold:
        result.kept.append(scored)
    else:
        result.rejected.append((scored, f"was scored below {threshold}: {verdict.score}, {verdict.reason}"))
    return result


def _verdict(answer: str | Unanswered) -> Verdict | str:
    if isinstance(answer, Unanswered):
        return answer.reason
    try:
        return parse(answer, Verdict)[0]
    except UnusableAnswer as problem:
        return str(problem)
