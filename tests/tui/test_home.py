"""Home: runs that are searched, sorted, labelled and begun anew; what is deleted comes back; lists beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from gemmalocal.errors import DatasetError
from gemmalocal.files import paths
from gemmalocal.jobs.events import Evaluated, Finished, Started, Step
from gemmalocal.workspace import datasets, labels, settings
from gemmalocal.workspace.labels import Labels
from tests.tui.recorded import RUNS, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.home import HomeScreen, machine_line
from tui.screens.label import LabelScreen
from tui.screens.palette import Palette
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.theme import CONTRAST
from tui.widgets.marks import area, change, spark
from tui.widgets.run_table import RunTable, columns
from tui.widgets.shelf_table import ShelfTable
from tui.widgets.shelf_table import columns as shelf_columns


def home(pilot: Pilot[None]) -> HomeScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, HomeScreen)
    return screen


def listed(pilot: Pilot[None]) -> list[str]:
    return [run.name for run in home(pilot).query_one(RunTable)._items]


def several() -> None:
    record("quotes-1", RUNS["finished"], 4e8)
    record("quotes-2", RUNS["failed"], 3e8)
    record("contracts", RUNS["killed"], 2e8)
    best = record("best", [Started("train", 1, 1), Evaluated(0, 3.0, 9), Evaluated(5, 1.0, 9), Finished("done")], 1e8)
    labels.write(best, Labels(("good", "low-rank"), "the one for Ada"))


async def test_runs_are_searched_filtered_and_sorted_and_the_order_is_kept() -> None:
    several()
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: listed(pilot) == ["quotes-1", "quotes-2", "contracts", "best"])
        for query, names in (
            ("quotes-", ["quotes-1", "quotes-2"]),
            ("#low", ["best"]),
            ("ADA", ["best"]),
            ("no such", []),
        ):
            await pilot.press("slash")
            app.screen.query_one("#search", Input).value = query
            await until(pilot, lambda names=names: listed(pilot) == names)  # type: ignore[misc]
            await pilot.press("enter")
        assert "No run is like that" in str(app.screen.query_one("#nothing", Static).content)
        await pilot.press("escape")
        await until(pilot, lambda: len(listed(pilot)) == 4)
        await pilot.press("f", "f")  # running, done
        await until(pilot, lambda: listed(pilot) == ["quotes-1", "best"])
        assert "2 of 4 · only done" in str(app.screen.query_one("#lists").border_subtitle)
        await pilot.press("escape", "o", "o")
        await until(pilot, lambda: listed(pilot)[:2] == ["best", "quotes-1"])
        await until(pilot, lambda: settings.text("home.order") == "held-out")
    async with GemmalocalApp().run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: listed(pilot)[:2] == ["best", "quotes-1"])


async def test_end_and_home_go_to_the_last_and_the_first_run() -> None:
    several()
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(listed(pilot)) == 4)
        table = app.screen.query_one(RunTable)
        for key, name in (("end", "best"), ("home", "quotes-1"), ("j", "quotes-2"), ("k", "quotes-1")):
            await pilot.press(key)
            assert table.current is not None
            assert table.current.name == name


async def test_a_run_gets_a_name_tags_and_a_note_and_begins_anew(recipe_path: Path) -> None:
    folder = record("quotes-1", RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: listed(pilot) == ["quotes-1"])
        assert not app.screen.check_action("again", ())  # it has no recipe
        await pilot.press("l")
        assert isinstance(app.screen, LabelScreen)
        app.screen.query_one("#label-name", Input).value = "../up"
        await pilot.press("enter")
        assert "cannot be a run's name" in str(app.screen.query_one("#warning", Static).content)
        for field, words in (("name", "for-ada"), ("tags", "best #try"), ("note", "low rank, [b]twice[/b]")):
            app.screen.query_one(f"#label-{field}", Input).value = words
        await pilot.press("enter")
        await until(pilot, lambda: listed(pilot) == ["for-ada"])
        renamed = folder.with_name("for-ada")
        await until(pilot, lambda: "low rank, [b]twice[/b]" in str(app.screen.query_one("#about-text", Static).content))
        assert labels.read(renamed).tags == ("best", "try")
        (renamed / "recipe.yaml").write_text(recipe_path.read_text())
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))


async def test_datasets_models_and_recipes_are_lists_of_their_own() -> None:
    record("quotes-1", RUNS["finished"])
    folder = prepared("docs", "/no/model")
    app = GemmalocalApp()
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: listed(pilot))
        shelf = app.screen.query_one(ShelfTable)
        for key, name in (("3", "gemma-3-270m-demo"), ("4", "quotes"), ("2", "docs")):
            await pilot.press(key)
            await until(pilot, lambda name=name: shelf.current and shelf.current.cells[0] == name)  # type: ignore[misc]
        assert "2 to train on, 2 held out" in str(app.screen.query_one("#about-text", Static).content)
        await pilot.press("delete", "right", "enter")
        await until(pilot, lambda: not folder.exists())
        await pilot.press("ctrl+z")
        await until(pilot, lambda: folder.exists() and shelf.current)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen_stack[-1], DatasetScreen | ProblemScreen))


async def test_a_dataset_outside_the_workspace_by_a_winding_path(tmp_path: Path, tiny: Path) -> None:
    """It opens as any other where it is; but nothing is made at what looks like a name and leads elsewhere."""
    (tmp_path / "my papers").mkdir()
    folder = prepared(str(tmp_path / "my papers" / ".." / "x"), str(tiny))
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := DatasetScreen(str(folder)))
        await until(pilot, lambda: not screen._doing and screen._view)
    assert (tmp_path / "x" / "train.jsonl").is_file()
    assert not list(paths.datasets().glob("*"))
    for slip in ("my papers/../x", "a/../../x"):
        with pytest.raises(DatasetError, match="leads somewhere else"):
            datasets.folder_of(slip)
    assert datasets.folder_of("../x").name == "x"


async def test_a_theme_is_chosen_in_the_palette_and_kept() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("ctrl+p", *"theme", "enter")
        await until(pilot, lambda: isinstance(app.screen, Palette) and app.screen._heading == "Theme")
        await pilot.press(*"highcontrast", "enter")
        await until(pilot, lambda: app.theme == CONTRAST.name and settings.text("theme") == CONTRAST.name)
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)):
        assert app.theme == CONTRAST.name
    settings.write("theme", "one that is no more")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)):
        assert app.theme == "gemmalocal-dark"


@pytest.mark.parametrize("room", [40, 56, 74, 96, 156, 246])
def test_a_state_is_only_cut_where_there_is_no_room(room: int) -> None:
    longest = len("■ stopped 431/4000")
    widths = columns(room, longest)
    assert widths["State"] == longest
    assert sum(widths.values()) + 2 * len(widths) <= room
    assert "Held-out" in widths or room < 56
    assert "Speed" in widths or room < 96


def test_small_drawings_of_numbers() -> None:
    assert change(2.0, 1.999) == "0 %"  # not "-0 %"
    assert change(2.0, 1.0) == "−50 %"
    assert change(0.0, 1.0) == ""
    assert spark([3.0, 2.0, 1.0], 2) == "█▁"
    assert area([1.0, 3.0], 4, 2) == ["  ██", "▁▁██"]
    assert area([], 10, 3) == []
    assert len(area([float(n) for n in range(999)], 40, 5)[0]) == 40


async def test_a_curve_of_many_steps_is_drawn_beside_the_list() -> None:
    steps = [Step(n, 20_000, 3.0 / n, 9, 1e-4, 1.0, 0.1, 1) for n in range(1, 20_001)]
    record("long", [Started("train", 1, 1), *steps, Finished("done")])
    app = GemmalocalApp()
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "20,000 of 20,000" in str(app.screen.query_one("#about-text", Static).content))


@pytest.mark.parametrize(("room", "count"), [(200, 4), (70, 4), (50, 4), (40, 3), (30, 2), (9, 1)])
def test_columns_that_find_no_room_are_left_out(room: int, count: int) -> None:
    widths = shelf_columns([30, 7, 11, 6], room)
    assert len(widths) == count
    assert sum(widths.values()) + 2 * count == room
    spare = shelf_columns([30, 7, 11, 6], room, [2])
    assert (2 in spare) == (count == 4)
    assert (3 in spare) == (len(spare) > 2)


@pytest.mark.parametrize(
    ("chip", "shown"),
    [
        ("Intel(R) Xeon(R) Processor @ 2.80GHz", "Intel Xeon ·"),
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763 64 ·"),
        ("Apple M2 Pro", "Apple M2 Pro ·"),
        ("13th Gen Intel(R) Core(TM) i7-1360P", "13th Gen Intel Core i7-1360P ·"),
    ],
)
def test_the_machine_in_a_line_leaves_room_for_the_rest(chip: str, shown: str) -> None:
    line = machine_line({"chip": chip, "memory": 25_300_000_000, "memory_free": 2**33})
    assert line.startswith(shown)
    assert "· 25 GB ·" in line  # as Models says it, and the plan of a recipe
