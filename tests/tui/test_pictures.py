"""What the screens about runs look like, small and large, in each state; and the pictures of the README."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Input, Static

from gemmalocal.cli.check import lines
from gemmalocal.cli.output import page
from gemmalocal.jobs.events import Failed, Finished, Report
from gemmalocal.pipelines import check as check_pipeline
from gemmalocal.recipe import recipe_file
from tests.tui.drawn import DIVERGED, README, README_SIZE, Arrive, Stage, check, draw, hold_to, keys, nowhere
from tests.tui.recorded import RUNS, exported, exporting, real, record
from tests.tui.test_app import until
from tui.screens.ask_path import AskPathScreen
from tui.screens.compare import CompareScreen
from tui.screens.export import ExportScreen
from tui.screens.new_run import NewRunScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.screens.train import TrainScreen
from tui.theme import CONTRAST, LIGHT, PLAIN_GREY
from tui.widgets.export_list import ExportList


def train(folder: Path) -> Arrive:
    """Look at a run."""

    async def arrive(pilot: Pilot[None]) -> None:
        screen = TrainScreen(folder)
        await pilot.app.push_screen(screen)
        await until(
            pilot, lambda: screen.run is not None and "of 25 GB" in str(screen.query_one("#numbers", Static).content)
        )

    return arrive


def export(run: Path, *words: str) -> Arrive:
    """Look at a run's exports, and press keys."""

    async def arrive(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(ExportScreen(run))
        await until(pilot, lambda: pilot.app.screen.query_one(ExportList).option_count)
        await pilot.press(*words)

    return arrive


async def compare(pilot: Pilot[None]) -> None:
    """Three questions were asked."""
    screen = CompareScreen(["quotes-1"])
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: len(screen._talk.exchanges) == 3 and screen._talk.exchanges[-1].whole)


def several(stage: Stage) -> None:
    """Runs in every state, the newest first."""
    stage.live(stage.learned("quotes-2", 62, at=5e8))
    stage.learned(last=Finished("done"), at=4e8)
    stage.learned("quotes-hot", 40, DIVERGED, 3e8)
    record("contracts-4b", RUNS["killed"], 2e8)
    stage.learned("a-name-that-is-far-too-long", 50, Finished("stopped"), 1e8)


async def test_home(stage: Stage) -> None:
    await check("home-empty", nowhere)
    several(stage)
    await check("home", nowhere)
    await check("home-recipes", keys("4"))
    await check("home-high-contrast", nowhere, CONTRAST.name)
    await check("home-no-colour", nowhere, PLAIN_GREY.name)
    await check("palette", keys("ctrl+p"))
    await check("home-failed", keys("down", "down"))
    await check("home-help", keys("question_mark"))
    await check("home-light", nowhere, LIGHT.name)


async def test_new_run_and_confirm(stage: Stage) -> None:
    async def recipes(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        screen = pilot.app.screen
        assert isinstance(screen, NewRunScreen)
        await until(pilot, lambda: screen._cards and screen._cards[-1].recipe)

    await check("new-run", recipes)
    stage.learned(last=Finished("done"))
    await check("confirm", keys("delete"))


async def test_recipe(stage: Stage) -> None:
    async def recipe(pilot: Pilot[None]) -> None:
        screen = RecipeScreen(Path("recipes/quotes.yaml").absolute())
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: "Memory at peak" in str(screen.query_one("#plan", Static).content))

    async def wrong(pilot: Pilot[None]) -> None:
        await recipe(pilot)
        await pilot.press("tab", "delete", *"google/gemma-9")
        rank = next(one for one in pilot.app.screen.query(Input) if "lora.rank" in str(getattr(one, "HELP", "")))
        rank.value = "0"
        await until(pilot, lambda: pilot.app.screen.query(".problem"))
        await pilot.pause()
        rank.focus()

    async def saved(pilot: Pilot[None]) -> None:
        await recipe(pilot)
        await pilot.press("ctrl+s")
        assert isinstance(pilot.app.screen, AskPathScreen)
        pilot.app.screen.query_one(Input).value = "recipes/quotes.yaml"
        await pilot.press("enter")

    await check("recipe", recipe)
    await check("recipe-wrong", wrong)
    await check("recipe-save", saved)


