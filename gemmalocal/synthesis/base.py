"""An author that follows no instructions, as every pretrained model: the rules choose a sentence, it words a question.

It goes on from examples (few-shot, https://arxiv.org/abs/2005.14165). A question that is none, or is not about the
sentence, is not taken: the rule's own stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gemmalocal.synthesis import checks, ground
from gemmalocal.synthesis.dialogue import Dialogue
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.tasks import Task
from gemmalocal.synthesis.wording import Wording

WORDS = range(4, 31)  # of a question
ABOUT = 0.6  # of its longer words must be the sentence's


def worded(candidates: Sequence[Candidate], task: Task, wording: Wording) -> Dialogue[list[Candidate]]:
    """The candidates of the rules, with the author's questions where they are sensible. Only questions are worded."""
    if task.name not in ("qa", "cot"):
        return list(candidates)
    answers = yield [wording.question(candidate) for candidate in candidates]
    return [_with(candidate, str(answer)) for candidate, answer in zip(candidates, answers, strict=True)]


def _with(candidate: Candidate, answer: str) -> Candidate:
    question = (answer.strip().splitlines() or [""])[0].strip()
    if not question.endswith("?") or question.count("?") > 1 or len(question.split()) not in WORDS:
        return candidate
    if ground.overlap(question, candidate.evidence) < ABOUT or ground.overlap(candidate.evidence, question) > 0.9:
        return candidate
    user, reply = candidate.record.messages
    record = replace(candidate.record, messages=(replace(user, content=question), reply))
    new = replace(candidate, record=record, question=question, by="model")
    return candidate if checks.problem(new) else new
