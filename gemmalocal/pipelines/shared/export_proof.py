"""Load an export again and ask it what the run was asked: its held-out rows, and answers to their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends import BACKENDS, installed, open_backend
from gemmalocal.backends.protocol import InferenceModel, Trainer
from gemmalocal.data import token_store
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine import loop, shares
from gemmalocal.errors import BackendUnavailable, ModelError, OutOfMemory
from gemmalocal.export import gguf_adapter, llama_reader
from gemmalocal.export.llama_reader import LlamaReader
from gemmalocal.export.proof import Proof, ProofAnswer
from gemmalocal.export.source import FinishedRun
from gemmalocal.files import staging
from gemmalocal.jobs import history
from gemmalocal.pipelines.shared import budget
from gemmalocal.planning import suitability
from gemmalocal.recipe.schema import LoraSpec, Recipe
from gemmalocal.records import Tell
from gemmalocal.weights import gguf_file
from gemmalocal.workspace.exports import ExportForm

Logits = NDArray[np.float32]
PROMPTS, SHARE, ANSWER = 4, 3, 32  # prompts; of plain text, the first third is asked; tokens of an answer


@dataclass(frozen=True)
class ProofQuestions:
    """What a run and its export are both asked: rows for the loss, and prompts (token ids) to go on from."""

    rows: Sequence[Example]
    prompts: list[list[int]]
    tokenizer: Tokenizer


@dataclass(frozen=True)
class ProofMeasurement:
    """One model's replies: summed loss (nats) of `tokens`, and by prompt the logits (vocabulary,) and the answer."""

    loss: float
    tokens: int
    logits: list[Logits]
    answers: list[str]


@dataclass(frozen=True)
class RunReference:
    """What an export is held against: the base's summed loss (nats) and logits by prompt, and the tuned model's."""

    questions: ProofQuestions
    base: float
    base_logits: list[Logits]
    tuned: ProofMeasurement


def prove(form: ExportForm, finished: FinishedRun, folder: Path, tell: Tell, base_file: Path | None = None) -> Proof:
    """The proof of the export in `folder`; it is read by the other engine where that is possible and installed.

    A gguf-adapter is read by llama.cpp over `base_file`, where both are here.
    """
    tell("asking the run", 0, 3)
    by_llama = base_file is not None and llama_reader.installed()
    reference = ask_run(finished, llama_reader.MOST_TOKENS if by_llama else None)
    tell("asking the export", 1, 3)
    proof = ask_export(form, finished, folder, reference, base_file)
    tell("asking the export", 3, 3)
    return proof


def ask_run(finished: FinishedRun, most_tokens: int | None = None) -> RunReference:
    """What the base and the tuned model of a run answer, to hold an export against: of about `most_tokens`, if given.

    The engine that trained it asks. Raises `ModelError` for a run whose rows are gone, `DatasetError` for damaged ones.
    """
    if not token_store.exists(finished.run / "examples"):
        raise ModelError("The run was made by an older version, and its rows are gone.", "Train it again.")
    if damage := token_store.damage(finished.run / "examples"):
        raise token_store.damaged_store(damage)
    train, held_out, _ = token_store.load(finished.run / "examples")
    rows = _wanted(held_out.spaced(finished.recipe.train.evaluation_rows) if len(held_out) else train[: shares.ROWS])
    rows = _spaced(rows, most_tokens) if most_tokens else rows
    questions = ProofQuestions(
        rows, [_prompt(rows[index]) for index in range(min(PROMPTS, len(rows)))], finished.tokenizer
    )
    backend = open_backend(_training_engine(finished))
    trainer = backend.trainer(finished.base, _recipe(finished.recipe, finished.recipe.quantize))
    base, _ = loop.summed_loss(rows, finished.recipe.train, trainer)
    base_logits = [trainer.logits(prompt) for prompt in questions.prompts]
    if finished.adapter:
        trainer.load(finished.adapter)
    else:
        del trainer  # two whole models need not be in memory
        trainer = backend.trainer(finished.result, _recipe(finished.recipe, "none"))
    return RunReference(questions, base, base_logits, _measure(questions, finished.recipe, trainer))


