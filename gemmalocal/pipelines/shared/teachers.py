"""Who teaches: a model, or what a run made, found on this disk, and held against the student's vocabulary."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemmalocal.backends import open_backend, peft_adapter
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import ModelError, RecipeError
from gemmalocal.files import hashes
from gemmalocal.files.manifest import sha256
from gemmalocal.jobs import history
from gemmalocal.pipelines.shared.chat_models import Weights, engine_of, learned
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.teacher import SELF
from gemmalocal.records import Tell
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import runs

FORM = "1"  # of what is kept; another one is asked again


@dataclass(frozen=True)
class Teacher:
    """Weights, and an adapter over them; `vocabulary` are the ids that student and teacher share, from 0 on."""

    name: str
    base: str  # the model's name
    weights: Weights
    adapter: Path | None
    keep: int
    temperature: float
    vocabulary: int

    @property
    def identity(self) -> str:
        """What tells its words from any other teacher's, as the name of a folder."""
        adapter = sha256(self.adapter / peft_adapter.WEIGHTS) if self.adapter else ""
        stamps = hashes.weight_stamps(self.weights.folder)
        parts = (FORM, *self.weights[1:], self.keep, self.temperature, self.vocabulary, stamps, adapter)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def find(recipe: Recipe, student: Path, tokenizer: Tokenizer, tell: Tell, files: bool = True) -> Teacher:
    """The teacher of a recipe whose model is in the folder `student`; without `files` its weights need not be here.

    Raises `RecipeError` for one with another vocabulary, and `ModelError`, `UnknownRun` where there is none.
    """
    name, spec = recipe.teacher.model, recipe.teacher
    assert name is not None
    if name == SELF:
        weights = Weights(student, recipe.dtype, recipe.bits or spec.bits, open_backend(recipe.backend).name)
        vocabulary = _words(student)
        own = f"{Path(recipe.model).name} itself"
        return Teacher(own, recipe.model, weights, None, min(spec.keep, vocabulary), spec.temperature, vocabulary)
    base, weights, adapter = _weights(name, recipe, tell, files)
    vocabulary = min(_words(student), _words(weights.folder))
    if difference := _difference(tokenizer, Tokenizer(weights.folder), vocabulary):
        raise RecipeError(
            f"teacher.model: {Path(name).name} has another vocabulary than {Path(recipe.model).name}: {difference}.",
            "Take a teacher of the same generation of Gemma.",
        )
    keep = min(spec.keep, vocabulary)
    return Teacher(Path(name).name, base, weights, adapter, keep, spec.temperature, vocabulary)


def _weights(name: str, recipe: Recipe, tell: Tell, files: bool) -> tuple[str, Weights, Path | None]:
    """The model's name, what is loaded, and the adapter over it."""
    run = runs.tuned_by(name)
    if run is None:
        engine = open_backend(recipe.backend).name
        return name, Weights(locate(name, tell, files), recipe.dtype, recipe.teacher.bits, engine), None
    folder, step = run
    tuned = Recipe.model_validate(history.spec(folder))
    result = learned(folder, step, tuned)
    engine = engine_of(tuned)
    if tuned.method == "full":
        return tuned.model, Weights(result, tuned.weight_dtype, recipe.teacher.bits, engine), None
    bits = tuned.bits or recipe.teacher.bits
    return tuned.model, Weights(locate(tuned.model, tell, files), tuned.weight_dtype, bits, engine), result


def _words(folder: Path) -> int:
    """How many ids a model has logits for; raises `ModelError` where its configuration does not say."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text: dict[str, Any] = config.get("text_config") or config
        return int(text["vocab_size"] if "vocab_size" in text else config["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder}/config.json names no vocab_size.", "Fetch the model again.") from error


def _difference(student: Tokenizer, teacher: Tokenizer, vocabulary: int) -> str:
    """The first id that means something else to the teacher, as a clause; empty if none does."""
    of_student, of_teacher = (_pieces(tokenizer, vocabulary) for tokenizer in (student, teacher))
    if _digest(of_student) == _digest(of_teacher):
        return ""
    number = next(number for number in range(vocabulary) if of_student[number] != of_teacher[number])
    return f"id {number} is {of_teacher[number]!r} there and {of_student[number]!r} here"


def _pieces(tokenizer: Tokenizer, vocabulary: int) -> list[str]:
    pieces = [""] * vocabulary
    for piece, number in tokenizer.encoder.get_vocab(with_added_tokens=True).items():
        if number < vocabulary:
            pieces[number] = piece
    return pieces


def _digest(pieces: list[str]) -> str:
    return hashlib.sha256("\x00".join(pieces).encode(errors="surrogatepass")).hexdigest()
