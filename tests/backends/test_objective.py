"""The one thing that an engine knows of objectives: log-probabilities of tokens, and a step down their slopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from gemmalocal.backends import BACKENDS, full_model, open_backend, peft_adapter
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.streams import Streams
from gemmalocal.backends.protocol import Objective, TokenIds, TokenValues, Trainer
from gemmalocal.data.batches import BatchShape, MicroBatch, plan, rounds
from gemmalocal.data.judged_rounds import Round, judged_rounds
from gemmalocal.engine.shares import log_probabilities
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.objective import JUDGING
from gemmalocal.recipe.schema import LoraSpec
from gemmalocal.weights.tensors import Floats
from tests.backends.judged import batch_of, reference, some_pairs, spec, step
from tests.backends.truth import some_rows

GPU_PATH = "mlx, GPU path"
ENGINES = [*BACKENDS, GPU_PATH]
PAIRS = some_pairs()
FULL = ("full",)
Make = Callable[..., Trainer]


@contextmanager
def engine(name: str) -> Iterator[str]:
    """The backend of an engine's name, on its path."""
    with pytest.MonkeyPatch.context() as patch:
        if name == GPU_PATH:
            patch.setenv(MLX_PATH, compute_path.GPU.name)
        yield name.partition(",")[0]


def trainer(name: str, tiny: Path, recipe: Path, *overrides: str) -> Trainer:
    whole = recipe_file.load(str(recipe), [item for item in overrides if item not in FULL])
    if overrides == FULL:
        whole = whole.model_copy(update={"method": "full", "lora": LoraSpec()})
    with engine(name) as backend:
        return open_backend(backend).trainer(tiny, whole)


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest, tiny: Path, recipe_path: Path) -> Make:
    """Gives a new trainer of an engine, with dropout unless overridden; each is like the one before."""
    return lambda *overrides: trainer(request.param, tiny, recipe_path, *overrides)


def trained(made: Trainer, folder: Path) -> dict[str, Floats]:
    """What a trainer trains, by name."""
    folder.mkdir()
    made.save(folder)
    file = next(folder / name for name in (peft_adapter.WEIGHTS, full_model.WEIGHTS) if (folder / name).exists())
    return load_file(file)


def alike(left: dict[str, Floats], right: dict[str, Floats], tolerance: float) -> None:
    """Whether all arrays are the same, by their largest number."""
    assert left.keys() == right.keys()
    for name, values in left.items():
        scale = np.abs(right[name]).max() + 1e-9
        np.testing.assert_allclose(values, right[name], atol=tolerance * scale, err_msg=name)


def test_log_probabilities_are_the_loss_token_by_token(make: Make) -> None:
    made = make()
    for parts in rounds(plan(some_rows(), made.shapes), made.shapes.streams):
        values = made.log_probabilities(parts)
        assert [len(of_part) for of_part in values] == [part.supervised for part in parts]
        assert -sum(of_part.sum() for of_part in values) == pytest.approx(made.evaluate(parts)[0], rel=1e-5)
    whole = log_probabilities(PAIRS, None, made)
    alone = [made.evaluate(plan([pair], made.shapes))[0] for pair in PAIRS]
    np.testing.assert_allclose(-whole, alone, rtol=1e-5)


@pytest.mark.parametrize("overrides", [(), FULL], ids=["adapter", "full"])
def test_slopes_of_minus_one_are_plain_training(make: Make, overrides: Sequence[str], tmp_path: Path) -> None:
    def imitate(values: Sequence[TokenValues]) -> tuple[float, Sequence[TokenValues]]:
        return -float(sum(of_part.sum() for of_part in values)), [np.full_like(of_part, -1) for of_part in values]

    results = []
    for objective in (None, imitate):
        made, updates = make(*overrides), []
        for _ in range(2):
            for parts in rounds(plan(some_rows(), made.shapes), made.shapes.streams):
                made.accumulate(parts, objective)
            updates.append(made.apply(3e-3))
        results.append((updates, trained(made, tmp_path / str(objective is None))))
    for plain, told in zip(results[0][0], results[1][0], strict=True):
        assert told == pytest.approx(plain, rel=1e-5)
    alike(results[1][1], results[0][1], 1e-4)


