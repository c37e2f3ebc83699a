"""What can be done at home, each in a screen of its own or with the run at hand."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.binding import Binding

from gemmalocal.jobs.plurals import counted
from tui.background import run_in_background
from tui.screens.run_screen import RunScreen

if TYPE_CHECKING:  # see LATER in tui.app
    from gemmalocal.workspace.runs import Run
    from gemmalocal.workspace.trash import Entry
    from tui.screens.label import Said
    from tui.screens.new_run import Chosen
    from tui.widgets.shelf_table import Item


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
        Binding("5", "tab(5)", "Trash", show=False),
        Binding("w", "changes", "What changed", show=False),
        Binding("ctrl+e", "empty", "Empty the trash"),
        Binding("g", "log", "Log", show=False),
        Binding("ctrl+z", "undelete", "Undo delete"),
        Binding("escape", "show_all", "Show all"),
        *RunScreen.ENDING_KEYS,
    ]
    LOST_FOR_EVER = "It is removed from the disk. Nothing brings it back."
    NEEDS_RUN = ("compare", "verdict", "export", "label", "again", "changes")

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

    @property
    def all_runs(self) -> list[Run]:
        """All runs, listed or not."""
        raise NotImplementedError

    def trash_changed(self) -> None:
        """Something left the trash."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to compare, to report on, to export or to label."""
        if action in ("filter", "order", "search"):
            return self.has_runs
        if action == "show_all":
            return self.is_mounted and self.is_narrowed
        if action == "undelete":
            return self._deleted_last is not None
        if action == "delete" and self.is_mounted and self.tab in ("Datasets", "Trash"):
            return self.item is not None
        if action == "empty":
            return self.is_mounted and self.tab == "Trash" and self.item is not None
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
        from tui.screens.next_steps import again

        if self.run is not None:
            again(self.app, self.run.folder)

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
        from gemmalocal.workspace import trash
        from tui.screens.preparing import PreparingScreen
        from tui.screens.trash_shelf import entry_of

        if tab == "Trash":
            self._try(lambda: trash.restore(entry_of(item)), self._restored)
        elif tab == "Recipes":
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

    def action_changes(self) -> None:
        """What the recipe of the run at hand says otherwise than another's, and how both came out."""
        from tui.screens.recipe_changes import ask_changes

        if self.run is not None:
            ask_changes(self.app, self.run, self.all_runs)

    def action_empty(self) -> None:
        """Remove all that is in the trash from the disk, if the person is sure."""
        from tui.screens.trash_shelf import empty

        self.ask("Empty the trash?", self.LOST_FOR_EVER, "Remove all", lambda: self._try(empty, self._emptied))

    def _emptied(self, count: int) -> None:
        self.notify(f"Removed for ever: {counted(count, 'thing')}.")
        self.trash_changed()

    def action_delete(self) -> None:
        """Move the run, or the dataset, at hand to the trash, if the person is sure; from there it goes for ever."""
        if self.item is None:
            super().action_delete()
            return
        if self.tab == "Trash":
            self._delete_for_ever(self.item)
            return
        from gemmalocal.workspace import runs

        folder = Path(self.item.key)
        self.ask(
            f"Delete {folder.name}?",
            self.LOST_BY_DELETE,
            "Delete",
            lambda: self._try(lambda: runs.delete(folder), self._deleted),
        )

    def _delete_for_ever(self, item: Item) -> None:
        from gemmalocal.workspace import trash
        from tui.screens.trash_shelf import entry_of

        def removed(_: None) -> None:
            self.notify(f"{item.cells[0]} is removed.")
            self.trash_changed()

        self.ask(
            f"Remove {item.cells[0]} for ever?",
            self.LOST_FOR_EVER,
            "Remove",
            lambda: self._try(lambda: trash.remove(entry_of(item)), removed),
        )

    def remember(self, entry: Entry) -> None:
        """What was deleted last, and may come back."""
        self._deleted_last = entry
        self.refresh_bindings()

    def action_undelete(self) -> None:
        """Bring back what was deleted last."""
        if (entry := self._deleted_last) is not None:
            self._deleted_last = None
            run_in_background(self, partial(self._restore, entry))
            self.refresh_bindings()

    async def _restore(self, entry: Entry) -> None:
        from gemmalocal.workspace import trash

        with self.problem_shown("It could not be brought back"):
            self._restored(await asyncio.to_thread(trash.restore, entry))

    def _restored(self, back: Path) -> None:
        self.notify(f"{back.name} is back.")
        self.trash_changed()


def _say(run: Run, words: Said) -> None:
    from gemmalocal.workspace import labels, runs

    folder = runs.rename(run.folder, words.name)
    if words.labels != run.labels:
        labels.write(folder, words.labels)
