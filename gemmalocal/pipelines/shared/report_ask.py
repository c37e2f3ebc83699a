"""What a report measures: held-out rows, general questions and neutral texts, of all models that it asks."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gemmalocal.backends import open_backend
from gemmalocal.data import token_store
from gemmalocal.data.examples import Example
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import UnknownRun
from gemmalocal.evaluation import general
from gemmalocal.evaluation.general import Question, Text
from gemmalocal.evaluation.measured import Answer, Loss, Measured, MeasuredQuestion, MeasuredRow, MeasuredText
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import report_measure, report_rows
from gemmalocal.pipelines.shared.chat_models import engine_of
from gemmalocal.pipelines.shared.report_measure import Kept, Model, Scored
from gemmalocal.pipelines.shared.report_models import Models
from gemmalocal.pipelines.shared.report_rows import AskedRow
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Message
from gemmalocal.workspace.reports import BASE, Wish

ROWS, ANSWERS = 200, 80  # held-out rows whose loss is measured, and that are answered, where nobody says how many
FEWEST, MOST = 24, 256  # tokens of an answer at most
QUESTION_TOKENS = 32
MEMORY = "RAM"  # of an engine that computes on a CPU: what `DeviceMemory.of` says of it


@dataclass(frozen=True)
class Asked:
    """Who is asked, and what: models, the first run's held-out rows, and of rated ones the bad answers."""

    among: Models
    rows: list[AskedRow]
    bad: list[Example]
    recipe: Recipe

    @property
    def models(self) -> list[Model]:
        """All of them."""
        return self.among.models

    @property
    def speaker(self) -> ChatModel:
        """The first tuned model, whose tokenizer and layout the rows have."""
        return self.among.speaker

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the rows."""
        return self.speaker.tokenizer


@dataclass
class Gathered:
    """What all models made of everything, in the order of the models; a list has an entry for each row, text, ..."""

    rows: list[Scored]
    swapped: list[float | None]  # by the tuned model, nats a token
    rejected: list[Scored] = field(default_factory=list)
    bad: list[Scored] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    answers: list[list[Answer] | None] = field(default_factory=list)
    texts: list[tuple[Text, int, Scored]] = field(default_factory=list)  # with its tokens
    questions: list[tuple[Question, list[Answer], list[bool]]] = field(default_factory=list)


def asked(among: Models, folder: Path, count: int | None) -> Generator[Event, None, Asked]:
    """The models, with the held-out rows of a run."""
    yield Stage("reading the held-out rows")
    recipe, store, speaker = Recipe.model_validate(history.spec(folder)), folder / "examples", among.speaker
    rows = report_rows.asked_rows(store, recipe, speaker.tokenizer, speaker.layout.form, count or ROWS)
    return Asked(among, rows, report_rows.bad_examples(store, count or ROWS, recipe.train.seed), recipe)


def gather(asked: Asked, folder: Path, wish: Wish, kept: Kept, commands: Commands) -> Generator[Event, None, Gathered]:
    """Measure everything of one run, what is kept aside; raises `Stopped`."""
    yield Stage("measuring losses")
    gathered = yield from _losses(asked, kept, commands)
    yield Stage("looking for copies of rows to train on")
    gathered.leaks = yield from _leaks(asked, folder, wish)
    yield Stage("answering the held-out rows")
    gathered.answers = yield from _answers(asked, wish.rows, kept, commands)
    yield Stage("asking what has nothing to do with the task")
    gathered.texts = yield from _texts(asked, wish.whole, kept, commands)
    gathered.questions = yield from _questions(asked, kept, commands)
    return gathered


def measured(asked: Asked, gathered: Gathered, against: str, place: int) -> Measured:
    """The tuned model (the second) held against the one at a place."""
    rejected: list[Loss | None] = [_loss(of, place) for of in gathered.rejected]
    parts = zip(
        asked.rows,
        gathered.rows,
        gathered.swapped,
        gathered.answers,
        gathered.leaks,
        rejected or [None] * len(asked.rows),
        strict=True,
    )
    return Measured(
        [
            MeasuredRow(
                row.source, row.cluster, row.prompt, row.reference, row.tokens, _loss(scored, place), swapped,
                (answers[place], answers[1]) if answers else None, leak, worse,
            )
            for row, scored, swapped, answers, leak, worse in parts
        ],
        [MeasuredText(text.register, text.name, tokens, _loss(of, place)) for text, tokens, of in gathered.texts],
        [
            MeasuredQuestion(question.kind, question.text, (said[place], said[1]), (right[place], right[1]))
            for question, said, right in gathered.questions
        ],
        [_loss(of, place) for of in gathered.bad],
        against,
    )  # fmt: skip


def _loss(scored: Scored, place: int) -> Loss:
    """KL is known from the first model alone."""
    return Loss(scored.nats[place], scored.nats[1], None if place else scored.kl[1])


def _losses(asked: Asked, kept: Kept, commands: Commands) -> Generator[Event, None, Gathered]:
    """Of rows, of rejected and of bad answers; the tuned model's of answers of other rows, nats a token."""
    examples = [row.example for row in asked.rows]
    scored = yield from report_measure.score(asked.models, examples, kept, commands, "losses of held-out rows")
    swapped = report_rows.swapped(asked.rows)
    others = [example for example in swapped if example is not None]
    by_other = yield from report_measure.score(
        asked.models[1:2], others, kept, commands, "losses of answers of other rows"
    )
    means = iter([of.nats[0] / float(example.weights[1:].sum()) for of, example in zip(by_other, others, strict=True)])
    gathered = Gathered(scored, [None if example is None else next(means) for example in swapped])
    worse = [row.rejected for row in asked.rows if row.rejected is not None]
    if worse:
        gathered.rejected = yield from report_measure.score(
            asked.models, worse, kept, commands, "losses of rejected answers"
        )
    if asked.bad:
        gathered.bad = yield from report_measure.score(asked.models, asked.bad, kept, commands, "losses of bad answers")
    return gathered


