"""A teacher answers the prompts of rows, several times each, and the best answer becomes a row: to learn from it.

What was answered is kept by content: a job that was stopped asks only what it has no answer to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Sampling
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import DatasetError, RecipeError
from gemmalocal.evaluation import metrics
from gemmalocal.evaluation.metrics import Metric
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
from gemmalocal.planning import published
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import runs
from gemmalocal.workspace.dataset_rows import DatasetRow

TOGETHER = 8  # answers that are written at once
WRONG, CUT, EMPTY = "has no answer that is right", "has no answer that ended by itself", "has empty answers alone"


class _Teacher(NamedTuple):
    """Who answers; `stamps` tell its weights from others, `run` is where they were tuned, if they were."""

    speaker: ChatModel
    stamps: object
    licence: str
    run: Path | None


@dataclass(frozen=True)
class Tries:
    """The answers to one question that ended by themselves, none twice, of so many tokens each."""

    question: Question
    texts: tuple[str, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class _Two:
    """Two of them, as a judge compares."""

    question: Question
    texts: tuple[str, str]


def make(preparation: Preparation, directory: Path, commands: Commands) -> Iterator[Event]:
    """Write the dataset; raises `DatasetError` where no row is left, and what finding teacher and judge raises."""
    yield from until_stopped(_make(preparation, directory, commands))


def _make(plan: Preparation, directory: Path, commands: Commands) -> Iterator[Event]:
    judge = judge_alone(plan)
    if judge is not None:
        yield Stage("finding the judge")
        yield from in_background(lambda tell: opened(judge, tell).close(), commands)
    yield Stage("reading the rows")
    questions, lost = yield from in_background(lambda tell: questions_of(plan, tell), commands)
    teacher = yield from _teacher(plan, commands)
    yield Stage(f"answering {counted(len(questions), 'prompt')}")
    answered = yield from _answered(plan, teacher, questions, directory, commands, lost)
    teacher.speaker.generator.close()  # a judge may need the memory
    yield Stage("choosing the answers")
    if judge is None:
        metric = metrics.metric("auto", [tries.question.reference for tries in answered])
        by, places = f"the rows' own answers ({metric.name})", [_by_reference(metric, tries) for tries in answered]
        if not metric.decides and plan.tries > 1:
            yield Notice("the rows' own answers are free text, and likeness to them decides: a judge would say more")
    else:
        by, places = yield from in_background(lambda tell: _judged(judge, answered, directory, tell), commands)
    rows = list[DatasetRow]()
    for tries, place in zip(answered, places, strict=True):
        if place is None:
            lost[WRONG] += 1
        else:
            rows.append(_row(tries, place, teacher))
    if not rows:
        raise DatasetError("No answer is left to learn from.", f"Why: {reasons(lost)}.")
    yield from _delivered(plan, directory, rows, lost, teacher, by, len(questions))


def _delivered(
    plan: Preparation,
    directory: Path,
    rows: Sequence[DatasetRow],
    lost: Counter[str],
    teacher: _Teacher,
    by: str,
    asked: int,
) -> Iterator[Event]:
    about = {
        "author": teacher.speaker.name,
        "licence": teacher.licence,
        "documents": len({row["source"] for row in rows}),
        "decided_by": by,
        "tries": plan.tries,
    }
    report = compared_rows.deliver(plan, directory, rows, lost, about)
    yield Notice(
        f"{counted(len(rows), 'answer')} of {teacher.speaker.name} to {counted(asked, 'prompt')}, chosen by {by}"
    )
    yield Notice(f"the teacher's licence counts for what it wrote: {teacher.licence}")
    yield from (
        Notice(f"no row of {counted(count, 'prompt')}: the row {reason}") for reason, count in lost.most_common()
    )
    yield Report(report)
    yield Finished("done", counts(report))


def _teacher(plan: Preparation, commands: Commands) -> Generator[Event, None, _Teacher]:
    """The model or the run that answers, loaded; raises `RecipeError` for one that follows no instructions."""
    tuned = runs.tuned_by(plan.model)
    if tuned is not None:
        run, step = tuned
        check_made(run)
        entry = {"name": Path(plan.model).name, "run": str(run), **({"step": step} if step is not None else {})}
        (speaker,) = yield from load_chat_models([entry])
        folder = yield from in_background(lambda tell: locate(history.spec(run)["model"], tell), commands)
        return _Teacher(speaker, (hashes.weight_stamps(history.result(run)), step), _licence(folder), run)
    yield Stage("finding the model")
    folder = yield from in_background(lambda tell: locate(plan.model, tell), commands)
    tokenizer = Tokenizer(folder)
    if not tokenizer.has_template:
        raise RecipeError(
            f"{Path(plan.model).name} answers no prompts: it is a base model.",
            "Name a model that follows instructions, or a run.",
        )
    yield Stage("loading the weights")
    generator = open_backend("auto").generator(folder)
    speaker = ChatModel(Path(plan.model).name, generator, 0, tokenizer, Layout("chat"))
    return _Teacher(speaker, hashes.weight_stamps(folder), _licence(folder), None)


def _licence(folder: Path) -> str:
    """The terms of a model's weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return published.licence(str(config.get("model_type"))).terms


