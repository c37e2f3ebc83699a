"""What can be done at home, each in a screen of its own or with the run at hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from textual.binding import Binding

from gemmalocal.workspace import labels, runs, trash
from gemmalocal.workspace.runs import Run
from gemmalocal.workspace.trash import Entry
from tui.background import run_in_background
from tui.screens.run_screen import RunScreen
from tui.widgets.shelf_table import Item

if TYPE_CHECKING:
    from tui.screens.label import Said
    from tui.screens.new_run import Chosen


class HomeActions(RunScreen):
    """Keys of home, and what they lead to."""

    BINDINGS = [
        Binding("n", "new", "New run"),
        Binding("d", "documents", "Documents"),
        Binding("m", "models", "Models"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("c", "compare", "Compare"),
        Binding("v", "verdict", "Did it help?"),
        Binding("e", "export", "Export"),
        Binding("a", "again", "Again, changed"),
        Binding("l", "label", "Name, tags"),
        Binding("t", "dataset", "Rows"),
        Binding("f", "filter", "Filter"),
        Binding("o", "order", "Order"),
        Binding("1", "tab(1)", "Runs", show=False),
        Binding("2", "tab(2)", "Datasets", show=False),
        Binding("3", "tab(3)", "Models here", show=False),
        Binding("4", "tab(4)", "Recipes", show=False),
        Binding("g", "log", "Log", show=False),
        Binding("ctrl+z", "undelete", "Undo delete"),
        Binding("escape", "show_all", "Show all"),
        *RunScreen.ENDING_KEYS,
    ]
    NEEDS_RUN = ("compare", "verdict", "export", "label", "again")

    def __init__(self) -> None:
        super().__init__()
        self._deleted_last: Entry | None = None

    @property
    def has_runs(self) -> bool:
        """Whether there are any runs."""
        raise NotImplementedError

    @property
    def is_narrowed(self) -> bool:
        """Whether not all runs are listed."""
        raise NotImplementedError

    @property
    def tab(self) -> str:
        """Which list is shown."""
        raise NotImplementedError

    @property
    def item(self) -> Item | None:
        """What is under the cursor where no runs are shown."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to compare, to report on, to export or to label."""
        if action in ("filter", "order", "search"):
            return self.has_runs
        if action == "show_all":
            return self.is_mounted and self.is_narrowed
        if action == "undelete":
            return self._deleted_last is not None
        if action == "delete" and self.is_mounted and self.tab == "Datasets":
            return self.item is not None
        if action == "again":
            return self.run is not None and (self.run.folder / "recipe.yaml").is_file()
        return self.run is not None if action in self.NEEDS_RUN else super().check_action(action, parameters)

    def action_new(self) -> None:
        """Choose a recipe, then look at it."""
        from tui.screens.new_run import NewRunScreen

        self.app.push_screen(NewRunScreen(), self._chosen)

    def _chosen(self, chosen: Chosen | None) -> None:
        from tui.screens.recipe import RecipeScreen

        if chosen is not None:
            self.app.push_screen(RecipeScreen(chosen.path, chosen.changes))

    def _open_recipe(self, recipe: Path) -> None:
        from tui.screens.recipe import RecipeScreen

        self.app.push_screen(RecipeScreen(recipe))

    def action_again(self) -> None:
        """The recipe of the run at hand, to be changed and begun anew."""
        if self.run is not None:
            self._open_recipe(self.run.folder / "recipe.yaml")

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
        from tui.screens.shelf import offered_rows

        pick = PickScreen("Rows to look at", offered_rows, "or a file, a folder, hf:owner/name")
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

    def action_models(self) -> None:
        """What models are here, and what can be fetched."""
        from tui.screens.models import ModelsScreen

        self.app.push_screen(ModelsScreen())

    def open_item(self, tab: str, item: Item) -> None:
        """Look at a dataset, a model or a recipe."""
        from tui.screens.preparing import PreparingScreen

        if tab == "Recipes":
            self._open_recipe(Path(item.key))
        elif tab == "Models":
            self.action_models()
        elif (Path(item.key) / "train.jsonl").is_file():
            self._open_dataset(item.key)
        else:
            self.app.push_screen(PreparingScreen(Path(item.key)))

    def action_label(self) -> None:
        """Give the run at hand a name, tags, a note."""
        if (run := self.run) is not None:

            def said(words: Said | None) -> None:
                if words is not None:
                    self._try(lambda: _say(run, words))

            from tui.screens.label import LabelScreen

            self.app.push_screen(LabelScreen(run.name, run.labels), said)

    def action_delete(self) -> None:
        """Move the run, or the dataset, at hand to the trash, if the person is sure."""
        if self.item is None:
            super().action_delete()
            return
        folder = Path(self.item.key)
        self.ask(
            f"Delete {folder.name}?",
            self.LOST_BY_DELETE,
            "Delete",
            lambda: self._try(lambda: runs.delete(folder), self._deleted),
        )

    def remember(self, entry: Entry) -> None:
        """What was deleted last, and may come back."""
        self._deleted_last = entry
        self.refresh_bindings()

    def action_undelete(self) -> None:
        """Bring back what was deleted last."""
        if (entry := self._deleted_last) is not None:
            self._deleted_last = None
            run_in_background(self, self._restore(entry))
            self.refresh_bindings()

    async def _restore(self, entry: Entry) -> None:
        with self.problem_shown("It could not be brought back"):
            back = await asyncio.to_thread(trash.restore, entry)
            self.notify(f"{back.name} is back.")


def _say(run: Run, words: Said) -> None:
    folder = runs.rename(run.folder, words.name)
    if words.labels != run.labels:
        labels.write(folder, words.labels)
