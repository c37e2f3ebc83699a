"""What a teacher is asked: the likeliest ids of each token, by every engine; and how its words are learned."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.compiled_passes import CompiledPasses
from gemmalocal.backends.mlx.train import MlxTrainer
from gemmalocal.backends.protocol import ByToken, Likeliest, TokenIds, TokenValues, Update
from gemmalocal.backends.scoring import predicted
from gemmalocal.data.batches import BatchShape, MicroBatch, plan
from gemmalocal.engine.distillation import Settings, TokenFormula
from gemmalocal.weights.tensors import Floats
from tests.backends.conftest import path
from tests.backends.judged import some_pairs
from tests.backends.test_multi_lora import GPU_PATH, adapter
from tests.backends.test_objective import ENGINES, alike, chosen_slopes, engine, trained, trainer
from tests.backends.test_score import examples

TEMPERED = ("lora.dropout=0", "teacher.model=any", "teacher.temperature=2")


@pytest.fixture(params=[*BACKENDS, GPU_PATH])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    with path(compute_path.GPU.name) if request.param == GPU_PATH else contextlib.nullcontext():
        yield open_backend(request.param.partition(",")[0])


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    scores = logits.astype(np.float64)
    whole: NDArray[np.float64] = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    return whole


@pytest.mark.parametrize(("temperature", "vocabulary"), [(1.0, 310), (2.0, 200)])
def test_the_likeliest_ids_are_those_of_whole_logits(
    backend: Any, temperature: float, vocabulary: int, tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    adapter(backend, tiny, recipe_path, tmp_path / "adapter")
    made, rows, keep = backend.generator(tiny, [tmp_path / "adapter"]), examples(), 8
    for voice in (0, 1):
        logits = np.concatenate(list(made.logits(rows, voice)))[:, :vocabulary]
        whole = log_softmax(logits / temperature)
        ids, kept, rest = made.likeliest(rows, voice, keep, temperature, vocabulary)
        assert ids.shape == kept.shape == (len(predicted(rows).rows), keep)
        np.testing.assert_allclose(kept, -np.sort(-whole, axis=1)[:, :keep], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(kept, np.take_along_axis(whole, ids, 1), rtol=1e-4, atol=1e-4)
        others = np.exp(whole)
        np.put_along_axis(others, ids, 0, axis=1)
        np.testing.assert_allclose(rest, np.log(others.sum(1)), rtol=1e-4, atol=1e-4)


def test_all_ids_leave_no_rest(backend: Any, tiny: Path) -> None:
    said: Likeliest = backend.generator(tiny).likeliest(examples(), 0, 300, 1.0, 300)
    assert np.isneginf(said.rest).all()
    np.testing.assert_allclose(np.exp(said.log_probabilities.astype(np.float64)).sum(1), 1, rtol=1e-5)


def test_a_closed_model_holds_no_weights(backend: Any, tiny: Path) -> None:
    made = backend.generator(tiny)
    made.likeliest(examples(), 0, 4, 1.0, 300)
    weights = weakref.ref(made._language_model)
    made.close()
    gc.collect()
    assert weights() is None


@pytest.mark.parametrize("name", ENGINES)
def test_the_softmax_of_chosen_ids_has_the_teachers_temperature(
    name: str, tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    results: list[tuple[Update, dict[str, Floats]]] = []
    for of_engine in ("torch", name):
        with engine(of_engine):
            made = trainer(of_engine, tiny, recipe_path, *TEMPERED)
            (part,) = plan(some_pairs(1), BatchShape(8, 10_000, 10_000))
            choices, objective = chosen_slopes([part])
            values = made.log_probabilities([part], choices=choices)[0]
            row, place = (int(first[0]) for first in np.nonzero(part.weights[:, 1:] > 0))
            whole = log_softmax(made.logits(part.ids[row, : place + 1].tolist()) / 2)
            np.testing.assert_allclose(values[0], whole[choices[0][0]], rtol=1e-4, atol=1e-4)
            plain = made.log_probabilities([part])[0]
            assert -plain.sum() == pytest.approx(made.evaluate([part])[0], rel=1e-5)  # who asks for none has none
            made.accumulate([part], objective, choices)
            results.append((made.apply(3e-3, 1.0), trained(made, tmp_path / f"{of_engine} {len(results)}")))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-3)
    alike(results[1][1], results[0][1], 2e-3)


def taught_by_formula(part: MicroBatch, settings: Settings) -> tuple[list[TokenIds], ByToken]:
    """Five ids for each supervised token, and what a drawn teacher says of four of them."""
    random = np.random.default_rng(1)
    (choices,), _ = chosen_slopes([part])
    said = random.dirichlet([1.0] * 5, part.supervised)
    constants = [np.log(said[:, :4]), np.log(said[:, 4]), part.token_weights]
    formula = TokenFormula(settings)

    def objective(values: Sequence[TokenValues]) -> tuple[float, Sequence[TokenValues]]:
        losses, slopes = formula(np, values[0].astype(np.float64), *constants)
        return float(losses.sum()), [slopes.astype(np.float32)]

    return [choices], ByToken(objective, formula, [[array.astype(np.float32) for array in constants]])


@pytest.mark.parametrize("settings", [Settings(0, 0), Settings(0.3, 0.5), Settings(1, 0.2)])
@pytest.mark.parametrize("name", ENGINES)
def test_an_objective_by_token_is_the_same_step_wherever_its_slopes_are_computed(
    name: str, settings: Settings, tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    results: list[tuple[Update, dict[str, Floats]]] = []
    (part,) = plan(some_pairs(1), BatchShape(8, 10_000, 10_000))
    with engine(name):
        for number in range(2):
            made = trainer(name, tiny, recipe_path, "lora.dropout=0.1", "teacher.model=any")
            choices, judge = taught_by_formula(part, settings)
            for _ in range(2):
                made.accumulate([part], judge if number else judge.objective, choices)
                update = made.apply(3e-3, 4.0)
            results.append((update, trained(made, tmp_path / str(number))))
            if name == GPU_PATH and number:  # one pass: no log-probabilities come first
                assert isinstance(made, MlxTrainer)
                assert isinstance(made._passes, CompiledPasses)
                assert {key[0] for key in made._passes._compiled} == {"judged"}
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-4)
    alike(results[1][1], results[0][1], 1e-3)
