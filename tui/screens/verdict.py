"""Did a run help? Its newest report, or one that is being made."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.jobs.history import JobState
from gemmalocal.workspace import reports
from tui.background import follow, run_in_background
from tui.screens.problem import ProblemScreen
from tui.screens.run_screen import MadeOfRunScreen
from tui.theme import framed
from tui.widgets import verdict
from tui.widgets.keys import Keys
from tui.widgets.marks import progress
from tui.widgets.title_line import TitleLine

POLL = 0.25  # seconds
ASKS = (
    "the base model and this run the same: held-out rows, general questions, neutral texts. It takes some minutes, and "
    "says whether the run helped, what got worse, what was forgotten, and what so few rows cannot tell."
)
NONE = f"[b]No report yet.[/b]\n\nEnter asks {ASKS}"
NOTHING = "[b]Nothing to report on yet.[/b]\n\nThis run has made nothing so far. Once it has, Enter makes the report."
MAKING = f"A process of its own asks {ASKS}\n\nThis screen may be left: the report goes on, and will be here."


class Look(NamedTuple):
    """A report as it was when looked at; `figures` are None as long as there are none.

    `trained` says whether the run has made something.
    """

    state: JobState
    trouble: GemmalocalError | None
    figures: dict[str, Any] | None
    at: float
    trained: bool

    @property
    def what(self) -> tuple[float, bool, bool, bool]:
        """What decides which page is shown."""
        return self.at, self.figures is None, self.state.alive, self.trained


class VerdictScreen(MadeOfRunScreen):
    """The report on the run in `folder`."""

    BINDINGS = [Binding("enter", "make", "Make it"), *MadeOfRunScreen.MAKING_KEYS]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._look: Look | None = None

    def compose(self) -> ComposeResult:
        """Title, what is done now, the page, keys."""
        yield TitleLine()
        yield Static(id="doing", markup=False)
        with framed(VerticalScroll(id="about-scroll"), "Report"):
            yield Static(id="about")
        yield Keys()

    def on_mount(self) -> None:
        """Look, for as long as we are here."""
        self.query_one(TitleLine).left = f"Did {self._folder.name} help?"
        self.query_one("#about-scroll").focus()
        run_in_background(self, partial(follow, partial(look, self._folder), self._show, POLL))

    @property
    def ready(self) -> bool:
        """It was looked for."""
        return self._look is not None

    @property
    def _live(self) -> bool:
        return self._look is not None and self._look.state.alive

    def _show(self, now: Look) -> None:
        if not self.is_attached:
            return
        before, self._look = self._look, now
        if before is not None and before.state.alive and not now.state.alive and now.trouble is not None:
            self.app.push_screen(
                ProblemScreen.of("The report was not made", now.trouble, self._folder / reports.FOLDER)
            )
        self.query_one("#doing", Static).update(doing(now.state))
        title = self.query_one(TitleLine)
        title.right = "being made" if now.state.alive else str((now.figures or {}).get("verdict", ""))
        if before is None or before.what != now.what:
            without = MAKING if now.state.alive else NONE if now.trained else NOTHING
            self.query_one("#about", Static).update(verdict.page(now.figures) if now.figures else without)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether there is something to make, to stop, to read or to copy."""
        if action == "make":
            return self._look is not None and not self._live and self._look.trained
        if action == "stop":
            return self._live
        if action == "log":
            return self._look is not None and bool(self._look.state.attempt)
        if action == "copy":
            return self._look is not None and self._look.figures is not None
        return True

    def action_make(self) -> None:
        """Begin, or go on with, a report."""
        run_in_background(self, self._make)

    async def _make(self) -> None:
        with self.problem_shown("The report could not be started"):
            await asyncio.to_thread(reports.start, self._folder)

    def action_stop(self) -> None:
        """Stop it; what was measured is kept."""
        reports.begun(self._folder).ask(do="stop")
        self.notify("It stops, and keeps what was measured. Enter goes on.")

    def action_log(self) -> None:
        """What the job printed."""
        if self._look is not None:
            folder = self._folder / reports.FOLDER
            self.app.push_screen(ProblemScreen.of("The report", self._look.trouble, folder))

    def action_copy(self) -> None:
        """The path of the page, to the clipboard."""
        self.app.copy_to_clipboard(str(self._folder / reports.FOLDER / reports.PAGES["html"]))
        self.notify("Copied: the path of the page, for a browser.")


def look(folder: Path) -> Look:
    """The report on a run as it is now; reads files."""
    place = folder / reports.FOLDER
    state = history.read(place) if (place / "job.json").is_file() else JobState()
    trouble = history.trouble(place, state) if state.attempt else None
    trained = history.result(folder).is_dir()
    return Look(state, trouble, reports.figures(folder), reports.made_at(folder), trained)


def doing(state: JobState) -> str:
    """What goes on, with the time that is left of it."""
    if not state.alive:
        return ""
    return progress(state.progress) if state.progress else state.stage or "starting"
