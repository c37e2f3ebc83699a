"""What a preparation refuses before it begins: options, sources and folders that do not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.here import run
from tests.pipelines.preparations import documents, prepared

__all__ = ["documents"]  # a fixture


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pairs", "0"], "pairs: must be 1 or more"),
        (["--key-env", "X"], "needs --endpoint"),
        (["--judge-key-env", "X"], "--judge-key-env needs --judge-endpoint"),
        (["--judge-endpoint", "http://localhost:1/v1", "--judge-key-env", "sk-secret0123456789abcdef"], "not the key"),
        (["--threshold", "5"], "needs --judge"),
        (["--judge", "--author", "rules"], "Nothing can judge"),
        (["--endpoint", "localhost:1234"], "url must begin with http"),
        (["--endpoint", "http://me:sk-secret@localhost:1234"], "url must hold no password"),
        (["--prompts", "/no/such"], "holds no prompt"),
    ],
)
def test_options_that_do_not_fit_are_a_sentence(documents: Path, tiny: Path, options: list[str], says: str) -> None:
    done = prepared(documents, tiny, "d", *options)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "sk-secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("named", ["nofile.pdf", "*.nothing", "light.md/below"])
def test_the_source_is_looked_for_before_the_model(documents: Path, workspace: Path, named: str) -> None:
    done = prepared(documents / named, Path("/no/model"), "d", "--author", "rules")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: There is nothing at {documents / named}.")
    assert not (workspace / "datasets" / "d").exists()
    some = run("prepare", str(documents / named), str(documents), "--to", "d", "--model", "/no/model")
    assert "There is no model '/no/model'" in some.stderr  # the others are read all the same


def test_a_resumed_dataset_says_first_that_its_source_is_gone(documents: Path, tiny: Path, workspace: Path) -> None:
    model = Path(shutil.copytree(tiny, workspace.parent / "model"))
    assert prepared(documents, model, "d", "--author", "rules").returncode == 0
    shutil.rmtree(model)
    shutil.rmtree(documents)
    resumed = run("resume", "d")
    assert resumed.returncode == 2
    assert resumed.stderr.startswith(f"Error: There is nothing at {documents}.")


def test_rows_are_looked_for_before_the_model(recipe_path: Path) -> None:
    for command in ("check", "train"):
        done = run(command, str(recipe_path), "--set", "model=/no/model", "--set", "data.path=/no/rows.jsonl")
        assert done.returncode == 2
        assert "There are no rows at /no/rows.jsonl: no such file." in done.stderr


def test_a_folder_with_other_files_is_left_alone(documents: Path, tiny: Path) -> None:
    done = prepared(documents, tiny, str(documents))
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert sorted(file.name for file in documents.iterdir()) == ["bees.md", "light.md"]
