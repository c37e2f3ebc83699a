"""Whether a run helped: its held-out rows, general questions and neutral texts, asked of the base and of what it made.

The spec has `runs` (folders), `rows` (how many held-out ones are drawn; None: see below) and `metric`. Of one run it
writes report.json, report.md and report.html into the job's folder, beside `measured.jsonl`, by which a report that was
stopped goes on. Of several it compares the losses on the first one's rows.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gemmalocal.data.examples import Example
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import ModelError, RecipeError
from gemmalocal.evaluation import general, metrics
from gemmalocal.evaluation.conclude import compared, conclude
from gemmalocal.evaluation.measured import Answer, Loss, Measured, MeasuredQuestion, MeasuredRow, MeasuredText
from gemmalocal.evaluation.page import html, markdown
from gemmalocal.export.curve import curve
from gemmalocal.files import atomic
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.jobs.processes import Job
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import report_measure, report_rows, report_settings
from gemmalocal.pipelines.shared.background import Stopped
from gemmalocal.pipelines.shared.beside_training import make_way
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.pipelines.shared.report_measure import Kept, Model, Scored
from gemmalocal.pipelines.shared.report_rows import AskedRow
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Message
from gemmalocal.workspace import reports

ROWS, ANSWERS = 200, 80  # held-out rows whose loss is measured, and that are answered, where nobody says how many
FEWEST, MOST = 24, 256  # tokens of an answer at most
QUESTION_TOKENS = 32
ENDS = 30.0  # seconds that a run may take to let go of its weights
Value = TypeVar("Value")


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Report on one run, or compare several."""
    folders = [Path(folder) for folder in spec["runs"]]
    for folder in folders:
        if not history.result(folder).is_dir():
            raise ModelError(f"{folder.name} has made nothing yet.", f"Train it first: gemmalocal resume {folder.name}")
    Job(folders[0]).ended(ENDS)  # a run that has begun its own report is about to end
    make_way("a report")
    try:
        yield from (_several if len(folders) > 1 else _one)(folders, spec, directory, commands)
    except Stopped:
        yield Finished("stopped", "what was measured is kept: the same command goes on with it")


