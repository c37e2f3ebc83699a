"""Documents become rows: which ones, by whom, and under which name."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Label, Static

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
from tui.screens.run_screen import PreparationStarted
from tui.style_sheets import sheets
from tui.theme import framed
from tui.widgets.field_help import FieldHelp
from tui.widgets.keys import Keys
from tui.widgets.marks import mark
from tui.widgets.sources import Sources
from tui.widgets.task_card import TaskCard
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:
    from gemmalocal.recipe.prepare_schema import Preparation

BASIC = {"task": "task", "author": "author", "model": "model", "rows": "rows", "held_out": "held out"}
NAME = "docs"  # what the shipped recipe docs-qa reads
MAKES = {
    "qa": "questions and answers",
    "cot": "questions, and answers with their reasons",
    "summary": "passages and their summaries",
    "rewrite": "the same rows in other words",
    "text": "plain text, to go on writing like it",
    "votes": "pairs of answers that you voted on",
    "pairs": "two answers to each prompt, of which one is better",
    "answers": "prompts, and what a larger model answers",
}  # what the words of `task` stand for


class DocumentsScreen(FormScreen):
    """A form made from a preparation's schema; `spec` fills it."""

    CSS_PATH = sheets("controls", "documents")

    BINDINGS = [
        Binding("ctrl+r", "start", "Start"),
        Binding("ctrl+o", "browse", "Browse"),
        Binding("ctrl+l", "earlier", "Earlier ones"),
        *FIELD_KEYS,
        Binding("escape", "leave", "Back"),
    ]

    def __init__(self, name: str = NAME, spec: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._name, self._spec = name, spec or {}
        self._preparation: Preparation | None = None

    def compose(self) -> ComposeResult:
        """Title, sources, name, form, the help of the field at hand, keys."""
        from gemmalocal.recipe.prepare_schema import Preparation
        from tui.widgets.field_form import FieldForm

        yield TitleLine("Documents to rows")
        yield framed(Sources(), "What is read")
        with Horizontal(classes="field", id="name-line"):
            yield Label("name", classes="name")
            name = Input(self._name, id="name", compact=True)
            name.HELP = "The name of the dataset. A recipe uses it as its data.path."  # type: ignore[misc]
            yield name
        yield Static(id="name-problem", markup=False)
        with Horizontal(id="body"):
            yield framed(FieldForm(Preparation, without=("sources",), basic=BASIC), "How")
            with framed(VerticalScroll(id="about", can_focus=False), "A row"):
                yield TaskCard()
        with Vertical(id="start-line"):
            yield Button("Start (^r)", id="start", variant="primary", compact=True)
        yield FieldHelp("Start begins the work. You may close the app; the work goes on.")
        yield Keys()

    def on_mount(self) -> None:
        """Fill the form; the focus is where documents are named."""
        self._form.fill(self._spec)
        self.query_one(Sources).add(self._spec.get("sources", []))
        self.query_one("PathInput").focus()
        self._keep()
        self._edited()

    @property
    def _written(self) -> Any:
        """The form, the sources, the name, and a source that is being written."""
        sources, name = self.query_one(Sources), self.query_one("#name", Input)
        return self._form.values(), list(sources.chosen), name.value, sources.query_one(Input).value

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name."""
        if event.input.id == "name":
            self._edited()

    def on_sources_changed(self) -> None:
        """Other sources."""
        self._edited()

    def _edited(self) -> None:
        from gemmalocal.recipe import recipe_file
        from gemmalocal.recipe.prepare_schema import Preparation

        chosen = self.query_one(Sources).chosen
        tree = {"sources": chosen or ["nothing yet"], **self._form.values()}
        preparation, problems = recipe_file.from_tree(tree, Preparation)
        self._preparation = preparation if chosen else None
        task = str(tree.get("task", Preparation.model_fields["task"].default))
        self.query_one(TaskCard).show(task, preparation)
        makes = MAKES.get(task)
        self._form.border_title = f"How: {makes}" if makes else "How"
        name = name_problem(self.query_one("#name", Input).value)
        self.query_one("#name-problem", Static).update(name)
        self.query_one("#name-problem").display = bool(name)
        self._show_problems(problems, name or ("" if chosen else "nothing chosen yet"))
        self._preparation = None if name else self._preparation
        self.query_one("#start", Button).disabled = self._preparation is None

    def action_browse(self) -> None:
        """Mark files and folders in a tree."""
        self.app.push_screen(BrowseScreen(Path.cwd()), self._add_sources)

    def _add_sources(self, paths: list[str] | None) -> None:
        if paths:
            self.query_one(Sources).add(paths)

    def action_earlier(self) -> None:
        """Look at a preparation that was begun before."""
        self.app.push_screen(PickScreen("Which preparation?", _earlier), self._open_preparation)

    def _open_preparation(self, folder: str | None) -> None:
        if folder is not None:
            self.app.push_screen(PreparingScreen(Path(folder)))

    def action_start(self) -> None:
        """Begin; a dataset that is there is only made anew after a yes."""
        if self._preparation is None:
            self.notify("First choose documents, and correct the marked fields.", severity="warning")
            return
        start = partial(self._start, self._preparation, self.query_one("#name", Input).value)
        run_in_background(self, start, exclusive=True, group="start")

    async def _start(self, preparation: Preparation, name: str) -> None:
        with self.problem_shown("The preparation could not be started"):
            folder = await asyncio.to_thread(datasets.folder_of, name)
            exists = await asyncio.to_thread((folder / TRAIN_FILE).is_file)
            confirm = ConfirmScreen(f"{name} exists already. Make it again?", KEPT, "Make it")
            if exists and not await self.app.push_screen_wait(confirm):
                return
            job = await asyncio.to_thread(preparations.begin, name, preparation)
            if self.is_attached:
                self._keep()  # with the dataset
                self.post_message(PreparationStarted(folder))
                self.app.push_screen(PreparingScreen(folder, job))


def name_problem(name: str) -> str:
    """Why a dataset cannot have a name; empty if it can. A path begins as paths do."""
    if "/" in name and not name.startswith(("/", "./", "../", "~/")):
        return "a name holds no '/'; a path begins with / or ./ or ~/"
    try:
        datasets.folder_of(name)
    except GemmalocalError as error:
        return error.message
    return ""


KEPT = "Its rows are replaced. Answers it already has are used again, and your own changes are kept."


def _earlier() -> list[tuple[Content, str]]:
    """The preparations of this workspace: how they stand, and their folders."""
    offers = []
    for folder in preparations.list_all():
        status = history.read(folder).status
        sources = history.known_spec(folder).get("sources")
        names = ", ".join(Path(str(source)).name for source in sources) if isinstance(sources, list) else ""
        line = Content.assemble((folder.name.ljust(20), "bold"), f"{mark(status)} {status:<9}", (names, "$muted"))
        offers.append((line, str(folder)))
    return offers
