"""The fit plan against the allocator: a step's measured peak, over two model sizes and what a recipe can vary."""

from __future__ import annotations

import gc
import json
import statistics
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import gemma3_text

from gemmalocal.backends import open_backend
from gemmalocal.data.batches import plan, rounds
from gemmalocal.data.examples import Example
from gemmalocal.planning import memory, model_sizes
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe

SIZES = {
    "small": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4},
    "deep": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8},
    "wide": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 3, "num_key_value_heads": 2},
}
SIZES |= {f"{name}, few words": SIZES[name] | {"vocab_size": 2_048} for name in ("small", "wide")}
COMMON = {
    "model_type": "gemma3_text", "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 128,
    "query_pre_attn_scalar": 128, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
    "sliding_window": 512, "sliding_window_pattern": 3, "vocab_size": 16_384, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Quantized products are slow on a CPU, so what is quantized has few words."""
    return {name: write_model(tmp_path_factory.mktemp(name), name) for name in SIZES}


def write_model(folder: Path, size: str, **shape: int) -> Path:
    """A Gemma 3 of one of `SIZES`, with random weights; `shape` is what its config says instead."""
    config: dict[str, Any] = COMMON | SIZES[size] | shape
    (folder / "config.json").write_text(json.dumps(config))
    network = gemma3_text.Model(gemma3_text.ModelArgs.from_dict(config))
    parameters: Any = tree_flatten(network.model.parameters())
    random = np.random.default_rng(1)
    drawn = {key: random.standard_normal(value.shape, np.float32) for key, value in parameters}
    weights = {f"model.{key}": mx.array(0.02 * values) for key, values in drawn.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("size", "length", "count", "overrides"),
    [
        ("small", 128, 1, []),
        ("small", 512, 1, []),
        ("small", 1024, 1, []),
        ("small", 256, 2, []),
        ("small", 512, 1, ["train.checkpointing=true"]),
        ("small", 1024, 1, ["train.checkpointing=true"]),
        ("small", 256, 1, ["lora.rank=64"]),
        ("small, few words", 96, 1, ["quantize=4bit"]),
        ("small", 256, 1, ["method=dora", "train.optimizer=adafactor"]),
        ("wide", 256, 1, []),
        ("wide", 512, 2, ["train.checkpointing=true"]),
        ("wide", 1024, 1, ["lora.target_modules=[q_proj,v_proj]"]),
        ("wide, few words", 96, 1, ["quantize=8bit", "lora.rank=32"]),
    ],
)
def test_the_peak_is_as_planned(
    folders: dict[str, Path],
    recipe_path: Path,
    cpu_path: None,
    size: str,
    length: int,
    count: int,
    overrides: list[str],
) -> None:
    recipe = recipe_file.load(str(recipe_path), ["lora.dropout=0", "train.checkpointing=false", *overrides])
    measured, planned = measured_and_planned(folders[size], recipe, length, count, 64)
    assert planned == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(
    ("size", "length", "count", "overrides"),
    [
        ("small", 256, 1, ["dtype=float32"]),
        ("deep", 544, 1, ["dtype=float32", "train.checkpointing=true"]),
        ("small", 544, 1, ["dtype=float32", "method=dora"]),
        ("small, few words", 96, 1, ["dtype=float32", "quantize=4bit"]),
        ("deep", 128, 2, ["dtype=float32"]),
        ("small", 96, 1, ["dtype=bfloat16"]),
    ],
)
def test_the_peak_is_as_planned_on_the_gpus_path(
    folders: dict[str, Path],
    recipe_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: str,
    length: int,
    count: int,
    overrides: list[str],
) -> None:
    monkeypatch.setenv(MLX_PATH, "gpu")
    recipe = recipe_file.load(str(recipe_path), ["lora.dropout=0", "train.checkpointing=false", *overrides])
    measured, planned = measured_and_planned(folders[size], recipe, length, count, 128)
    assert planned == pytest.approx(measured, rel=0.12)


def measured_and_planned(folder: Path, recipe: Recipe, length: int, count: int, supervised: int) -> tuple[float, int]:
    """Bytes at a step's peak; each row's last `supervised` tokens are predicted."""
    gc.collect()
    mx.clear_cache()
    before = mx.get_active_memory()
    engine = open_backend("mlx")
    made: Any = engine.trainer(folder, recipe)
    weights = (np.arange(length + 1) > length - supervised).astype(np.float32)
    examples = [Example(np.arange(length + 1, dtype=np.int32) % 16_000, weights, str(row)) for row in range(count)]
    parts = next(iter(rounds(plan(examples, made.shapes), made.shapes.streams)))
    made.memory()
    peaks = []
    # The first makes the optimizer's state; streams meet elsewhere each time.
    for _ in range(6 if count > 1 and made.shapes.packed else 2):
        made.accumulate(parts)
        made.apply(1e-4)
        peaks.append(made.memory().peak)
    measured = statistics.median(peaks[1:]) - before
    tokens = sum(part.tokens for part in parts)
    sizes = model_sizes.from_config(json.loads((folder / "config.json").read_text()))
    load = memory.Load(tokens, length, count if made.shapes.packed else 1)
    width = 2 if recipe.dtype == "bfloat16" else 4
    checkpointing = recipe.train.checkpointing is True
    planned = memory.estimate(sizes, recipe, load, width, checkpointing, engine=engine.memory_profile()).total
    return measured, planned
