"""The schemas that editors read: they take what a recipe may be, and refuse what `check` refuses for its structure."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gemmalocal.recipe import json_schema, key_help, recipe_file
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted(recipe_file.builtin_recipes().values())
WRONG: list[Any] = ["a word", [], {}, [1], -1, 1e12, 0.5, True, {"a": 1}, [{"b": "c"}]]
VALID: list[dict[str, Any]] = [
    {"data": {"path": ["a.jsonl", {"path": "b.jsonl", "weight": 2, "template": "{text}"}]}},
    {"data": {"path": {"path": "a.jsonl", "rows": 5}}},
    {"train": {"epochs": 2}},
    {"train": {"epochs": None, "steps": 5, "warmup": 0.1, "micro_batch": "auto"}},
    {"objective": {"kind": "dpo", "beta": 0.2}, "train": {"steps": 5}},
    {"lora": {"target_modules": ["q_proj"], "layers": "all"}},
    {"data": {"path": "a.jsonl", "template": {"prompt": "{q}", "completion": "{a}"}}},
]
PREPARATIONS: list[dict[str, Any]] = [
    {"sources": ["a.md"]},
    {"sources": ["a.md"], "kinds": ["what", "how"], "endpoint": {"url": "http://localhost:1/v1"}},
    {"sources": ["a.md"], "kinds": {"what": 2}, "rows": 5, "held_out": 0.2},
]


def plain() -> dict[str, Any]:
    return {"model": "m", "data": {"path": "a.jsonl"}, "lora": {}, "train": {"steps": 5}, "samples": {}}


def refused(tree: Any, schema: dict[str, Any]) -> bool:
    return not Draft202012Validator(schema).is_valid(tree)


def wrong_recipes() -> Iterator[dict[str, Any]]:
    """Recipes with a wrong value, an unknown key or a missing one, that our own reader refuses."""
    draw, places = random.Random(0), [key.split(".") for key in key_help.descriptions()]
    while True:
        tree, (*sections, key) = plain(), draw.choice(places)
        section = tree
        for name in sections:
            section = section.setdefault(name, {})
        match draw.randrange(4):
            case 0:
                section[key + draw.choice("sx_")] = 1
            case 1:
                del tree[draw.choice(["model", "data", "train"])]
            case _:
                section[key] = copy.deepcopy(draw.choice(WRONG))
        if recipe_file.from_tree(copy.deepcopy(tree), Recipe)[0] is None:
            yield tree


def test_the_schemas_are_schemas() -> None:
    for schema in (json_schema.recipe(), json_schema.preparation()):
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_that_come_along_name_their_schema_and_fit_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"{json_schema.MODELINE}recipe.schema.json"
    assert (path.parent / "recipe.schema.json").is_file()
    assert not refused(recipe_file.parse(path), json_schema.recipe())


@pytest.mark.parametrize("changes", VALID, ids=str)
def test_what_a_recipe_may_be_is_taken(changes: dict[str, Any]) -> None:
    tree = {**plain(), **changes}
    assert recipe_file.from_tree(copy.deepcopy(tree), Recipe)[1] == {}
    assert not refused(tree, json_schema.recipe())


@pytest.mark.parametrize("tree", PREPARATIONS, ids=str)
def test_what_a_preparation_may_be_is_taken(tree: dict[str, Any]) -> None:
    assert recipe_file.from_tree(copy.deepcopy(tree), Preparation)[1] == {}
    assert not refused(tree, json_schema.preparation())
    assert refused({**tree, "helt_out": 0.1}, json_schema.preparation())


def test_what_is_refused_is_underlined() -> None:
    recipes, schema = wrong_recipes(), Draft202012Validator(json_schema.recipe())
    taken = [tree for tree, _ in zip(recipes, range(200), strict=False) if schema.is_valid(tree)]
    assert taken == []


def test_keys_are_completed() -> None:
    keys = key_help.descriptions()
    assert keys["train.steps"].startswith("How many optimizer steps")
    assert {"model", "data.path", "objective.kind", "lora.rank"} <= keys.keys()
    assert "train" not in keys
    assert key_help.words("train.schedule") == ["constant", "linear", "cosine"]
    assert key_help.words("train.report") == ["true", "false"]
    assert key_help.words("train.checkpointing") == ["true", "false", "auto"]
    assert key_help.words("no.such") == []