async def test_recipe_checked(stage: Stage, recipe_path: Path, tmp_path: Path) -> None:
    recipe = recipe_file.load(str(recipe_path)).model_dump(mode="json")
    (report,) = [event.data for event in check_pipeline.run(recipe, tmp_path, list) if isinstance(event, Report)]
    shown = Text.from_ansi(page(lines({**report, "model": "tiny-gemma3"})))

    async def checked(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(ReportScreen("Check of tiny", shown))

    await check("recipe-checked", checked)


@pytest.mark.parametrize("state", ["starting", "live", "finished", "failed", "killed", "light"])
async def test_train(state: str, stage: Stage) -> None:
    match state:
        case "starting":
            folder = stage.live(record("quotes-1", real("quotes")[:7]))
        case "live" | "light":
            folder = stage.live(stage.learned(upto=62))
        case "finished":
            folder = stage.learned(last=Finished("done"))
        case "failed":
            folder = stage.learned(upto=40, last=DIVERGED)
        case _:
            folder = stage.learned(upto=58)
    if state == "starting":
        await check("train-starting", keys("enter"))
    else:
        await check(f"train-{state}", train(folder), LIGHT.name if state == "light" else "")


async def test_problem(stage: Stage) -> None:
    stage.learned(upto=40, last=DIVERGED)
    await check("problem", keys("g"))


async def test_compare(stage: Stage) -> None:
    stage.learned(last=Finished("done"))
    await check("compare", compare)


async def test_compare_marks_differences(stage: Stage) -> None:
    async def differences(pilot: Pilot[None]) -> None:
        await compare(pilot)
        await pilot.press("ctrl+g")

    stage.learned(last=Finished("done"))
    await check("compare-differences", differences)


@pytest.mark.parametrize("state", ["starting", "live", "failed"])
async def test_compare_before_and_after(state: str, stage: Stage) -> None:
    stage.learned(last=Finished("done"))
    out = Failed("OutOfMemory", "The answers need more memory than there is.", "Set /max_tokens lower.", 4)
    said = {"starting": stage.chat[:3], "live": stage.chat[:11], "failed": [*stage.chat[:9], out]}
    stage.chat, stage.chat_lives = said[state], state != "failed"

    async def arrive(pilot: Pilot[None]) -> None:
        screen = CompareScreen(["quotes-1"])
        await pilot.app.push_screen(screen)
        if state == "failed":
            await until(pilot, lambda: isinstance(pilot.app.screen, ProblemScreen))
        else:
            await until(pilot, lambda: screen._doing == "loading the weights" or len(screen._talk.exchanges) == 2)

    await check(f"compare-{state}", arrive)


async def test_export_where_there_is_nothing_yet(stage: Stage) -> None:
    await check("export-untrained", export(record("young", RUNS["killed"])))


async def test_export(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"))
    await check("export-none", export(run, "down"))
    exported(run, "gguf-Q4_0", passed=False)
    exported(run, "adapter")
    await check("export-passed", export(run))
    await check("export-failed", export(run, "end", "up"))
    exporting(run, "gguf-Q8_0")
    await check("export-killed", export(run, "down", "down", "down", "down"))
    stage.live(exporting(run, "merged-bfloat16"))
    await check("export-live", export(run, "down"))


@pytest.mark.parametrize("name", ["home", "train", "compare"])
async def test_the_readme_shows_what_is(name: str, stage: Stage) -> None:
    run = stage.learned(last=Finished("done"), at=4e8)
    if name == "home":
        stage.live(stage.learned("quotes-2", 62, at=5e8))
        stage.learned("quotes-hot", 40, DIVERGED, 3e8)
    drawn = await draw({"home": nowhere, "train": train(run), "compare": compare}[name], (README_SIZE,))
    hold_to(README / f"{name}.svg", drawn.svg)
