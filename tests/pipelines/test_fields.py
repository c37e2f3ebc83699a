"""Nothing in a recipe is accepted and ignored: what each remaining field of `train` and `dtype` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.backends import open_backend
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.data.examples import Example
from gemmalocal.engine import checkpoints
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.schedule import learning_rate
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import TrainSpec


def rates(**fields: Any) -> list[float]:
    spec = TrainSpec(steps=10, learning_rate=1.0, **fields)
    return [learning_rate(spec, step, 10) for step in range(1, 11)]


def test_schedules_and_warmup() -> None:
    assert rates(schedule="constant") == [1.0] * 10
    assert rates(schedule="constant", warmup=4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    linear = rates(schedule="linear", warmup=2)
    assert linear[:3] == [0.5, 1.0, pytest.approx(8 / 9)]  # the highest rate is met once
    assert linear[-1] == pytest.approx(1 / 9)
    assert rates(schedule="linear", warmup=0.2) == linear
    cosine = rates(schedule="cosine")
    assert cosine[0] == 1.0
    assert cosine == sorted(cosine, reverse=True)
    assert 0 < cosine[-1] < 0.05


def test_epochs_become_steps(recipe_path: Path) -> None:
    recipe = recipe_file.load(str(recipe_path), ["train.steps=", "train.epochs=2.5", "train.accumulation=2"])
    assert recipe.train.steps_over(33) == 11


def stepped(tiny: Path, path: Path, *overrides: str) -> tuple[Any, Any, dict[str, Any]]:
    made: Any = open_backend("mlx").trainer(tiny, recipe_file.load(str(path), ["lora.dropout=0", *overrides]))
    rows = [Example(np.arange(6, 30, dtype=np.int32), np.ones(24, np.float32), "x")]
    made.accumulate(plan(rows, BatchShape(8, 1, 100)))
    update = made.apply(0.1)
    return made, update, {name: np.array(value) for name, value in made._trainable.named.items()}


def test_clip_decay_seed_and_dtype(tiny: Path, recipe_path: Path) -> None:
    _, plain, weights = stepped(tiny, recipe_path, "train.optimizer=adafactor")
    _, _, decayed = stepped(tiny, recipe_path, "train.optimizer=adafactor", "train.weight_decay=0.5")
    name = next(name for name in weights if name.endswith("lora_a"))
    assert np.abs(decayed[name]).sum() < np.abs(weights[name]).sum()
    _, again, seeded = stepped(tiny, recipe_path, "train.seed=5")
    assert (seeded[name] != weights[name]).any()
    assert again.loss == pytest.approx(plain.loss)  # lora_b is still zero
    made, low, _ = stepped(tiny, recipe_path, "dtype=bfloat16")
    assert "bfloat16" in str(made._model.model.embed_tokens.weight.dtype)
    assert low.loss != plain.loss
    assert low.loss == pytest.approx(plain.loss, rel=0.05)


def test_the_gradient_is_clipped_to_the_norm_it_is_given(tiny: Path, recipe_path: Path) -> None:
    moments = []
    for clip in ("0", "0.001"):
        made, update, _ = stepped(tiny, recipe_path, f"train.gradient_clip={clip}")
        states = [value for name, value in made._updater.state().items() if name.endswith(".m")]
        moments.append((update.grad_norm, float(np.sqrt(sum((np.array(value) ** 2).sum() for value in states)))))
    assert moments[0][0] == moments[1][0] > 0.001
    assert moments[0][1] == pytest.approx(0.1 * moments[0][0], rel=1e-3)  # Adam's first moment is 0.1 of the gradient
    assert moments[1][1] == pytest.approx(0.1 * 0.001, rel=0.01)


class Notes:
    """A trainer that saves a word instead of weights."""

    def save(self, directory: Path) -> None:
        (directory / "weights").write_text("x")


def test_keep_spares_the_newest_and_the_best(tmp_path: Path) -> None:
    notes: Any = Notes()
    for step in range(1, 7):
        checkpoints.publish(tmp_path, notes, TrainState(step, best_step=2, best_loss=1.0), keep=2)
    assert [path.name for path in checkpoints.existing(tmp_path)] == ["000002", "000005", "000006"]
    assert checkpoints.standing(tmp_path / "000006").step == 6
