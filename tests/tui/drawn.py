"""Screens drawn with nothing that moves, and held to pictures that somebody has looked at.

After a wanted change: PICTURES=new pytest tests/tui -k pictures, then look at each picture that git names.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import RenderableType
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea

from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event, Failed, Step
from gemmalocal.planning import hardware
from gemmalocal.workspace import chats
from tests.tui.cut import cut
from tests.tui.picture import Picture, taken, written
from tests.tui.recorded import hold, real, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.home import HomeScreen

SIZES = ((80, 24), (60, 15), (100, 30), (160, 50), (250, 70))
GLANCE, STEADY = 0.04, 3  # seconds between two looks at a screen, and how many of them must see the same
PICTURES = Path(__file__).parent / "pictures"
PAUSES = ("screens.dialog.LATER", "screens.recipe.PAUSE", "screens.home.PAUSE", "app.POLL", "errand.POLL")
SHORT = 0.03  # seconds that the app waits where it would wait longer
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
Size = tuple[int, int]


class Drawn(NamedTuple):
    """Pictures by their size, what is cut in them, and the last as SVG."""

    pictures: dict[str, Picture]
    cut: list[str]
    svg: str


class Stage:
    """Recorded runs, some of them held alive by a child, and the app drawn with nothing that moves."""

    def __init__(self) -> None:
        self.chat, self.chat_lives = real("chat"), True  # what a chat that is started says
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


def same(monkeypatch: pytest.MonkeyPatch, folder: Path, told: Callable[[], Path]) -> None:
    """The same machine, recipes and disk for all; `told` makes the directory of a chat that is started."""
    shelf = folder / "recipes"
    shelf.mkdir()
    for name, text in RECIPES.items():
        (shelf / f"{name}.yaml").write_text(text)
    for rows in ("quotes.jsonl", "rows.jsonl"):
        (shelf / rows).touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))  # no path in a picture is this machine's
    monkeypatch.setattr("gemmalocal.recipe.recipe_file.FOLDERS", (shelf,))
    monkeypatch.setattr(hardware, "probe", lambda: dict(HERE))
    monkeypatch.setattr(hardware, "room", lambda path: (path, 60_000_000_000))
    for line in (Input, TextArea):
        monkeypatch.setattr(line.cursor_blink, "_default", False)
    monkeypatch.setattr("tui.run_words.LONG", math.inf)  # recorded runs have been silent for years
    for pause in PAUSES:
        monkeypatch.setattr(f"tui.{pause}", SHORT)
    monkeypatch.setattr(chats, "start", lambda *words: processes.Job(told()))


async def still(pilot: Pilot[None]) -> Picture:
    """The picture, once it no longer changes. As long as nothing is painted, a look would see the same."""
    app, paints = pilot.app, 0
    display = app._display

    def counted(screen: Screen[Any], renderable: RenderableType | None) -> None:
        nonlocal paints
        paints += 1
        display(screen, renderable)

    app._display = counted  # type: ignore[method-assign]
    try:
        before, same, seen = app.screen._compositor.render_strips(), 0, paints
        while same < STEADY:
            await pilot.pause(GLANCE)
            seen, painted = paints, paints != seen
            look = painted or same == STEADY - 1  # the last is a look in any case
            now = app.screen._compositor.render_strips() if look else before
            before, same = now, same + 1 if now == before else 0
    finally:
        del app._display
    return taken(before)


async def draw(arrive: Arrive, sizes: Sequence[Size], theme: str = "") -> Drawn:
    """The app at each size, once somebody has arrived where the picture is taken."""
    app = GemmalocalApp()
    drawn = Drawn({}, [], "")
    async with app.run_test(size=sizes[0]) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: home.ready and bool(home.focused) == home.has_runs)
        await until(pilot, lambda: home.query("FooterKey"))
        await until(pilot, lambda: app._recipes)  # the palette lists them
        await arrive(pilot)
        if theme:
            app.theme = theme
        for size in sizes:
            await pilot.resize_terminal(*size)
            name = "{}x{}".format(*size)
            drawn.pictures[name] = await still(pilot)
            drawn.cut.extend(f"{name} {lost}" for lost in cut(app.screen))
        return drawn._replace(svg=app.export_screenshot())


def hold_to(file: Path, picture: str) -> None:
    """A picture is as it was when somebody looked at it; or is written, to be looked at."""
    if os.environ.get("PICTURES") == "new":
        file.write_text(picture, encoding="utf-8")
    if not file.exists() or file.read_text(encoding="utf-8") != picture:
        now = Path(tempfile.gettempdir()) / file.name
        now.write_text(picture, encoding="utf-8")
        raise AssertionError(f"{file} no longer shows what is drawn: {now}")


async def check(name: str, arrive: Arrive, theme: str = "") -> None:
    """Draw, and compare; no word may be cut."""
    drawn = await draw(arrive, SIZES[:1] if theme else SIZES, theme)
    hold_to(PICTURES / f"{name}.txt", written(drawn.pictures))
    if drawn.cut:
        raise AssertionError("\n".join([f"{name} cuts", *drawn.cut]))


async def nowhere(pilot: Pilot[None]) -> None:
    """Stay at home."""


def keys(*words: str) -> Arrive:
    """Press these, at home."""

    async def arrive(pilot: Pilot[None]) -> None:
        await pilot.press(*words)

    return arrive
