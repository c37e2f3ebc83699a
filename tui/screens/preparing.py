"""One preparation, live or past: what was read, what was refused and why, and what became of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from gemmalocal.jobs import history
from gemmalocal.jobs.events import Read
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.jobs.processes import Job
from gemmalocal.planning import throughput
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import checked, preparations
from gemmalocal.workspace.preparations import Preparing
from gemmalocal.workspace.runs import Run
from tui.background import follow, run_in_background
from tui.remedies import in_app
from tui.screens.dataset import DatasetScreen
from tui.screens.next_steps import train_on
from tui.screens.run_screen import ChangePreparation, OneRunScreen
from tui.style_sheets import sheets
from tui.theme import framed, told
from tui.widgets.keys import Keys
from tui.widgets.marks import bar, mark
from tui.widgets.title_line import TitleLine

POLL = 0.25  # seconds
NAME, COUNT = 26, 8  # cells of the table's columns, the name's at least; the reason has the rest
READ = {  # by task: what it reads, what one of them is called, what they give
    "votes": ("Chats", "chat", "Votes"),
    "pairs": ("Rows that are asked again", "source", "Prompts"),
    "answers": ("Rows that are asked again", "source", "Prompts"),
    "rewrite": ("Rows", "source", "Rows"),
}
DOCUMENTS = "Documents", "document", "Passages"
REASONS = 5  # reasons of rejection that are shown


class PreparingScreen(OneRunScreen):
    """Draws the preparation in `folder`; `job` is the one that this process started, if it did."""

    CSS_PATH = sheets("documents")

    BINDINGS = [
        Binding("o", "open", "Open rows"),
        Binding("t", "train", "Train on this"),
        Binding("e", "change", "Change"),
        *OneRunScreen.JOB_KEYS,
        Binding("escape", "app.pop_screen", "Back"),
    ]
    STOPS = "{} stops after this answer. Resume goes on from there."
    LOST_BY_KILL = "The answer being written is lost. To keep it, press s instead: that stops after it."

    def __init__(self, folder: Path, job: Job | None = None) -> None:
        super().__init__(folder)
        self._job = job or Job(folder)
        self._state = Preparing()
        self._drawn = 0  # documents in the table

    def compose(self) -> ComposeResult:
        """Title, what goes on, the documents, the one under the cursor in words, the rows counted, keys."""
        yield TitleLine()
        yield Static(id="doing", markup=False)
        yield framed(DataTable[Text](cursor_type="row"), DOCUMENTS[0])
        yield Static(id="detail", markup=False)
        with framed(VerticalScroll(id="counts-box", can_focus=False), "Rows"):
            yield Static(id="counts")
        yield Static(id="trouble")
        yield Keys()

    def on_mount(self) -> None:
        """Follow it, as long as it is looked at."""
        self.query_one(TitleLine).left = self._folder.name
        run_in_background(self, self._follow)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether its state allows an action."""
        if action == "resume_smaller":
            return False
        if action in ("open", "train"):
            return bool(self._state.report) or (self._run is not None and not self._state.job.alive)
        if action == "change":
            return self._run is not None and not self._state.job.alive
        return super().check_action(action, parameters)

    async def _follow(self) -> None:
        try:
            await follow(self._look, self._show_run, POLL)
        except OSError:
            self.notify(f"{self._folder.name} is gone.", markup=False)

    def _show_run(self, run: Run | None) -> None:
        if run is not None and self.is_attached:
            self._run = run
            self._draw()

    def _look(self) -> Run | None:
        """How it stands, if there is news; not for the event loop."""
        alive = self._job.alive  # asked before the last read
        events = self._job.poll()
        stopping = alive and self._job.asked_to_stop
        if self._run is not None and not events and (alive, stopping) == (self._state.job.alive, self._run.stopping):
            return None
        for event in events:
            preparations.fold(self._state, event)
        self._state.job.alive, self._state.job.damage = alive, history.damage(self._folder)
        killed = self._state.job.status == "killed"
        trouble = history.death(self._job) if killed else history.trouble(self._folder, self._state.job)
        return Run(self._folder, history.known_spec(self._folder), self._state.job, trouble, 0.0, stopping=stopping)

    def _draw(self) -> None:
        assert self._run is not None
        state = self._state
        title = self.query_one(TitleLine)
        title.left = f"{self._folder.name} · {self._run.spec.get('task', '?')}"
        title.right = "● stopping" if self._run.stopping else told(state.job.status).plain
        self.query_one("#doing", Static).update(doing(state, self._run.stopping))
        self._fill(state.documents)
        self.query_one("#counts", Static).update(counts(state, self._read[1]))
        self._show_trouble(self._run)
        self.refresh_bindings()

    @property
    def _read(self) -> tuple[str, str, str]:
        """What it reads, what one of them is called, what they give."""
        return READ.get(history.word(self._run.spec, "task") if self._run else "", DOCUMENTS)

    def _fill(self, documents: list[Read]) -> None:
        table = self.query_one(DataTable)
        panel, one, given = self._read
        table.border_title = panel
        table.display = bool(documents) or panel == DOCUMENTS[0] or self._state.job.alive  # older ones tell of none
        if len(documents) < self._drawn or not table.columns:  # a new attempt, or another width
            table.clear(columns=True)
            name = max(NAME, table.size.width // 3)
            rest = max(10, table.size.width - name - COUNT - 8)
            for label, width in ((one.capitalize(), name), (given, COUNT), ("", rest)):
                table.add_column(Text(label, justify="right" if width == COUNT else "left"), width=width)
            self._drawn = 0
        for document in documents[self._drawn :]:
            table.add_row(*cells(document))
        self._drawn = len(documents)

    def on_resize(self) -> None:
        """The reason's column has another width."""
        if self._run is not None:
            table = self.query_one(DataTable)
            row = table.cursor_row
            table.clear(columns=True)
            self._fill(self._state.documents)
            table.move_cursor(row=row)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another document: all that is known of it."""
        if 0 <= event.cursor_row < len(self._state.documents):  # -1 is said of a table that was emptied
            document = self._state.documents[event.cursor_row]
            words = [document.refused, *document.warnings] if document.refused else document.warnings
            self.query_one("#detail", Static).update("\n".join([document.source, *map(in_app, words)]))

    def on_data_table_row_selected(self) -> None:
        """Enter."""
        self.action_open()

    def action_open(self) -> None:
        """The rows that it made."""
        self._try((self._folder / TRAIN_FILE).is_file, self._opened)

    def action_train(self) -> None:
        """The form of a run on its rows."""
        if self._run is not None and (self._folder / TRAIN_FILE).is_file():
            with self.problem_shown("There is no recipe to train by"):
                self.app.push_screen(train_on(self._folder.name, str(self._folder), model_of(self._run.spec)))
        else:
            self.notify("There are no rows yet.", severity="warning")

    def _opened(self, there: bool) -> None:
        if there and self.is_attached:
            self.app.push_screen(DatasetScreen(str(self._folder)))
        elif not there:
            self.notify("There are no rows yet.", severity="warning")

    def action_change(self) -> None:
        """The form, filled with what it was made by."""
        if self._run is not None:
            self.post_message(ChangePreparation(self._folder.name, self._run.spec))

    def _resumed(self, job: Job) -> None:
        job.skip_to(self._job)
        self._job = job
        self.notify(f"{self._folder.name} goes on.", markup=False)


def model_of(spec: dict[str, Any]) -> str:
    """The model that its rows are for, as far as the preparation says; empty if it does not."""
    named = (history.word(spec, key) for key in ("tuned_model", "model"))
    return next((model for model in named if model != "?"), "")


def doing(state: Preparing, stopping: bool = False) -> str:
    """What goes on with its progress, or what was last said."""
    job = state.job
    if not job.alive:
        return job.last_word.message if job.last_word is not None else ""
    words = ["stopping: it finishes this answer" if stopping else job.stage or "starting"]
    if job.progress:
        share = job.progress.done / max(1, job.progress.total)
        words.append(f"{bar(share, 16)} {job.progress.done:,} of {job.progress.total:,} {job.progress.what}")
        if job.progress.left is not None:
            words.append(f"{throughput.duration(job.progress.left)} left")
    return " · ".join(words)


def cells(document: Read) -> list[Text]:
    """A document's row of the table."""
    name = f"{mark('failed' if document.refused else 'done')} {Path(document.source).name or document.source}"
    words = in_app(document.refused.removeprefix(document.source).strip() or "; ".join(document.warnings))
    return [
        Text(name, no_wrap=True, overflow="ellipsis"),
        Text("" if document.refused else f"{document.passages:,}", justify="right"),
        Text(words, no_wrap=True, overflow="ellipsis", style="" if document.refused else "dim"),
    ]


def counts(state: Preparing, one: str = DOCUMENTS[1]) -> Content:
    """Documents and rows in numbers; once it has ended, also on which side they are."""
    refused = sum(bool(document.refused) for document in state.documents)
    read = len(state.documents) - refused
    parts: list[Any] = []
    if state.documents or one == DOCUMENTS[1]:
        parts += [(f"{read:>7,}", "bold"), f" {plural(read, one)} read  ", (f"{refused:,}", "bold"), " left out\n"]
    parts += [(f"{state.kept:>7,}", "bold"), f" {plural(state.kept, 'row')} kept"]
    if report := state.report:
        train, held_out = report["train"], report["held_out"]
        parts.append(
            f": {train['rows']:,} to train on ({counted(train['tokens'], 'token')}), {held_out['rows']:,} held out"
        )
    rejected = sum(state.rejected.values())
    parts += ["\n", (f"{rejected:>7,}", "bold"), f" {plural(rejected, 'row')} rejected"]
    for reason, count in list(state.rejected.items())[:REASONS]:
        parts += ["\n", (f"{count:>9,} ", "$muted"), (f"the row {in_app(reason)}", "$muted")]
    if (more := len(state.rejected) - REASONS) > 0:
        parts.append((f"\n{'':>10}and {more} more {plural(more, 'reason')}", "$muted"))
    if silent := sum(state.report.get("without_rows", {}).values()):
        parts += ["\n", (f"{silent:>7,}", "bold"), f" {plural(silent, 'passage')} gave no row"]
    if (covered := state.report.get("coverage", {})).get("passages"):
        passages = counted(covered["passages"], "passage")
        parts += ["\n", (f"{covered['with_row']:>7,}", "bold"), f" of {passages} have a row"]
    parts += [("".join(f"\n{'':>8}{line}" for line in checked.lines(state.report.get("quality", {}))), "$muted")]
    return Content.assemble(*parts)
