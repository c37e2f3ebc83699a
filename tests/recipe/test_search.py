"""What a search tries: rates around auto, or what is named; what cannot be tried is said with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import search, search_keys
from gemmalocal.recipe.schema import Recipe


def recipe(*over: str, trials: int = 4, **keys: Any) -> Recipe:
    tree: dict[str, Any] = {"model": "google/gemma-3-270m", "data": {"path": "x"}, "train": {"steps": 9}}
    return Recipe.model_validate({**tree, **keys, "search": {"trials": trials, "over": list(over)}})


def test_rates_around_auto_are_tried_where_nothing_is_named() -> None:
    assert search.candidates(recipe()) == [{search_keys.RATE: rate} for rate in (2.5e-4, 5e-4, 1e-3, 2e-3)]
    assert search.candidates(recipe(lora={"alpha": 32}))[1] == {search_keys.RATE: 2.5e-4}
    assert search.around(2e-4, 1) == [2e-4]
    assert search.around(2e-4, 2) == [1e-4, 8e-4]


def test_what_is_named_is_tried_in_all_ways_or_as_many_as_are_wanted() -> None:
    over = ("train.learning_rate=1e-4, 4e-4", "lora.rank=8,32")
    every = search.candidates(recipe(*over))
    assert [search.words(values) for values in every] == [
        "learning_rate 0.0001, rank 8", "learning_rate 0.0001, rank 32",
        "learning_rate 0.0004, rank 8", "learning_rate 0.0004, rank 32",
    ]  # fmt: skip
    fewer = search.candidates(recipe(*over, trials=3))
    assert len(fewer) == 3
    assert fewer == search.candidates(recipe(*over, trials=3))
    assert all(values in every for values in fewer)
    modules = search.candidates(recipe("lora.target_modules=[q_proj,v_proj],[q_proj]"))
    assert search.applied(recipe(), modules[0]).lora.target_modules == ["q_proj", "v_proj"]
    assert search.words(modules[0]) == "target_modules q_proj v_proj"


def test_the_widest_adapter_is_what_memory_is_planned_for() -> None:
    assert search.widest(recipe("lora.rank=4,64,16")).lora.rank == 64
    assert search.widest(recipe("lora.rank=4,2")).lora.rank == 8
    assert search.widest(recipe(trials=0)).lora.rank == 8
    assert search.widest(recipe("method=lora,dora")).method == "dora"
    assert search.widest(recipe("train.batch_size=2,32", "lora.rank=64")).train.rows_per_step == 32


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ("train.learning_rate", "such as train.learning_rate=1e-4,4e-4"),
        ("data.path=a,b", "data.path cannot be searched, for it changes the rows"),
        ("data.rows=9,90", "whether more rows would help: --learning-curve"),
        ("model=a,b", "losses over two vocabularies do not compare: begin a run of each"),
        ("train.minutes=1,2", "say how long all may take: --minutes N"),
        ("train.micro_batch=1,2", "set it once, for all trials: --set train.micro_batch=..."),
        ("train.learning_rat=1,2", "there is no key train.learning_rat; did you mean 'train.learning_rate'?"),
        ("lora.scale=1,2", "there is no key lora.scale"),
        ("lora.rank=8,8", "has a value twice"),
        ("lora.rank=[", "lora.rank="),
    ],
)
def test_what_cannot_be_searched_is_said(over: str, says: str) -> None:
    with pytest.raises(ValidationError, match="search") as caught:
        recipe(over)
    assert says in str(caught.value)


def leaves(section: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        if isinstance(kind := field.annotation, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{above}{name}.")
        else:
            yield f"{above}{name}"


@pytest.mark.parametrize("key", sorted(leaves(Recipe)))
def test_each_key_of_a_recipe_is_searched_or_refused_with_a_reason_and_a_remedy(key: str) -> None:
    said = search_keys.refusal(key)
    assert (said == "") == (key in search_keys.KEYS)
    assert said == "" or re.fullmatch(rf"{key} cannot be searched, for [^:{{}}]+: [^{{}}]+", said)


def test_no_key_is_searched_that_no_recipe_has() -> None:
    assert set(search_keys.KEYS) <= set(leaves(Recipe))


def test_a_value_that_no_recipe_can_have_is_said_before_anything_begins() -> None:
    with pytest.raises(RecipeError, match=r"rank 0 cannot be tried:\n.*lora.rank: must be 1 or more"):
        search.candidates(recipe("lora.rank=0,8"))
    with pytest.raises(RecipeError, match=r"search\.over names lora\.rank twice"):
        search.candidates(recipe("lora.rank=8", "lora.rank=16"))
