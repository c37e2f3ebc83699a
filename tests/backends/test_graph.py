"""What a step and a token ask of a GPU is counted without one, the same at every call: the counts are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from gemmalocal.backends import open_graph_counter
from gemmalocal.cli.bench_graph import table
from gemmalocal.pipelines import bench_graph
from gemmalocal.pipelines.shared.word_problems import bench_recipe
from gemmalocal.weights import hollow

LAYERS = 2
TINY = {
    "num_hidden_layers": LAYERS, "hidden_size": 64, "intermediate_size": 128, "head_dim": 64, "vocab_size": 512,
    "sliding_window_pattern": 2,
}  # fmt: skip
NORMS, ROTATIONS = 6 * LAYERS + 1, 2 * LAYERS  # of a forward pass


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is counted of a two-layer Gemma 3."""
    folder = tmp_path_factory.mktemp("hollow")
    hollow.write(folder, **TINY)
    recipe = bench_recipe(folder, 1, bench_graph.ROWS, bench_graph.LENGTH, "bfloat16")
    return bench_graph.counts(open_graph_counter(), folder, recipe, tmp_path_factory.mktemp("adapters"))


def test_a_kernel_of_metals_is_one_operation_each_way(report: dict[str, Any]) -> None:
    for who in ("ours", "stock"):
        step, token = report["step"][who]["kinds"], report["token"]["base"][who]["kinds"]
        # The first norm's input is no one's gradient: the embedding is frozen.
        assert (step["RMSNorm"], step["RMSNormVJP"], step["RoPE"]) == (NORMS, NORMS - 1, 2 * ROTATIONS)
        assert (token["RMSNorm"], token["RoPE"], token["ScaledDotProductAttention"]) == (NORMS, ROTATIONS, LAYERS)


def test_the_counts_of_mlx_lm_are_held(report: dict[str, Any]) -> None:
    step = report["step"]["stock"]
    # A layer has seven projections: with LoRA three products each, five backward (the base's weight has no gradient),
    # and two of attention. The first layer's q, k and v give no gradient to what is below; the head has two.
    assert step["kinds"]["Matmul"] == LAYERS * (7 * 3 + 7 * 5 + 2 + 4) - 6 + 2
    assert (step["launches"], step["kinds"]["Compiled"], step["waits"]) == (309, 105, 1)
    base, adapted = (report["token"][key]["stock"] for key in ("base", "adapted"))
    assert base["kinds"]["Matmul"] == LAYERS * 7 + 1
    assert adapted["kinds"]["Matmul"] == LAYERS * 7 * 3 + 1
    assert (base["launches"], base["waits"], adapted["launches"], adapted["waits"]) == (66, 1, 150, 1)


def test_our_counts_are_held(report: dict[str, Any]) -> None:
    step, token = report["step"]["ours"], report["token"]
    assert (step["launches"], step["waits"]) == (1167, 6)
    assert (token["base"]["ours"]["launches"], token["adapted"]["ours"]["launches"]) == (79, 163)
    for several in token["several"].values():  # the weights are read once for all
        assert (several["launches"], several["waits"]) == (163, 1)


def test_the_table_has_a_line_for_each_kind(report: dict[str, Any]) -> None:
    lines = table(report)
    step = report["step"]
    for kind in step["ours"]["kinds"].keys() | step["stock"]["kinds"].keys():
        assert sum(line.split()[0] == kind for line in lines) == 1
    assert any(line.split()[:2] == ["2", "answers,"] for line in lines)


def test_afterwards_all_is_computed_again(report: dict[str, Any]) -> None:
    assert float(mx.array(3.0) + 1) == 4
    assert np.array(mx.array([1.0]) * 2).tolist() == [2]
    assert mx.compile(lambda x: mx.tanh(x) * 2)(mx.zeros(3)).tolist() == [0, 0, 0]


def test_a_hollow_model_takes_no_space(tmp_path: Path) -> None:
    hollow.write(tmp_path)
    status = (tmp_path / "model.safetensors").stat()
    assert status.st_size > 500_000_000
    assert status.st_blocks * 512 < 1_000_000
