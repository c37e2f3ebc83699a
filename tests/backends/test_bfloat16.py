"""MLX in bfloat16, as Gemma is published and a GPU computes: near float32, and nothing as large as an activation in it.

And what is compiled there equals what is not.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import lora, multi_lora
from gemmalocal.backends.mlx.graph import printed
from gemmalocal.backends.mlx.graph.operations import PRINTED_ARRAY
from gemmalocal.backends.mlx.graph.recording import recording
from gemmalocal.backends.mlx.graph.stand_ins import as_kernels
from gemmalocal.data.batches import BatchShape, MicroBatch, plan
from gemmalocal.recipe import recipe_file
from gemmalocal.weights import hollow
from tests.backends.test_mlx import trainer
from tests.backends.truth import gradient, some_rows

(BATCH,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
ROWS = 11  # which no number of the model's is a multiple of: so these sizes are an activation's
SMALLEST = ROWS * 32 * 64  # numbers of a short row's hidden states
SHAPE = {
    "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 160, "head_dim": 64, "vocab_size": 512,
    "sliding_window_pattern": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 3 without weights: its graph is built, and not computed."""
    folder = tmp_path_factory.mktemp("hollow")
    hollow.write(folder, **SHAPE)
    return folder


@pytest.mark.skipif(not printed.available(), reason="types are not known here")
@pytest.mark.usefixtures("gpu_path")
@pytest.mark.parametrize("length", [96, 544])
@pytest.mark.parametrize(
    "way", ["method=lora", "method=dora", "train.checkpointing=true", "lora.dropout=0.1", "quantize=4bit"]
)
def test_no_array_of_an_activations_size_is_float32(empty: Path, recipe_path: Path, way: str, length: int) -> None:
    chosen = ["lora.dropout=0", "dtype=bfloat16", f"model={empty}", way]
    batch = MicroBatch(np.ones((ROWS, length + 1), np.int32), np.ones((ROWS, length + 1), np.float32))
    with as_kernels(), recording() as record:
        made: Any = open_backend("mlx").trainer(empty, recipe_file.load(str(recipe_path), chosen))
        record.phase = "counted"
        made.accumulate([batch])
        made.apply(1e-3)
    handed = [array for handover in record.handovers if handover.phase == "counted" for array in handover.arrays]
    types: dict[str, list[str]] = {}
    for line in printed.printed(handed)[2:]:
        before, _, after = line.rpartition(" -> ")
        for _, shape, kind, bits in PRINTED_ARRAY.findall(after):
            size = prod(int(part) for part in shape.split(",") if part)
            if size % ROWS == 0 and size >= SMALLEST:
                types.setdefault(kind + bits, []).append(f"{before.split(' ', 1)[0]} ({shape})")
    assert len(types["bfloat16"]) > 50
    assert types.get("float32", []) == []


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("way", ["method=lora", "method=dora", "train.checkpointing=true", "quantize=8bit"])
def test_loss_and_gradient_are_those_of_float32(tiny: Path, recipe_path: Path, way: str) -> None:
    both = []
    for dtype in ("float32", "bfloat16"):
        made = trainer(tiny, recipe_path, way, f"dtype={dtype}")
        made.accumulate([BATCH])
        assert {part.dtype for part in made._gradient} == {mx.float32}
        vector = np.concatenate([np.array(part).reshape(-1) for part in gradient(made)])
        both.append((float(made._loss), vector))
    (loss, slopes), (rough_loss, rough) = both
    assert rough_loss == pytest.approx(loss, rel=5e-3)
    assert np.linalg.norm(rough - slopes) < 0.1 * np.linalg.norm(slopes)


def test_a_small_stretch_is_not_lost() -> None:
    """As many outputs change as with PEFT, or more, and by as much: a factor of 1.003 is 1 in bfloat16."""
    from peft import LoraConfig, get_peft_model

    random = np.random.default_rng(1)
    weight, x, lora_a = (random.standard_normal(shape).astype(np.float32) for shape in ((512, 64), (3, 64), (4, 64)))
    linear = nn.Linear(64, 512, bias=False)
    linear.weight = mx.array(weight).astype(mx.bfloat16)
    ours = lora.DoraLinear(linear, 2.0, 0.0, mx.array(lora_a))
    theirs = torch.nn.Sequential()
    theirs.add_module("linear", torch.nn.Linear(64, 512, bias=False, dtype=torch.bfloat16))
    theirs = get_peft_model(theirs, LoraConfig(r=4, use_dora=True, target_modules=["linear"]))
    with torch.no_grad():
        theirs.base_model.model.linear.base_layer.weight.copy_(torch.from_numpy(weight))
    (length,) = [parameter for name, parameter in theirs.named_parameters() if "magnitude" in name]
    rows, outputs = mx.array(x).astype(mx.bfloat16), list[list[Any]]()
    for _ in range(2):
        spoken = multi_lora.MultiLoraLinear(linear, 2)
        spoken.add(1, ours)
        spoken.select(mx.array([1, 1, 1]))
        with torch.no_grad():
            ground = theirs(torch.from_numpy(x).bfloat16()).float().numpy()
            length.mul_(1.003)
        mine = [ours(rows), spoken(rows[:, None])[:, 0]]
        assert all(output.dtype == mx.bfloat16 for output in mine)
        outputs.append([ground, *(np.array(output.astype(mx.float32)) for output in mine)])
        ours.magnitude = ours.magnitude * 1.003
    changed = [int((now != before).sum()) for before, now in zip(*outputs, strict=True)]
    ratios = [float((now / before).mean()) for before, now in zip(*outputs, strict=True)]
    assert min(changed[1:]) >= changed[0] > 512
    assert ratios == pytest.approx([1.003] * 3, abs=3e-4)
