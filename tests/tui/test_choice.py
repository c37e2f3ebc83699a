"""A choice among words is drawn and moved whatever its value is, in every form."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from textual.app import App, ComposeResult

from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe
from tui.widgets.choice import Choice
from tui.widgets.field_form import FieldForm, choices, leaves


class OfOne(App[None]):
    """A choice whose value is none of its words."""

    def compose(self) -> ComposeResult:
        yield Choice(["keep", "drop", "ask"], "null")


@pytest.mark.parametrize(("key", "word"), [("right", "keep"), ("left", "ask")])
async def test_where_none_is_chosen_the_first_or_the_last_comes_next(key: str, word: str) -> None:
    app = OfOne()
    async with app.run_test(size=(40, 5)) as pilot:
        choice = app.query_one(Choice)
        choice.focus()
        assert "[" not in choice.render().plain
        await pilot.press(key)
        assert choice.value == word
        assert f"[{word}]" in choice.render().plain
        await pilot.click(Choice, offset=(8, 0))
        assert choice.value == "drop"


class OfForm(App[None]):
    """A whole form, unfolded, that was filled with nothing."""

    def __init__(self, schema: type[BaseModel]) -> None:
        super().__init__()
        self._schema = schema

    def compose(self) -> ComposeResult:
        yield FieldForm(self._schema)


@pytest.mark.parametrize("schema", [Preparation, Recipe])
async def test_each_field_with_words_is_drawn_before_anything_is_known(schema: type[BaseModel]) -> None:
    app = OfForm(schema)
    async with app.run_test(size=(100, 200)) as pilot:
        await pilot.pause()
        words = [choices(info.annotation) for _, info in leaves(schema)]
        drawn = [choice.render().plain for choice in app.query(Choice)]
        assert len(drawn) == sum(map(bool, words)) > 3
        assert app.query_one(FieldForm).values() == {}
