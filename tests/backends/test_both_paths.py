"""What one path of the MLX engine wrote, the other goes on with: adapters, checkpoints, those of old versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from gemmalocal.backends import open_backend, peft_adapter
from gemmalocal.backends.mlx import lora
from gemmalocal.backends.mlx.compute_path import CPU, GPU
from gemmalocal.backends.mlx.device import BREADTH_FIRST
from gemmalocal.backends.mlx.train import OPTIMIZER
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.data.examples import Example
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from tests.backends.conftest import path
from tests.backends.test_generations import saved, trainer, whole_recipe
from tests.backends.truth import close, gradient, reference, some_rows
from tests.recorded.place import open_copy
from tests.recorded.test_version_0_1_0 import RECORDING

PARTS = plan(some_rows(), BatchShape(8, 8, 64))
(BATCH,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
PATHS = [(CPU.name, GPU.name), (GPU.name, CPU.name)]
WAYS = {
    "adamw": [],
    "lion": ["train.optimizer=lion"],
    "adafactor": ["train.optimizer=adafactor"],
    "dora": ["method=dora", "train.weight_decay=0.1"],
    "dropout": ["lora.dropout=0.3"],
    "quantized": ["quantize=8bit"],
    "full": ["method=full"],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(["gemma2", "gemma3", "gemma4"], tmp_path_factory)


def steps(made: Any, count: int) -> list[float]:
    """The losses of some steps, and at last that of all rows."""
    losses = []
    for _ in range(count):
        for part in PARTS:
            made.accumulate([part])
        losses.append(float(made.apply(1e-3).loss))
    return [*losses, made.evaluate(PARTS[:1])[0]]


def recipe_of(recipe_path: Path, tiny: Path, way: str) -> Recipe:
    return whole_recipe(recipe_path, tiny) if way == "full" else recipe_file.load(str(recipe_path), WAYS[way])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("first", "then"), PATHS)
def test_a_checkpoint_of_one_path_goes_on_equally_on_the_other(
    tiny: Path, recipe_path: Path, tmp_path: Path, way: str, first: str, then: str
) -> None:
    recipe = recipe_of(recipe_path, tiny, way)
    with path(first):
        made: Any = open_backend("mlx").trainer(tiny, recipe)
        began = steps(made, 2)
        made.save(tmp_path)
        wanted = steps(made, 2)
    with path(then):
        other: Any = open_backend("mlx").trainer(tiny, recipe)
        assert steps(other, 2) == pytest.approx(began, rel=1e-4)
        other.restore(tmp_path)
        assert steps(other, 2) == pytest.approx(wanted, rel=1e-5)
        (tmp_path / "other").mkdir()
        other.save(tmp_path / "other")
    for file in tmp_path.glob("*.safetensors"):
        one, two = load_file(file), load_file(tmp_path / "other" / file.name)
        assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in two.items()}
    for file in tmp_path.glob("*.json"):
        assert json.loads(file.read_text()).keys() == json.loads((tmp_path / "other" / file.name).read_text()).keys()


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("run", ["finished", "stopped"])
def test_a_checkpoint_of_version_0_1_0_goes_on(tmp_path: Path, run: str) -> None:
    home = open_copy(RECORDING, tmp_path / "old")
    folder = home / "runs" / run
    spec = json.loads((folder / "job.json").read_text())["spec"]
    checkpoint = max((folder / "checkpoints").iterdir())
    made: Any = open_backend("mlx").trainer(home / "models" / "tiny-gemma", Recipe.model_validate(spec))
    made.restore(checkpoint)
    (tmp_path / "again").mkdir()
    made.save(tmp_path / "again")
    for name in (peft_adapter.WEIGHTS, OPTIMIZER):
        old, new = load_file(checkpoint / name), load_file(tmp_path / "again" / name)
        assert old.keys() == new.keys()
        assert all(np.array_equal(old[key], new[key]) for key in old)
    first, *_, last = steps(made, 4)
    assert np.isfinite([first, last]).all()


@pytest.mark.parametrize("targets", ["q_proj,v_proj", "v_proj,k_proj,o_proj", "gate_proj", "up_proj,gate_proj"])
@pytest.mark.parametrize("name", ["gemma2", "gemma3", "gemma4"])
@pytest.mark.usefixtures("gpu_path")
def test_some_projections_of_a_block_have_the_slopes_of_full_logits(
    folders: dict[str, Path], recipe_path: Path, name: str, targets: str
) -> None:
    made = trainer(folders[name], recipe_path, f"lora.target_modules=[{targets}]")
    value, slopes = reference(made, BATCH)
    made.accumulate([BATCH])
    assert float(made._loss) == pytest.approx(value, rel=1e-5)
    close(gradient(made), slopes, 1e-3)
    assert made.evaluate([BATCH])[0] == pytest.approx(value, rel=1e-5)
    with path(CPU.name):
        alone = trainer(folders[name], recipe_path, f"lora.target_modules=[{targets}]")
        assert set(made._trainable.by_projection(made._trainable.named)) == set(alone._trainable.names)


@pytest.mark.usefixtures("gpu_path")
def test_layers_without_keys_of_their_own_have_none_to_adapt(folders: dict[str, Path], recipe_path: Path) -> None:
    made = trainer(folders["gemma4"], recipe_path)
    blocks = [layer.self_attn for layer in made._model.model.layers]
    together = "q_proj+k_proj+v_proj"
    assert [together in block for block in blocks] == [True] * 4 + [False] * 2
    assert all(isinstance(block["q_proj"], lora.LoraLinear) for block in blocks[4:])


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "gemma4"])
def test_long_rows_have_the_same_slopes_on_both_paths(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    random, both = np.random.default_rng(2), []
    rows = [
        Example(random.integers(6, 300, size).astype(np.int32), np.ones(size, np.float32), "") for size in (600, 90)
    ]
    for which in (CPU.name, GPU.name):
        with path(which):
            made = trainer(folders[name], recipe_path)
            if which == CPU.name:
                made.save(tmp_path)
            made.restore(tmp_path)
            for part in plan(rows, BatchShape(8, 1, 700, packed=which == CPU.name)):
                made.accumulate([part])
            named = dict(zip(made._trainable.names, gradient(made), strict=True))
            both.append((float(made._loss), made._trainable.by_projection(named)))
    (loss, slopes), (other_loss, others) = both
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert slopes.keys() == others.keys()
    close([others[key] for key in slopes], [slopes[key] for key in slopes], 1e-3)


@pytest.mark.parametrize(("name", "width"), [(CPU.name, "1000000"), (GPU.name, "None")])
def test_streams_get_their_work_in_turns_from_the_first_evaluation_on(name: str, width: str) -> None:
    # MLX reads it once, at the first evaluation: set when an engine is made, after its weights, it did nothing.
    program = f"import os, gemmalocal.backends.mlx; print(os.environ.get({BREADTH_FIRST!r}))"
    environment = {key: value for key, value in os.environ.items() if key != BREADTH_FIRST} | {MLX_PATH: name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [width]
