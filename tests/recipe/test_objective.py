"""The objective of a recipe: its settings by kind, and the defaults that it brings to the rest."""

from typing import Any

import pytest
from pydantic import ValidationError

from gemmalocal.recipe import rates, recipe_file, yaml_text
from gemmalocal.recipe.objective import JUDGING, SETTINGS, parameters
from gemmalocal.recipe.schema import Recipe

PLAIN = Recipe.model_validate({"model": "m", "data": {"path": "a"}, "train": {"steps": 1}})


def recipe(model: str = "gemma-3-270m-it", train: dict[str, Any] | None = None, **objective: Any) -> Recipe:
    tree = {"model": model, "data": {"path": "rows.jsonl"}, "train": train or {}, "objective": objective}
    return Recipe.model_validate(tree)


@pytest.mark.parametrize("kind", JUDGING)
def test_every_kind_brings_its_settings_and_is_written_as_it_is_read(kind: str) -> None:
    whole = recipe(kind=kind)
    assert whole.objective.settings.keys() == SETTINGS[kind].keys()
    assert whole.train.highest_rate < rates.resolved(PLAIN).train.highest_rate
    assert (whole.train.epochs, whole.train.warmup, whole.train.batch_size) == (1, 0.1, 8)
    assert Recipe.model_validate(yaml_text.parse(recipe_file.dump(whole)).value) == whole


def test_what_was_written_wins_even_if_it_is_what_imitation_has() -> None:
    asked = {"learning_rate": PLAIN.train.learning_rate, "warmup": 0, "batch_size": 4, "steps": 3}
    whole = recipe(train=asked, kind="dpo", beta=0.3)
    assert whole.objective.beta == 0.3
    assert whole.train == PLAIN.train.model_copy(update=asked)
    assert Recipe.model_validate(yaml_text.parse(recipe_file.dump(whole)).value) == whole


def test_a_larger_model_gets_a_lower_rate() -> None:
    rates = [recipe(model, kind="dpo").train.learning_rate for model in ("x-270m", "gemma-3-4b-it", "gemma-3-12b-it")]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 3
    assert recipe("my-folder", kind="dpo").train.learning_rate == rates[-1]  # not known: the careful one


def test_settings_follow_size_and_each_other() -> None:
    assert recipe("gemma-3-270m", kind="orpo").objective.beta != recipe("gemma-3-27b", kind="orpo").objective.beta
    assert recipe(kind="simpo", beta=8).objective.gamma == 4
    assert recipe(kind="simpo", beta=8, gamma=1).objective.gamma == 1


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("google/gemma-3-270m-it", 270e6),
        ("gemma-3-270m-demo", 270e6),
        ("google/gemma-2-2b", 2e9),
        ("/models/Gemma-1.1-7B-it", 7e9),
        ("google/gemma-4-E4B-it", 4e9),
        ("google/gemma-4-26B-A4B", 26e9),
        ("shieldgemma-2b-4bit", 2e9),
        ("mine", None),
        ("run-12", None),
    ],
)
def test_a_name_says_how_large_a_model_is(model: str, size: float | None) -> None:
    assert parameters(model) == size


def test_imitation_has_no_settings_of_preferences() -> None:
    _, problems = recipe_file.from_tree({**PLAIN.model_dump(), "objective": {"kind": "sft", "beta": 0.1}}, Recipe)
    assert problems == {"objective": "sft has no beta: it has no settings"}


def test_a_teacher_alone_is_learned_from() -> None:
    tree = {"model": "m", "data": {"path": "x"}, "train": {"steps": 1}, "teacher": {"model": "t"}}
    recipe = Recipe.model_validate(tree)
    assert (recipe.objective.kind, recipe.objective.beta, recipe.objective.mix) == ("distill", 0, 0)
    assert recipe.train.learning_rate == PLAIN.train.learning_rate == "auto"  # as for imitation
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("objective", "teacher", "says"),
    [
        ({"kind": "distill"}, {}, "set teacher.model"),
        ({"kind": "dpo"}, {"model": "t"}, "dpo has no teacher"),
        ({"kind": "sft"}, {"model": "t"}, "sft has no teacher"),
        ({"mix": 0.5}, {"model": "t", "temperature": 2}, "cannot be mixed"),
        ({"mix": 0.5}, {"model": "t", "rounds": 2}, "its own answers"),
        ({"beta": 2}, {"model": "t"}, "from 0 to 1"),
        ({"kind": "dpo", "beta": 0}, {}, "more than 0"),
        ({"gamma": 1}, {"model": "t"}, "distill has no gamma"),
        ({}, {"keep": 8}, "names no model"),
    ],
    ids=str,
)
def test_teachers_that_cannot_be_are_refused(objective: Any, teacher: Any, says: str) -> None:
    tree = {"model": "m", "data": {"path": "x"}, "train": {"steps": 1}, "teacher": teacher, "objective": objective}
    with pytest.raises(ValidationError, match=says):
        Recipe.model_validate(tree)
