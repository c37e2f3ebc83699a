"""The form of a recipe: basic fields first, the rest folded; what is known to be wrong is marked at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from textual.dom import DOMNode
from textual.widgets import Button, Static

from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from tests.tui.recorded import prepared
from tests.tui.test_app import until
from tests.tui.test_unsaved import field
from tui.app import GemmalocalApp
from tui.screens.recipe import RecipeScreen
from tui.style_sheets import KeptStylesheet
from tui.widgets.choice import Choice
from tui.widgets.field_form import FieldForm
from tui.widgets.field_section import SectionLine


async def test_a_dataset_and_a_model_that_are_not_there_are_marked(recipe_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        start = screen.query_one("#start", Button)
        await until(pilot, lambda: "Fits" in str(screen.query_one("#plan", Static).content))
        assert not start.disabled
        field(screen, "data.path").value = "no-such-dataset"
        field(screen, "model").value = "gemma-77"
        await until(pilot, lambda: len(screen.query(".problem")) == 2)
        assert start.disabled
        await until(pilot, lambda: "no such file, folder or" in str(screen.query_one("#plan", Static).content))
        assert "no such model" in str(screen.query_one("#plan", Static).content)
        await pilot.press("ctrl+r")
        assert app.screen is screen
        prepared("docs")
        field(screen, "data.path").value = "docs"
        field(screen, "model").value = "google/gemma-3-1b-it"
        await until(pilot, lambda: "will be downloaded, 2.0 GB" in str(screen.query_one("#plan", Static).content))
        await until(pilot, lambda: not screen.query(".problem"))
        assert not start.disabled


async def test_sections_fold_and_open_for_what_is_wrong(recipe_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query(SectionLine))
        hidden = field(screen, "train.warmup")
        assert not hidden.is_on_screen
        for key in ("tab", *["down"] * 7):
            await pilot.press(key)
        assert isinstance(app.focused, SectionLine)  # after the basic fields
        await pilot.press("enter")
        assert not app.focused.folded
        hidden.value = "-1"
        await until(pilot, lambda: screen.query(".problem"))
        await until(pilot, lambda: hidden.is_on_screen)
        line = next(each for each in screen.query(SectionLine) if each._title == "train")
        assert line.changed >= 1
        assert "changed" in line.render().plain


async def test_the_focus_moves_without_a_look_at_every_field(
    recipe_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with GemmalocalApp().run_test(size=(100, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await pilot.app.push_screen(screen)
        form, start = screen.query_one(FieldForm), screen.query_one("#start")
        await until(pilot, lambda: start.has_focus and "Fits" in str(screen.query_one("#plan", Static).content))
        before, styled, apply = form.styles.border_top, list[DOMNode](), KeptStylesheet.apply

        def counted(sheet: KeptStylesheet, node: DOMNode, **how: Any) -> None:
            styled.append(node)
            apply(sheet, node, **how)

        monkeypatch.setattr(KeptStylesheet, "apply", counted)
        await pilot.press("tab")
        await until(pilot, lambda: form.has_focus_within and form.styles.border_top != before)
        assert len(list(form.walk_children())) > 200
        assert 0 < len(styled) < 100
        await pilot.press("shift+tab")
        await until(pilot, lambda: start.has_focus and form.styles.border_top == before)


async def test_a_field_that_says_nothing_shows_what_the_run_will_take(recipe_path: Path) -> None:
    tree = recipe_file.parse(recipe_path) | {"model": "google/gemma-3-270m-it"}
    tree["train"] = {"steps": 5}
    recipe_path.write_text(json.dumps(tree), encoding="utf-8")
    async with GemmalocalApp().run_test(size=(120, 60)) as pilot:
        screen = RecipeScreen(recipe_path)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.query(SectionLine))
        rate, rows = field(screen, "train.learning_rate"), field(screen, "train.batch_size")
        assert (rate.placeholder, rows.placeholder) == ("auto", "4")
        kind = next(each for each in screen.query(Choice) if "**objective.kind**" in str(getattr(each, "HELP", "")))
        kind.value = "dpo"
        await until(pilot, lambda: rate.placeholder == "5e-05")
        wanted = Recipe.model_validate(tree | {"objective": {"kind": "dpo"}})
        assert rows.placeholder == str(wanted.train.batch_size)
        assert field(screen, "objective.beta").placeholder == str(wanted.objective.beta)
        assert rate.value == ""  # nothing is written into the recipe
        rate.value = "3e-6"
        kind.value = "sft"
        await until(pilot, lambda: rows.placeholder == "4")
        assert rate.value == "3e-6"
        assert field(screen, "objective.beta").placeholder == ""


async def test_names_and_paths_are_completed(recipe_path: Path) -> None:
    prepared("docs-of-bees")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        await pilot.pause()
        for key, begun, whole in (
            ("data.path", "docs-", "docs-of-bees"),
            ("model", "gemma-3-270", "gemma-3-270m-demo"),
            ("data.path", f"{recipe_path.parent}/row", f"{recipe_path.parent}/rows.jsonl"),
        ):
            line = field(screen, key)
            line.focus()
            line.value = begun
            line.cursor_position = len(begun)
            await until(pilot, lambda line=line: line._suggestion)  # type: ignore[misc]
            await pilot.press("right")
            assert line.value == whole


async def test_all_that_a_run_takes_is_seen_on_a_small_terminal() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for name, path in recipe_file.builtin_recipes().items():
            screen = RecipeScreen(path)
            await app.push_screen(screen)
            said = screen.query_one("#plan", Static)
            await until(pilot, lambda said=said: re.search(r" of \d+ rows?;", str(said.content)))  # type: ignore[misc]
            await pilot.pause()
            plan, box = screen.query_one("#plan"), screen.query_one("#plan-box")
            assert plan.region.bottom <= screen.query_one("#start").region.y, name
            assert screen.query_one("#start").region.bottom <= box.content_region.bottom, name
            assert plan.size.height >= plan.virtual_size.height, name
            await app.pop_screen()
