"""Questions asked again: beside their passage, where the answer must agree, and without it, of who is to be tuned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gemmalocal.records import Message
from gemmalocal.synthesis import agreement
from gemmalocal.synthesis.agreement import Weigh
from gemmalocal.synthesis.asking import AskAuthor, Prompt
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.kinds import UNANSWERABLE, WRONG_PREMISE
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.retrieval import AMBIGUOUS
from gemmalocal.synthesis.wording import Wording

NUMBER = re.compile(r"(?m)^\W{0,3}([1-9]\d?)[.):]\**\s+")  # of an answer, at the beginning of its line
KNOWN = "is known already to the model that is to be tuned"  # the reason of a row that is dropped for it


def again(candidates: Sequence[Candidate], wording: Wording, weigh: Weigh) -> Dialogue[list[tuple[Candidate, str]]]:
    """Ask the questions of a piece again beside it: the candidates, each with why it is not to be kept, '' if it is.

    Rows that no model wrote, and such as their passage does not answer, are not asked; what got no answer is kept.
    All are asked with one prompt; what has no answer then, or another one, with a prompt of its own.
    """
    chosen = [candidate for candidate in candidates if answerable(candidate)]
    settled = {id(candidate): (candidate, "") for candidate in candidates}
    if len(chosen) > 1 and wording.asks_together:
        (together,) = yield [wording.answer(chosen)]
        answers = numbered(together, len(chosen)) if isinstance(together, str) else {}
        for number, answer in answers.items():
            candidate = chosen[number - 1]
            settled[id(candidate)] = _settled(candidate, answer, weigh)
        chosen = [candidate for candidate in chosen if not settled[id(candidate)][0].agreed]
    alone = yield [wording.answer([candidate]) for candidate in chosen]
    for candidate, said in zip(chosen, alone, strict=True):
        if isinstance(said, str):
            settled[id(candidate)] = _settled(candidate, said, weigh)
    return [settled[id(candidate)] for candidate in candidates]


def numbered(text: str, count: int) -> dict[int, str]:
    """The answers in a text of numbered lines, by their numbers up to `count`; none of a number that comes twice."""
    parts = NUMBER.split(text)
    pairs = [(int(number), answer.strip()) for number, answer in zip(parts[1::2], parts[2::2], strict=True)]
    often = Counter(number for number, _ in pairs)
    return {number: answer for number, answer in pairs if often[number] == 1 and number <= count and answer}


def with_knowledge(
    candidates: Sequence[Candidate], ask: AskAuthor, chat: bool, weigh: Weigh
) -> Iterator[tuple[int, Candidate]]:
    """The candidates that ask something, by their places, marked whether a model answers them right by itself.

    A model that does not `chat` is given a line to go on from.
    """
    chosen = [(place, candidate) for place, candidate in enumerate(candidates) if asks(candidate)]
    return side_by_side((_known(place, candidate, chat, weigh) for place, candidate in chosen), ask)


def asks(candidate: Candidate) -> bool:
    """Whether a row is a question with an answer of its own."""
    return bool(candidate.question and candidate.answer)


def answerable(candidate: Candidate) -> bool:
    """Whether a model wrote both question and answer, and the answer is in the passage."""
    written = asks(candidate) and candidate.by == "model" and candidate.piece.row is None
    return written and candidate.kind not in (UNANSWERABLE, WRONG_PREMISE)


def counted(kept: Sequence[Candidate], rejected: Sequence[tuple[Candidate, str]]) -> dict[str, int]:
    """How many rows ask, and of all questions that were written, how many stand alone, agreed, and are known.

    A count is left out where nobody was asked.
    """
    counts = {"questions": sum(map(asks, kept))}
    alone = sum(asks(candidate) and candidate.kind != UNANSWERABLE for candidate in kept)
    if asked := alone + sum(reason.startswith(AMBIGUOUS) for _, reason in rejected):
        counts |= {"alone": alone, "alone_asked": asked}
    every = [*kept, *(candidate for candidate, _ in rejected)]
    for name in ("agreed", "known"):
        answers = [answer for candidate in every if (answer := getattr(candidate, name)) is not None]
        counts |= {name: sum(answers), f"{name}_asked": len(answers)} if answers else {}
    return counts


def bare(question: str, chat: bool) -> Prompt:
    """A question by itself."""
    return Prompt((Message("user", question if chat else f"Question: {question}\nAnswer:"),))


def _settled(candidate: Candidate, answer: str, weigh: Weigh) -> tuple[Candidate, str]:
    """A candidate with whether an answer agrees with its own, and why not."""
    expected = agreement.conclusion(candidate.answer)
    reason = agreement.disagreement(expected, answer, candidate.question, weigh)
    return replace(candidate, agreed=reason is None), reason or ""


def _known(place: int, candidate: Candidate, chat: bool, weigh: Weigh) -> Dialogue[tuple[int, Candidate]]:
    (answer,) = yield [bare(candidate.question, chat)]
    if not isinstance(answer, str):
        return place, candidate
    expected = agreement.conclusion(candidate.answer)
    return place, replace(candidate, known=agreement.says(answer, expected, candidate.question, weigh))
