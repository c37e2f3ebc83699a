"""What a step keeps in memory, by the allocator's peak."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.backends import open_backend
from gemmalocal.data.batches import MicroBatch
from gemmalocal.recipe import recipe_file
from tests.conftest import random_weights


@pytest.mark.usefixtures("either_path")
def test_checkpointing_keeps_one_layer_at_a_time(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    shutil.copytree(tiny, deep)
    config = json.loads((tiny / "config.json").read_text()) | {"num_hidden_layers": 8}
    (deep / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), deep / "model.safetensors", metadata={"format": "pt"})
    ids = np.random.default_rng(0).integers(6, 300, (1, 513)).astype(np.int32)
    batch, taken = MicroBatch(ids, np.ones(ids.shape, np.float32)), []
    for choice in ("false", "true"):
        recipe = recipe_file.load(str(recipe_path), [f"model={deep}", f"train.checkpointing={choice}"])
        made: Any = open_backend("mlx").trainer(deep, recipe)
        before = mx.get_active_memory()
        made.memory()
        made.accumulate([batch])
        taken.append(made.memory().peak - before)
    assert taken[1] < 0.5 * taken[0]
