"""What the screens about runs share: they are shown runs, and they stop, resume, kill and delete the one at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from tui.background import Forbearing, run_in_background
from tui.screens.leave import leave

if TYPE_CHECKING:  # what a key needs is imported after the first frame: see LATER in tui.app
    from textual.widget import Widget

    from gemmalocal.jobs.processes import Job
    from gemmalocal.workspace.runs import Run
    from gemmalocal.workspace.trash import Entry

KEPT = 30  # days that something stays in the trash


class JobStarted(Message):
    """A child process of ours works on a run."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


class PreparationStarted(Message):
    """A child process of ours makes a dataset in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder


class OpenRun(Message):
    """Somebody wants to look at a run."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder


class ChangePreparation(Message):
    """Somebody wants to make a dataset anew, in another way: its name, and what it was made by."""

    def __init__(self, name: str, spec: dict[str, Any]) -> None:
        super().__init__()
        self.name, self.spec = name, spec


class Deleted(Message):
    """Something went to the trash, and may come back."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry


class ScreenShown(Message):
    """A screen came to the front, and may have missed something."""


class AppScreen(Forbearing, Screen[None]):
    """A screen of the app that is no dialog: it is handed all runs when it comes to the front, and when one changes."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # on low ones, panels have no border

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Screen[Any]] = []  # dialogs, for when the screen is in front again

    def _update_focus_styles(self, focused: Widget | None = None, blurred: Widget | None = None) -> None:
        """Of panels alone, whose frames tell where the focus is: Textual looks at all that is in them, a whole form."""
        ends = [end for end in (focused, blurred) if end is not None]
        panels = {widget for end in ends for widget in end.ancestors_with_self if widget._has_focus_within}
        self.app.stylesheet.update_nodes(panels, animate=True)

    def on_screen_resume(self) -> None:
        """Ask for the runs; and show a dialog that has waited."""
        self.post_message(ScreenShown())
        if self._waiting:
            self.app.push_screen(self._waiting.pop(0))

    def show_runs(self, runs: list[Run]) -> None:
        """Draw what concerns this screen."""

    @property
    def ready(self) -> bool:
        """Whether keys have something to act on; until then they wait."""
        return True

    @property
    def unsaved(self) -> str:
        """What would be lost by leaving, in a sentence; empty if nothing."""
        return ""

    def action_leave(self) -> None:
        """Back, after a question where something would be lost."""
        leave(self.app, self.unsaved, "Leave", self._go)

    def _go(self) -> None:
        """Close this screen, and what was opened over it."""
        while self in self.app.screen_stack[1:]:
            self.app.pop_screen()

    def show_dialog(self, dialog: Screen[Any]) -> None:
        """Open a dialog that nobody has asked for just now: while another is open it waits, for one at a time."""
        if self.app.screen is self:  # is_current is also true of one that is seen below a dialog
            self.app.push_screen(dialog)
        elif self.is_attached:
            self._waiting.append(dialog)

    @contextmanager
    def problem_shown(self, title: str) -> Iterator[None]:
        """What goes wrong in the block gets its screen, and goes no further."""
        try:
            yield
        except (GemmalocalError, OSError) as error:
            self.show_problem(title, error)

    def show_problem(self, title: str, error: Exception) -> None:
        """Open its screen, unless this one is gone."""
        from tui.screens.problem import ProblemScreen

        self.show_dialog(ProblemScreen.of(title, error))


