"""`learning_rate: auto` is a number with its reason; a recipe's own number stays."""

from __future__ import annotations

from typing import Any

import pytest

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import rates, recipe_file
from gemmalocal.recipe.schema import Recipe


def recipe(rate: float | str = "auto", **keys: Any) -> Recipe:
    tree = {"model": "google/gemma-3-270m", "data": {"path": "x"}, "train": {"steps": 1, "learning_rate": rate}}
    return Recipe.model_validate({**tree, **keys})


@pytest.mark.parametrize(
    ("keys", "rate", "why"),
    [
        ({}, 5e-4, "lora: on four sets a Gemma 3 270M learned more"),
        ({"model": "google/gemma-3-1b-it"}, 2e-4, "lora: what Google's own recipes for Gemma come to"),
        ({"model": "mine"}, 2e-4, "Google"),  # of a size that is not known
        ({"lora": {"rank": 32}}, 7.1e-4, "lora"),
        ({"lora": {"rank": 32, "alpha": 64}}, 1.8e-4, "at alpha 64"),
        ({"lora": {"alpha": 32}}, 2.5e-4, "at alpha 32 in place of 16"),
        ({"lora": {"alpha": 3}}, 2.7e-3, "at alpha 3"),
        ({"method": "dora"}, 5e-4, "dora"),
        ({"method": "full"}, 2e-5, "every weight moves"),
        ({"objective": {"kind": "dpo"}}, 5e-5, "dpo with a model of 270 million weights"),
        ({"objective": {"kind": "dpo"}, "model": "google/gemma-3-4b-it"}, 2e-5, "of 4.0 billion weights"),
        ({"objective": {"kind": "kto"}, "model": "mine"}, 1e-5, "of a size that is not known"),
    ],
)
def test_auto_is_a_number_with_its_reason(keys: dict[str, Any], rate: float, why: str) -> None:
    written = recipe(**keys)
    assert rates.resolved(written).train.highest_rate == pytest.approx(rate)
    assert why in rates.sentence(written)
    assert f"auto is {rate:g} here" in rates.sentence(written)


def test_a_number_stays_and_a_run_that_goes_on_keeps_what_it_had() -> None:
    assert rates.resolved(recipe(3e-4)).train.learning_rate == 3e-4
    assert rates.sentence(recipe(3e-4)) == ""
    assert rates.resolved(recipe(), before=7e-4).train.learning_rate == 7e-4
    assert rates.resolved(recipe("auto", model="mine", objective={"kind": "ipo"}), 1e9).train.highest_rate == 5e-5


@pytest.mark.parametrize("value", ["fast", "0", "-1", "nan"])
def test_another_word_is_refused(value: str) -> None:
    with pytest.raises(RecipeError, match=r"learning_rate: must be more than 0, or 'auto'|learning_rate: must be"):
        recipe_file.load("quotes", [f"train.learning_rate={value}"])
    assert recipe_file.load("quotes", ["train.learning_rate=auto"]).train.learning_rate == "auto"
