"""Models: what is on this disk and what is published, what fits this machine; fetched and deleted from here."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, staging
from gemmalocal.files.sizes import gigabytes, size
from gemmalocal.jobs.events import Failed, Report
from gemmalocal.workspace import trash
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.screens.confirm import ConfirmScreen
from tui.screens.model_work import ModelWork
from tui.screens.run_screen import Deleted
from tui.style_sheets import sheets
from tui.theme import framed
from tui.widgets.keys import Keys
from tui.widgets.shelf_table import Item, ShelfTable
from tui.widgets.title_line import TitleLine

COLUMNS = ("Model", "Size", "Trains", "Chats", "Where")
TRAINS = {
    "yes": "✓ fits",
    "checkpointing": "✓ slowly",
    "no": "✗ too large",
    "import": "after import",
    "unknown": "not known",
}
MEANS = {
    "yes": "It fits this machine's memory.",
    "checkpointing": "It fits with checkpointing: less memory, slower.",
    "no": "It does not fit this machine's memory.",
    "import": "A GGUF file: it must be imported before it can be tuned.",
    "unknown": "Whether it fits is not known.",
}
CHATS = {True: "✓ fits", False: "✗ too large", None: "–"}
LABEL = 11  # cells
WORKSPACE, HUB = "workspace", "Hub cache"  # whose models may be deleted from here
LOST = {
    WORKSPACE: f"It goes to the trash, whole, for {trash.KEPT} days: ^z at home brings it back.",
    HUB: "It is removed from the disk, also for other programs that use the Hub's cache. It can be fetched again.",
}


class ModelTable(ShelfTable):
    """The models, those on this disk first."""

    LEAVE_OUT = ("Chats",)  # what fits to train fits to chat
    BINDINGS = [Binding("enter", "select_cursor", show=False)]  # the screen's key f says what it does
    HELP = """\
