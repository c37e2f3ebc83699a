"""The dataset screen by keys: rows as they are trained, dropped, accepted and edited; files of others left alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static, TextArea

from gemmalocal.files import paths
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets, ratings
from tests.pipelines.preparations import BEES, LIGHT
from tests.tui.recorded import prepared
from tests.tui.test_app import until
from tests.workspace.test_covered import coverage
from tests.workspace.test_ratings import judged, rate_all
from tui.app import GemmalocalApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.report import ReportScreen
from tui.screens.review import ReviewScreen
from tui.widgets.row_card import RowCard
from tui.widgets.sources import Sources
from tui.widgets.title_line import TitleLine


def card(screen: DatasetScreen) -> str:
    return str(screen.query(RowCard).first(RowCard).content)


def right(screen: DatasetScreen) -> str:
    return str(screen.query_one(TitleLine).right)


async def shown(pilot: Pilot[None], screen: DatasetScreen) -> None:
    """Until its first rows are there, as they are trained."""
    await until(pilot, lambda: "tokens," in card(screen) and not screen._busy)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder of two documents."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "light.md").write_text(LIGHT)
    (folder / "bees.md").write_text(BEES)
    return folder


async def test_documents_to_rows_one_dropped_and_accepted_again(papers: Path, tiny: Path) -> None:
    folder = paths.datasets() / "docs"
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        spec = {"author": "rules", "model": str(tiny), "held_out": 0.5, "passage_tokens": 400}
        await app.push_screen(DocumentsScreen(spec=spec))
        app.screen.query_one(Sources).add([str(papers)])
        await pilot.pause()
        await pilot.press("ctrl+r")
        await until(  # as long as the preparation lives, the dataset is its own
            pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.check_action("change", ())
        )
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, DatasetScreen))
        screen = app.screen
        assert isinstance(screen, DatasetScreen)
        await shown(pilot, screen)
        before = datasets.read(folder / TRAIN_FILE)
        assert right(screen) == f"row 1 of {len(before)}"
        assert "<eos>" in card(screen)
        await pilot.press("j")
        second = card(screen)
        assert second.startswith("2  ")
        await pilot.press("d")
        await until(pilot, lambda: right(screen) == f"row 2 of {len(before) - 1}")
        await shown(pilot, screen)
        assert card(screen) != second
        assert datasets.read(folder / TRAIN_FILE) == [before[0], *before[2:]]
        await pilot.press("u")
        await until(pilot, lambda: datasets.read(folder / TRAIN_FILE) == before)
        await shown(pilot, screen)
        assert card(screen) == second
        await pilot.press("d")
        await until(pilot, lambda: right(screen) == f"row 2 of {len(before) - 1}")
        await shown(pilot, screen)
        await pilot.press("s", "s", "end")
        await until(pilot, lambda: "was dropped by hand" in card(screen))
        await pilot.press("a")
        await until(pilot, lambda: len(datasets.read(folder / TRAIN_FILE)) == len(before))
        assert datasets.read(folder / TRAIN_FILE)[-1] == before[1]
        assert datasets.DROPPED not in {row["reason"] for row in datasets.read(folder / datasets.REJECTED)}
        await until(pilot, lambda: not screen._busy)
        await pilot.press("s")
        await until(pilot, lambda: screen.row_at_hand is not None)  # its page has come
        place = await answered_anew(pilot, screen, folder)
        await found_and_filtered(pilot, screen, place, len(before))
        assert screen._job is not None
        errand = screen._job.directory
        await pilot.press("escape")
        await until(pilot, lambda: not errand.exists())


async def answered_anew(pilot: Pilot[None], screen: DatasetScreen, folder: Path) -> int:
    """Write another answer to the row at hand; its place."""
    await pilot.press("e")
    await until(pilot, lambda: pilot.app.screen.query("#answer"))
    pilot.app.screen.query_one("#answer", TextArea).text = "Six wicks."
    await pilot.press("ctrl+s")
    place = screen._at["train"]
    await until(pilot, lambda: dataset_rows.answer(datasets.read(folder / TRAIN_FILE)[place]) == "Six wicks.")
    await until(pilot, lambda: "Six wicks.<eos>" in card(screen))
    return place


async def found_and_filtered(pilot: Pilot[None], screen: DatasetScreen, place: int, rows: int) -> None:
    """Search for the row at a place, then the rows of one document; all of them again after each."""
    await pilot.press("slash", *"principal", "enter")
    await until(pilot, lambda: right(screen) == 'row 1 of 1 with "principal"')
    await until(pilot, lambda: card(screen).startswith(f"{place + 1}  "))
    await pilot.press("escape")  # all of them again
    assert right(screen) == f"row 1 of {rows}"
    await pilot.press("f")
    await until(pilot, lambda: pilot.app.screen.query(OptionList))
    await pilot.press("down", "enter")
    await until(pilot, lambda: " of " in right(screen) and right(screen).endswith(".md"))
    await pilot.press("escape")


async def test_a_file_of_somebody_else_is_only_looked_at(recipe_path: Path, rows: Path) -> None:
    with rows.open("a") as file:
        file.write('\nno row\n{"prompt": "<b>of</b>", "completion": " markup"}')
    before = rows.read_bytes()
    app = GemmalocalApp()
    async with app.run_test(size=(130, 40)) as pilot:
        screen = DatasetScreen(str(recipe_path))
        await app.push_screen(screen)
        await shown(pilot, screen)
        assert "read only" in str(screen.query_one("#about", Static).content)
        assert [screen.check_action(name, ()) for name in ("edit", "drop", "accept")] == [None, None, False]
        assert screen.check_action("coverage", ()) is False  # nobody knows what they are of
        assert "left out" in str(screen.query_one("#numbers", Static).content)
        await pilot.press("d", "e", "a")
        await pilot.press("l")
        assert isinstance(app.screen, ReportScreen)
        assert "is not JSON" in app.screen._text.plain
        await pilot.press("escape", "g")
        await pilot.press("7", "enter")
        await until(pilot, lambda: card(screen).startswith("7  rows.jsonl:"))
        await pilot.press("s")
        await until(pilot, lambda: screen.query_one(TitleLine).left == "tiny · held-out")
        await shown(pilot, screen)
    assert rows.read_bytes() == before


async def test_what_no_row_is_about_is_shown() -> None:
    folder = prepared("docs", "/no/model")
    (folder / datasets.REPORT).write_text(json.dumps({"coverage": coverage()}))
    app = GemmalocalApp()
    async with app.run_test(size=(130, 40)) as pilot:
        screen = DatasetScreen("docs")
        await app.push_screen(screen)
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        await pilot.press("escape")
        assert "2 of 5 passages have a row" in str(screen.query_one("#numbers", Static).content)
        await pilot.press("c")
        assert isinstance(app.screen, ReportScreen)
        assert "eels.pdf · p. 3 · Nets" in app.screen._text.plain


async def test_without_the_model_rows_are_shown_as_written_and_can_be_changed() -> None:
    folder = prepared("docs", "/no/model")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DatasetScreen("docs")
        await app.push_screen(screen)
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        await pilot.press("escape")
        assert "as they stand in the file" in str(screen.query_one("#about", Static).content)
        assert "row 0" in card(screen)
        await pilot.press("d")
        await until(pilot, lambda: right(screen) == "row 1 of 1")
        assert "row 1" in card(screen)
        assert [row["text"] for row in datasets.read(folder / datasets.REJECTED)] == ["row 0"]


async def test_rows_are_picked_at_home_or_named(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rows.parent)  # a short name is soon typed
    prepared("docs")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.screen.query("OptionList") and app.screen.query_one(OptionList).option_count > 3)
        assert "docs" in str(app.screen.query_one(OptionList).get_option_at_index(0).prompt)
        app.screen.query_one(Input).focus()
        await pilot.press(*"nothing.jsonl", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        assert "There are no rows at" in str(app.screen.query_one("#sentence", Static).content)
        await pilot.press("escape")
        assert isinstance(app.screen, DatasetScreen)
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]


async def test_rows_are_rated_by_keys_and_the_threshold_is_taken() -> None:
    folder = judged()
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = DatasetScreen("docs")
        await app.push_screen(screen)
        await until(pilot, lambda: screen._rows.files)
        await until(pilot, lambda: screen.check_action("review", ()))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen._state is not None)
        review = app.screen
        assert isinstance(review, ReviewScreen)
        assert "row 1 of 25" in str(review.query_one("#standing", Static).content)
        assert "score" not in str(review.query_one("#row", Static).content)
        await pilot.press("g", "b", "u", "g", "s")
        await until(pilot, lambda: list(ratings.opened(folder).ratings.values()) == ["good", "good", "skip"])
        assert "2 of 2 rated good by you" in str(review.query_one("#standing", Static).content)
        assert not review.check_action("threshold", ())
        await pilot.press("escape")
        await until(pilot, lambda: "2 of 2 rated good by you" in str(screen.query_one("#about", Static).content))
        await asyncio.to_thread(rate_all, folder, 9)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen.check_action("threshold", ()))
        assert "A threshold of 9 separates them best" in str(app.screen.query_one("#row", Static).content)
        await pilot.press("t")
        await until(pilot, lambda: ratings.chosen(folder) == 9)
        await until(pilot, lambda: min(row["score"] for row in datasets.read(folder / TRAIN_FILE)) == 9)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)


@pytest.mark.parametrize("source", ["hf:owner/name", "docs"])
async def test_looking_at_rows_asks_before_the_network(source: str) -> None:
    prepared("docs", "someone/a-model-of-the-hub")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DatasetScreen(source)
        await app.push_screen(screen)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, lambda: not screen._doing)
        assert screen._job is None
        if source == "docs":  # ours are shown as they are written
            assert "row 0" in card(screen)
    assert not [*paths.errands().glob("rows-*")]


async def test_marked_rows_are_dropped_and_accepted_together_and_taken_back_as_one() -> None:
    rows = [{"text": f"row {number}", "source": "/papers/bees.md"} for number in range(5)]
    folder = prepared("docs", "/no/model", rows, rows[:0])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := DatasetScreen(str(folder)))
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))  # its model is not there
        await pilot.press("escape")
        await until(pilot, lambda: "row 1 of 5" in right(screen))
        await pilot.press("space", "j", "space", "space", "k", "space")  # the first and the third; the fourth no more
        assert "2 marked" in right(screen)
        assert card(screen).startswith("5  ")
        await pilot.press("d")
        await until(pilot, lambda: not screen._busy and "of 3" in right(screen))
        assert [row["text"] for row in datasets.read(folder / TRAIN_FILE)] == ["row 1", "row 3", "row 4"]
        assert "marked" not in right(screen)
        await pilot.press("s", "s", "space", "space", "a")
        await until(pilot, lambda: not screen._busy and len(datasets.read(folder / TRAIN_FILE)) == 5)
        assert any("2 rows were accepted" in note.message for note in app._notifications)
        await pilot.press("u")
        await until(pilot, lambda: not screen._busy and len(datasets.read(folder / TRAIN_FILE)) == 3)
        await pilot.press("u")
        await until(pilot, lambda: not screen._busy and datasets.read(folder / TRAIN_FILE) == rows)
