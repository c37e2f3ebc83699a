"""The MLX trainer against the truth: full logits, one big padded batch, transformers, PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import cpu, geglu, lora, recompute, tiled_cross_entropy
from gemmalocal.backends.mlx.streams import Streams
from gemmalocal.data.batches import BatchShape, plan, rounds, share
from gemmalocal.recipe import recipe_file
from tests.backends.truth import close, gradient, reference, some_rows


def recipe(path: Path, *overrides: str) -> Any:
    return recipe_file.load(str(path), ["lora.dropout=0", *overrides])


def trainer(tiny: Path, path: Path, *overrides: str) -> Any:
    """A trainer whose adapter does something: `lora_b` is random instead of zero."""
    made: Any = open_backend("mlx").trainer(tiny, recipe(path, *overrides))
    for number, adapter in enumerate(made._adapters):
        adapter.lora_b = 0.1 * mx.random.normal(adapter.lora_b.shape, key=mx.random.key(number))
    return made


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_loss_and_gradient_equal_full_logits(tiny: Path, recipe_path: Path, checkpointing: str) -> None:
    made = trainer(tiny, recipe_path, f"train.checkpointing={checkpointing}")
    (batch,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
    value, slopes = reference(made, batch)
    made.accumulate([batch])
    assert float(made._loss) == pytest.approx(value, rel=1e-5)
    close(gradient(made), slopes)
    assert made.evaluate([batch])[0] == pytest.approx(value, rel=1e-5)


@pytest.mark.usefixtures("cpu_path")
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_the_head_in_tiles_equals_plain_autodiff(
    tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch, softcap: float | None
) -> None:
    monkeypatch.setattr(tiled_cross_entropy, "TILE", 77)  # several tiles, the last one short
    made = trainer(tiny, recipe_path)
    made._head._softcap = softcap
    mx.random.seed(0)
    hidden, ids = 3 * mx.random.normal((600, 64)), mx.array(np.arange(600) % 290)
    assert made._head._in_tiles
    fast, slope, _ = made._head.loss(hidden, ids)
    judged = made._head.loss(hidden, ids, gradient=False)
    assert (judged.nats == fast).all()
    assert (judged.hidden_gradient, judged.weight_gradient) == (None, None)
    made._head._in_tiles = False
    slow, other, _ = made._head.loss(hidden, ids)
    assert fast == pytest.approx(slow, rel=1e-6)
    close([slope], [other], 1e-5)


def test_what_is_computed_again_in_blocks_has_the_same_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "BLOCK", 7)  # several blocks, the last one short
    project = lora.LoraLinear(nn.Linear(12, 6, bias=False), 2.0, 0.0, mx.random.normal((3, 12), key=mx.random.key(1)))
    project.freeze()
    project.unfreeze(keys=["lora_a", "lora_b"], recurse=False)
    project.lora_b = mx.random.normal((6, 3), key=mx.random.key(2))
    gate, up = (mx.random.normal((2, 24, 12), key=mx.random.key(seed)) for seed in (3, 4))

    def summed(parameters: Any, gate: mx.array, up: mx.array, blocks: bool) -> mx.array:
        project.update(parameters)
        in_blocks = recompute.recompute_in_blocks
        output = (
            in_blocks(geglu._down_keeping_tanh, project, gate, up)
            if blocks
            else geglu._down_keeping_tanh(project, gate, up)
        )
        return mx.sum(mx.sin(output))

    both = [
        mx.value_and_grad(summed, argnums=[0, 1, 2])(project.trainable_parameters(), gate, up, blocks)
        for blocks in (True, False)
    ]
    named: list[Any] = [tree_flatten(one) for one in both]
    found = [[part for _, part in one] for one in named]
    assert len(found[0]) == 5
    close(found[0], found[1], 1e-5)


def test_tiles_stand_large_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_cross_entropy, "TILE", 2)
    weight, hidden = mx.array([[-1e4], [0.0], [1e4]]), mx.array([[1.0], [-1.0], [0.0]])
    ids = np.array([[2], [2], [1]], np.int32)
    scored = tiled_cross_entropy.score(weight, hidden, ids, None, True)
    slope = scored.gradient(weight, ids, np.ones((3, 1), np.float32))
    assert scored.nats.sum() == pytest.approx(2e4 + np.log(3), rel=1e-6)
    np.testing.assert_allclose(np.array(slope)[:, 0], [0, -2e4, 0], atol=1e-2)


@pytest.mark.usefixtures("cpu_path")
def test_lanes_change_nothing(tiny: Path, recipe_path: Path) -> None:
    parts, found = plan(some_rows(5), BatchShape(8, 1, 40, 3)), []
    for count in (1, 3):
        made = trainer(tiny, recipe_path, "lora.dropout=0.3")
        made._passes._streams = Streams(count)
        for several in rounds(parts, count):
            made.accumulate(several)
        losses = [made.evaluate(several)[0] for several in rounds(parts, count)]
        found.append((float(made._loss), gradient(made), sum(losses)))
    assert len(parts) > 3
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-6)
    close(found[0][1], found[1][1], 1e-5)


@pytest.mark.usefixtures("either_path")
def test_shares_add_up_to_the_whole_dropout_included(tiny: Path, recipe_path: Path) -> None:
    parts = plan(some_rows(6), BatchShape(8, 1, 40, 2))
    whole = trainer(tiny, recipe_path, "lora.dropout=0.3")
    ranks = [trainer(tiny, recipe_path, "lora.dropout=0.3") for _ in range(2)]
    for part in parts:
        whole.accumulate([part])
    for rank, made in enumerate(ranks):
        for part in share(parts, rank, 2):
            made.accumulate([part])
    assert float(sum(made._loss for made in ranks)) == pytest.approx(float(whole._loss), rel=1e-6)
    close([one + other for one, other in zip(*(gradient(made) for made in ranks), strict=True)], gradient(whole), 1e-5)
    assert sum(made._parts for made in ranks) == whole._parts == len(parts)


@pytest.mark.usefixtures("either_path")
def test_micro_batches_give_the_update_of_the_big_batch(tiny: Path, recipe_path: Path) -> None:
    rows, results = some_rows(8), []
    for shapes, count in (
        (BatchShape(8, 10_000, 10_000), None),
        (BatchShape(8, 1, 64), None),
        (BatchShape(1, 0, 10), 1),
    ):
        made = trainer(tiny, recipe_path)
        parts = plan(rows, shapes, count)
        for part in parts:
            made.accumulate([part])
        update = made.apply(1e-3)
        results.append((len(parts), update, made._trainable.arrays))
    assert [count for count, *_ in results] == [1, results[1][0], 8]
    for _, update, weights in results[1:]:
        assert update.tokens == results[0][1].tokens
        assert update.loss == pytest.approx(results[0][1].loss, rel=1e-5)
        assert update.grad_norm == pytest.approx(results[0][1].grad_norm, rel=1e-4)
        close(weights, results[0][2], 2e-2)  # Adam's first step is nearly the gradient's sign


@pytest.mark.usefixtures("either_path")
def test_dropout_is_the_same_in_both_passes_of_checkpointing(tiny: Path, recipe_path: Path) -> None:
    (batch,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
    found = []
    for choice in ("false", "true"):
        made = trainer(tiny, recipe_path, "lora.dropout=0.3", f"train.checkpointing={choice}")
        made.accumulate([batch])
        found.append((float(made._loss), gradient(made)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    close(found[1][1], found[0][1])
    plain = trainer(tiny, recipe_path)
    plain.accumulate([batch])
    assert float(plain._loss) != pytest.approx(found[0][0], rel=1e-3)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("name", ["adamw", "adafactor", "lion"])
def test_each_optimizer_learns_and_is_restored(tiny: Path, recipe_path: Path, tmp_path: Path, name: str) -> None:
    parts = plan(some_rows(), BatchShape(8, 100, 1000))
    made = trainer(tiny, recipe_path, f"train.optimizer={name}")

    def step(one: Any) -> float:
        for part in parts:
            one.accumulate([part])
        return float(one.apply(3e-3).loss)

    first = [step(made) for _ in range(4)]
    assert first[-1] < first[0]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    made.save(folder)
    again = trainer(tiny, recipe_path, f"train.optimizer={name}")
    again.restore(folder)
    assert [step(made) for _ in range(3)] == [step(again) for _ in range(3)]


@pytest.mark.usefixtures("either_path")
def test_first_adamw_step_is_as_long_as_the_rate(tiny: Path, recipe_path: Path) -> None:
    made = trainer(tiny, recipe_path, "train.gradient_clip=0")
    before = made._trainable.named
    made.accumulate(plan(some_rows(), BatchShape(8, 10_000, 10_000)))
    made.apply(1e-3)
    moved = max(
        float(np.abs(np.array(value - before[name])).max())
        for name, value in zip(before, made._trainable.arrays, strict=True)
    )
    assert moved == pytest.approx(1e-3, rel=0.05)  # without bias correction it would be 3.2 times that


@pytest.mark.usefixtures("either_path")
def test_frozen_weights_stay_as_they_are(tiny: Path, recipe_path: Path) -> None:
    made = trainer(tiny, recipe_path, "lora.layers=1", "lora.target_modules=[q_proj, down_proj]")
    names = set(made._trainable.names)
    assert {name.rsplit(".", 2)[1] for name in names} == {"q_proj", "down_proj"}
    assert all(name.startswith("model.layers.1.") for name in names)
    frozen: Any = tree_flatten(made._model.parameters())
    before = {name: np.array(value) for name, value in frozen if name not in names}
    made.accumulate(plan(some_rows(), BatchShape(8, 10_000, 10_000)))
    made.apply(1e-2)
    after: Any = tree_flatten(made._model.parameters())
    for name, value in after:
        if name in before:
            np.testing.assert_array_equal(np.array(value), before[name])


@pytest.mark.usefixtures("cpu_path")
def test_geglu_equals_mlx_and_its_gradient() -> None:
    gate = 3 * mx.random.normal((5, 7), key=mx.random.key(1))
    up = mx.random.normal((5, 7), key=mx.random.key(2))
    keeping_tanh: Any = geglu.geglu_keeping_tanh

    def ours(gate: mx.array, up: mx.array) -> mx.array:
        return mx.sum(keeping_tanh(gate, up)[0] * up)

    def theirs(gate: mx.array, up: mx.array) -> mx.array:
        return mx.sum(nn.gelu_approx(gate) * up * up)

    np.testing.assert_allclose(np.array(ours(gate, up)), np.array(theirs(gate, up)), rtol=1e-5)
    for one, other in zip(mx.grad(ours, [0, 1])(gate, up), mx.grad(theirs, [0, 1])(gate, up), strict=True):
        # Where tanh is nearly 1, its error of 4e-7 is multiplied by up to 100 (the polynomial inside it).
        np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-4)


@pytest.mark.usefixtures("cpu_path")
def test_tanh_and_rope_equal_mlx_and_their_gradients() -> None:
    x = mx.linspace(-12, 12, 5000)
    np.testing.assert_allclose(np.array(cpu.tanh(x)), np.tanh(np.array(x)), atol=5e-7)
    rows = mx.random.normal((2, 3, 37, 16))
    plain = nn.RoPE(16, base=1e4, scale=0.5)
    quick = cpu.TableRope(16, base=1e4, scale=0.5)
    np.testing.assert_allclose(np.array(quick(rows)), np.array(plain(rows)), atol=1e-5)
    np.testing.assert_array_equal(np.array(quick(rows, offset=5)), np.array(plain(rows, offset=5)))
    gradients = [mx.grad(lambda x, rope=rope: mx.sum(rope(x) ** 3))(rows) for rope in (quick, plain)]
    np.testing.assert_allclose(np.array(gradients[0]), np.array(gradients[1]), atol=1e-3)


@pytest.mark.usefixtures("either_path")
def test_transformers_and_peft_give_the_same_loss(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = trainer(tiny, recipe_path)
    (batch,) = plan(some_rows(1), BatchShape(1, 10_000, 10_000))
    folder = tmp_path / "adapter"
    folder.mkdir()
    made.save(folder)
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, str(folder))
    ids = torch.tensor(batch.ids).long()
    with torch.no_grad():
        logits = tuned(ids[:, :-1]).logits
    each = torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="none")
    theirs = float((each * torch.tensor(batch.weights[0, 1:])).sum())
    assert made.evaluate([batch])[0] == pytest.approx(theirs, rel=1e-4)
