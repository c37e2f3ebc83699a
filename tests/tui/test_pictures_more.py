"""What else there is to see: lists of home, the palette with letters, jump mode, labels, changed recipes, models."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from gemmalocal.files import paths
from gemmalocal.jobs.events import Finished
from gemmalocal.workspace import labels
from gemmalocal.workspace.labels import Labels
from tests.tui.drawn import DIVERGED, Stage, check, keys
from tests.tui.recorded import prepared
from tests.tui.test_app import until
from tests.tui.test_recipe_changes import with_recipe
from tui.screens.models import ModelsScreen
from tui.screens.pick import PickScreen
from tui.screens.report import ReportScreen

MODELS: list[dict[str, Any]] = [
    {"name": "tuned", "place": "workspace", "path": "/models/tuned", "size": 1_100_000_000, "train": "yes"},
    {"name": "gemma3:4b", "place": "Ollama", "path": "/ollama/blob", "size": 3_300_000_000, "train": "import"},
    {"name": "google/gemma-3-1b-it", "place": None, "path": None, "size": 2_000_000_000, "train": "checkpointing"},
    {"name": "google/gemma-3-27b-it", "place": None, "path": None, "size": 54_900_000_000, "train": "no"},
]
REST = {"estimated": False, "licence": "Gemma Terms of Use", "damaged": False}


async def test_lists_of_home(stage: Stage) -> None:
    await check("home-trash-empty", keys("5"))
    prepared("docs")
    await check("home-datasets", keys("2"))


async def test_over_home(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"), at=4e8)
    labels.write(run, Labels(("good", "low-rank"), "the one for Ada"))
    stage.learned("quotes-hot", 40, DIVERGED, 3e8)
    await check("palette-found", keys("ctrl+p", "r", "u"))
    await check("jump", keys("f2"))
    await check("label", keys("l"))


async def test_changes_of_a_recipe(stage: Stage) -> None:
    with_recipe("quotes-1", 3e8, lora={"rank": 8})
    with_recipe("quotes-2", 4e8, lora={"rank": 16}, samples={"prompts": ["Quote: A friend is", "Quote: Well begun"]})

    async def told(pilot: Pilot[None]) -> None:
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen) and pilot.app.screen.ready)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportScreen))

    await check("changes", told)


async def test_models(stage: Stage) -> None:
    (paths.models() / "tuned").mkdir(parents=True)

    async def listed(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        rows = [{**REST, **model, "gated": model["place"] is None, "chat": model["train"] != "no"} for model in MODELS]
        screen._show({"models": rows, "memory": 25_300_000_000})
        await pilot.press("down", "down")

    await check("models", listed)
