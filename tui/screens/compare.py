"""One question, all answers at once: the base model and runs, each in a column, from one copy of the weights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static

from gemmalocal.jobs import history
from gemmalocal.jobs.events import Declined, Event, Notice, Report, Stage
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import chats, transcript
from tui.background import run_in_background
from tui.errand import events_of
from tui.screens.problem import ProblemScreen
from tui.screens.run_screen import AppScreen
from tui.screens.verdict import VerdictScreen
from tui.widgets.answers import column
from tui.widgets.keys import Keys
from tui.widgets.question import Question
from tui.widgets.title_line import TitleLine

JUST = 1.5  # seconds after an answer in which Escape was meant to stop it
NEVER = float("-inf")
START = {"temperature": 0, "max_tokens": 128, "seed": 0}
HELP = "Ask. ← = → vote. /temperature 0.8 /top_p /top_k /seed /max_tokens /system"


class CompareScreen(AppScreen):
    """A chat with the base and `runs`; none means the newest run with a result."""

    BINDINGS = [
        Binding("escape", "leave", "Stop, back", priority=True),
        Binding("ctrl+r", "again", "Again"),
        Binding("ctrl+g", "differences", "Differences"),
        Binding("ctrl+s", "save", "Save"),
        Binding("ctrl+t", "verdict", "Verdict"),
        Binding("ctrl+n", "clear", "Forget"),
        Binding("ctrl+y", "copy", "Copy", show=False),
    ]

    def __init__(self, runs: Sequence[str] = ()) -> None:
        super().__init__()
        self._runs = list(runs)
        self._job: Job | None = None
        self._talk = transcript.Talk()
        self._settings: dict[str, float | str] = dict(START)
        self._whole_at = NEVER  # when the last answer came to its end
        self._system, self._doing, self._differ = "", "starting", False

    def compose(self) -> ComposeResult:
        """Title, the columns (made when the voices are known), tally and settings, the question, keys."""
        yield TitleLine()
        yield Horizontal(id="columns")
        yield Static(id="tally", markup=False)
        yield Question(placeholder=HELP, id="question")
        yield Keys()

    def on_mount(self) -> None:
        """Start the job, and follow it."""
        self.query_one(Question).focus()
        self._draw()
        run_in_background(self, self._follow())

    @property
    def ready(self) -> bool:
        """There is somebody to ask."""
        return self._job is not None or self._doing == "not running"

    async def _follow(self) -> None:
        with self.problem_shown("The chat could not be started"):
            self._job = await asyncio.to_thread(chats.start, self._runs, True, self._settings)
            async for event in events_of(self._job):
                await self._show_event(event)
            return self._show_end(self._job.directory)
        self._doing = "not running"
        self._draw()

    async def _show_event(self, event: Event) -> None:
        names, before = self._talk.names, self._answering
        transcript.fold(self._talk, event)
        if before and not self._answering:
            self._whole_at = time.monotonic()
        match event:
            case Stage():
                self._doing = event.name
            case Notice():
                self.notify(event.text, markup=False)
            case Declined():
                self.notify(event.why, severity="warning", markup=False)
            case Report() if "transcript" in event.data:
                self.notify(f"Saved: {event.data['transcript']}", markup=False)
        if self._talk.names != names:
            self._doing = "ready"
            await self._make_columns()
        self._draw()

    async def _make_columns(self) -> None:
        columns = [
            Vertical(
                Static(name, classes="voice", markup=False),
                VerticalScroll(Static(classes="said"), can_focus=False),
                classes="column first" if not place else "column",
            )
            for place, name in enumerate(self._talk.names)
        ]
        await self.query_one("#columns").mount_all(columns)
        for scroll in self.query(".column VerticalScroll").results(VerticalScroll):
            scroll.anchor()  # at the end of what is said, until somebody scrolls

    def _show_end(self, folder: Path) -> None:
        cause = history.trouble(folder, history.read(folder))
        if cause is not None:
            self.app.push_screen(ProblemScreen.of("The chat has ended", cause, folder))
        self._doing = "ended"
        self._draw()

    def _draw(self) -> None:
        title = self.query_one(TitleLine)
        title.left, title.right = "Compare", "answering" if self._answering else self._doing
        for voice, answers in enumerate(self.query(".said").results(Static)):
            compared = (1 if voice == 0 else 0) if self._differ and len(self._talk.names) > 1 else None
            answers.update(column(self._talk.remembered, voice, compared))
        votes = "   ".join(f"{name} {count}" for name, count in zip(self._talk.names, self._talk.tally, strict=True))
        settings = "  ".join(f"{name} {value}" for name, value in self._settings.items())
        self.query_one("#tally", Static).update(
            f"votes  {votes}   ·   {settings}{'   · system text' * bool(self._system)}"
        )

    @property
    def _answering(self) -> bool:
        return bool(self._talk.exchanges) and not self._talk.exchanges[-1].whole and self._doing == "ready"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A question, or a setting."""
        text = event.value.strip()
        if not text or self._job is None:
            return
        if not text.startswith("/"):
            self._job.ask(do="ask", text=text, system=self._system, **self._settings)
        elif not self._set(*text[1:].partition(" ")[::2]):
            return  # it stays, to be corrected
        event.input.value = ""

    def _set(self, name: str, value: str) -> bool:
        """Take a setting; False, and why in a notice, if it is none."""
        if name == "system":
            self._system = value
        elif name in chats.LIMITS:
            try:
                self._settings[name] = chats.setting(name, value.strip())
            except ValueError as problem:
                self.notify(f"/{problem}.", severity="warning")
                return False
        else:
            settings = ", ".join(f"/{setting}" for setting in ("system", *chats.LIMITS))
            self.notify(f"There is no /{name}. There is {settings}.", severity="warning")
            return False
        self._draw()
        return True

    def on_question_voted(self, event: Question.Voted) -> None:
        """Which answer of the last question is better; of three columns, the first or the last."""
        if self._job is not None and self._talk.exchanges:
            voice = {-1: 0, 0: None, 1: len(self._talk.names) - 1}[event.side]
            self._job.ask(do="vote", voice=voice)

    def action_again(self) -> None:
        """The last question again, by another draw."""
        if self._job is not None:
            self._job.ask(do="regenerate", **self._settings)

    def action_differences(self) -> None:
        """Mark the words that differ, or no longer."""
        self._differ = not self._differ
        self._draw()

    def action_save(self) -> None:
        """Write the transcript, as Markdown and as JSON lines."""
        if self._job is not None:
            self._job.ask(do="save")

    def action_clear(self) -> None:
        """Go on without what was said."""
        if self._job is not None:
            self._job.ask(do="clear")

    def action_verdict(self) -> None:
        """Did the run help? Of several, the first."""
        if self._runs and history.result(run := Path(self._runs[0])).is_dir():
            self.app.push_screen(VerdictScreen(run))

    def action_copy(self) -> None:
        """The chat as Markdown, to the clipboard."""
        self.app.copy_to_clipboard(transcript.as_markdown(self._talk))
        self.notify("Copied.")

    def action_leave(self) -> None:
        """Stop an answer under way; else leave, and let the chat end."""
        if self._answering and self._job is not None:
            self._job.ask(do="stop")
        elif time.monotonic() - self._whole_at < JUST:
            self.notify("The answer was already complete. Press Escape again to leave.")
            self._whole_at = NEVER
        else:
            self.app.pop_screen()

    def on_unmount(self) -> None:
        """Nobody will ask it any more."""
        if self._job is not None:
            self._job.ask(do="end")
