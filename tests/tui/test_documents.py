"""Documents to rows by keys, with real children: chosen, read, refused, watched, stopped and found again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.widgets import Button, DataTable, Input, OptionList, Static

from gemmalocal.files import paths
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Finished, Started
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets
from tests.pipelines.preparations import BEES, LIGHT
from tests.tui.picture import taken
from tests.tui.recorded import hold, preparing, voted
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.browse import BrowseScreen, MarkTree
from tui.screens.documents import DocumentsScreen
from tui.screens.home import HomeScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.run_screen import PreparationStarted
from tui.widgets.choice import Choice
from tui.widgets.sources import Sources, completed


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two documents and a picture, in a folder beside which we stand."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "light.md").write_text(LIGHT)
    (folder / "bees.md").write_text(BEES)
    (folder / "picture.xyz").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.chdir(tmp_path)
    return folder


async def test_from_home_to_rows(papers: Path, tiny: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("d")
        form = app.screen
        assert isinstance(form, DocumentsScreen)
        await until(pilot, lambda: form.focused is not None)
        await pilot.press(*"pap")
        await until(pilot, lambda: form.focused is not None and getattr(form.focused, "_suggestion", "") == "papers/")
        await pilot.press("right", "enter")
        assert form.query_one(Sources).chosen == ["papers/"]
        form.query_one("FieldForm").fill({"author": "rules", "model": str(tiny)})  # type: ignore[attr-defined]
        form.on_field_form_edited()
        form.query_one("#name", Input).value = "mine"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.run)
        screen = app.screen
        assert isinstance(screen, PreparingScreen)
        await until(pilot, lambda: screen.run and screen.run.state.status == "done")
        table = screen.query_one(DataTable)
        names = [str(table.get_row_at(row)[0]) for row in range(table.row_count)]
        assert names == ["✓ bees.md", "✓ light.md", "✗ picture.xyz"]
        assert "is an image" in str(table.get_row_at(2)[2])
        said = str(screen.query_one("#counts", Static).content)
        rows = datasets.read(paths.datasets() / "mine" / TRAIN_FILE)
        assert f"{len(rows)} to train on" in said
        await pilot.press("down", "down")
        assert str(papers / "picture.xyz") in str(screen.query_one("#detail", Static).content)
        await pilot.press("escape", "ctrl+l")
        await until(pilot, lambda: app.screen.query("OptionList") and app.screen.query_one(OptionList).option_count)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.run)
        assert app.screen.query_one(DataTable).row_count == 3  # a past one looks the same
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, DocumentsScreen) and app.screen is not form)
        await until(pilot, lambda: bool(app.screen.query(Sources)) and app.screen.query_one(Sources).chosen)
        assert app.screen.query_one("#name", Input).value == "mine"  # the form, filled with what it was made by


@pytest.mark.parametrize("listed", [True, False])
async def test_the_end_of_a_preparation_is_told_where_it_is_not_looked_at(tmp_path: Path, listed: bool) -> None:
    """Also of one outside of the workspace, which the form announces."""
    folder = preparing((paths.datasets() if listed else tmp_path / "mine") / "docs")
    child = hold(folder)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        if not listed:
            app.screen.post_message(PreparationStarted(folder))
        await until(pilot, lambda: [run.state.status for run in app._prepared] == ["live"])
        app.push_screen(PreparingScreen(folder))
        await until(pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.run)
        await pilot.press("escape")
        with (folder / "events.jsonl").open("a") as file:
            file.write(encode(Finished("done", "7 rows in train.jsonl"), 1.0) + "\n")
        child.communicate("\n")
        told = "docs done: 7 rows in train.jsonl"
        await until(pilot, lambda: told in [note.message for note in app._notifications])


async def test_the_end_of_a_preparation_is_not_told_on_its_own_screen() -> None:
    folder = preparing(paths.datasets() / "docs")
    child = hold(folder)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(PreparingScreen(folder))
        await until(pilot, lambda: [run.state.status for run in app._prepared] == ["live"])
        child.communicate("\n")
        await until(pilot, lambda: [run.state.status for run in app._prepared] == ["killed"])
        await pilot.pause()
        assert not list(app._notifications)


async def test_marks_in_the_tree_are_the_sources(papers: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        form = DocumentsScreen()
        await app.push_screen(form)
        await pilot.press("ctrl+o")
        browse = app.screen
        assert isinstance(browse, BrowseScreen)
        tree = browse.query_one(MarkTree)
        tree.focus()
        tree.path = papers
        await until(pilot, lambda: len(tree.root.children) == 3)
        await pilot.press("down", "space", "down", "enter", "down", "space", "space", "a")
        assert form.query_one(Sources).chosen == [str(papers / "bees.md"), str(papers / "light.md")]
        await pilot.press("shift+tab", "down", "delete")
        assert form.query_one(Sources).chosen == [str(papers / "light.md")]


async def test_a_form_that_does_not_fit_starts_nothing(papers: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        form = DocumentsScreen()
        await app.push_screen(form)
        await pilot.press("ctrl+r")
        assert app.screen is form
        form.query_one(Sources).add([str(papers)])
        url = next(one for one in form.query(Input) if "endpoint.url" in str(getattr(one, "HELP", "")))
        url.value = "localhost:1234"
        await until(pilot, lambda: form.query(".problem"))
        assert "http://" in str(form.query_one(".problem", Static).content)
        await pilot.press("ctrl+r")
        assert app.screen is form
        assert not paths.datasets().exists()
        assert [choice.value for choice in form.query(Choice)][:2] == ["qa", "model"]


def test_a_path_is_completed_by_the_first_name(papers: Path) -> None:
    assert completed("pa") == "papers/"
    assert completed("papers/l") == "papers/light.md"
    assert completed("papers/nothing") is None
    assert completed(str(papers) + "/") == f"{papers}/bees.md"
    assert completed("nowhere/") is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("my papers/../x", True),
        ("papers/x", True),
        ("./a/../../x", True),
        ("a b", True),
        ("docs", False),
        ("./x", False),
    ],
)
async def test_a_name_that_leads_elsewhere_is_refused_where_it_is_typed(name: str, wrong: bool, tmp_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = DocumentsScreen(spec={"sources": [str(tmp_path)], "author": "rules"})
        await app.push_screen(screen)
        await until(pilot, lambda: not screen.query_one("#start", Button).disabled)
        screen.query_one("#name", Input).value = name
        await until(pilot, lambda: screen.query_one("#start", Button).disabled is wrong)
        assert screen.query_one("#name-problem").display is wrong


def drawn(app: GemmalocalApp) -> str:
    return "\n".join("".join(text for text, _ in line) for line in taken(app.screen._compositor.render_strips()))


@pytest.mark.parametrize("older", [False, True])
async def test_a_preparation_of_votes_shows_its_chats_and_no_documents(older: bool) -> None:
    """One that an older version made told nothing of its chats: then there is no empty panel."""
    folder = voted([("chat-1", 3), ("chat-2", 0)], older)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(PreparingScreen(folder))
        await until(pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.run)
        await until(pilot, lambda: "3 rows kept" in drawn(app))
        assert "ocument" not in drawn(app)
        await until(pilot, lambda: ("╭─ Chats ─" in drawn(app)) is not older)
        assert ("2 chats read" in drawn(app)) is not older
        if not older:
            assert re.search(r"✓ chat-1 +3 ", drawn(app))
            assert re.search(r"✓ chat-2 +0 ", drawn(app))


async def test_up_on_a_list_of_documents_that_is_empty(tmp_path: Path) -> None:
    folder = preparing(tmp_path / "docs")
    (folder / "events.jsonl").write_text(encode(Started("prepare", 1, 1), 1e9) + "\n")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(PreparingScreen(folder))
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: table.columns)
        table.focus()
        await pilot.press("up")
        assert table.cursor_row == -1  # Textual's for no row
        assert app.is_running
