"""A recipe with several sources in the form: shown, kept, and changed without loss."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult

from gemmalocal.recipe.schema import Recipe
from tui.widgets.field_form import FieldForm

TREES: list[Any] = [
    "a.jsonl",
    "~/my rows: new.jsonl",
    "123",
    "null",
    "[ab]*.jsonl",
    ["a.jsonl", {"path": "b: c.jsonl", "weight": 2, "rows": 500, "template": "{a}\n{b}"}, "hf:owner/name:train"],
    [{"path": "a", "template": {"prompt": "{q}", "completion": "{a}"}}],
]


class Form(App[None]):
    """The recipe's form alone."""

    def compose(self) -> ComposeResult:
        """The form."""
        yield FieldForm(Recipe)


@pytest.mark.parametrize("path", TREES, ids=str)
async def test_the_path_is_shown_and_kept(path: Any) -> None:
    app = Form()
    async with app.run_test():
        form = app.query_one(FieldForm)
        tree = {"model": "m", "data": {"path": path}, "train": {"steps": 1}}
        form.fill(tree)
        assert form.values() == tree
        assert Recipe.model_validate(form.values()) == Recipe.model_validate(tree)
