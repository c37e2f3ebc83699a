"""What a recipe is for is said in words for people, of shipped ones and of those in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.prepare_schema import TaskName
from tui.screens.documents import MAKES
from tui.screens.recipes import FOR, known_recipes

SHIPPED = sorted(recipe_file.builtin_recipes())
OF_THE_COMMAND_LINE = ("`", "--", "gemmalocal", "docs/", "{", "_")


def said(name: str) -> str:
    return {known: words for known, words, _ in known_recipes()}[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_has_plain_words_of_its_own(name: str) -> None:
    assert said(name).endswith(".")
    assert [mark for mark in OF_THE_COMMAND_LINE if mark in said(name)] == []


def test_no_words_are_left_of_a_recipe_that_is_gone() -> None:
    assert sorted(FOR) == SHIPPED


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("# For my own letters. Slow. Set --rank", "For my own letters. Slow."),
        ("# For my own\n# letters", "For my own letters."),
        ("# Is it for letters?", "Is it for letters?"),
        ("", "A recipe of this folder."),
    ],
)
def test_a_recipe_of_a_folder_says_its_first_comment(
    comment: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.yaml").write_text(f"{comment}\nmodel: tiny\n")
    assert said("letters.yaml") == words


def test_every_task_of_documents_has_its_words() -> None:
    assert sorted(MAKES) == sorted(get_args(TaskName))
