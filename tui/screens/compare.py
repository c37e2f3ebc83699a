"""One question, all answers at once: the base model and runs, each in a column, from one copy of the weights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import UsageFault
from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Declined, Event, Notice, Report, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import chats, transcript, votes
from tui.background import run_in_background
from tui.errand import events_of
from tui.remedies import in_app
from tui.screens.pick import Offers, PickScreen
from tui.screens.problem import ProblemScreen
from tui.screens.report import ReportScreen
from tui.screens.run_screen import AppScreen, PreparationStarted
from tui.screens.verdict import VerdictScreen
from tui.style_sheets import sheets
from tui.theme import framed
from tui.tool_talk import ToolAnswers, ToolTalk
from tui.widgets.answers import ExchangeRow
from tui.widgets.keys import Keys
from tui.widgets.question import Question
from tui.widgets.title_line import TitleLine

JUST = 1.5  # seconds after an answer in which Escape was meant to stop it
NEVER = float("-inf")
START = {"temperature": 0, "max_tokens": 128, "seed": 0}
HELP = "Ask. ← = → vote, F4 learns from votes. /temperature 0.8 /top_p /seed /max_tokens /system /tools"
OF_ALL = {"": transcript.TIE, transcript.TIE: transcript.BOTH_BAD, transcript.BOTH_BAD: ""}  # what = says next
BASE, COLUMNS = "base", 4  # what the untrained model is called; how many voices at once


class CompareScreen(AppScreen):
    """A chat with the base and `runs`; none means the newest run with a result."""

    CSS_PATH = sheets("compare")

    BINDINGS = [
        Binding("escape", "leave", "Stop, back", priority=True),
        Binding("ctrl+r", "again", "Again"),
        Binding("ctrl+g", "differences", "Differences"),
        Binding("ctrl+l", "columns", "Columns"),
        Binding("ctrl+y", "copy", "Copy", priority=True),
        Binding("ctrl+t", "verdict", "Verdict"),
        Binding("ctrl+s", "save", "Save"),
        Binding("f4", "learn", "Learn from votes"),
        Binding("ctrl+b", "earlier", "Earlier chats", priority=True),
        Binding("ctrl+n", "clear", "Forget"),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
    ]

    def __init__(self, runs: Sequence[str] = ()) -> None:
        super().__init__()
        self._runs, self._base = list(runs), True
        self._job: Job | None = None
        self._talk = transcript.Talk()
        self._settings: dict[str, float | str] = dict(START)
        self._whole_at = NEVER  # when the last answer came to its end
        self._system, self._doing, self._differ = "", "starting", False
        self._tools = ToolTalk()

    def compose(self) -> ComposeResult:
        """Title, names and the talk (made when the voices are known), settings, the question, keys."""
        yield TitleLine()
        yield Horizontal(id="voices")
        yield VerticalScroll(id="talk", can_focus=False)
        yield Static(id="settings", markup=False)
        yield framed(Question(HELP), "Question")
        yield Keys()

    def on_mount(self) -> None:
        """Start the job, and follow it."""
        self.query_one(Question).focus()
        self.query_one("#talk", VerticalScroll).anchor()  # at the end of what is said, until somebody scrolls
        self._draw()
        self._begin()

    def _begin(self) -> None:
        run_in_background(self, self._follow, group="talk", exclusive=True)

    @property
    def ready(self) -> bool:
        """There is somebody to ask."""
        return self._job is not None or self._doing == "not running"

    @property
    def unsaved(self) -> str:
        """A question that is written, and not asked."""
        return "Your question has not been asked." if self.is_mounted and self.query_one(Question).text.strip() else ""

    async def _follow(self) -> None:
        with self.problem_shown("The chat could not be started"):
            self._runs = self._runs or [str(await asyncio.to_thread(chats.newest))]
            talk = self._talk
            self._job = job = await asyncio.to_thread(
                chats.start, self._runs, self._base, self._settings, False, self._tools.table.tools
            )
            async for event in events_of(job):
                if talk is not self._talk:  # others are asked meanwhile
                    return
                await self._show_event(event)
            return self._show_end(job.directory)
        self._doing = "not running"
        self._draw()

    async def _show_event(self, event: Event) -> None:
        names, before = self._talk.names, self._answering
        transcript.fold(self._talk, event)
        if before and not self._answering:
            self._whole_at = time.monotonic()
            self._go_on(self._tools.of(self._talk.exchanges[-1]))
        match event:
            case Stage():
                self._doing = event.name
            case Notice():
                self.notify(in_app(event.text), markup=False)
            case Declined():
                self.notify(event.why, severity="warning", markup=False)
            case Report() if "transcript" in event.data:
                self.notify(f"Saved: {event.data['transcript']}", markup=False)
        if self._talk.names != names:
            self._doing = "ready"
        await self._sync()
        self._draw()

    def _go_on(self, answers: ToolAnswers | None) -> None:
        """Hand on what tools answer, once each call has an answer; else say which has none."""
        if answers is not None and self._job is not None:
            self._job.ask(do="answer", answers=answers)
        elif self._tools.asked:
            self.notify(f"What does {self._tools.asked} answer? Type /answer, and what it says.", markup=False)

    async def _sync(self) -> None:
        """A row for each exchange that the voices remember, and none for others; names over the columns."""
        voices, talk = self.query_one("#voices", Horizontal), self.query_one("#talk", VerticalScroll)
        if len(voices.children) != len(self._talk.names):
            await voices.remove_children()
            await voices.mount_all(Static(classes="voice", markup=False) for _ in self._talk.names)
        turns = [exchange.asked.turn for exchange in self._talk.remembered]
        rows = list(talk.query(ExchangeRow))
        for row in rows:
            if row.turn not in turns:
                await row.remove()
        known = {row.turn for row in rows}
        await talk.mount_all(ExchangeRow(turn, len(self._talk.names)) for turn in turns if turn not in known)

    def _show_end(self, folder: Path) -> None:
        cause = history.trouble(folder, history.read(folder))
        if cause is not None:
            self.show_dialog(ProblemScreen.of("The chat has ended", cause, folder))
        self._doing = "ended"
        self._draw()

    def _draw(self) -> None:
        title = self.query_one(TitleLine)
        title.left, title.right = "Compare", "answering" if self._answering else self._doing
        voices = zip(self.query(".voice").results(Static), self._talk.names, self._talk.tally, strict=False)
        for static, name, count in voices:
            votes = counted(count, "vote") if count else ""
            static.update(Content.assemble((name, "bold $secondary"), "  ", (votes, "$good")))
        for row, exchange in zip(self.query(ExchangeRow), self._talk.remembered, strict=False):
            row.show(exchange, self._differ)
        settings = "  ".join(f"{name} {value}" for name, value in self._settings.items())
        self.query_one("#settings", Static).update(f"{settings}{'   · system text' * bool(self._system)}")

    @property
    def _answering(self) -> bool:
        return bool(self._talk.exchanges) and not self._talk.exchanges[-1].whole and self._doing == "ready"

    def on_question_asked(self, event: Question.Asked) -> None:
        """A question, or a setting; a wrong setting stays, to be corrected."""
        if self._job is None:
            return
        if not event.text.startswith("/"):
            self._job.ask(do="ask", text=event.text, system=self._system, **self._settings)
            self.query_one("#talk", VerticalScroll).anchor()
        elif not self._set(*event.text[1:].partition(" ")[::2]):
            return
        self.query_one(Question).taken(event.text)

    def _set(self, name: str, value: str) -> bool:
        """Take a setting; False, and why in a notice, if it is none."""
        if name == "system":
            self._system = value
        elif name == "tools":
            return self._take_tools(value.strip())
        elif name == "answer":
            self._go_on(self._tools.take(value.strip()))
        elif name in chats.LIMITS:
            try:
                self._settings[name] = chats.setting(name, value.strip())
            except ValueError as problem:
                self.notify(f"/{problem}.", severity="warning")
                return False
        else:
            settings = ", ".join(f"/{setting}" for setting in ("system", "tools", "answer", *chats.LIMITS))
            self.notify(f"There is no /{name}. There is {settings}.", severity="warning")
            return False
        self._draw()
        return True

    def _take_tools(self, file: str) -> bool:
        """Begin anew with the tools of a file; False, and why in a notice, if it has none."""
        try:
            self._tools = ToolTalk.of_file(file)
        except UsageFault as fault:
            self.notify(f"{fault.message} {in_app(fault.hint)}", severity="warning", markup=False)
            return False
        run_in_background(self, self._anew)
        return True

    def on_question_voted(self, event: Question.Voted) -> None:
        """The first or the last answer of the last question, then from column to column; = takes it back.

        Where none is better, = says that all are good, then that none is, then neither.
        """
        if self._job is None or not self._talk.exchanges:
            return
        newest = self._talk.exchanges[-1]
        last, now, verdict = len(self._talk.names) - 1, newest.vote, ""
        if event.side == 0:
            voice, verdict = None, "" if now is not None else OF_ALL[newest.verdict]
        elif now is None:
            voice = 0 if event.side < 0 else last
        else:
            voice = max(0, min(last, now + event.side))
        self._job.ask(do="vote", voice=voice, verdict=verdict)

    def action_scroll(self, way: int) -> None:
        """A page up or down in what was said."""
        talk = self.query_one("#talk", VerticalScroll)
        talk.scroll_relative(y=way * max(1, talk.size.height - 2), animate=False)

    def action_again(self) -> None:
        """The last question again, by another draw."""
        if self._job is not None:
            self._job.ask(do="regenerate", **self._settings)

    def action_differences(self) -> None:
        """Mark the words that differ, or no longer."""
        self._differ = not self._differ
        self._draw()

    def action_columns(self) -> None:
        """Another run, or a checkpoint of one, beside the others; or one of them away."""
        self.app.push_screen(PickScreen("Who is asked?", partial(_voices, self._names)), self._change_columns)

    @property
    def _names(self) -> list[str]:
        """Who is asked, as `chats.start` names them."""
        return [BASE] * self._base + self._runs

    def _change_columns(self, name: str | None) -> None:
        if name is None:
            return
        names = self._names
        names = [each for each in names if each != name] if name in names else [*names, name]
        if not [each for each in names if each != BASE]:
            self.notify("At least one run is asked.", severity="warning")
            return
        if len(names) > COLUMNS:
            self.notify(f"At most {COLUMNS} are asked at once: take one away first.", severity="warning")
            return
        self._base, self._runs = BASE in names, [each for each in names if each != BASE]
        run_in_background(self, self._anew)

    async def _anew(self) -> None:
        """Another chat; the one before keeps its transcript."""
        if self._job is not None:
            self._job.ask(do="end")
        self._job, self._talk, self._doing = None, transcript.Talk(), "starting"
        await self._sync()
        self._draw()
        self._begin()

    def action_save(self) -> None:
        """Write the transcript, as Markdown and as JSON lines."""
        if self._job is not None:
            self._job.ask(do="save")

    def action_learn(self) -> None:
        """Make rows of what was voted for, in all chats: from there a run is trained that learns from them."""
        run_in_background(self, self._learn)

    async def _learn(self) -> None:
        from tui.screens.preparing import PreparingScreen  # nobody waits for it when a chat begins

        with self.problem_shown("No rows can be made of votes"):
            job = await asyncio.to_thread(votes.begin)
            self.post_message(PreparationStarted(job.directory))
            self.app.push_screen(PreparingScreen(job.directory, job))

    def action_clear(self) -> None:
        """Go on without what was said."""
        if self._job is not None:
            self._job.ask(do="clear")

    def action_verdict(self) -> None:
        """Did the run help? Of several, the first."""
        if self._runs and history.result(run := Path(self._runs[0])).is_dir():
            self.app.push_screen(VerdictScreen(run))

    def action_copy(self) -> None:
        """An answer to the last question, or the whole chat as Markdown, to the clipboard."""
        offers = [(Content("the whole conversation"), BASE + "/")]
        if self._talk.remembered:
            offers += [(Content(f"the answer of {name}"), name) for name in self._talk.names]
        if len(offers) == 1:
            self.notify("Nothing was said yet.")
        else:
            self.app.push_screen(PickScreen("Copy what?", lambda: offers), self._copy)

    def _copy(self, whose: str | None) -> None:
        if whose is None:
            return
        text = transcript.as_markdown(self._talk)
        if whose in self._talk.names and self._talk.remembered:
            text = self._talk.remembered[-1].answers[self._talk.names.index(whose)].text.strip()
        self.app.copy_to_clipboard(text)
        self.notify("Copied.")

    def action_earlier(self) -> None:
        """Read a conversation that was had before."""
        self.app.push_screen(PickScreen("Which conversation?", _earlier), self._read)

    def _read(self, folder: str | None) -> None:
        if folder is not None:
            run_in_background(self, partial(self._show_transcript, Path(folder)))

    async def _show_transcript(self, folder: Path) -> None:
        with self.problem_shown("The conversation cannot be read"):
            text = await asyncio.to_thread(chats.as_text, folder)
            self.show_dialog(ReportScreen(folder.name, Text(text)))

    def action_leave(self) -> None:
        """Stop an answer under way; else leave, and let the chat end."""
        if self._answering and self._job is not None:
            self._job.ask(do="stop")
        elif time.monotonic() - self._whole_at < JUST:
            self.notify("The answer was already complete. Press Escape again to leave.")
            self._whole_at = NEVER
        else:
            super().action_leave()

    def on_unmount(self) -> None:
        """Nobody will ask it any more."""
        if self._job is not None:
            self._job.ask(do="end")


def _voices(asked: list[str]) -> Offers:
    """Who can be asked, those that are asked marked: the base, runs with something learned, their checkpoints."""
    names = [BASE]
    for folder in history.list_runs():
        if history.result(folder).is_dir():
            names.append(str(folder))
        steps = sorted(
            (int(each.name) for each in safe_read.entries(folder / "checkpoints") if each.name.isdigit()), reverse=True
        )
        names += [f"{folder}@{step}" for step in steps if step]
    asked_too = [name for name in asked if name not in names]  # such as a run elsewhere
    return [
        (Content.assemble("✓ " if name in asked else "  ", (Path(name).name, "bold")), name)
        for name in [*asked_too, *names]
    ]


def _earlier() -> Offers:
    """The conversations of this workspace, by when they were had and what was asked first."""
    return [
        (Content.assemble((talk.when, "bold"), f"  {talk.questions:>3}  ", (talk.first, "$muted")), str(talk.folder))
        for talk in chats.transcripts()
    ]
