"""Held-out calls while it trains: several rows are answered at once, and say what each says alone."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.pipelines.shared import answer_batches
from gemmalocal.pipelines.shared.held_out_calls import Due, answered
from gemmalocal.recipe import recipe_file
from tests import with_torch
from tests.backends.test_generations import saved

__all__ = ["with_torch"]  # before test_generations takes transformers

NAMES = ["gemma3", "gemma4"]
STOPS = set(range(0, 320, 29))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(NAMES, tmp_path_factory)


def asked(rows: int) -> list[Due]:
    """Prompts and limits of very different lengths."""
    random = np.random.default_rng(5)
    lengths, limits = random.integers(1, 60, rows).tolist(), random.integers(1, 24, rows).tolist()
    return [
        Due(random.integers(20, 300, length).tolist(), [], limit)
        for length, limit in zip(lengths, limits, strict=True)
    ]  # fmt: skip


@pytest.fixture(params=[(backend, name) for backend in sorted(BACKENDS) for name in NAMES], ids="-".join)
def trainer(request: pytest.FixtureRequest, folders: dict[str, Path], recipe_path: Path) -> Any:
    backend, name = request.param
    return open_backend(backend).trainer(folders[name], recipe_file.load(str(recipe_path), [f"model={folders[name]}"]))


def test_rows_answered_together_say_what_each_says_alone(trainer: Any) -> None:
    due = asked(19)
    assert len(due) > answer_batches.ROWS  # so they go in two batches
    together = answered(trainer, due, STOPS, lambda: False)
    assert together == [list(trainer.stream(one.prompt, one.limit, STOPS)) for one in due]
    ended = [answer[-1] in STOPS for answer in together]
    assert any(ended)
    assert not all(ended)


def test_no_token_comes_after_a_stop_is_wished(trainer: Any) -> None:
    asked_for = count(1)
    assert answered(trainer, asked(6), STOPS, lambda: next(asked_for) == 3) is None
    assert next(asked_for) == 4


def test_batches_hold_few_tokens_and_every_row_once() -> None:
    tokens = [5, 3000, 700, 700, 700, 1, *[9] * 20]
    numbers = sorted(range(len(tokens)), key=tokens.__getitem__)
    made = list(answer_batches.batches(numbers, tokens, answer_batches.ROWS))
    assert sorted(number for batch in made for number in batch) == list(range(len(tokens)))
    for batch in made:
        assert len(batch) <= answer_batches.ROWS
        assert len(batch) == 1 or len(batch) * max(tokens[number] for number in batch) <= answer_batches.TOKENS
    assert len(made) == 5
