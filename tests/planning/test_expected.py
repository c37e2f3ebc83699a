"""What a recipe names that is not here is known before a run: rows, models, and what would be downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.files import paths
from gemmalocal.planning import expected
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from tests.tui.recorded import prepared


def recipe(model: str, *rows: str) -> Recipe:
    """A recipe of these, anchored in the folder at hand."""
    path = rows[0] if len(rows) == 1 else [{"path": row} for row in rows]
    tree = {"model": model, "data": {"path": path}, "train": {"steps": 1}}
    return recipe_file.anchored(Recipe.model_validate(tree), Path.cwd())


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        ("gemma-7", "no such model"),
        ("./nowhere", "no such model"),
        ("a/b/c", "no such model"),
        ("model.gguf", "import model.gguf"),
        ("google/gemma-3-1b-it", ""),
        ("someone/else", ""),
        ("tiny", ""),
        ("gemma-3-270m-demo", ""),
    ],
)
def test_a_model_that_is_nowhere_is_known(model: str, wrong: str, tmp_path: Path) -> None:
    (paths.models() / "tiny").mkdir(parents=True)
    (paths.models() / "tiny" / "config.json").write_text("{}")
    found = expected.problems(recipe(model, str(tmp_path)))
    assert wrong in found.get("model", "")
    assert bool(wrong) == ("model" in found)


def test_rows_that_are_nowhere_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    prepared("docs")
    for path in ("rows.jsonl", "docs", "*.jsonl", "hf:owner/name", "package:inspirational_quotes/quotes.json"):
        assert expected.problems(recipe("someone/model", path)) == {}, path
    for path in ("row.jsonl", "dogs", "*.json", "/no/where"):
        assert list(expected.problems(recipe("someone/model", path))) == ["data.path"], path
    assert list(expected.problems(recipe("someone/model", "rows.jsonl", "gone.jsonl"))) == ["data.path.1"]


def test_what_would_be_downloaded_is_said_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (line,) = expected.downloads(recipe("google/gemma-3-1b-it", str(tmp_path)))
    assert "2.0 GB" in line
    assert "gated" in line
    assert "not known" in expected.downloads(recipe("someone/else", "hf:owner/name"))[0]
    assert len(expected.fetched_to_look(recipe("google/gemma-3-1b-it", "hf:owner/name"))) == 2
    assert expected.fetched_to_look(recipe("gemma-3-270m-demo", str(tmp_path))) == []
    snapshot = tmp_path / "hub" / "models--google--gemma-3-1b-it" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    assert expected.downloads(recipe("google/gemma-3-1b-it", str(tmp_path))) == []
    assert "google/gemma-3-1b-it" in expected.models()
