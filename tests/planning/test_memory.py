"""The budget: shipped recipes keep their promise, and the estimate is near what was measured."""

from __future__ import annotations

from itertools import takewhile

import pytest

from gemmalocal.planning import device_memory, memory, model_sizes, published
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe

GB = 10**9
# What each recipe's first comment says, in GB; any machine is one with 4.
PROMISES = {"quotes": 4, "english-quotes": 16, "instruct": 8, "m-series-4b": 16, "t4-qlora": 16, "docs-qa": 8,
    "function-calling": 8, "prefer-pairs": 8, "prefer-votes": 8, "teach": 16,
}  # fmt: skip


def recipe(name: str = "quotes", *overrides: str) -> Recipe:
    return recipe_file.load(name, overrides)


@pytest.mark.parametrize("name", sorted(recipe_file.builtin_recipes()))
def test_every_shipped_recipe_fits_where_it_says(name: str) -> None:
    loaded, ram = recipe(name), PROMISES[name] * GB
    said = "".join(takewhile(lambda line: line.startswith("#"), recipe_file.find(name).open(encoding="utf-8")))
    assert f" {PROMISES[name]} GB" in said or "any machine" in said
    engine, stream = ("torch", 4) if loaded.backend == "torch" else ("mlx", 2)  # a T4's activations are float32
    tokens = max(4096, loaded.data.max_length)  # the largest micro-batch on Metal, and with CUDA
    sizes = model_sizes.PUBLISHED_SIZES[loaded.model]
    load = memory.Load(tokens, loaded.data.max_length)
    bits = next((model.bits for model in published.MODELS if model.name == loaded.model and model.converted), None)

    def peak(checkpointing: bool) -> int:
        return memory.estimate(sizes, loaded, load, 2, checkpointing, bits, memory.profile(engine), stream).total

    assert min(peak(False), peak(True)) < device_memory.ram(ram).usable


def test_each_choice_changes_the_estimate() -> None:
    sizes = model_sizes.PUBLISHED_SIZES["google/gemma-2b"]

    def total(*overrides: str, tokens: int = 512, width: int = 4, checkpointing: bool = False) -> int:
        load = memory.Load(tokens, 512)
        return memory.estimate(sizes, recipe("quotes", *overrides), load, width, checkpointing).total

    plain = total()
    assert total(tokens=1024) > plain > total(checkpointing=True)
    assert plain > total(width=2) > total("quantize=8bit", width=2) > total("quantize=4bit", width=2)
    assert total("lora.rank=64") > plain > total("lora.layers=4")
    assert total("train.optimizer=adafactor") < total("train.optimizer=lion") < plain
    assert total("lora.target_modules=[q_proj]") < plain


def test_the_inverse_finds_the_most_that_fits() -> None:
    sizes = model_sizes.PUBLISHED_SIZES["google/gemma-2b"]

    def expected(tokens: int) -> memory.Estimate:
        return memory.estimate(sizes, recipe(), memory.Load(tokens, tokens), 2, checkpointing=False)

    usable = device_memory.ram(16 * GB).usable
    most = memory.most_tokens(expected, usable, 131_072)
    assert 0 < most < 131_072
    assert expected(most).total <= usable < expected(most + memory.STEP).total
    assert memory.most_tokens(expected, device_memory.ram(2 * GB).usable, 131_072) == 0


@pytest.mark.parametrize("model", [model for model in published.MODELS if model.bits == 16], ids=lambda one: one.name)
def test_sizes_count_every_weight_of_the_published_models(model: published.Model) -> None:
    # Gemma 3n's published count has parts of its own (AltUp, Laurel), a hundredth of it.
    assert model_sizes.PUBLISHED_SIZES[model.name].weights == pytest.approx(model.size.text, rel=0.013)