def _answered(
    plan: Preparation,
    teacher: _Teacher,
    questions: Sequence[Question],
    directory: Path,
    commands: Commands,
    lost: Counter[str],
) -> Generator[Event, None, list[Tries]]:
    """Answers to each question; what they are depends on nothing but the question, the teacher and the settings."""
    kept, answered = Kept(directory / ANSWERED), list[Tries]()
    at_once = max(1, TOGETHER // plan.tries)
    for start in range(0, len(questions), at_once):
        batch = questions[start : start + at_once]
        prompts = [prompt_of(teacher.speaker, question) for question in batch for _ in range(plan.tries)]
        key = key_of([], teacher.stamps, plan.tries, plan.temperature, plan.answer_tokens, plan.seed, prompts)
        if not kept.has(key):
            sampling = Sampling(plan.temperature, seed=int(key, 16) % SEEDS, max_tokens=plan.answer_tokens)
            voices = [teacher.speaker] * len(prompts)
            batch_said = yield from said(voices, prompts, sampling, commands, start, len(questions), plan.tries)
            kept.add([{"key": key, **batch_said}])
        entry = kept[key]
        for number, question in enumerate(batch):
            mine = slice(plan.tries * number, plan.tries * (number + 1))
            tries = _tries(question, entry["texts"][mine], entry["tokens"][mine], entry["ended"][mine])
            if isinstance(tries, str):
                lost[tries] += 1
            else:
                answered.append(tries)
        yield Progress("prompts answered", min(start + at_once, len(questions)), len(questions))
    return answered


def _tries(question: Question, texts: Sequence[str], tokens: Sequence[int], ended: Sequence[bool]) -> Tries | str:
    """What can be used of some answers; why, if nothing can."""
    whole = {text: count for text, count, done in zip(texts, tokens, ended, strict=True) if text and done}
    if whole:
        return Tries(question, tuple(whole), tuple(whole.values()))
    return CUT if any(texts) else EMPTY


def _by_reference(metric: Metric, tries: Tries) -> int | None:
    """The first answer that is right; of free text the one that is most like the row's own."""
    reference = tries.question.reference
    if metric.decides:
        return next((place for place, text in enumerate(tries.texts) if metric.right(text, reference)), None)
    likeness = [sum(share(text, reference) for share in metric.shares.values()) for text in tries.texts]
    return likeness.index(max(likeness))


def _judged(
    judge: Preparation, answered: Sequence[Tries], directory: Path, tell: Teller
) -> tuple[str, list[int | None]]:
    """The answer of each question that has won against the others, one after the other."""
    voice = opened(judge, tell)
    best: list[int | None] = [0] * len(answered)
    try:
        for number in range(1, max((len(tries.texts) for tries in answered), default=0)):
            places = [place for place, tries in enumerate(answered) if len(tries.texts) > number]
            compared = [
                _Two(answered[place].question, (answered[place].texts[best[place] or 0], answered[place].texts[number]))
                for place in places
            ]
            for place, winner in zip(places, choices.by_judge(voice, compared, directory / JUDGED, tell), strict=True):
                best[place] = number if winner == 1 else best[place]
        return voice.title, best
    finally:
        voice.close()


def _row(tries: Tries, place: int, teacher: _Teacher) -> DatasetRow:
    """A prompt, as the teacher met it, with its answer."""
    prompt = [{"role": turn.role, "content": turn.content} for turn in tries.question.prompt]
    if teacher.run is not None:
        prompt = compared_rows.as_met(prompt, teacher.run, teacher.speaker.layout.form)
    return {
        "messages": [*prompt, {"role": "assistant", "content": tries.texts[place]}],
        "tokens": tries.tokens[place],
        "source": tries.question.source,
        "by": "teacher",
        "teacher": teacher.speaker.name,
    }
