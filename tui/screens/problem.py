"""The one way in which an error, or a log, is shown: sentence, remedy, the log's end; and copied."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors
from gemmalocal.jobs.processes import Job
from tui.background import run_in_background
from tui.screens.dialog import Dialog
from tui.widgets.keys import Keys

REFRESH = 1.0  # seconds
LINES = 400  # of a log that are shown


class ProblemScreen(Dialog[None]):
    """`folder` is the job whose log is shown, if any; it is kept fresh."""

    BINDINGS = [
        Binding("escape,q,g", "dismiss", "Close"),
        Binding("y", "copy", "Copy"),
        Binding("down,j", "scroll('down')", "Down", show=False),
        Binding("up,k", "scroll('up')", "Up", show=False),
    ]

    def __init__(self, title: str, sentence: str, remedy: str, folder: Path | None = None) -> None:
        super().__init__()
        self._words, self._folder, self._log = (title, sentence, remedy), folder, ""

    @classmethod
    def of(cls, title: str, error: Exception, folder: Path | None = None) -> ProblemScreen:
        """What went wrong, in words; the system's too."""
        cause = system_errors.explained(error) or GemmalocalError(str(error))
        return cls(title, cause.message, cause.hint, folder)

    def compose(self) -> ComposeResult:
        """The words, then the log."""
        title, sentence, remedy = self._words
        with Vertical(classes="dialog" if self._folder is None else "dialog large"):
            yield Static(title, classes="dialog-title", markup=False)
            yield Static(sentence, id="sentence", markup=False)
            yield Static(remedy, id="remedy", markup=False)
            with VerticalScroll(id="log-scroll"):
                yield Static(id="log", markup=False)
            yield Keys()

    def on_mount(self) -> None:
        """Read the log now, and again."""
        for name, words in zip(("#sentence", "#remedy"), self._words[1:], strict=True):
            self.query_one(name).display = bool(words)
        self.query_one("#log-scroll").display = self._folder is not None
        if self._folder is not None:
            run_in_background(self, self._read(Job(self._folder)))

    async def _read(self, job: Job) -> None:
        while True:
            log = await asyncio.to_thread(job.log_tail)
            if log != self._log:
                self._log = log
                scroll = self.query_one("#log-scroll", VerticalScroll)
                at_end = scroll.is_vertical_scroll_end
                self.query_one("#log", Static).update("\n".join(log.splitlines()[-LINES:]))
                if at_end:
                    scroll.scroll_end(animate=False)
            elif not log:
                self.query_one("#log", Static).update("The log is empty.")
            await asyncio.sleep(REFRESH)

    def action_scroll(self, way: str) -> None:
        """Move in the log."""
        scroll = self.query_one("#log-scroll", VerticalScroll)
        scroll.scroll_relative(y=1 if way == "down" else -1, animate=False)

    def action_copy(self) -> None:
        """Everything that is shown, to the clipboard."""
        self.app.copy_to_clipboard("\n".join(part for part in (*self._words, self._log) if part))
        self.notify("Copied.")
