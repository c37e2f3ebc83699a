"""Documents become rows: which ones, by whom, and under which name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Label

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets, preparations
from tui.background import run_in_background
from tui.screens.browse import BrowseScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.form_screen import FIELD_KEYS, FormScreen
from tui.screens.pick import PickScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.run_screen import PreparationStarted
from tui.widgets.field_help import FieldHelp
from tui.widgets.keys import Keys
from tui.widgets.marks import mark
from tui.widgets.sources import Sources
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:
    from gemmalocal.recipe.prepare_schema import Preparation

NAME = "docs"  # what the shipped recipe docs-qa reads


class DocumentsScreen(FormScreen):
    """A form made from a preparation's schema; `spec` fills it."""

    BINDINGS = [
        Binding("ctrl+r", "start", "Start"),
        Binding("ctrl+o", "browse", "Browse"),
        Binding("ctrl+l", "earlier", "Earlier ones"),
        *FIELD_KEYS,
        Binding("escape", "app.pop_screen", "Back"),
    ]

    def __init__(self, name: str = NAME, spec: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._name, self._spec = name, spec or {}
        self._wanted: Preparation | None = None

    def compose(self) -> ComposeResult:
        """Title, sources, name, form, the help of the field at hand, keys."""
        from gemmalocal.recipe.prepare_schema import Preparation
        from tui.widgets.field_form import FieldForm

        title = TitleLine()
        title.left = "Documents to rows"
        yield title
        yield Sources()
        with Horizontal(classes="field", id="name-line"):
            yield Label("name", classes="name")
            name = Input(self._name, id="name", compact=True)
            name.HELP = "The name of the dataset. A recipe uses it as its data.path."  # type: ignore[misc]
            yield name
        yield FieldForm(Preparation, without=("sources",))
        with Vertical(id="start-line"):
            yield Button("Start (^r)", id="start", variant="primary", compact=True)
        yield FieldHelp("Start begins the work. You may close the app; the work goes on.")
        yield Keys()

    def on_mount(self) -> None:
        """Fill the form; the focus is where documents are named."""
        self._form.fill(self._spec)
        self.query_one(Sources).add(self._spec.get("sources", []))
        self.query_one("PathInput").focus()
        self._edited()

    def on_sources_changed(self) -> None:
        """Other sources."""
        self._edited()

    def _edited(self) -> None:
        from gemmalocal.recipe import recipe_file
        from gemmalocal.recipe.prepare_schema import Preparation

        chosen = self.query_one(Sources).chosen
        tree = {"sources": chosen or ["nothing yet"], **self._form.values()}
        wanted, problems = recipe_file.from_tree(tree, Preparation)
        self._form.show(problems)
        self._wanted = wanted if chosen else None
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else ""
        self.query_one(TitleLine).right = count or ("" if chosen else "nothing chosen yet")
        self.query_one("#start", Button).disabled = self._wanted is None

    def action_browse(self) -> None:
        """Mark files and folders in a tree."""
        self.app.push_screen(BrowseScreen(Path.cwd()), self._browsed)

    def _browsed(self, paths: list[str] | None) -> None:
        if paths:
            self.query_one(Sources).add(paths)

    def action_earlier(self) -> None:
        """Look at a preparation that was begun before."""
        self.app.push_screen(PickScreen("Which preparation?", _earlier), self._picked)

    def _picked(self, folder: str | None) -> None:
        if folder is not None:
            self.app.push_screen(PreparingScreen(Path(folder)))

    def action_start(self) -> None:
        """Begin; a dataset that is there is only made anew after a yes."""
        if self._wanted is None:
            self.notify("First choose documents, and correct the marked fields.", severity="warning")
            return
        run_in_background(
            self, self._start(self._wanted, self.query_one("#name", Input).value), exclusive=True, group="start"
        )

    async def _start(self, wanted: Preparation, name: str) -> None:
        try:
            folder = await asyncio.to_thread(datasets.folder_of, name)
            there = await asyncio.to_thread((folder / TRAIN_FILE).is_file)
            if there and not await self.app.push_screen_wait(
                ConfirmScreen(f"{name} exists already. {AGAIN}", KEPT, "Make it")
            ):
                return
            job = await asyncio.to_thread(preparations.begin, name, wanted)
        except (GemmalocalError, OSError) as error:
            self.app.push_screen(ProblemScreen.of("The preparation could not be started", error))
            return
        if self.is_attached:
            self.post_message(PreparationStarted(folder))
            self.app.push_screen(PreparingScreen(folder, job))


AGAIN = "Make it again?"
KEPT = "Its rows are replaced. Answers it already has are used again, and your own changes are kept."


def _earlier() -> list[tuple[Content, str]]:
    """The preparations of this workspace: how they stand, and their folders."""
    offers = []
    for folder in preparations.list_all():
        status = history.read(folder).status
        named = history.known_spec(folder).get("sources")
        sources = ", ".join(Path(str(source)).name for source in named) if isinstance(named, list) else ""
        words = Content.assemble(
            (folder.name.ljust(20), "bold"), f"{mark(status)} {status:<9}", (sources, "$text-muted")
        )
        offers.append((words, str(folder)))
    return offers
