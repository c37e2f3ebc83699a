"""What a step and a token ask of a GPU is counted without one, the same at every call: the counts are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from gemmalocal.backends import open_graph_counter
from gemmalocal.backends.mlx.graph import printed
from gemmalocal.backends.mlx.graph.count import our_steps
from gemmalocal.backends.mlx.graph.figures import figures
from gemmalocal.backends.mlx.graph.operations import Graph, graph
from gemmalocal.backends.mlx.graph.recording import recording
from gemmalocal.cli.bench_graph import table
from gemmalocal.data.examples import Example
from gemmalocal.pipelines import bench_graph
from gemmalocal.pipelines.shared.word_problems import bench_recipe
from gemmalocal.planning.memory import HEAD_ROWS
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights import hollow

LAYERS = 2
TINY = {
    "num_hidden_layers": LAYERS, "hidden_size": 64, "intermediate_size": 128, "head_dim": 64, "vocab_size": 512,
    "sliding_window_pattern": 2,
}  # fmt: skip
LONG_ROW = 4 * HEAD_ROWS
NORMS, ROTATIONS = 6 * LAYERS + 1, 2 * LAYERS  # of a forward pass


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is counted of a two-layer Gemma 3."""
    folder = tmp_path_factory.mktemp("hollow")
    hollow.write(folder, **TINY)
    recipe = bench_recipe(folder, 1, bench_graph.ROWS, 1 + bench_graph.LENGTH, "bfloat16")
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
    assert (step["launches"], step["kinds"]["Compiled"], step["waits"]) == (310, 105, 1)
    if printed.available():
        assert (step["bytes_read"], step["bytes_written"], step["largest_live_bytes"]) == (
            26_966_210,
            16_780_468,
            3_992_584,
        )
    base, adapted = (report["token"][key]["stock"] for key in ("base", "adapted"))
    assert base["kinds"]["Matmul"] == LAYERS * 7 + 1
    assert adapted["kinds"]["Matmul"] == LAYERS * 7 * 3 + 1
    assert (base["launches"], base["waits"], adapted["launches"], adapted["waits"]) == (66, 1, 150, 1)


def test_our_counts_are_held(report: dict[str, Any]) -> None:
    step, token = report["step"]["ours"], report["token"]
    assert (step["launches"], step["waits"]) == (207, 1)
    assert report["step"]["ratio"] < 0.75
    if printed.available():
        assert (step["bytes_read"], step["bytes_written"], step["largest_live_bytes"]) == (
            17_398_529,
            9_948_301,
            2_586_624,
        )
    assert (token["base"]["ours"]["launches"], token["adapted"]["ours"]["launches"]) == (66, 150)
    for several in token["several"].values():  # the weights are read once for all
        assert (several["launches"], several["waits"]) == (150, 1)


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Path, Recipe]:
    """A two-layer Gemma 3 whose activations are larger than all that is trained, and a recipe for it."""
    hollow.write(tmp_path, **TINY)
    recipe = bench_recipe(tmp_path, 1, bench_graph.ROWS, 1 + bench_graph.LENGTH, "bfloat16")
    return tmp_path, recipe.model_copy(update={"lora": recipe.lora.model_copy(update={"rank": 1})})


@pytest.mark.skipif(not printed.available(), reason="types are not known here")
def test_a_step_in_bfloat16_has_no_float32_of_the_activations_size(wide: tuple[Path, Recipe]) -> None:
    whole = graph(our_steps(*wide, bench_graph.rows()))
    activations = bench_graph.ROWS * bench_graph.LENGTH * TINY["hidden_size"] * 4
    logits = HEAD_ROWS * TINY["vocab_size"] * 4  # of a chunk: their softmax is summed in float32
    large = {
        (whole.sizes[name], operation.kind)
        for operation in whole.operations
        for name in operation.outputs
        if operation.launches and whole.types[name] == "float32" and whole.sizes[name] >= activations
    }
    assert {size for size, _ in large} == {logits}, large


@pytest.mark.skipif(not printed.available(), reason="shapes are not known here")
def test_the_logits_of_one_chunk_are_live_at_once(wide: tuple[Path, Recipe]) -> None:
    folder, recipe = wide
    hollow.write(folder, **TINY | {"vocab_size": 8192})
    live = []
    for count in (1, 4):
        supervised = np.array([0] * (1 + LONG_ROW - count * HEAD_ROWS) + [1] * count * HEAD_ROWS, np.float32)
        row = Example(np.zeros(1 + LONG_ROW, np.int32), supervised)
        live.append(open_graph_counter().our_step(folder, recipe, [row])["largest_live_bytes"])
    assert live[0] > HEAD_ROWS * 8192 * 4  # a chunk's, in float32
    assert live[1] < 1.1 * live[0]