class FolderScreen(AppScreen):
    """A screen about the job in `folder`; it keeps what was last seen of it, and closes when somebody deletes it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._run: Run | None = None

    @property
    def folder(self) -> Path:
        """Which one it is."""
        return self._folder

    @property
    def run(self) -> Run | None:
        """The job, once it was seen."""
        return self._run

    def _see(self, runs: list[Run]) -> bool:
        """Keep what these say of it, or leave if it is not among them any more; whether that is news."""
        run = next((run for run in runs if run.folder == self._folder), None)
        if run is None and self._run is not None:
            self.notify(f"{self._folder.name} is gone.")
            self._go()
            return False
        if run is not None and not run.whole:  # it comes at once
            return False
        before, self._run = self._run, run
        return run is not before


class MadeOfRunScreen(FolderScreen):
    """A screen about what is made of the run in `folder`."""

    MAKING_KEYS = (
        Binding("s", "stop", "Stop"),
        Binding("g", "log", "Log"),
        Binding("y", "copy", "Copy path"),
        Binding("escape", "app.pop_screen", "Back"),
    )

    def show_runs(self, runs: list[Run]) -> None:
        """See what became of it."""
        self._see(runs)


class RunScreen(AppScreen):
    """A screen with a run at hand; only the actions that its state allows are offered."""

    BINDINGS = [
        Binding("s", "stop", "Stop"),
        Binding("r", "resume", "Resume"),
        Binding("R", "resume_smaller", "Less memory"),
    ]

    ENDING_KEYS = (Binding("ctrl+k", "kill", "Kill"), Binding("delete,ctrl+d", "delete", "Delete", key_display="del"))
    STOPS = "{} saves and stops after this step. Resume goes on from there."
    LOST_BY_KILL = "Everything since the last checkpoint is lost. To keep it, press s instead: that saves and stops."
    LOST_BY_DELETE = f"It goes to the trash, whole. For {KEPT} days ^z at home brings it back."

    @property
    def run(self) -> Run | None:
        """The run at hand."""
        raise NotImplementedError

    @property
    def folder(self) -> Path | None:
        """The run's that the screen is about; None for a list of them."""
        return None

    @property
    def ready(self) -> bool:
        """The run was seen."""
        return self.run is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether the run's state allows an action."""
        if action not in ("stop", "kill", "resume", "resume_smaller", "delete", "log"):
            return True
        if self.run is None:
            return False
        live = self.run.state.status == "live"
        allowed = {
            "stop": live,
            "kill": live,
            "resume": self.run.resumable,
            "resume_smaller": self.run.resumable and self.run.state.status == "killed",
            "delete": not live,
        }
        return allowed.get(action, True)

    def action_stop(self) -> None:
        """Ask for a stop after this step; the checkpoint is kept, and resume goes on from it."""
        from gemmalocal.jobs.processes import Job

        if self.run is not None:
            Job(self.run.folder).ask(do="stop")
            self.notify(self.STOPS.format(self.run.name), markup=False)

    def action_resume(self) -> None:
        """Go on from the newest checkpoint."""
        self._resume(())

    def action_resume_smaller(self) -> None:
        """Go on with one row at once and checkpointing."""
        from gemmalocal.jobs.exit_causes import LESS_MEMORY

        self._resume(tuple(LESS_MEMORY.replace("--set", "").split()))

    def _resume(self, overrides: tuple[str, ...]) -> None:
        from gemmalocal.workspace import runs

        if (run := self.run) is not None:
            self._try(lambda: runs.resume(run.folder, overrides), self._resumed)

    def _resumed(self, job: Job) -> None:
        self.post_message(JobStarted(job))
        self.notify(f"{job.directory.name} goes on.")

    def action_kill(self) -> None:
        """End the job at once, if the person is sure."""
        from gemmalocal.jobs.processes import Job

        if (run := self.run) is not None:
            self.ask(
                f"Kill {run.name} now?",
                self.LOST_BY_KILL,
                "Kill",
                lambda: self._try(lambda: Job(run.folder).kill(by_person=True)),
            )

    def action_delete(self) -> None:
        """Remove the run from the disk, if the person is sure."""
        from gemmalocal.workspace import runs

        if (run := self.run) is not None:
            delete = partial(self._try, partial(runs.delete, run.folder), self._deleted)
            self.ask(f"Delete {run.name}?", self.LOST_BY_DELETE, "Delete", delete)

    def _deleted(self, entry: Entry) -> None:
        self.app.post_message(Deleted(entry))

    def action_log(self) -> None:
        """Show what the job and its libraries printed, and why it ended if it ended badly."""
        from tui.screens.problem import ProblemScreen

        if (run := self.run) is not None:
            self.app.push_screen(ProblemScreen.of(run.name, run.trouble, run.folder))

    def ask(self, question: str, consequence: str, verb: str, then: Callable[[], None]) -> None:
        """Do something that cannot be taken back only after a yes."""
        from tui.screens.confirm import ConfirmScreen

        self.app.push_screen(ConfirmScreen(question, consequence, verb), lambda sure: then() if sure else None)

    def _try(self, work: Callable[[], Any], then: Callable[[Any], None] | None = None) -> None:
        """Work that reads or writes files, off the event loop; what goes wrong gets its screen."""

        async def attempt() -> None:
            with self.problem_shown("That did not work"):
                result = await asyncio.to_thread(work)
                if then is not None:
                    then(result)

        run_in_background(self, attempt)


class OneRunScreen(FolderScreen, RunScreen):
    """The screen of one run, or of one preparation, in `folder`."""

    JOB_KEYS = (Binding("g", "log", "Log"), *RunScreen.ENDING_KEYS)

    def _show_trouble(self, run: Run) -> None:
        """Why it came to no good end, and what to do; nothing if it did not."""
        from tui.remedies import in_app

        line = self.query_one("#trouble", Static)
        line.display = run.trouble is not None
        if run.trouble is not None:
            sentence = Content.assemble((f"{run.trouble.message} ", "bold $bad"), in_app(run.trouble.hint))
            if line.content != sentence:
                line.update(sentence)