def _leaks(asked: Asked, folder: Path, wish: Wish) -> Generator[Event, None, list[str]]:
    """For each row the one that it nearly copies of those that the run, or the other run, was trained on."""
    leaks = yield from copies_in(asked, folder)
    for other in _forebears(asked.recipe, wish):
        if other.resolve() != folder.resolve():
            of_other = yield from copies_in(asked, other)
            leaks = [own or (theirs and f"{other.name}: {theirs}") for own, theirs in zip(leaks, of_other, strict=True)]
    return leaks


def _forebears(recipe: Recipe, wish: Wish) -> Iterator[Path]:
    """The other runs whose rows count as trained on: the one that is held against, and the one that it started from."""
    if wish.against and wish.against != BASE:
        yield Path(wish.against)
    if recipe.start_from is not None:
        with suppress(UnknownRun):
            yield history.find_run(recipe.start_from.partition("@")[0])


def copies_in(asked: Asked, run: Path) -> Generator[Event, None, list[str]]:
    """For each row the one that it nearly copies of those that a run was trained on; "" for none."""
    store = run / "examples"
    if not token_store.exists(store):
        return [""] * len(asked.rows)
    return (yield from report_rows.near_copies(store, asked.rows, asked.tokenizer, asked.recipe.train.seed))


def _answers(
    asked: Asked, rows: int | None, kept: Kept, commands: Commands
) -> Generator[Event, None, list[list[Answer] | None]]:
    """What all models answer to the first rows; to one that was cut at its end there is no right answer."""
    chosen = [number for number, row in enumerate(asked.rows) if not row.example.cut][: rows or ANSWERS]
    if len(chosen) < len(asked.rows):
        yield Notice(
            f"{len(chosen)} of {counted(len(asked.rows), 'row')} {plural(len(chosen), 'is', 'are')} "
            "answered; the loss of all is measured"
        )
    limit = answer_limit([len(asked.rows[number].reply_ids) for number in chosen])
    prompts = [asked.rows[number].prompt_ids for number in chosen]
    texts = yield from report_measure.answer(asked.models, prompts, limit, kept, commands, "answers to held-out rows")
    answers: list[list[Answer] | None] = [None] * len(asked.rows)
    for number, of_row in zip(chosen, texts, strict=True):
        answers[number] = of_row
    return answers


def answer_limit(lengths: Sequence[int]) -> int:
    """The most tokens of an answer, where answers should have such lengths: a quarter more than most of them have."""
    wanted = 1.25 * float(np.quantile(lengths, 0.9)) + 8 if lengths else FEWEST
    return int(min(MOST, max(FEWEST, wanted)))


def _texts(
    asked: Asked, whole: bool, kept: Kept, commands: Commands
) -> Generator[Event, None, list[tuple[Text, int, Scored]]]:
    """Neutral texts, as plain text: each token but the first is predicted. A CPU is given a fifth of them."""
    every, tokenizer = general.texts(), asked.tokenizer
    texts = every if whole or _on_gpu(asked.recipe) else general.some(every)
    if len(texts) < len(every):
        yield Notice(f"{len(texts)} of {len(every)} neutral texts are read; all with --whole")
    ids = tokenizer.encode_batch([tokenizer.bos + text.text for text in texts])
    examples = [
        Example(np.array(of_text, np.int32), np.array([0] + [1] * (len(of_text) - 1), np.float32)) for of_text in ids
    ]
    scored = yield from report_measure.score(asked.models, examples, kept, commands, "losses of neutral texts")
    return [(text, len(of_text) - 1, of) for text, of_text, of in zip(texts, ids, scored, strict=True)]


def _on_gpu(recipe: Recipe) -> bool:
    return open_backend(engine_of(recipe)).device_memory().of != MEMORY


def _questions(
    asked: Asked, kept: Kept, commands: Commands
) -> Generator[Event, None, list[tuple[Question, list[Answer], list[bool]]]]:
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
    texts = yield from report_measure.answer(
        asked.models, ids, QUESTION_TOKENS, kept, commands, "answers to general questions"
    )
    said = [[answer.text if in_turns else answer.text.split("\nQuestion:")[0] for answer in of] for of in texts]
    return [
        (question, of_question, [question.is_right(text) for text in words])
        for question, of_question, words in zip(questions, texts, said, strict=True)
    ]
