"""The heads of both engines: the loss at one id or several of each row, and any slopes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

from gemmalocal.backends.mlx import compute_path, tiled_cross_entropy
from gemmalocal.backends.mlx import loss as mlx_loss
from gemmalocal.backends.torch import loss as torch_loss
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.weights.tensors import Floats

ROWS, WIDTH, WORDS = 40, 64, 320


class Answer(NamedTuple):
    """Losses, shaped as the ids, and the gradients of their weighted sum by hidden states and by a trained head."""

    nats: Floats
    hidden: Floats
    head: Floats | None


class Question(NamedTuple):
    """A head (WORDS, WIDTH), hidden states (ROWS, WIDTH), ids and their weights, (ROWS,) or (ROWS, k)."""

    weight: Floats
    hidden: Floats
    ids: Any
    weights: Floats
    softcap: float | None


def question(columns: int, softcap: float | None) -> Question:
    rng = np.random.default_rng(columns)
    ids = rng.integers(0, WORDS, (ROWS, columns)).astype(np.int32)
    ids[3] = ids[3, 0]  # an id that stands more than once
    weights = rng.normal(size=ids.shape).astype(np.float32)
    if columns == 1:
        ids, weights = ids[:, 0], weights[:, 0]
    hidden = 3 * rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return Question(rng.normal(size=(WORDS, WIDTH)).astype(np.float32), hidden, ids, weights, softcap)


def truth(asked: Question) -> Answer:
    """By whole logits in float64."""
    weight, hidden = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in asked[:2])
    logits = hidden @ weight.T
    logits = asked.softcap * torch.tanh(logits / asked.softcap) if asked.softcap else logits
    ids = torch.from_numpy(asked.ids.reshape(ROWS, -1).astype(np.int64))
    nats = -logits.log_softmax(1).gather(1, ids).reshape(asked.ids.shape)
    summed = (nats * torch.from_numpy(asked.weights)).sum()
    slopes = torch.autograd.grad(summed, [hidden, weight])
    return Answer(nats.detach().numpy(), *(slope.numpy() for slope in slopes))


def mlx_head(asked: Question, trained: bool = False) -> mlx_loss.Head:
    model: Any = nn.Module()
    model.lm_head = nn.Linear(WIDTH, WORDS, bias=False)
    model.lm_head.weight = mx.array(asked.weight)
    model.args = type("", (), {"final_logit_softcapping": asked.softcap})
    return mlx_loss.Head(model, trained)


def by_mlx(asked: Question, trained: bool) -> Answer:
    judged = mlx_head(asked, trained).judged(mx.array(asked.hidden), mx.array(asked.ids), lambda _: asked.weights)
    assert judged.hidden_gradient is not None
    head = np.array(judged.weight_gradient) if trained else None
    return Answer(judged.nats, np.array(judged.hidden_gradient), head)


def by_mlx_graph(asked: Question, trained: bool) -> Answer:
    """As where the whole step is compiled."""
    assert not trained
    head, ids, weights = mlx_head(asked), mx.array(asked.ids), mx.array(asked.weights)
    step = mx.compile(mx.value_and_grad(lambda hidden: head.summed_loss(hidden, ids, weights)))
    total, slope = step(mx.array(asked.hidden))
    nats = np.array(mx.compile(head.nats)(mx.array(asked.hidden), ids))
    assert float(total) == pytest.approx(float((nats * asked.weights).sum()), rel=1e-4)
    return Answer(nats, np.array(slope), None)


def by_torch(asked: Question, trained: bool) -> Answer:
    model: Any = torch.nn.Module()
    model.lm_head = torch.nn.Linear(WIDTH, WORDS, bias=False)
    model.lm_head.weight.data = torch.from_numpy(asked.weight.copy())
    model.config = type("", (), {"final_logit_softcapping": asked.softcap})
    head, ids = torch_loss.Head(model, trained), torch.from_numpy(asked.ids.astype(np.int64))
    hidden, weights = torch.from_numpy(asked.hidden), torch.from_numpy(asked.weights)
    if trained:
        nats, gradient = head.loss(hidden, ids, weights=weights)
        assert gradient is not None
        return Answer(nats.numpy(), gradient.numpy(), model.lm_head.weight.grad.numpy())
    scores = head.scores(hidden, ids)
    return Answer(scores.nats.numpy(), scores.gradient(weights).numpy(), None)


ENGINES: dict[str, tuple[Callable[[Question, bool], Answer], str]] = {
    "mlx": (by_mlx, compute_path.CPU.name),
    "mlx, GPU path": (by_mlx, compute_path.GPU.name),
    "mlx, one graph": (by_mlx_graph, compute_path.GPU.name),
    "torch": (by_torch, ""),
}


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles and chunks, the last of each short."""
    for module in (tiled_cross_entropy, torch_loss):
        monkeypatch.setattr(module, "TILE", 77)
        monkeypatch.setattr(module, "ROWS", 11)
    for of_engine in (mlx_loss, torch_loss):
        monkeypatch.setattr(of_engine, "HEAD_ROWS", 13)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("columns", [1, 2, 32])
@pytest.mark.parametrize(
    ("engine", "trained"),
    [(engine, trained) for engine in ENGINES for trained in (False, True)[: 1 + (engine != "mlx, one graph")]],
)
def test_slopes_at_any_ids_are_those_of_whole_logits(
    engine: str, columns: int, softcap: float | None, trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, path = ENGINES[engine]
    monkeypatch.setenv(MLX_PATH, path)
    asked = question(columns, softcap)
    got, wanted = ask(asked, trained), truth(asked)
    assert got.nats.shape == asked.ids.shape
    np.testing.assert_allclose(got.nats, wanted.nats, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got.hidden, wanted.hidden, atol=1e-5 * np.abs(wanted.hidden).max())
    assert (got.head is None) == (not trained)
    if got.head is not None and wanted.head is not None:
        np.testing.assert_allclose(got.head, wanted.head, atol=1e-5 * np.abs(wanted.head).max())


def test_a_quantized_head_is_asked_at_several_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MLX_PATH, compute_path.CPU.name)
    asked = question(8, 5.0)
    narrow: Any = nn.QuantizedLinear.from_linear(mlx_head(asked)._module, 32, 4)
    model: Any = nn.Module()
    model.lm_head, model.args = narrow, type("", (), {"final_logit_softcapping": asked.softcap})
    rounded = np.array(mx.dequantize(narrow.weight, narrow.scales, narrow.biases, 32, 4))
    judged = mlx_loss.Head(model).judged(mx.array(asked.hidden), mx.array(asked.ids), lambda _: asked.weights)
    wanted = truth(asked._replace(weight=rounded))
    np.testing.assert_allclose(judged.nats, wanted.nats, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(np.array(judged.hidden_gradient), wanted.hidden, atol=1e-5 * np.abs(wanted.hidden).max())