@pytest.mark.parametrize(
    ("name", "overrides"), [(name, overrides) for name in ENGINES for overrides in ((), FULL)][:-1], ids=str
)
def test_several_passes_are_what_one_is_with_dropout(
    name: str, overrides: Sequence[str], tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    results = []
    for apart in (False, True):
        made: Any = trainer(name, tiny, recipe_path, *overrides)
        if name == "mlx":
            made._passes._streams = Streams(2)  # on a single core too
        (planned,) = judged_rounds(PAIRS[:2], 2, replace(made.shapes, limit=8, streams=2))
        assert len(planned.passes[0]) == 2
        of_start = reference(made, PAIRS[:2])
        for _ in range(2):
            passes = tuple((part,) for part in planned.passes[0]) if apart else planned.passes
            step(made, batch_of(PAIRS[:2], spec("dpo"), of_start), rounds=[Round(passes)])
        results.append(trained(made, tmp_path / str(apart)))
    alike(results[0], results[1], 1e-3)


@pytest.mark.parametrize("overrides", [("lora.dropout=0",), FULL], ids=["adapter", "full"])
@pytest.mark.parametrize("kind", ["sft", *JUDGING])
def test_engines_take_the_same_steps(
    kind: str, overrides: Sequence[str], tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    results = {}
    for name in ENGINES:
        with engine(name):
            made = trainer(name, tiny, recipe_path, *overrides)
            batch = batch_of(PAIRS, spec(kind), reference(made, PAIRS))
            results[name] = [step(made, batch).loss for _ in range(3)], trained(made, tmp_path / name)
    losses, weights = results.pop("torch")
    assert losses[2] != losses[0]
    for name, (others, other_weights) in results.items():
        assert others == pytest.approx(losses, rel=2e-4), name
        alike(other_weights, weights, 2e-3)


def chosen_slopes(parts: Sequence[MicroBatch]) -> tuple[list[TokenIds], Objective]:
    """Five ids for each supervised token, its own among them, and an objective that is a sum by drawn slopes."""
    rng = np.random.default_rng(0)
    choices = [rng.integers(0, 290, (part.supervised, 5)).astype(np.int32) for part in parts]
    for ids, part in zip(choices, parts, strict=True):
        ids[:, 2] = part.ids[:, 1:][part.weights[:, 1:] > 0]
    slopes = [rng.normal(size=ids.shape).astype(np.float32) for ids in choices]

    def objective(values: Sequence[TokenValues]) -> tuple[float, Sequence[TokenValues]]:
        return sum(float((slope * value).sum()) for slope, value in zip(slopes, values, strict=True)), slopes

    return choices, objective


@pytest.mark.parametrize("overrides", [("lora.dropout=0",), FULL], ids=["adapter", "full"])
def test_engines_take_the_same_step_by_ids_that_were_chosen(
    overrides: Sequence[str], tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    results = {}
    for name in ENGINES:
        with engine(name):
            made = trainer(name, tiny, recipe_path, *overrides)
            (part,) = plan(PAIRS, BatchShape(8, 10_000, 10_000))
            choices, objective = chosen_slopes([part])
            values = made.log_probabilities([part], choices=choices)[0]
            np.testing.assert_allclose(values[:, 2], made.log_probabilities([part])[0], rtol=1e-5, err_msg=name)
            made.accumulate([part], objective, choices)
            update = made.apply(3e-3, 1.0)
            assert update.loss == pytest.approx(objective([values])[0], rel=1e-4)
            results[name] = update, trained(made, tmp_path / name)
    update, weights = results.pop("torch")
    for name, (other, other_weights) in results.items():
        assert other == pytest.approx(update, rel=1e-3), name
        alike(other_weights, weights, 2e-3)


def test_a_gradient_is_divided_by_what_was_judged(make: Make) -> None:
    norms = []
    for count in (None, 2, 4):
        made = make("lora.dropout=0", "train.gradient_clip=0")
        parts = plan(PAIRS[:1], BatchShape(8, 8, 512))
        made.accumulate(parts)
        norms.append(made.apply(0.0, count))
    tokens = norms[0].tokens
    assert [update.tokens for update in norms] == [tokens] * 3
    assert norms[1].loss == pytest.approx(norms[0].loss * tokens / 2, rel=1e-5)
    assert norms[2].grad_norm == pytest.approx(norms[1].grad_norm / 2, rel=1e-5)


@pytest.mark.parametrize("overrides", [(), FULL], ids=["adapter", "full"])
def test_a_token_counts_by_its_weight(make: Make, overrides: Sequence[str], tmp_path: Path) -> None:
    """Weights of half a row are as slopes of such a size; loss and gradient are divided by their sum."""
    whole = some_rows()
    weighed = [replace(row, weights=row.weights * (0.25 if number % 2 else 1)) for number, row in enumerate(whole)]
    results = []
    for name in ("weights", "slopes"):
        made = make(*overrides)
        rounds_of = [rounds(plan(rows, made.shapes), made.shapes.streams) for rows in (weighed, whole)]
        for parts, plain in zip(*rounds_of, strict=True):
            sizes = [part.token_weights for part in parts]

            def objective(values: Sequence[Floats], sizes: list[Floats] = sizes) -> tuple[float, list[Floats]]:
                total = -sum(float(size @ value) for size, value in zip(sizes, values, strict=True))
                return total, [-size for size in sizes]

            made.accumulate(*((parts,) if name == "weights" else (plain, objective)))
        weight = sum(float(row.weights[1:].sum()) for row in weighed)
        update = made.apply(3e-3, None if name == "weights" else weight)
        results.append((update, trained(made, tmp_path / name)))
        parts = plan(weighed[:1], made.shapes)
        assert made.evaluate(parts)[1] == pytest.approx(float(weighed[0].weights[1:].sum()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    alike(results[0][1], results[1][1], 1e-3)
