"""Questions asked again: beside their passage, where the answer must agree, and without it, of who is to be tuned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gemmalocal.records import Message
from gemmalocal.synthesis import agreement
from gemmalocal.synthesis.agreement import Weigh
from gemmalocal.synthesis.asking import AskAuthor, Prompt, Unanswered
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.kinds import UNANSWERABLE, WRONG_PREMISE
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.wording import Wording

KNOWN = "is known already to the model that is to be tuned"  # the reason of a row that is dropped for it


def again(candidates: Sequence[Candidate], wording: Wording, weigh: Weigh) -> Dialogue[list[tuple[Candidate, str]]]:
    """Ask questions again beside their passages: the candidates, each with why it is not to be kept, '' if it is.

    Rows that no model wrote, and such as their passage does not answer, are not asked; what got no answer is kept.
    """
    chosen = [candidate for candidate in candidates if answerable(candidate)]
    answers = yield [wording.answer(candidate) for candidate in chosen]
    by_candidate = {id(candidate): answer for candidate, answer in zip(chosen, answers, strict=True)}
    return [_settled(candidate, by_candidate.get(id(candidate)), weigh) for candidate in candidates]


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


def counted(kept: Sequence[Candidate]) -> dict[str, int]:
    """Of the rows of a dataset: how many ask, agreed when asked again, and are known to who is to be tuned.

    A count is left out where nobody was asked.
    """
    counts = {"questions": sum(map(asks, kept))}
    for name in ("agreed", "known"):
        answers = [answer for candidate in kept if (answer := getattr(candidate, name)) is not None]
        counts |= {name: sum(answers), f"{name}_asked": len(answers)} if answers else {}
    return counts


def lines(counts: Mapping[str, int]) -> Iterator[str]:
    """The same as sentences."""
    if "agreed" in counts:
        yield f"{counts['agreed']} of {counts['agreed_asked']} questions were answered the same when asked again"
    if "known" in counts:
        known = f"{counts['known']} of {counts['known_asked']} questions"
        yield f"{known} are answered right already by the model that is to be tuned"


def bare(question: str, chat: bool) -> Prompt:
    """A question by itself."""
    return Prompt((Message("user", question if chat else f"Question: {question}\nAnswer:"),))


def _settled(candidate: Candidate, answer: str | Unanswered | None, weigh: Weigh) -> tuple[Candidate, str]:
    if not isinstance(answer, str):
        return candidate, ""
    expected = agreement.conclusion(candidate.answer)
    reason = agreement.disagreement(expected, answer, candidate.question, weigh)
    return replace(candidate, agreed=reason is None), reason or ""


def _known(place: int, candidate: Candidate, chat: bool, weigh: Weigh) -> Dialogue[tuple[int, Candidate]]:
    (answer,) = yield [bare(candidate.question, chat)]
    if not isinstance(answer, str):
        return place, candidate
    expected = agreement.conclusion(candidate.answer)
    return place, replace(candidate, known=agreement.says(answer, expected, candidate.question, weigh))
