"""No screen draws foreign text raw, nor takes it for markup; what is drawn is looked at line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea

from gemmalocal.files import paths
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Asked, Event, Failed, Replied, Reply, Report, Rows, Started, Step, Voices
from gemmalocal.workspace import chats
from tests import planted
from tests.cli.test_terminal_text import CHECK, PROOF
from tests.planted import EVENTS, EVIL, NAME, raw
from tests.tui.test_app import until
from tests.tui.test_type_ahead import typed
from tui.app import GemmalocalApp
from tui.commands import Command
from tui.screens.ask_number import AskNumberScreen
from tui.screens.ask_path import AskPathScreen
from tui.screens.browse import BrowseScreen
from tui.screens.compare import CompareScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.edit_row import EditRowScreen
from tui.screens.export import ExportScreen
from tui.screens.palette import Palette
from tui.screens.pick import PickScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.recipes import recipes
from tui.screens.train import TrainScreen

PIECES = [[EVIL, True], [EVIL, False]]
ROW = {"source": EVIL, "pieces": PIECES, "tokens": 3, "supervised": 1, "cut": True, "hidden": 3, "end": PIECES}
TALK: list[Event] = [
    Started("chat", 1, 1), Voices([EVIL, f"{EVIL}2"], ["chat", "chat"]), Asked(1, EVIL, EVIL, {}),
    Reply(1, 0, EVIL, 3), Replied(1, 1, EVIL, 3, 1.0, 0.1, EVIL),
]  # fmt: skip
PREPARED = {side: {"rows": 2, "tokens": 9, "documents": 1} for side in ("train", "held_out")}


def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A workspace, and a folder to stand in, in which everything is evil."""
    monkeypatch.chdir(folder)
    steps: list[Event] = [Step(step, 9, 3.0 / step, 9, 1e-3, 1.0, 1.0, 9) for step in (1, 2, 3)]
    run = planted.run([*EVENTS.values(), *steps, Failed(EVIL, EVIL, EVIL, 1)])
    (run / "adapter").mkdir()
    (run / "recipe.yaml").write_text("model: x\n")
    proof = run / "exports" / NAME
    proof.mkdir(parents=True)
    (proof / "proof.json").write_text(json.dumps(PROOF))
    planted.folder(run / "exporting", [*EVENTS.values()], "export", to=None)
    whole = Report({**PREPARED, "rejected": {EVIL: 3}, "without_rows": {EVIL: 1}})
    said = [one for one in EVENTS.values() if not isinstance(one, Report)]
    dataset = planted.folder(paths.datasets(), [*said, whole, Failed(EVIL, EVIL, EVIL, 1)], "prepare", task=EVIL)
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL}],
        "source": EVIL,
    }
    row |= {"reason": EVIL, "evidence": EVIL, "heading": EVIL, "by": EVIL, "page": 3, "score": 3}
    for name in ("train.jsonl", "held_out.jsonl", "rejected.jsonl"):
        (dataset / name).write_text(json.dumps(row) + "\n")
    evil = json.dumps(EVIL)
    recipe = folder / f"{NAME}.yaml"
    recipe.write_text(f"# {NAME}\nmodel: {evil}\ndata: {{path: {evil}}}\ntrain: {{steps: 3}}\n", "utf-8", "replace")
    (paths.models() / NAME).mkdir(parents=True)
    (paths.models() / NAME / "config.json").write_text("{}")
    read = planted.folder(folder, [Report(CHECK), Rows("train", 0, [ROW]), *said], "rows", "rows")
    monkeypatch.setattr(processes, "errand", lambda kind, spec, secret="": processes.Job(read))
    talk = planted.folder(folder, TALK, "chat", "talk")
    monkeypatch.setattr(chats, "start", lambda *words: processes.Job(talk))
    monkeypatch.setattr("tui.errand.shutil.rmtree", lambda *words, **more: None)
    return {"run": run, "dataset": dataset, "recipe": recipe, "folder": folder}


def drawn(app: GemmalocalApp) -> str:
    """What the screen shows; nothing of it is raw, or does something when it is clicked."""
    segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
    for segment in segments:
        assert not raw(segment.text), repr(segment.text)
        assert "\n" not in segment.text
        assert "app.quit" not in str(segment.style and segment.style.meta.get("@click"))
    return "".join(segment.text for segment in segments)