@dataclass(frozen=True)
class Asked:
    """Who is asked, and what: base and tuned models, and the first run's held-out rows."""

    models: list[Model]
    rows: list[AskedRow]
    recipe: Recipe

    @property
    def speaker(self) -> ChatModel:
        """The first tuned model, whose tokenizer and layout the rows have."""
        return self.models[1].speaker

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the rows."""
        return self.speaker.tokenizer


def _opened(folders: Sequence[Path], spec: dict[str, Any]) -> Generator[Event, None, Asked]:
    recipe = Recipe.model_validate(history.spec(folders[0]))
    names = [{"name": f"run {place}", "run": str(folder)} for place, folder in enumerate(folders)]
    speakers = yield from load_chat_models([{"name": "base", "run": str(folders[0]), "base": True}, *names])
    identities = yield from report_settings.identities(folders)
    models = [Model(speaker, identity) for speaker, identity in zip(speakers, identities, strict=True)]
    yield Stage("reading the held-out rows")
    speaker = speakers[1]
    count = spec.get("rows") or ROWS
    rows = report_rows.asked_rows(folders[0] / "examples", recipe, speaker.tokenizer, speaker.layout.form, count)
    return Asked(models, rows, recipe)


def _one(folders: Sequence[Path], spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    (folder,) = folders
    asked = yield from _opened(folders, spec)
    kept = Kept(directory / reports.MEASURED)
    yield Stage("measuring losses")
    rows = yield from _losses(asked, kept, commands)
    rejected = yield from _rejected(asked, kept, commands)
    yield Stage("looking for copies of rows to train on")
    leaks: list[str] = yield from _value(
        report_rows.near_copies(folder / "examples", asked.rows, asked.tokenizer, asked.recipe.train.seed)
    )
    yield Stage("answering the held-out rows")
    answers = yield from _answers(asked, spec, kept, commands)
    yield Stage("asking what has nothing to do with the task")
    texts = yield from _texts(asked, kept, commands)
    questions = yield from _questions(asked, kept, commands)
    measured = Measured(
        [_measured(*parts) for parts in zip(asked.rows, *rows, answers, leaks, rejected, strict=True)], texts, questions
    )
    name = spec.get("metric") or asked.recipe.report.metric
    if asked.speaker.layout.form == "text" and name == "auto":
        name = "rouge"
    metric = metrics.metric(name, [row.reference for row in asked.rows])
    figures = report_settings.about(folder, asked.recipe, asked.rows, asked.models[1].identity)
    figures = {**conclude(measured, metric), **figures}
    kept.tidy()
    _write(directory, figures, folder)
    yield Report(figures)
    yield Finished("done", figures["sentence"])


def _write(directory: Path, figures: dict[str, Any], run: Path) -> None:
    """The figures come last: where they are, the pages are theirs."""
    svg = curve(history.read(run))
    atomic.write_text(directory / reports.PAGES["md"], markdown.page(figures))
    atomic.write_text(directory / reports.PAGES["html"], html.page(figures, svg))
    atomic.write_text(directory / reports.FIGURES, json.dumps(figures, indent=1, ensure_ascii=False))


def _value(events: Iterator[Event | Value]) -> Generator[Event, None, Value]:
    """Pass events on, and return what comes at last."""
    for event in events:
        if isinstance(event, Event):
            yield event
        else:
            return event
    raise AssertionError("it came to no end")


def _losses(
    asked: Asked, kept: Kept, commands: Commands
) -> Generator[Event, None, tuple[list[Scored], list[float | None]]]:
    """Of each row what base and tuned model make of it, and the tuned one of another row's answer, nats a token."""
    examples = [row.example for row in asked.rows]
    scored: list[Scored] = yield from _value(
        report_measure.score(asked.models, examples, kept, commands, "losses of held-out rows")
    )
    swapped = report_rows.swapped(asked.rows)
    others = [example for example in swapped if example is not None]
    by_other: list[Scored] = yield from _value(
        report_measure.score(asked.models[1:], others, kept, commands, "losses of answers of other rows")
    )
    means = iter([of.nats[0] / float(example.weights[1:].sum()) for of, example in zip(by_other, others, strict=True)])
    return scored, [None if example is None else next(means) for example in swapped]


def _rejected(asked: Asked, kept: Kept, commands: Commands) -> Generator[Event, None, list[Loss | None]]:
    """Of pairs, what base and tuned model make of the rejected answers."""
    examples = [row.rejected for row in asked.rows if row.rejected is not None]
    if not examples:
        return [None] * len(asked.rows)
    scored: list[Scored] = yield from _value(
        report_measure.score(asked.models, examples, kept, commands, "losses of rejected answers")
    )
    return [Loss(of.nats[0], of.nats[1]) for of in scored]


def _answers(
    asked: Asked, spec: dict[str, Any], kept: Kept, commands: Commands
) -> Generator[Event, None, list[tuple[Answer, Answer] | None]]:
    """What base and tuned model answer to the first rows; to one that was cut at its end there is no right answer."""
    most = spec.get("rows") or ANSWERS
    chosen = [number for number, row in enumerate(asked.rows) if not row.example.cut][:most]
    if len(chosen) < len(asked.rows):
        yield Notice(f"{len(chosen)} of the {len(asked.rows)} rows are answered; the loss of all is measured")
    limit = answer_limit([len(asked.rows[number].reply_ids) for number in chosen])
    prompts = [asked.rows[number].prompt_ids for number in chosen]
    texts: list[list[Answer]] = yield from _value(
        report_measure.answer(asked.models, prompts, limit, kept, commands, "answers to held-out rows")
    )
    answers: list[tuple[Answer, Answer] | None] = [None] * len(asked.rows)
    for number, (base, tuned) in zip(chosen, texts, strict=True):
        answers[number] = base, tuned
    return answers


