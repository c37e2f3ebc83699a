"""The one way in which an error, or a log, is shown: sentence, remedy, the log's end; and copied."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors
from gemmalocal.jobs.processes import Job
from tui.background import follow, run_in_background
from tui.remedies import in_app
from tui.screens.dialog import Dialog

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
        super().__init__(title, "" if folder is None else "large")
        self._sentence, self._remedy, self._folder, self._log = sentence, remedy, folder, ""

    @classmethod
    def of(cls, title: str, error: Exception | None, folder: Path | None = None) -> ProblemScreen:
        """What went wrong, if anything did, in words; the system's too."""
        cause = (system_errors.explained(error) or GemmalocalError(str(error))) if error else None
        return cls(title, cause.message if cause else "", in_app(cause.hint) if cause else "", folder)

    def body(self) -> ComposeResult:
        """What went wrong, what to do, the log; each where there is one."""
        if self._sentence:
            yield Static(self._sentence, id="sentence", markup=False)
        if self._remedy:
            yield Static(self._remedy, id="remedy", markup=False)
        if self._folder is not None:
            with VerticalScroll(id="log-scroll"):
                yield Static(id="log", markup=False)

    def on_mount(self) -> None:
        """Read the log now, and again."""
        if self._folder is not None:
            run_in_background(self, partial(follow, Job(self._folder).log_tail, self._show_log, REFRESH))

    def _show_log(self, log: str) -> None:
        if log != self._log:
            self._log = log
            scroll = self.query_one("#log-scroll", VerticalScroll)
            at_end = scroll.is_vertical_scroll_end
            self.query_one("#log", Static).update("\n".join(log.splitlines()[-LINES:]))
            if at_end:
                scroll.scroll_end(animate=False)
        elif not log:
            self.query_one("#log", Static).update("The log is empty.")

    def action_scroll(self, way: str) -> None:
        """Move in the log."""
        for scroll in self.query("#log-scroll").results(VerticalScroll):
            scroll.scroll_relative(y=1 if way == "down" else -1, animate=False)

    def action_copy(self) -> None:
        """Everything that is shown, to the clipboard."""
        parts = (self._heading, self._sentence, self._remedy, self._log)
        self.app.copy_to_clipboard("\n".join(part for part in parts if part))
        self.notify("Copied.")
