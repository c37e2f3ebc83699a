"""Models are listed with what fits, fetched from a hub with a way to stop, and deleted after a question."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Static
from textual.widgets._footer import FooterKey

from gemmalocal.export import gguf_write, merge
from gemmalocal.files import paths
from gemmalocal.jobs.events import Progress
from gemmalocal.workspace import trash
from tests.tui.test_app import until
from tests.weights import hub_server
from tests.weights.hub_server import Hub, Repository
from tui.app import GemmalocalApp
from tui.screens.ask_line import AskLineScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.home import HomeScreen
from tui.screens.model_work import progress
from tui.screens.models import ModelsScreen, ModelTable
from tui.screens.pick import PickScreen
from tui.screens.problem import ProblemScreen


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has one of the published models, and is the only one that is known."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    with hub_server.running(Hub()) as found:
        found.repositories["mlx-community/gemma-3-1b-it-4bit"] = Repository(files)
        hub_server.only(found.url, tmp_path / "hf", monkeypatch)
        yield found


@pytest.mark.usefixtures("forks")
async def test_a_model_is_fetched_and_deleted_and_one_of_ours_comes_back(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, paths.models() / "ours")
    app = GemmalocalApp()
    async with app.run_test(size=(110, 40)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        table = screen.query_one(ModelTable)

        def go_to(name: str) -> None:
            keys = [item.key for item in table._items]
            table.move_cursor(row=next(at for at, key in enumerate(keys) if key.endswith(f":{name}")))

        go_to("google/gemma-3-1b-it")
        await until(pilot, lambda: "It is gated" in str(screen.query_one("#about-model-text", Static).content))
        assert not screen.check_action("delete", ())
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))  # this hub does not have it
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen and screen._working is None)
        go_to("mlx-community/gemma-3-1b-it-4bit")
        await until(pilot, lambda: screen.check_action("fetch", ()))
        await pilot.press("f")
        await until(pilot, lambda: any("is here" in note.message for note in app._notifications))
        await until(pilot, lambda: any(m["place"] == "Hub cache" for m in screen._models.values()))
        go_to("mlx-community/gemma-3-1b-it-4bit")
        await until(pilot, lambda: screen.check_action("delete", ()))
        await pilot.press("delete")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("right", "enter")
        cache = tmp_path / "hf" / "hub" / "models--mlx-community--gemma-3-1b-it-4bit"
        await until(pilot, lambda: not cache.exists())
        go_to("ours")
        await until(pilot, lambda: screen.model and screen.model["name"] == "ours" and not screen._working)
        await pilot.press("delete", "right", "enter")
        await until(pilot, lambda: trash.entries())
        assert trash.entries()[0].kind == "model"
        await pilot.press("escape", "ctrl+z")
        await until(pilot, lambda: (paths.models() / "ours" / "config.json").is_file())
        assert isinstance(app.screen, HomeScreen)


async def test_where_a_model_is_stays_seen_in_60_columns(hub: Hub, tiny: Path) -> None:
    shutil.copytree(tiny, paths.models() / "ours")
    app = GemmalocalApp()
    async with app.run_test(size=(60, 15)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        table = screen.query_one(ModelTable)

        def labels() -> list[str]:
            return [str(column.label) for column in table.columns.values()]

        assert labels() == ["Model", "Size", "Trains", "Where"]
        assert "enter" not in {key.key for key in screen.query(FooterKey)}  # a model that is here opens nothing
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: labels() == ["Model", "Size", "Trains", "Chats", "Where"])


def test_how_far_a_download_is() -> None:
    words = progress("google/gemma", Progress("downloading", 500_000_000, 2_000_000_000), 10e6).plain
    assert "google/gemma · 0.50 of 2.00 GB · 10.0 MB/s · 2 min left" in words
    assert "left" not in progress("x", Progress("downloading", 0, 0), 0.0).plain


def warned(app: GemmalocalApp) -> str:
    return str(app.screen.query_one("#warning", Static).content)


@pytest.mark.usefixtures("forks")
async def test_a_gguf_is_imported_where_it_lies(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ggufs"
    folder.mkdir()
    plan = gguf_write.plan(tiny, merge.merged(tiny, None), "F16")
    gguf_write.write(folder / "mine.gguf", tiny, plan, "mine", lambda *progress: None)
    monkeypatch.setenv("GEMMALOCAL_MODELS", str(folder))
    app = GemmalocalApp()
    async with app.run_test(size=(110, 40)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready and screen.model and screen.model["train"] == "import")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskLineScreen) and app.screen.query_one(Input).value)
        assert app.screen.query_one(Input).value == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: (paths.models() / "mine" / "config.json").is_file())
        await until(pilot, lambda: "mine" in {model["name"] for model in screen._models.values()})
        await until(pilot, lambda: not screen._working)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "There is a model 'mine' already." in warned(app))
        await pilot.press("enter")
        assert isinstance(app.screen, AskLineScreen)  # the question stays
        await pilot.press("end", "slash")
        await until(pilot, lambda: "cannot be a model's name" in warned(app))
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: (paths.models() / "mine2" / "config.json").is_file())


async def test_any_model_of_the_hub_is_fetched_by_its_name(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    hub.repositories["someone/own"] = Repository({**files, "small.gguf": b"GGUF"})
    cache = tmp_path / "hf" / "hub" / "models--someone--own"
    app = GemmalocalApp()
    async with app.run_test(size=(110, 40)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AskLineScreen))
        await pilot.press(*"someone", "enter")
        assert "cannot be a name on the Hub" in str(app.screen.query_one("#warning", Static).content)
        assert hub.requests == []
        await pilot.press("slash", *"own", "space", *"small.gguf", "enter")
        await until(pilot, lambda: any(cache.glob("snapshots/*/small.gguf")) and not screen._working)
        assert not any(cache.glob("snapshots/*/config.json"))
