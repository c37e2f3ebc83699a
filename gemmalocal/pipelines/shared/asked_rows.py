"""Prompts of rows that are asked again: what they are, what a model makes of them, and who judges it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gemmalocal.backends.protocol import Sampling
from gemmalocal.data.cells import UnusableRow
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents.find import printable
from gemmalocal.engine.generation import ChatModel, as_row_begins, speak
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Event, Finished, Progress, Read
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared.authors import Author, open_author
from gemmalocal.pipelines.shared.background import Stopped, Teller
from gemmalocal.pipelines.shared.judges import check_instructed
from gemmalocal.pipelines.shared.row_records import read_rows
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import Message, Record
from gemmalocal.weights.locate import locate

ANSWERED, JUDGED = "answered.jsonl", "judged.jsonl"  # in the dataset's folder
SEEDS = 2**31


@dataclass(frozen=True)
class Question:
    """What is asked, after what was said before, and the answer that its row has."""

    source: str
    prompt: tuple[Message, ...]
    reference: str


def until_stopped(events: Iterator[Event]) -> Iterator[Event]:
    """What making a dataset tells; a stop is its end, as what was answered is kept."""
    try:
        yield from events
    except Stopped:
        yield Finished("stopped", "answers so far are kept: the same command goes on from here")


def reasons(lost: Counter[str]) -> str:
    """Why prompts became no rows, the most frequent reason first."""
    return "; ".join(f"{counted(count, 'prompt')}: the row {reason}" for reason, count in lost.most_common())


def questions_of(plan: Preparation, tell: Teller) -> tuple[list[Question], Counter[str]]:
    """The prompts of all rows, each once, or so many of them as are wanted, and why others are none."""
    questions, lost = dict[int, Question](), Counter[str]()
    for path in plan.sources:
        before = len(questions)
        for row in read_rows(path, tell):
            try:
                if isinstance(row, UnusableRow):
                    raise row
                questions.setdefault(*_question(row[0]))
            except UnusableRow as error:
                lost[str(error).partition(": ")[0]] += 1
        tell.say(Read(printable(path), len(questions) - before))
    if not questions:
        raise DatasetError(
            f"There is no row with a prompt at {', '.join(plan.sources)}.", "gemmalocal check shows how rows are read."
        )
    chosen = list(questions.values())
    if plan.rows is not None and plan.rows < len(chosen):
        places = sorted(random.Random(plan.seed).sample(range(len(chosen)), plan.rows))
        chosen = [chosen[place] for place in places]
    return chosen, lost


def _question(record: Record) -> tuple[int, Question]:
    """A row's prompt by its content; raises `UnusableRow` for one that has none. Of two answers the good one counts."""
    first = record.answers[0]
    if not first.messages or first.messages[-1].role != "assistant" or len(first.messages) < 2:
        raise UnusableRow("has no prompt of its own")
    prompt = first.messages[:-1]
    return Record("", messages=prompt).key, Question(record.source, prompt, first.messages[-1].content)


def said(
    voices: Sequence[ChatModel],
    prompts: Sequence[str],
    sampling: Sampling,
    commands: Commands,
    before: int,
    questions: int,
    each: int,
) -> Generator[Event, None, dict[str, list[Any]]]:
    """All answers of a batch, `each` so many to a question; these are told as they end, with the questions `before`.

    Raises `Stopped`.
    """
    answers: dict[str, list[Any]] = {
        "texts": [""] * len(voices), "tokens": [0] * len(voices), "ended": [False] * len(voices),
    }  # fmt: skip
    ended = 0

    def go_on() -> bool:
        if stop_asked(commands):
            raise Stopped
        return True

    for step in speak(voices, prompts, sampling, go_on):
        answers["texts"][step.voice], answers["tokens"][step.voice] = step.answer.strip(), step.tokens
        answers["ended"][step.voice] = step.stopped == "end"
        ended += bool(step.stopped)
        if step.stopped and ended % each == 0 and ended < len(voices):
            yield Progress("prompts answered", before + ended // each, questions)
    return answers


def prompt_of(speaker: ChatModel, question: Question) -> str:
    """What a model is given; one that was trained on no chats meets the last turn alone."""
    if speaker.layout.form == "chat":
        return speaker.layout.prompt_text(speaker.tokenizer, question.prompt)
    text = as_row_begins(question.prompt[-1].content, speaker.template)
    return speaker.layout.prompt_text(speaker.tokenizer, [Message("user", text)])


def opened(judge: Preparation, tell: Teller) -> Author:
    """The judge, loaded or looked for; raises what finding it raises."""
    if judge.endpoint is not None:
        return open_author(judge, None, None)
    folder = locate(judge.model, tell)
    tokenizer = Tokenizer(folder)
    check_instructed(judge.model, tokenizer)
    return open_author(judge, folder, tokenizer)