def _wanted(rows: Examples) -> Sequence[Example]:
    """Of answers that were judged the better ones: on the others a tune is to lose."""
    return rows if rows.labels is None else [rows[int(place)] for place in np.flatnonzero(rows.labels)]


def _spaced(rows: Sequence[Example], most_tokens: int) -> Sequence[Example]:
    """Evenly spaced ones of rows, with about so many supervised tokens; never fewer than are prompts."""
    every = -(-sum(int(np.count_nonzero(row.weights[1:])) for row in rows) // most_tokens)
    return [rows[place] for place in range(0, len(rows), max(1, min(every, len(rows) // PROMPTS)))]


def ask_export(
    form: ExportForm, finished: FinishedRun, folder: Path, reference: RunReference, base_file: Path | None = None
) -> Proof:
    """Ask the export in `folder` what its run was asked; the proof has losses in nats a token."""
    if form.name == "gguf-adapter":
        engine, loaded_as, exported = _read_gguf_adapter(finished, folder, base_file, reference.questions)
        reference = _as_log_probabilities(reference)
        exported = replace(exported, logits=[_normalized(logits) for logits in exported.logits])
    else:
        engine, loaded_as, exported = _read_again(
            form, finished, folder, _training_engine(finished), reference.questions
        )
    tuned, tokens = reference.tuned, reference.tuned.tokens
    texts = zip(reference.questions.prompts, tuned.answers, exported.answers, strict=True)
    differences = [
        np.abs(run_logits - export_logits).mean()
        for run_logits, export_logits in zip(tuned.logits, exported.logits, strict=True)
    ]
    return Proof(
        form.label,
        f"{loaded_as}, by {engine}",
        tokens,
        reference.base / tokens,
        tuned.loss / tokens,
        exported.loss / tokens,
        float(np.mean(differences)),
        float(
            np.mean(
                [
                    _shift_kept(*logits)
                    for logits in zip(reference.base_logits, tuned.logits, exported.logits, strict=True)
                ]
            )
        ),
        [
            ProofAnswer(reference.questions.tokenizer.decode(prompt), run_text, export_text)
            for prompt, run_text, export_text in texts
        ],
    )


def _training_engine(finished: FinishedRun) -> str:
    """The engine that trained the run; where it is not installed, as on another machine, one that is."""
    trained_by = str(history.read(finished.run).plan.get("engine", "mlx"))
    return next(filter(installed, (trained_by, *BACKENDS)), trained_by)


def _read_again(
    form: ExportForm, finished: FinishedRun, folder: Path, training_engine: str, questions: ProofQuestions
) -> tuple[str, str, ProofMeasurement]:
    """The engine that read the export, what it loaded it as, and what it answered."""
    if form.name == "mlx-adapter":
        reader: InferenceModel = open_backend("mlx").load_with_mlx_lm(finished.base, folder)  # type: ignore[attr-defined]
        return "mlx-lm itself", "the adapter over its base", _measure(questions, finished.recipe, reader)
    others = [name for name in BACKENDS if name != training_engine and installed(name)]
    engines = ["mlx"] if form.bits else [*others, training_engine]
    plain = _recipe(finished.recipe, "none")
    if form.name == "adapter":
        engine, trainer = _opened(engines, finished.base, _recipe(finished.recipe, finished.recipe.quantize))
        trainer.load(folder)
        return engine, "the adapter over its base", _measure(questions, finished.recipe, trainer)
    if form.name == "merged":
        engine, trainer = _opened(engines, folder, plain)
        return engine, "the folder", _measure(questions, finished.recipe, trainer)
    with staging.folder(folder / "again") as scratch:
        file, opened = next(folder.glob("*.gguf")), scratch / "model"
        gguf_file.to_folder(file, opened, lambda *progress: None, {})
        engine, trainer = _opened(engines, opened, plain)
        return engine, "the GGUF, dequantized by gguf", _measure(questions, finished.recipe, trainer)


def _read_gguf_adapter(
    finished: FinishedRun, folder: Path, base_file: Path | None, questions: ProofQuestions
) -> tuple[str, str, ProofMeasurement]:
    """By llama.cpp over the base's own file; else by an engine over the base's folder."""
    with staging.folder(folder / "again") as scratch:
        file = next(folder.glob("*.gguf"))
        if base_file is not None and llama_reader.installed():
            context = max(
                *(len(row.ids) for row in questions.rows), *(len(prompt) + ANSWER for prompt in questions.prompts)
            )
            with closing(LlamaReader(base_file, file, context, scratch)) as reader:
                return "llama.cpp", f"the adapter over {base_file.name}", _measure(questions, finished.recipe, reader)
        adapter = gguf_adapter.to_peft(file, finished.recipe.model, scratch / "adapter")
        recipe = _recipe(finished.recipe, finished.recipe.quantize)
        others = [name for name in BACKENDS if name != _training_engine(finished) and installed(name)]
        engine, trainer = _opened([*others, _training_engine(finished)], finished.base, recipe)
        trainer.load(adapter)
        return engine, "the adapter of the GGUF over its base", _measure(questions, finished.recipe, trainer)


def _as_log_probabilities(reference: RunReference) -> RunReference:
    """llama.cpp tells nothing else, and models that differ by a constant in their logits say the same."""
    tuned = replace(reference.tuned, logits=[_normalized(logits) for logits in reference.tuned.logits])
    return replace(reference, tuned=tuned, base_logits=[_normalized(logits) for logits in reference.base_logits])


def _normalized(logits: Logits) -> Logits:
    """(vocabulary,) to log-probabilities."""
    above = logits - logits.max()
    normalized: Logits = above - np.log(np.exp(above.astype(np.float64)).sum()).astype(np.float32)
    return normalized


def _opened(engines: Sequence[str], folder: Path, recipe: Recipe) -> tuple[str, Trainer]:
    """The first of some engines that can hold a model here, and the model in it.

    The last one is not asked whether it can. Raises what stands in that one's way, and `ModelError` in any other's.
    """
    *first, last = engines
    for engine in first:
        backend = open_backend(engine)
        if suitability.chat(budget.weight_bytes(recipe, folder, backend), backend.device_memory().usable):
            with suppress(BackendUnavailable, OutOfMemory):
                return engine, backend.trainer(folder, recipe)
    return last, open_backend(last).trainer(folder, recipe)


def _measure(questions: ProofQuestions, recipe: Recipe, trainer: InferenceModel) -> ProofMeasurement:
    loss, tokens = loop.summed_loss(questions.rows, recipe.train, trainer)
    logits = [trainer.logits(prompt) for prompt in questions.prompts]
    stops = questions.tokenizer.stop_ids
    answers = [questions.tokenizer.decode(list(trainer.stream(prompt, ANSWER, stops))) for prompt in questions.prompts]
    return ProofMeasurement(loss, round(tokens), logits, answers)


def _shift_kept(base: Logits, tuned: Logits, exported: Logits) -> float:
    """The part of the way from `base` to `tuned` that `exported` has gone; noise across the way does not count."""
    # The exported shift projected on the tuned one, in the space of the logits (vocabulary,).
    way = tuned - base
    return float(np.dot(exported - base, way) / np.dot(way, way)) if way.any() else 1.0


def _prompt(example: Example) -> list[int]:
    """What stands before the first supervised token; of plain text, its first third."""
    ids: list[int] = example.ids.tolist()
    answer_start = int(np.argmax(example.weights > 0))
    return ids[: answer_start if answer_start > 1 else max(2, len(ids) // SHARE)]


def _recipe(recipe: Recipe, quantize: str) -> Recipe:
    """The recipe with an adapter that can be loaded into, whatever was trained."""
    method = "lora" if recipe.method == "full" else recipe.method
    lora = LoraSpec() if recipe.method == "full" else recipe.lora
    return recipe.model_copy(update={"method": method, "lora": lora, "quantize": quantize, "dtype": "auto"})
