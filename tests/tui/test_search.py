"""A search as it is seen: a line for each trial, a figure for each that has ended; and what the presets mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from gemmalocal.jobs.events import Stage, Started, Trial, Tried
from gemmalocal.jobs.history import JobState, fold
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from gemmalocal.workspace import runs
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tests.tui.test_unsaved import field
from tui.app import GemmalocalApp
from tui.screens.new_run import CAREFUL, GOOD, QUICK, changes
from tui.screens.pick import PickScreen
from tui.screens.recipe import RecipeScreen, overlaid
from tui.screens.train import TrainScreen
from tui.trial_lines import CHOOSES, trial_figures, trial_lines
from tui.widgets.run_detail import _search


def searching() -> JobState:
    state = JobState()
    for trial, end in enumerate([2.5, None, 2.25]):
        words = f"learning_rate {10**trial:g}"
        for step in range(1, 4):
            fold(state, Trial(0, trial, words, step, 3, 4.0 - step / 2))
        fold(state, Tried(0, trial, words, 3, end))
    fold(state, Trial(1, 2, "learning_rate 100", 1, 6, 3.5))
    return state


def test_each_trial_is_a_line_that_ends_and_the_newest_comes_first() -> None:
    lines = trial_lines(searching())
    assert [line.name for line in lines] == [
        "rate 100, 6 steps", "rate 100, 3 steps", "rate 10, 3 steps", "rate 1, 3 steps",
    ]  # fmt: skip
    assert [list(line.held_out) for line in lines] == [[], [(3, 2.25)], [], [(3, 2.5)]]
    assert [line.curve.buckets[-1].last for line in lines] == [1, 3, 3, 3]
    assert trial_figures(searching()) == [("rate 1", "2.500"), ("rate 10", "diverged"), ("rate 100", "2.250")]


async def test_the_circles_of_a_search_are_not_called_held_out() -> None:
    trial = Trial(0, 0, "learning_rate 1", 1, 3, 3.5)
    folder = record("searched", [Started("train", 1, 1), Stage("searching"), trial, Tried(0, 0, trial.words, 3, 2.5)])
    app = GemmalocalApp()
    async with app.run_test(size=(140, 40)) as pilot:
        await app.push_screen(screen := TrainScreen(folder))
        await until(pilot, lambda: CHOOSES in str(screen.query_one("#legend", Static).content))
        assert "held-out" not in str(screen.query_one("#legend", Static).content)


def test_the_panel_says_what_is_best_so_far() -> None:
    assert _search(searching().tried) == "3 trials, best learning_rate 100"
    assert _search([Tried(0, 0, "rank 8", 4, None)]) == "1 trial"


def test_a_trial_that_was_cut_short_is_forgotten_when_it_begins_again() -> None:
    state = fold(searching(), Started("train", 1, 2))
    assert [line.curve.buckets[-1].last for line in trial_lines(state)] == [3, 3, 3]


def test_a_quick_look_takes_three_minutes_and_careful_searches() -> None:
    recipe = recipe_file.load("quotes")
    assert changes(recipe, GOOD) == {}
    quick = Recipe.model_validate(overlaid(recipe.model_dump(), changes(recipe, QUICK)))
    assert (quick.train.minutes, quick.train.steps, quick.search.on) == (3, None, False)
    careful = Recipe.model_validate(overlaid(recipe.model_dump(), changes(recipe, CAREFUL)))
    assert recipe.train.steps is not None
    assert (careful.train.steps, careful.search.trials) == (2 * recipe.train.steps, 4)
    timed = recipe_file.load("quotes", ["train.minutes=2"])
    assert changes(timed, QUICK)["train"]["minutes"] == 2
    assert changes(timed, CAREFUL)["train"]["minutes"] == 4


@pytest.mark.parametrize(("keys", "searches"), [(("enter",), False), (("down", "enter"), True)])
async def test_again_is_without_the_search_and_searching_again_a_choice_of_its_own(
    recipe_path: Path, keys: tuple[str, ...], searches: bool
) -> None:
    folder = record("quotes-1", RUNS["finished"])
    (folder / runs.RECIPE).write_text(recipe_path.read_text())
    (folder / runs.SEARCHED).write_text(recipe_path.read_text() + "search: {trials: 4}\n")
    app = GemmalocalApp()
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.screen.check_action("again", ()))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.ready)
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
        screen = app.screen
        assert isinstance(screen, RecipeScreen)
        await until(pilot, lambda: field(screen, "lora.rank").value == "4")
        assert (field(screen, "search.trials").value == "4") == searches