def answer_limit(lengths: Sequence[int]) -> int:
    """The most tokens of an answer, where answers should have such lengths: a quarter more than most of them have."""
    wanted = 1.25 * float(np.quantile(lengths, 0.9)) + 8 if lengths else FEWEST
    return int(min(MOST, max(FEWEST, wanted)))


def _texts(asked: Asked, kept: Kept, commands: Commands) -> Generator[Event, None, list[MeasuredText]]:
    """Neutral texts, as plain text: each token but the first is predicted."""
    texts, tokenizer = general.texts(), asked.tokenizer
    ids = tokenizer.encode_batch([tokenizer.bos + text.text for text in texts])
    examples = [
        Example(np.array(of_text, np.int32), np.array([0] + [1] * (len(of_text) - 1), np.float32)) for of_text in ids
    ]
    scored: list[Scored] = yield from _value(
        report_measure.score(asked.models, examples, kept, commands, "losses of neutral texts")
    )
    return [
        MeasuredText(text.register, text.name, len(of_text) - 1, Loss(of.nats[0], of.nats[1], of.kl[1]))
        for text, of_text, of in zip(texts, ids, scored, strict=True)
    ]


def _questions(asked: Asked, kept: Kept, commands: Commands) -> Generator[Event, None, list[MeasuredQuestion]]:
    """General questions: in the model's turns where it has a template or was trained on them, else as an exam has them.

    Without turns a model goes on with questions of its own, so an answer's first line counts.
    """
    questions, speaker = general.questions(), asked.speaker
    in_turns = speaker.layout.form == "chat" or speaker.tokenizer.has_template
    chat = Layout("chat")
    prompts = [
        chat.prompt_text(speaker.tokenizer, [Message("user", question.text)])
        if in_turns
        else f"{speaker.tokenizer.bos}Question: {question.text}\nAnswer:"
        for question in questions
    ]
    ids = speaker.tokenizer.encode_batch(prompts)
    texts: list[list[Answer]] = yield from _value(
        report_measure.answer(asked.models, ids, QUESTION_TOKENS, kept, commands, "answers to general questions")
    )
    measured = []
    for question, (base, tuned) in zip(questions, texts, strict=True):
        said = [answer.text if in_turns else answer.text.split("\nQuestion:")[0] for answer in (base, tuned)]
        right = question.is_right(said[0]), question.is_right(said[1])
        measured.append(MeasuredQuestion(question.kind, question.text, (base, tuned), right))
    return measured


def _measured(
    row: AskedRow,
    scored: Scored,
    swapped: float | None,
    answers: tuple[Answer, Answer] | None,
    leak: str,
    rejected: Loss | None = None,
) -> MeasuredRow:
    loss = Loss(scored.nats[0], scored.nats[1], scored.kl[1])
    return MeasuredRow(
        row.source, row.cluster, row.prompt, row.reference, row.tokens, loss, swapped, answers, leak, rejected
    )  # fmt: skip


def _several(folders: Sequence[Path], spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """The losses of several runs on the rows of the first; raises `RecipeError` for runs of different models."""
    bases = dict.fromkeys(str(history.spec(folder).get("model")) for folder in folders)
    if len(bases) > 1:
        raise RecipeError(
            f"The runs have different base models: {', '.join(Path(base).name for base in bases)}.",
            "Compare runs of one base model.",
        )
    asked = yield from _opened(folders, spec)
    yield Notice(f"all are asked the {len(asked.rows)} held-out rows of {folders[0].name}")
    yield Stage("measuring losses")
    examples = [row.example for row in asked.rows]
    kept = Kept(directory / reports.MEASURED)
    scored: list[Scored] = yield from _value(
        report_measure.score(asked.models, examples, kept, commands, "losses of held-out rows")
    )
    by_run = [
        [
            _measured(row, Scored([of.nats[0], of.nats[place]], [0, of.kl[place]]), None, None, "")
            for row, of in zip(asked.rows, scored, strict=True)
        ]
        for place in range(1, len(asked.models))
    ]
    table = compared([folder.name for folder in folders], by_run)
    yield Report({"runs": table, "rows": len(asked.rows), "rows_of": folders[0].name})
    yield Finished("done")
