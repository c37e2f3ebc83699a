"""A short job that is watched where it was asked for: what it does, what came of it, and what may follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors
from gemmalocal.jobs.events import Event, Failed, Finished, Notice, Progress, Report, Stage
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.remedies import in_app
from tui.screens.dialog import Dialog
from tui.widgets.marks import progress


class Errand(NamedTuple):
    """A job's kind and spec; its report in lines; what Enter does after it, if anything: a name, and that job."""

    kind: str
    spec: dict[str, Any]
    lines: Callable[[dict[str, Any]], Sequence[str]]
    then: tuple[str, dict[str, Any]] | None = None


class ErrandScreen(Dialog[None]):
    """Runs `work` for as long as it is open."""

    BINDINGS = [
        Binding("enter", "go_on", "Go on"),
        Binding("y", "copy", "Copy"),
        Binding("escape", "dismiss", "End, back"),
    ]

    def __init__(self, title: str, work: Errand, idle: str = "") -> None:
        super().__init__(title, "large report")
        self._work, self._idle = work, idle  # what is said once there is a report
        self._lines: list[str] = []
        self._doing, self._over = "starting", False

    def body(self) -> ComposeResult:
        """What it does, and what came of it."""
        yield Static(self._doing, id="doing", markup=False)
        with VerticalScroll():
            yield Static(id="found", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self._begin()

    def _begin(self) -> None:
        self._over = False
        run_in_background(self, self._follow, group="errand", exclusive=True)

    async def _follow(self) -> None:
        try:
            async with errand(self._work.kind, self._work.spec) as job:
                async for event in events_of(job):
                    self._show_event(event)
        except (GemmalocalError, OSError) as error:
            cause = system_errors.explained(error)
            self._doing = f"{cause.message} {in_app(cause.hint)}" if cause else str(error)
        self._over = True
        self._draw()

    def _show_event(self, event: Event) -> None:
        match event:
            case Stage():
                self._doing = event.name
            case Progress():
                self._doing = progress(event)
            case Notice():
                self._lines = [*self._lines, in_app(event.text)]
            case Report():
                self._lines, self._doing = [line.rstrip() for line in self._work.lines(event.data)], self._idle
            case Failed():
                self._doing = f"{event.message} {in_app(event.hint)}"
            case Finished() if event.outcome != "done":
                self._doing = f"{event.outcome}: {event.message}"
        self._draw()

    def _draw(self) -> None:
        if self.is_attached:
            self.query_one("#doing", Static).update(self._doing)
            self.query_one("#found", Static).update("\n".join(self._lines))
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether something follows, and whether there is something to copy."""
        if action == "go_on":
            return self._over and bool(self._lines) and self._work.then is not None
        return bool(self._lines) if action == "copy" else True

    def action_go_on(self) -> None:
        """What follows."""
        if self._work.then is not None:
            _, spec = self._work.then
            self._work, self._lines, self._doing = self._work._replace(spec=spec, then=None), [], "starting"
            self._draw()
            self._begin()

    def action_copy(self) -> None:
        """What came of it; of an address, that alone."""
        first = self._lines[0]
        self.app.copy_to_clipboard(first if first.startswith("http") else "\n".join(self._lines))
        self.notify("Copied.")
