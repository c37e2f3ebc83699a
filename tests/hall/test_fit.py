"""The budget: shipped recipes keep their promise, and the estimate is near what was measured."""

from __future__ import annotations

import pytest

from gemmalocal import catalog, fit, recipe_file
from gemmalocal.recipe import Recipe

GB = 10**9
PROMISES = {"quotes": 4, "english-quotes": 16, "instruct": 8}  # what each recipe's first comment says, in GB


def recipe(name: str = "quotes", *overrides: str) -> Recipe:
    return recipe_file.load(name, overrides)


@pytest.mark.parametrize("name", sorted(recipe_file.builtin_recipes()))
def test_every_shipped_recipe_fits_where_it_says(name: str) -> None:
    loaded, memory = recipe(name), PROMISES[name] * GB
    tokens = max(4096, loaded.data.max_length)  # the largest micro-batch on Metal
    sizes = catalog.KNOWN[loaded.model]
    checkpointing = fit.needs_checkpointing(sizes, loaded, tokens, 2, memory)
    assert fit.estimate(sizes, loaded, tokens, 2, checkpointing).total < fit.USABLE * memory


@pytest.mark.parametrize(
    ("checkpointing", "tokens", "measured"),
    [(False, 128, 1304), (False, 256, 1487), (False, 512, 1851), (True, 256, 1175), (True, 512, 1213)],
)
def test_the_estimate_is_near_the_measured_peak(checkpointing: bool, tokens: int, measured: int) -> None:
    # Measured in MB with 64 supervised tokens a row, Gemma 3 270M, rank 8, float32, MLX's CPU build.
    found = fit.estimate(catalog.KNOWN["gemma-3-270m-demo"], recipe(), tokens, 4, checkpointing).total
    assert found == pytest.approx(measured * 1e6, rel=0.15)


def test_each_choice_changes_the_estimate() -> None:
    sizes = catalog.KNOWN["google/gemma-2b"]

    def total(*overrides: str, tokens: int = 512, width: int = 4, checkpointing: bool = False) -> int:
        return fit.estimate(sizes, recipe("quotes", *overrides), tokens, width, checkpointing).total

    plain = total()
    assert total(tokens=1024) > plain > total(width=2) > total(width=2, checkpointing=True)
    assert total("lora.rank=64") > plain > total("lora.layers=4")
    assert total("train.optimizer=adafactor") < total("train.optimizer=lion") < plain
    assert total("lora.target_modules=[q_proj]") < plain