Shows = Callable[[dict[str, Path]], Screen[Any]]
SCREENS: dict[str, Shows] = {
    "train": lambda there: TrainScreen(there["run"]),
    "export": lambda there: ExportScreen(there["run"]),
    "compare": lambda there: CompareScreen([EVIL]),
    "dataset": lambda there: DatasetScreen(str(there["dataset"])),
    "preparing": lambda there: PreparingScreen(there["dataset"]),
    "documents": lambda there: DocumentsScreen(EVIL, {"sources": [EVIL], "model": EVIL, "prompts": EVIL}),
    "recipe": lambda there: RecipeScreen(there["recipe"]),
    "browse": lambda there: BrowseScreen(there["folder"]),
    "pick": lambda there: PickScreen(EVIL, recipes, EVIL),
    "problem": lambda there: ProblemScreen(EVIL, EVIL, EVIL, there["run"]),
    "confirm": lambda there: ConfirmScreen(EVIL, EVIL, "Yes"),
    "number": lambda there: AskNumberScreen(EVIL),
    "path": lambda there: AskPathScreen(EVIL, Path(EVIL)),
    "edit": lambda there: EditRowScreen(EVIL, EVIL, EVIL, EVIL),
    "palette": lambda there: Palette(EVIL, [Command(EVIL, EVIL, print)]),
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    (tmp_path / "here").mkdir()
    return world(tmp_path / "here", monkeypatch)


async def shown(pilot: Pilot[None]) -> str:
    app = pilot.app
    assert isinstance(app, GemmalocalApp)
    await until(pilot, lambda: "evil" in drawn(app))
    await pilot.pause(0.3)
    await until(pilot, lambda: "evil" in drawn(app))  # for an instant, a screen that is laid out anew shows nothing
    return drawn(app)


async def test_no_screen_draws_raw(there: dict[str, Path]) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(160, 50)) as pilot:
        assert "\\x1b[2J" in await shown(pilot)  # home
        for name, screen in SCREENS.items():
            app.push_screen(screen(there))
            await until(pilot, lambda name=name: type(app.screen).__name__ != "HomeScreen")  # type: ignore[misc]
            assert "evil" in await shown(pilot), name
            app.notify(EVIL)
            app.screen.notify(EVIL)
            await pilot.pause(0.1)
            drawn(app)
            app.clear_notifications()
            while len(app.screen_stack) > 1:
                await app.pop_screen()
        assert app.is_running


async def test_no_key_makes_a_screen_draw_raw(there: dict[str, Path]) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(160, 50)) as pilot:
        await shown(pilot)
        for screen, keys in (("dataset", "slhsjk"), ("export", "g"), ("preparing", "o"), ("train", "g")):
            app.push_screen(SCREENS[screen](there))
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.2)
                drawn(app)
            while len(app.screen_stack) > 1:
                await app.pop_screen()


async def test_what_is_typed_or_pasted_is_drawn_written_out() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        app.push_screen(EditRowScreen("x", None, ""))
        await until(pilot, lambda: app.screen.query(TextArea))
        app.screen.query_one(TextArea).insert(EVIL)
        await shown(pilot)
        app.push_screen(AskNumberScreen("x"))
        await until(pilot, lambda: app.screen.query(Input))
        app.screen.query_one(Input).value = EVIL
        await pilot.pause(0.1)
        drawn(app)


async def test_the_palette_may_be_closed_while_it_searches() -> None:
    app = GemmalocalApp()
    async with app.run_test() as pilot:
        for _ in range(3):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, Palette))
            typed(app, *"light", "escape")
            await until(pilot, lambda: app.screen is app.screen_stack[0])
        assert app.is_running


async def test_the_palette_finds_a_run_of_any_name() -> None:
    planted.run([Started("train", 1, 1)])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app._runs)
        await pilot.press("ctrl+p", *"open", "space", *"evil")
        await until(pilot, lambda: "[red]m" in drawn(app))
        assert raw(NAME)
        await pilot.press("escape")
