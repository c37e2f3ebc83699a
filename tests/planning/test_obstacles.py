"""Why a recipe cannot run here, or only slowly, for another reason than memory."""

from __future__ import annotations

from importlib import util
from typing import Any

import pytest

from gemmalocal.planning import device_memory, hardware, obstacles
from gemmalocal.planning.device_memory import Card
from gemmalocal.recipe.schema import Recipe

T4 = {"backend": "torch", "quantize": "4bit", "optimizer": "paged_adamw_8bit"}


def recipe(backend: str = "auto", quantize: str = "none", optimizer: str = "adamw") -> Recipe:
    """A recipe that asks for these."""
    train = {"steps": 1, "optimizer": optimizer}
    tree = {"model": "owner/name", "backend": backend, "quantize": quantize, "data": {"path": "x"}, "train": train}
    return Recipe.model_validate(tree)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """A machine on which these are not installed."""
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name in packages else find(name))


@pytest.mark.parametrize(
    ("asked", "absent", "keys"),
    [
        ({}, (), []),
        (T4, (), []),
        (T4, ("torch",), ["backend"]),
        (T4, ("bitsandbytes",), ["quantize", "train.optimizer"]),
        ({"backend": "mlx", "quantize": "4bit"}, ("bitsandbytes",), []),
        ({"backend": "mlx"}, ("mlx_lm",), ["backend"]),
        ({}, ("mlx",), []),  # torch is taken
        ({}, ("mlx", "torch"), ["backend"]),
    ],
)
def test_what_is_not_installed_is_told_at_its_key(
    asked: dict[str, Any], absent: tuple[str, ...], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *absent)
    wrong = obstacles.missing(recipe(**asked))
    assert list(wrong) == keys
    assert all("pip install" in words for words in wrong.values())


def test_apples_gpu_has_no_8_bit_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    mac = {**hardware.probe(), "system": "Darwin arm64"}
    monkeypatch.setattr(hardware, "probe", lambda: mac)
    assert "take adamw" in obstacles.missing(recipe(**T4))["train.optimizer"]


@pytest.mark.parametrize(("card", "slow"), [(None, True), (Card(16_000_000_000, False), False)])
def test_what_was_made_for_a_card_is_slow_without_one(
    card: Card | None, slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_memory, "card", lambda: card)
    assert bool(obstacles.slow(recipe(**T4))) is slow
    assert obstacles.slow(recipe()) == ""