def test_the_table_has_a_line_for_each_kind(report: dict[str, Any]) -> None:
    lines = table(report)
    step = report["step"]
    for kind in step["ours"]["kinds"].keys() | step["stock"]["kinds"].keys():
        assert sum(line.split()[:1] == [kind] for line in lines) == 1
    assert any(line.split()[:2] == ["2", "answers,"] for line in lines)


def canonical(graph: Graph) -> list[tuple[str, list[int], list[int], int]]:
    """Its operations with numbers for names, by first appearance."""
    numbers: dict[str, int] = {}

    def numbered(names: tuple[str, ...]) -> list[int]:
        return [numbers.setdefault(name, len(numbers)) for name in names]

    return [(each.kind, numbered(each.inputs), numbered(each.outputs), each.handover) for each in graph.operations]


def test_both_ways_to_read_a_graph_agree() -> None:
    with recording() as record:
        two = mx.compile(lambda x: (mx.tanh(x * 2) + x, x - 1))
        first, second = two(mx.zeros((4, 8)) @ mx.zeros((8, 8)))
        mx.eval(first, second)
        joined = mx.concatenate([second, *mx.split(first, 2)]).astype(mx.bfloat16)
        mx.eval(joined, mx.put_along_axis(joined, mx.zeros((8, 1), mx.int32), joined[:, :1], axis=1))
    named = graph(record.handovers, with_sizes=False)
    kinds = {each.kind for each in named.operations}
    assert {"Split", "Concatenate", "ScatterAxis"} < kinds
    assert any(kind.startswith("Compiled") for kind in kinds)
    assert sum(each.launches for each in named.operations if each.kind == "Concatenate") == 3
    if printed.available():
        assert canonical(named) == canonical(graph(record.handovers, with_sizes=True))


@pytest.mark.skipif(not printed.available(), reason="shapes are not known here")
def test_bytes_are_those_of_what_goes_in_and_comes_out() -> None:
    table, weight = mx.broadcast_to(mx.array(0.0), (1000, 64)), mx.broadcast_to(mx.array(0.0), (64, 128))
    mx.eval(table, weight)
    with recording() as record:
        record.phase = "counted"
        rows = mx.take(table, mx.array([1, 2, 3]), axis=0)  # (3, 64)
        product = (rows @ weight).astype(mx.float16)  # (3, 128)
        mx.eval(product)
        mx.eval(product * mx.broadcast_to(mx.array([2.0], mx.float16), (3, 128)))
    counts = figures(record.handovers, "counted")
    assert counts["bytes_by_kind"] == {
        "Gather": 3 * 4 + 2 * 3 * 64 * 4,  # of the table, three rows alone
        "Matmul": (3 * 64 + 64 * 128 + 3 * 128) * 4,
        "AsType": 3 * 128 * (4 + 2),
        "Multiply": (3 * 128 + 1 + 3 * 128) * 2,
    }
    assert counts["bytes_read"] + counts["bytes_written"] == sum(counts["bytes_by_kind"].values())
    assert counts["waits"] == 2
    assert counts["largest_live_bytes"] == 3 * 128 * (4 + 2)  # the product, and its half as wide copy


@pytest.mark.skipif(not printed.available(), reason="shapes are not known here")
@pytest.mark.parametrize(("deep", "arrays"), [(True, 1), (False, 4)])
def test_the_order_decides_what_is_live(deep: bool, arrays: int) -> None:
    inputs = [mx.full((64, 64), float(number)) for number in range(4)]
    mx.eval(inputs)
    with recording() as record:
        record.phase = "counted"
        mx.eval([mx.sum(x @ x) for x in inputs])
    # Breadth first, all four products are there before the first of them is summed up.
    live = figures(record.handovers, "counted", width=1 if deep else 1000)["largest_live_bytes"]
    assert live // (64 * 64 * 4) == arrays


def test_a_wait_is_one_for_what_was_handed_over_ahead_too() -> None:
    with recording() as record:
        record.phase = "counted"
        first, second = mx.zeros(3) + 1, mx.zeros(3) + 2
        mx.async_eval(first)  # type: ignore[no-untyped-call]
        mx.async_eval(second)  # type: ignore[no-untyped-call]
        first.tolist()
        first.tolist()  # is there
        np.array(second)
        mx.synchronize()  # nothing is left
        assert bool(mx.array(True))  # there from the beginning
    assert figures(record.handovers, "counted")["waits"] == 2


def test_afterwards_all_is_computed_again(report: dict[str, Any]) -> None:
    assert float(mx.array(3.0) + 1) == 4
    assert np.array(mx.array([1.0]) * 2).tolist() == [2]
    assert mx.compile(lambda x: mx.tanh(x) * 2)(mx.zeros(3)).tolist() == [0, 0, 0]


def test_a_hollow_model_takes_no_space(tmp_path: Path) -> None:
    hollow.write(tmp_path)
    status = (tmp_path / "model.safetensors").stat()
    assert status.st_size > 500_000_000
    assert status.st_blocks * 512 < 1_000_000
