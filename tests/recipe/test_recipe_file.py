"""Recipes: shipped ones load, and every problem is told at once, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe


@pytest.mark.parametrize("name", sorted(recipe_file.builtin_recipes()))
def test_every_shipped_recipe_loads(name: str) -> None:
    recipe = recipe_file.load(name)
    assert recipe.train.steps or recipe.train.epochs
    assert recipe_file.find(name).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", ["quotes", "english-quotes"])
def test_the_quotes_recipes_are_the_notebooks(name: str) -> None:
    recipe = recipe_file.load(name)
    assert recipe.lora.rank == 8
    assert set(recipe.lora.target_modules) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    train = recipe.train
    assert (train.steps, train.batch_size, train.accumulation, train.warmup) == (100, 1, 4, 2)
    assert train.learning_rate == 2e-4


def test_all_problems_at_once_with_line_and_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("model: x\ndata:\n  path: rows.jsonl\n  max_lenght: 5\nlora:\n  rank: none\ntrain: {rank: 3}\n")
    with pytest.raises(RecipeError) as caught:
        recipe_file.load(str(path))
    message = caught.value.message
    assert f"{path}:4: data.max_lenght: there is no such key; did you mean 'max_length'?" in message
    assert f"{path}:6: lora.rank:" in message
    assert "train.rank: there is no such key; did you mean 'lora.rank'?" in message
    assert "train: give one of steps, epochs and minutes" not in message or "4 problems" in message


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("model: x\ndata: [1\n")
    with pytest.raises(RecipeError, match=r"bad\.yaml:\d: this is not YAML"):
        recipe_file.load(str(path))


def test_duplicate_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("model: x\nmodel: y\n")
    with pytest.raises(RecipeError, match="not YAML"):
        recipe_file.load(str(path))


def test_overrides_pass_the_same_validation() -> None:
    recipe = recipe_file.load("quotes", ["train.steps=7", "lora.dropout=0.5", "lora.target_modules=[q_proj]"])
    assert (recipe.train.steps, recipe.lora.dropout, recipe.lora.target_modules) == (7, 0.5, ["q_proj"])
    with pytest.raises(RecipeError, match=r"lora\.rank"):
        recipe_file.load("quotes", ["lora.rank=0"])
    with pytest.raises(RecipeError, match="key=value"):
        recipe_file.load("quotes", ["nonsense"])


def test_numbers_and_words_mean_what_they_look_like() -> None:
    assert recipe_file.load("quotes", ["train.learning_rate=1e-4"]).train.learning_rate == 1e-4


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_file.load("qoutes")
    assert "quotes" in caught.value.hint


def test_dump_and_load_are_inverse(tmp_path: Path) -> None:
    recipe = recipe_file.load("quotes")
    path = tmp_path / "again.yaml"
    path.write_text(recipe_file.dump(recipe))
    assert recipe_file.load(str(path)) == recipe


def test_a_preparation_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    path = tmp_path / "docs.yaml"
    path.write_text("sources: [papers, 'pa*', /nowhere, other]\npairs: 2\nendpoint: {url: 'http://a', timeout: 9}\n")
    wanted = recipe_file.load_preparation(path, {"pairs": 4, "endpoint": {"model": "m"}})
    assert wanted.sources == [f"{tmp_path}/papers", f"{tmp_path}/pa*", "/nowhere", "other"]
    assert (wanted.pairs, wanted.task) == (4, "qa")
    assert wanted.endpoint is not None
    assert (wanted.endpoint.url, wanted.endpoint.model, wanted.endpoint.timeout) == ("http://a", "m", 9)


def test_all_problems_of_a_preparation_at_once(tmp_path: Path) -> None:
    path = tmp_path / "docs.yaml"
    path.write_text("sources: [a]\npears: 2\nendpoint:\n  url: a\n  modle: m\nconcurrency: 3\n")
    with pytest.raises(RecipeError) as caught:
        recipe_file.load_preparation(path, {"threshold": 11})
    message = caught.value.message
    assert f"{path}:2: pears: there is no such key; did you mean 'pairs'?" in message
    assert f"{path}:5: endpoint.modle: there is no such key; did you mean 'model'?" in message
    assert f"{path}:6: concurrency: there is no such key; did you mean 'endpoint.concurrency'?" in message
    assert "threshold: must be 10 or less" in message


def test_a_name_is_a_prepared_dataset_before_it_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "home"))
    beside, prepared = tmp_path / "docs", tmp_path / "home" / "datasets" / "docs"
    beside.mkdir()
    (tmp_path / "r.yaml").write_text("model: m\ndata: {path: docs}\ntrain: {steps: 1}\n")
    assert recipe_file.load(str(tmp_path / "r.yaml")).data.path == str(beside)
    prepared.mkdir(parents=True)
    (prepared / "train.jsonl").write_text("")
    assert recipe_file.load(str(tmp_path / "r.yaml")).data.path == str(prepared)


@pytest.mark.parametrize("written", [None, 3e-4])
def test_a_run_of_an_older_version_keeps_the_rate_that_was_the_default(tmp_path: Path, written: float | None) -> None:
    """Such a run's recipe left 2e-4 out, and its job has it."""
    file, tree = tmp_path / "recipe.yaml", {"model": "gemma-3-270m-demo", "data": {"path": "x"}}
    train = {"steps": 3} | ({} if written is None else {"learning_rate": written})
    file.write_text(json.dumps(tree | {"train": train}))
    assert recipe_file.load(str(file)).train.learning_rate == (written or "auto")
    job = {"kind": "train", "spec": tree | {"train": {"steps": 3, "learning_rate": 2e-4}}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    again = recipe_file.load(str(file), ["train.steps=5"])
    assert (again.train.learning_rate, again.train.steps) == (written or 2e-4, 5)
    assert recipe_file.parse(file)["train"]["learning_rate"] == (written or 2e-4)


@pytest.mark.parametrize("rate", ["auto", 2e-4])
def test_the_rate_is_always_written(rate: str | float) -> None:
    tree = {"model": "m", "data": {"path": "x"}, "train": {"steps": 3, "learning_rate": rate}}
    assert f"learning_rate: {rate}" in recipe_file.dump(Recipe.model_validate(tree))
