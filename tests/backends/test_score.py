"""Several voices read the same rows at once: a row's loss is the trained model's own, and KL that of whole logits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.scoring import across
from gemmalocal.data.batches import plan
from gemmalocal.data.examples import Example
from gemmalocal.recipe import recipe_file
from tests.backends.conftest import path
from tests.backends.test_multi_lora import GPU_PATH, adapter


@pytest.fixture(params=[*BACKENDS, GPU_PATH])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    with path(compute_path.GPU.name) if request.param == GPU_PATH else contextlib.nullcontext():
        yield open_backend(request.param.partition(",")[0])


def examples() -> list[Example]:
    """Rows of very different lengths; one is plain text, one has two replies, one is a single token."""
    random, made = np.random.default_rng(8), []
    for length, first in ((40, 30), (3, 2), (61, 1), (25, 7)):
        weights = np.zeros(length, np.float32)
        weights[first:] = 1
        made.append(Example(random.integers(20, 290, length).astype(np.int32), weights))
    made[3].weights[10:16] = 0
    return made


def softmax_log(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = logits.astype(np.float64) - float(logits.max())
    return np.asarray(scores - np.log(np.exp(scores).sum()))


def test_each_rows_loss_is_the_trainers_own(backend: Any, tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    rows, folder = examples(), tmp_path / "adapter"
    tuned = adapter(backend, tiny, recipe_path, folder)
    base = backend.trainer(tiny, recipe_file.load(str(recipe_path), ["lora.dropout=0"]))
    scores = backend.generator(tiny, [folder]).score(rows, [0, 1])
    for number, row in enumerate(rows):
        losses = [trainer.evaluate(plan([row], trainer.shapes))[0] for trainer in (base, tuned)]
        np.testing.assert_allclose(scores.nats[number], losses, rtol=2e-4, atol=2e-4)
    assert (scores.kl[:, 0] == 0).all()
    ids = rows[0].ids.tolist()
    wanted = 0.0
    for place in np.flatnonzero(rows[0].weights[1:]).tolist():
        first, second = (softmax_log(trainer.logits(ids[: place + 1])) for trainer in (base, tuned))
        wanted += float((np.exp(first) * (first - second)).sum())
    assert scores.kl[0, 1] == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_models_that_share_nothing_are_held_against_each_other(
    backend: Any, tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    adapter(backend, tiny, recipe_path, tmp_path / "one")
    tuned, rows = backend.generator(tiny, [tmp_path / "one"]), examples()
    together, base = tuned.score(rows, [0, 1]), backend.generator(tiny)
    apart = across(rows, [base.logits(rows, 0), tuned.logits(rows, 1)])
    np.testing.assert_allclose(apart.nats, together.nats, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(apart.kl, together.kl, rtol=1e-3, atol=2e-4)


def test_voices_come_in_any_order_and_the_base_alone_has_no_divergence(
    backend: Any, tiny: Path, recipe_path: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    adapter(backend, tiny, recipe_path, folders[0])
    adapter(backend, tiny, recipe_path, folders[1], "method=dora", "lora.rank=2")
    together = backend.generator(tiny, folders)
    every = together.score(examples(), [2, 0, 1])
    alone = together.score(examples(), [0])
    np.testing.assert_allclose(every.nats[:, 1], alone.nats[:, 0], rtol=2e-4, atol=2e-4)
    assert (alone.kl == 0).all()
    assert (every.kl[:, 1:] > 0).all()
