"""The whole way by keys that the screen itself announces: choose, start, watch, stop, resume, finish, compare, quit."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from gemmalocal.jobs import history
from gemmalocal.jobs.history import JobState
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.home import HomeScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen

STEPS = 300


async def press(pilot: Pilot[None], key: str) -> None:
    """Press a key once the footer shows it."""
    await until(pilot, lambda: key in {shown.key for shown in pilot.app.screen.query(FooterKey)})
    await pilot.press(key)


def quotes_beside(recipe_path: Path) -> None:
    """A longer `quotes` in place of the recipe."""
    text = recipe_path.read_text().replace("steps: 12", f"steps: {STEPS}").replace("1e-2", "1e-3")
    text = text.replace("evaluate_every: 4, save_every: 3", "evaluate_every: 50, save_every: 50")
    recipe_path.with_name("quotes.yaml").write_text(text)
    recipe_path.unlink()


async def test_from_an_empty_folder_to_a_comparison(recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemmalocal.recipe.recipe_file.FOLDERS", (recipe_path.parent,))
    monkeypatch.setattr("tui.screens.compare.JUST", 0.0)  # Escape leaves at once
    quotes_beside(recipe_path)
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.screen.query_one("#welcome").display)
        await press(pilot, "n")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "offers")
        assert "Enter" in str(app.screen_stack[0].query_one("#welcome", Static).content)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        folder = history.find_run("quotes-1")

        def state() -> JobState:
            assert isinstance(app.screen, TrainScreen)
            assert app.screen.run is not None
            return app.screen.run.state

        await until(pilot, lambda: len(state().steps) > 5)
        await press(pilot, "s")
        await until(pilot, lambda: state().status == "stopped")
        stopped = state().steps[-1].step
        assert 5 < stopped < STEPS
        await press(pilot, "r")
        await until(pilot, lambda: state().status == "done")
        assert [step.step for step in state().steps] == list(range(1, STEPS + 1))
        assert state().evaluations[-1].loss < state().evaluations[0].loss
        shown = str(app.screen.query_one("#numbers", Static).content)
        assert f"{state().evaluations[-1].loss:.3f}" in shown
        await press(pilot, "c")
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await until(pilot, lambda: len(screen.query(".voice")) == 2)
        await pilot.press(*"/max_tokens", "space", "4", "enter")

        def answered(count: int) -> bool:
            return len(screen._talk.exchanges) == count and screen._talk.exchanges[-1].whole

        for count, prompt in enumerate(("the", "a_quote", "sky"), 1):
            await pilot.press(*prompt, "enter")
            await until(pilot, partial(answered, count))
        await press(pilot, "escape")
        await press(pilot, "escape")
        assert isinstance(app.screen, HomeScreen)
        await press(pilot, "q")
        await until(pilot, lambda: not app.is_running)
    assert history.read(folder).status == "done"
