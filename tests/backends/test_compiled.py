"""Steps that are compiled equal those that are not: traced once for each shape, and run again with other rows.

On a CPU, MLX calls a C++ compiler for each fused kernel, a second each. So most tests compile without fusing, and one
fuses a model as small as can be; `mlx` in the folder for temporary files keeps what was compiled.
"""

from __future__ import annotations

import ctypes
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.backends.mlx import compute_path
from gemmalocal.data.batches import BatchShape, MicroBatch, plan
from tests.backends.test_mlx import trainer
from tests.backends.truth import close, some_rows
from tests.conftest import random_weights

SET_MODE, WITHOUT_FUSING = "_ZN3mlx4core16set_compile_modeENS0_11CompileModeE", 2  # in C++ alone


@pytest.fixture(autouse=True)
def switch() -> Iterator[None]:
    """Afterwards it is compiled where it was before."""
    yield
    if compute_path.device_is_cpu():
        mx.disable_compile()
    else:
        mx.enable_compile()


def compile_without_fusing() -> None:
    """On a CPU; a GPU's compiler is quick."""
    mx.enable_compile()
    (library,) = (Path(mx.__file__).parent / "lib").glob("libmlx.*[yo]*")
    if compute_path.device_is_cpu():
        getattr(ctypes.CDLL(str(library)), SET_MODE)(WITHOUT_FUSING)
    traced = list[mx.array]()

    @mx.compile
    def doubled(x: mx.array) -> mx.array:
        traced.append(x)
        return x * 2

    assert [doubled(mx.array(number)).item() for number in (1, 2)] == [2, 4]
    assert len(traced) == 1


def batches() -> list[MicroBatch]:
    """Two of one shape, and one of another."""
    first, other = (plan(some_rows(count), BatchShape(8, 10_000, 10_000))[0] for count in (6, 3))
    return [first, MicroBatch(first.ids[::-1].copy(), first.weights[::-1].copy()), other]


def trained(folder: Path, recipe_path: Path, way: str) -> tuple[list[float], list[mx.array]]:
    """The losses of some steps, and the weights after them."""
    made, losses = trainer(folder, recipe_path, way), list[float]()
    for batch in batches() * 2:
        made.accumulate([batch])
        losses += [made.apply(1e-3).loss, made.evaluate([batch])[0]]
    return losses, made._trainable.arrays


@pytest.mark.usefixtures("gpu_path")
@pytest.mark.parametrize(
    "way",
    ["method=dora", "lora.dropout=0.3", "train.checkpointing=true", "quantize=8bit", "train.weight_decay=0.1"],
)
def test_compiled_steps_equal_those_that_are_not(tiny: Path, recipe_path: Path, way: str) -> None:
    mx.disable_compile()
    losses, weights = trained(tiny, recipe_path, way)
    compile_without_fusing()
    compiled_losses, compiled_weights = trained(tiny, recipe_path, way)
    assert compiled_losses == pytest.approx(losses, rel=1e-5)
    close(compiled_weights, weights, 1e-3)


@pytest.mark.usefixtures("gpu_path")
def test_a_compiled_step_that_is_no_number_changes_nothing(tiny: Path, recipe_path: Path) -> None:
    compile_without_fusing()
    made: Any = trainer(tiny, recipe_path)
    for spoil in (1.0, np.nan, 1.0):
        made.accumulate(batches()[:1])
        made._gradient = [part * spoil for part in made._gradient]
        before = made._trainable.arrays
        assert made.apply(1e-3).finite == (spoil == 1)
        unchanged = all(np.array_equal(a, b) for a, b in zip(made._trainable.arrays, before, strict=True))
        assert unchanged == (spoil != 1)


@pytest.mark.usefixtures("gpu_path")
def test_a_fused_pass_equals_one_that_is_not(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one-layer"
    shutil.copytree(tiny, folder)
    config = json.loads((tiny / "config.json").read_text()) | {"num_hidden_layers": 1, "sliding_window_pattern": 1}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), folder / "model.safetensors", metadata={"format": "pt"})
    passes = []
    for compile_or_not in (mx.disable_compile, mx.enable_compile):
        compile_or_not()
        made = trainer(folder, recipe_path, "lora.target_modules=[gate_proj,up_proj]")
        made.accumulate(batches()[:1])
        passes.append((float(made._loss), list(made._gradient)))
    (loss, gradient), (fused_loss, fused_gradient) = passes
    assert fused_loss == pytest.approx(loss, rel=1e-5)
    close(fused_gradient, gradient)
