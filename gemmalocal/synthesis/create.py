"""Pieces to candidates: ask, read, tell the mistake and ask again, and at last let the rules do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gemmalocal.synthesis import base, checks
from gemmalocal.synthesis.asking import AskAuthor, Prompt, Unanswered
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.tasks import Task, UnusableAnswer, Verdict, parse
from gemmalocal.synthesis.wording import Wording

WINDOW = 16  # pieces that are asked about together

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
    """What comes of each piece, in their order; without an `ask` the rules make it all."""
    for start in range(0, len(pieces), WINDOW):
        window = [PieceResult(piece, order.task.ready_made(piece)) for piece in pieces[start : start + WINDOW]]
        if ask is not None and order.task.form is not None and order.instructed:
            _ask_author(window, order, ask)
        for result in window:
            if not any(candidate.by == "model" for candidate in result.kept):
                candidates = order.task.rules(result.piece, order.count, order.seed)
                if ask is not None and not order.instructed:
                    candidates = base.worded(candidates, order.task, order.wording, ask)
                result.take(candidates)
            yield result


def _ask_author(window: list[PieceResult], order: Order, ask: AskAuthor) -> None:
    """Ask about each piece until it has a row, or its attempts are used."""
    waiting: list[tuple[PieceResult, Prompt]] = [
        (result, order.wording.ask(order.task, result.piece, order.count)) for result in window
    ]
    for _ in range(order.attempts):
        answers = dict(ask([prompt for _, prompt in waiting]))
        still_waiting = []
        for index, (result, prompt) in enumerate(waiting):
            answer = answers[index]
            if isinstance(answer, Unanswered):
                result.lost = answer.reason
            elif problem := _read(result, order, answer):
                result.lost = problem
                still_waiting.append((result, order.wording.with_correction(prompt, answer, problem)))
        if not (waiting := still_waiting):
            return


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
    """Each window of candidates scored: kept are those of at least `threshold`, of 1 to 10."""
    for start in range(0, len(candidates), WINDOW):
        window = candidates[start : start + WINDOW]
        result = PieceResult(window[0].piece)
        answers = dict(ask([wording.judge(candidate) for candidate in window]))
        for index, candidate in enumerate(window):
            verdict = _verdict(answers[index])
            if isinstance(verdict, str):
                result.rejected.append((candidate, f"could not be judged: {verdict}"))
                continue
            scored = replace(candidate, score=verdict.score)
            if verdict.score >= threshold:
                result.kept.append(scored)
            else:
                result.rejected.append((scored, f"was scored below {threshold}: {verdict.score}, {verdict.reason}"))
        yield result


def _verdict(answer: str | Unanswered) -> Verdict | str:
    if isinstance(answer, Unanswered):
        return answer.reason
    try:
        return parse(answer, Verdict)[0]
    except UnusableAnswer as problem:
        return str(problem)
