"""What a step asks of a GPU is counted without one: the counts are held."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from gemmalocal.backends import open_graph_counter
from gemmalocal.pipelines.bench_graph import LENGTH, ROWS, rows
from gemmalocal.pipelines.shared.word_problems import bench_recipe
from gemmalocal.weights import hollow

LAYERS = 2
TINY = {
    "num_hidden_layers": LAYERS, "hidden_size": 64, "intermediate_size": 128, "head_dim": 16, "vocab_size": 512,
    "sliding_window_pattern": 2,
}  # fmt: skip
NORMS, ROTATIONS = 6 * LAYERS + 1, 2 * LAYERS  # of a forward pass


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is counted of a step, ours and mlx-lm's."""
    folder = tmp_path_factory.mktemp("hollow")
    hollow.write(folder, **TINY)
    recipe, counter = bench_recipe(folder, 1, ROWS, LENGTH, "bfloat16"), open_graph_counter()
    return counter.our_step(folder, recipe, rows()), counter.stock_step(folder, recipe, rows())


def test_a_kernel_of_metals_is_one_operation_each_way(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for step in steps:
        # The first norm's input is no one's gradient: the embedding is frozen.
        assert (step["kinds"]["RMSNorm"], step["kinds"]["RMSNormVJP"]) == (NORMS, NORMS - 1)
        assert step["kinds"]["RoPE"] == 2 * ROTATIONS


def test_the_counts_of_mlx_lm_are_held(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, stock = steps
    # A layer has seven projections: with LoRA three products each, twice as many backward but for the frozen weight's,
    # and two of attention. The first layer's q, k and v give no gradient to what is below; the head has two.
    assert stock["kinds"]["Matmul"] == LAYERS * (7 * 3 + 7 * 5 + 2 + 4) - 6 + 2
    assert (stock["launches"], stock["kinds"]["Compiled"], stock["waits"]) == (309, 105, 1)


def test_nothing_is_compiled_or_read_otherwise_afterwards(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert float(mx.array(3.0) + 1) == 4
    assert np.array(mx.array([1.0]) * 2).tolist() == [2]
    assert mx.compile(lambda x: mx.tanh(x) * 2)(mx.zeros(3)).tolist() == [0, 0, 0]