The models on this disk, then those that can be fetched: *gated* ones once their terms are accepted. *Trains* and
*Chats* say whether they fit this machine's memory.
**f** fetches the one under the cursor, **n** any other of the Hub by its name; where a model is gated, what to do is
said, and a token asked for. **i** makes a model that can be tuned of a GGUF file.
"""


class ModelsScreen(ModelWork):
    """Asks a child process what there is; a fetch goes on while the screen is open, and keeps what is finished."""

    CSS_PATH = sheets("models")

    BINDINGS = [
        *ModelWork.WORK_KEYS,
        Binding("y", "copy", "Copy name"),
        Binding("r", "look", "Look again"),
        Binding("delete,ctrl+d", "delete", "Delete", key_display="del"),
        Binding("escape", "leave", "Home"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._memory = 0

    def compose(self) -> ComposeResult:
        """Title, list, what is said of the one under the cursor, keys."""
        yield TitleLine("Models")
        with framed(Vertical(id="models"), "Models"):
            yield Static("Looking at this disk ...", id="looking")
            yield ModelTable()
        with framed(VerticalScroll(id="about-model", can_focus=False), "At hand"):
            yield Static(id="about-model-text")
        yield Static(id="fetching")
        yield Keys()

    def on_mount(self) -> None:
        """Look."""
        self.action_look()

    @property
    def ready(self) -> bool:
        """The models were seen."""
        return bool(self._models)

    @property
    def model(self) -> dict[str, Any] | None:
        """The one under the cursor."""
        item = self.query_one(ModelTable).current if self.is_mounted else None
        return self._models.get(item.key) if item else None

    def action_look(self) -> None:
        """Ask what there is; no network."""
        run_in_background(self, self._look, group="look", exclusive=True)

    async def _look(self) -> None:
        async with errand("models", {"folders": []}) as job:
            async for event in events_of(job):
                match event:
                    case Report():
                        self._show(event.data)
                    case Failed():
                        self.show_problem("The models cannot be listed", GemmalocalError(event.message, event.hint))

    def _show(self, report: dict[str, Any]) -> None:
        models = {f"{model['place'] or ''}:{model['name']}": model for model in report["models"]}
        self._models, self._memory = models, report["memory"]
        self.query_one("#looking").display = False
        table = self.query_one(ModelTable)
        table.show(COLUMNS, [Item(key, cells(model)) for key, model in models.items()])
        here = sum(model["place"] is not None for model in models.values())
        words = f"{here} here · {len(models) - here} to fetch · {gigabytes(self._memory, 0)} GB of memory"
        self.query_one(TitleLine).right = words
        if self.focused is None:
            table.focus()
        self._draw()

    def on_data_table_row_highlighted(self) -> None:
        """Another one is at hand."""
        self._draw()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: fetch it, if it is not here."""
        if self.check_action("fetch", ()):
            self.action_fetch()

    def _draw(self) -> None:
        model = self.model
        self.query_one("#about-model").border_title = Content(str(model["name"]) if model else "At hand")
        self.query_one("#about-model-text", Static).update(about(model) if model else "")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is not here is fetched, and only what is ours, or the Hub's, is deleted."""
        model = self.model
        if action == "fetch":
            return model is not None and model["place"] is None and self._working is None
        if action in ("stop", "import", "fetch_by_name"):
            return (self._working is not None) == (action == "stop")
        if action == "delete":
            return model is not None and model["place"] in LOST and folder_of(model) is not None
        return model is not None if action == "copy" else True

    def action_copy(self) -> None:
        """What a recipe calls it."""
        if (model := self.model) is not None:
            self.app.copy_to_clipboard(str(model["name"]))
            self.notify("Copied.")

    def action_delete(self) -> None:
        """Delete the one under the cursor, if the person is sure."""
        model = self.model
        folder = folder_of(model) if model else None
        if model is None or folder is None:
            return

        def delete(sure: bool | None) -> None:
            if sure:
                run_in_background(self, partial(self._delete, str(model["place"]), folder))

        lost = f"{size(model['size'])}. {LOST[model['place']]}"
        self.app.push_screen(ConfirmScreen(f"Delete {model['name']}?", lost, "Delete"), delete)

    async def _delete(self, place: str, folder: Path) -> None:
        with self.problem_shown("It could not be deleted"):
            if place == WORKSPACE:
                self.app.post_message(Deleted(await asyncio.to_thread(trash.put, folder)))
            else:
                await asyncio.to_thread(staging.remove, folder)
                self.notify(f"{folder.name.removeprefix('models--').replace('--', '/')} is deleted.")
        self.action_look()


def folder_of(model: dict[str, Any]) -> Path | None:
    """The folder that is deleted with a model; None where it is not ours to delete."""
    path = Path(model["path"] or "")
    if model["place"] == WORKSPACE:
        below = path.relative_to(paths.models()).parts if paths.models() in path.parents else ()
        return paths.models() / below[0] if below else None
    return next((folder for folder in path.parents if folder.name.startswith("models--")), None)


def cells(model: dict[str, Any]) -> tuple[str, ...]:
    """A model as a row of the table."""
    much = f"{'~' if model['estimated'] else ''}{gigabytes(model['size'], 2)} GB"
    where = "damaged" if model["damaged"] else model["place"] or ("gated" if model["gated"] else "to fetch")
    name = str(model["name"])
    return Path(name).name if name.startswith("/") else name, much, TRAINS[model["train"]], CHATS[model["chat"]], where


def about(model: dict[str, Any]) -> Content:
    """All that is known of one."""
    gated = "It is gated: f says where to accept its terms, and asks for a token."
    rows = [
        ("training", MEANS[model["train"]]),
        (
            "chat",
            {True: "It fits.", False: "It does not fit this machine's memory.", None: "After it is imported."}[
                model["chat"]
            ],
        ),
        ("damaged" if model["damaged"] else "licence", model["licence"]),
        ("template", model.get("template", "")),
        ("first", gated if model["gated"] else ""),
        ("in", model["path"] or ""),
    ]
    parts = [part for label, words in rows if words for part in ((label.ljust(LABEL), "$muted"), f"{words}\n")]
    return Content.assemble(*parts)
