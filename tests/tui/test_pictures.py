"""What every screen looks like, small and large, in each state; and the pictures of the README.

After a wanted change: PICTURES=new pytest tests/tui/test_pictures.py, then look at each picture that git names.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from gemmalocal import chats, jobs, machine
from gemmalocal.events import Event, Failed, Finished, Step
from tests.tui.recorded import RUNS, exported, exporting, hold, real, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.export import ExportScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.theme import LIGHT
from tui.widgets.export_list import ExportList
from tui.widgets.run_table import RunTable

SIZES = ((80, 24), (160, 50))
PICTURES = Path(__file__).parent / "pictures"
README = Path(__file__).parent.parent.parent / "docs"
README_SIZE = (100, 30)
HERE = {
    "system": "Linux x86_64",
    "chip": "AMD EPYC Processor",
    "cores": 2,
    "memory": 25_300_000_000,
    "memory_free": 18_000_000_000,
    "python": "3.11.7",
}
RECIPES = {
    "quotes": "# For a first look, on any machine: finish a quote and name its author.\nmodel: gemma-3-270m-demo\n"
    "data:\n  path: quotes.jsonl\n  max_length: 128\nlora: {rank: 8, alpha: 16}\ntrain: {steps: 100, batch_size: 4}\n",
    "instruct": "# Your chat rows, with Gemma 3 1B.\nmodel: google/gemma-3-1b-it\ndata: {path: rows.jsonl}\n"
    "train: {steps: 100}\n",
}
DIVERGED = Failed("TrainingDiverged", "The loss exploded at step 41.", "Lower train.learning_rate, now 2e-2.", 1)

Arrive = Callable[[Pilot[None]], Awaitable[None]]


class Stage:
    """Recorded runs, some of them held alive by a child, and the app drawn with nothing that moves."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[str]] = []

    def live(self, folder: Path) -> Path:
        """Hold a job's lock, as a living one does."""
        self._children.append(hold(folder))
        return folder

    def learned(self, name: str = "quotes-1", upto: int = 100, last: Event | None = None, at: float = 1e9) -> Path:
        """The real run, as it was at a step; a whole one has an adapter."""
        events = []
        for event in real("quotes"):
            if isinstance(event, Step) and event.step > upto:
                break
            events.append(event)
        folder = record(name, [*events, last] if last else events, at)
        if upto == 100:
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(bytes(7_600_000))
        return folder

    def end(self) -> None:
        """Let the children go."""
        for child in self._children:
            child.communicate("\n")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """The same machine, recipes and disk for all."""
    shelf = tmp_path / "recipes"
    shelf.mkdir()
    for name, text in RECIPES.items():
        (shelf / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(shelf.parent)
    monkeypatch.setattr("gemmalocal.recipe_file.FOLDERS", (shelf,))
    monkeypatch.setattr(machine, "probe", lambda: dict(HERE))
    monkeypatch.setattr(machine, "room", lambda path: (path, 60_000_000_000))
    monkeypatch.setattr(Input.cursor_blink, "_default", False)
    monkeypatch.setattr(chats, "start", lambda *words: jobs.Job(told()))
    stage = Stage()

    def told() -> Path:
        folder = record("../chats/chat", real("chat"))
        return stage.live(folder)

    yield stage
    stage.end()


async def still(pilot: Pilot[None]) -> str:
    """The picture, once it no longer changes."""
    before, same = "", 0
    while same < 3:
        await pilot.pause(0.1)
        now = pilot.app.export_screenshot()
        before, same = now, same + 1 if now == before else 0
    return before


async def draw(arrive: Arrive, sizes: tuple[tuple[int, int], ...], theme: str = "") -> list[str]:
    """The app at each size, once somebody has arrived where the picture is taken."""
    app = GemmalocalApp()
    pictures = []
    async with app.run_test(size=sizes[0]) as pilot:
        home = app.screen
        await until(pilot, lambda: home.query_one(RunTable).row_count or home.query_one("#welcome").display)
        await arrive(pilot)
        if theme:
            app.theme = theme
        for size in sizes:
            await pilot.resize_terminal(*size)
            pictures.append(await still(pilot))
    return pictures


def hold_to(file: Path, picture: str) -> None:
    """A picture is as it was when somebody looked at it; or is written, to be looked at."""
    if os.environ.get("PICTURES") == "new":
        file.write_text(picture, encoding="utf-8")
    if file.read_text(encoding="utf-8") != picture:
        now = Path(tempfile.gettempdir()) / file.name
        now.write_text(picture, encoding="utf-8")
        raise AssertionError(f"{file} no longer shows what is drawn: {now}")


async def check(name: str, arrive: Arrive, theme: str = "") -> None:
    """Draw, and compare."""
    sizes = SIZES[:1] if theme else SIZES
    for (width, height), picture in zip(sizes, await draw(arrive, sizes, theme), strict=True):
        hold_to(PICTURES / f"{name}-{width}x{height}.svg", picture)


async def nowhere(pilot: Pilot[None]) -> None:
    """Stay at home."""


def keys(*words: str) -> Arrive:
    """Press these, at home."""

    async def arrive(pilot: Pilot[None]) -> None:
        await pilot.press(*words)

    return arrive


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
    await check("home-failed", keys("down", "down"))
    await check("home-help", keys("question_mark"))
    await check("home-light", nowhere, LIGHT.name)


async def test_new_run_and_confirm(stage: Stage) -> None:
    async def recipes(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen.query_one("#offers", OptionList).option_count)

    await check("new-run", recipes)
    stage.learned(last=Finished("done"))
    await check("confirm", keys("x"))


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
        rank.focus()
        await until(pilot, lambda: pilot.app.screen.query(".problem"))

    await check("recipe", recipe)
    await check("recipe-wrong", wrong)


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


async def test_export(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"))
    await check("export-none", export(run, "down"))
    exported(run, "gguf-Q4_0", passed=False)
    exported(run, "adapter")
    await check("export-passed", export(run, "end", "up"))
    await check("export-failed", export(run, "end"))
    stage.live(exporting(run, "merged-bfloat16"))
    await check("export-live", export(run, "down"))


@pytest.mark.parametrize("name", ["home", "train", "compare"])
async def test_the_readme_shows_what_is(name: str, stage: Stage) -> None:
    run = stage.learned(last=Finished("done"), at=4e8)
    if name == "home":
        stage.live(stage.learned("quotes-2", 62, at=5e8))
        stage.learned("quotes-hot", 40, DIVERGED, 3e8)
    (picture,) = await draw({"home": nowhere, "train": train(run), "compare": compare}[name], (README_SIZE,))
    hold_to(README / f"{name}.svg", picture)
