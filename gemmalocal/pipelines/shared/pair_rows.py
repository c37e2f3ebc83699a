"""Prompts of rows to pairs of answers: a run answers each twice, or it and its base once; a judge decides, or the row.

What was answered is kept by content: a job that was stopped asks only what it has no answer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gemmalocal.backends.protocol import Sampling
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import DatasetError
from gemmalocal.evaluation import metrics
from gemmalocal.files import hashes
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Progress, Report, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import choices, compared_rows
from gemmalocal.pipelines.shared.asked_rows import (
    ANSWERED,
    JUDGED,
    SEEDS,
    Question,
    opened,
    prompt_of,
    questions_of,
    reasons,
    said,
    until_stopped,
)
from gemmalocal.pipelines.shared.background import Teller, in_background
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.pipelines.shared.judges import judge_alone
from gemmalocal.pipelines.shared.prepare_report import counts
from gemmalocal.pipelines.shared.report_measure import Kept, key_of
from gemmalocal.pipelines.shared.run_source import check_made
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.workspace.dataset_rows import DatasetRow

TOGETHER = 4  # prompts that are answered at once


@dataclass(frozen=True)
class Answers:
    """Two to one question, of so many tokens together; `ended` says which ended by themselves."""

    question: Question
    texts: tuple[str, str]
    tokens: int
    ended: tuple[bool, bool]


def make(preparation: Preparation, directory: Path, commands: Commands) -> Iterator[Event]:
    """Write the dataset; raises `DatasetError` where no pair is left, and what finding run and judge raises."""
    yield from until_stopped(_make(preparation, directory, commands))


def _make(plan: Preparation, directory: Path, commands: Commands) -> Iterator[Event]:
    run = history.find_run(str(plan.run))
    check_made(run)
    judge = judge_alone(plan)
    if judge is not None:
        yield Stage("finding the judge")
        yield from in_background(lambda tell: opened(judge, tell).close(), commands)
    yield Stage("reading the rows")
    questions, lost = yield from in_background(lambda tell: questions_of(plan, tell), commands)
    speakers = yield from _speakers(plan, run)
    yield Stage(f"answering {counted(len(questions), 'prompt')}")
    answered = yield from _answered(plan, run, speakers, questions, directory, commands)
    names, form = [speaker.name for speaker in speakers], speakers[0].layout.form
    del speakers  # a judge may need the memory
    yield Stage("comparing the answers")
    usable = list(_usable(answered, lost))
    if judge is None:
        metric = metrics.metric("auto", [answers.question.reference for answers in usable])
        by, winners = f"the rows' own answers ({metric.name})", list(choices.by_reference(metric, usable))
    else:
        by, winners = yield from in_background(lambda tell: _judged(judge, usable, directory, tell), commands)
    rows = list[DatasetRow]()
    for answers, winner in zip(usable, winners, strict=True):
        if isinstance(winner, str):
            lost[winner] += 1
        elif not answers.ended[winner]:
            lost["has a better answer that was cut off"] += 1
        else:
            rows.append(_row(answers, winner, names, run, form, "reference" if judge is None else "judge"))
    if not rows:
        raise DatasetError("No two answers were told apart, so there is no pair.", f"Why: {reasons(lost)}.")
    about = {"author": run.name, "documents": len({row["source"] for row in rows}), "decided_by": by}
    report = compared_rows.deliver(plan, directory, rows, lost, about)
    yield Notice(f"{counted(len(rows), 'pair')} of {counted(len(questions), 'prompt')}, decided by {by}")
    yield from (
        Notice(f"{counted(count, 'prompt gives', 'prompts give')} no pair: the row {reason}")
        for reason, count in lost.most_common()
    )
    yield Report(report)
    yield Finished("done", counts(report))


def _speakers(plan: Preparation, run: Path) -> Generator[Event, None, list[ChatModel]]:
    """Who gives the first answer, and who the second."""
    tuned = {"name": run.name, "run": str(run)}
    if plan.answers == "base":
        return (yield from load_chat_models([{"name": "base", "run": str(run), "base": True}, tuned]))
    (speaker,) = yield from load_chat_models([tuned])
    return [speaker, speaker]


def _answered(
    plan: Preparation,
    run: Path,
    speakers: Sequence[ChatModel],
    questions: Sequence[Question],
    directory: Path,
    commands: Commands,
) -> Generator[Event, None, list[Answers]]:
    """Two answers to each question; what they are depends on nothing but the question, the run and the settings."""
    kept, answered = Kept(directory / ANSWERED), list[Answers]()
    stamps = hashes.weight_stamps(history.result(run))
    for start in range(0, len(questions), TOGETHER):
        batch = questions[start : start + TOGETHER]
        prompts = [prompt_of(speaker, question) for question in batch for speaker in speakers]
        key = key_of([], stamps, plan.answers, plan.temperature, plan.answer_tokens, plan.seed, prompts)
        if not kept.has(key):
            sampling = Sampling(plan.temperature, seed=int(key, 16) % SEEDS, max_tokens=plan.answer_tokens)
            batch_said = yield from said(
                [*speakers] * len(batch), prompts, sampling, commands, len(answered), len(questions), 2
            )
            kept.add([{"key": key, **batch_said}])
        entry = kept[key]
        for number, question in enumerate(batch):
            pair = slice(2 * number, 2 * number + 2)
            texts, ended = entry["texts"][pair], entry["ended"][pair]
            tokens = sum(entry["tokens"][pair])
            answered.append(Answers(question, (texts[0], texts[1]), tokens, (ended[0], ended[1])))
        yield Progress("prompts answered", len(answered), len(questions))
    return answered


def _usable(answered: Sequence[Answers], lost: Counter[str]) -> Iterator[Answers]:
    """Those with two answers that differ; why others do not is counted."""
    for answers in answered:
        if not all(answers.texts):
            lost["has an empty answer"] += 1
        elif answers.texts[0] == answers.texts[1]:
            lost["has answers that are equal"] += 1
        else:
            yield answers


def _judged(
    judge: Preparation, usable: Sequence[Answers], directory: Path, tell: Teller
) -> tuple[str, list[choices.Winner]]:
    voice = opened(judge, tell)
    try:
        return voice.title, choices.by_judge(voice, usable, directory / JUDGED, tell)
    finally:
        voice.close()


def _row(answers: Answers, winner: int, names: Sequence[str], run: Path, form: str, by: str) -> DatasetRow:
    """A pair, as a vote for the better answer would give it."""
    prompt = [{"role": turn.role, "content": turn.content} for turn in answers.question.prompt]
    better, worse = ([{"role": "assistant", "content": answers.texts[place]}] for place in (winner, 1 - winner))
    return {
        "prompt": compared_rows.as_met(prompt, run, form),
        "chosen": better,
        "rejected": worse,
        "chosen_by": names[winner],
        "rejected_by": names[1 - winner],
        "tokens": answers.tokens,
        "source": answers.question.source,
        "by": by,
    }
