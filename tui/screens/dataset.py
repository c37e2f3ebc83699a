"""Rows as cards, as they are trained; those of a dataset that was prepared here are edited, dropped and accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs.events import Declined, Event, Failed, Progress, Report, Rows, Stage
from gemmalocal.jobs.processes import Job
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import covered, datasets, ratings, rows
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.screens.ask_number import AskNumberScreen
from tui.screens.edit_answer import EditAnswerScreen
from tui.screens.report import ReportScreen
from tui.screens.review import ReviewScreen
from tui.screens.run_screen import AppScreen
from tui.widgets.keys import Keys
from tui.widgets.marks import bar
from tui.widgets.row_card import RowCard, as_trained, as_written, numbers, provenance
from tui.widgets.title_line import TitleLine

STAY = 120.0  # seconds after which the job, which ends when nobody asks, is told that we are still here
CARDS = 16  # rows that are drawn at most, from the one at hand
PAGE = 32  # rows that are asked for at once
LEAP = 10  # rows that page up and page down move by
SIDES = {"train": "train", "held_out": "held-out", "rejected": "rejected"}
FILES = {"train": TRAIN_FILE, "held_out": HELD_OUT_FILE, "rejected": datasets.REJECTED}
READ_ONLY = "read only, as they were not prepared here"
WRITTEN = "rows as they stand in the file"


class DatasetScreen(AppScreen):
    """The rows of `source`, as `rows.view` understands it."""

    BINDINGS = [
        Binding("j", "move(1)", "Rows", key_display="j/k"),
        Binding("k", "move(-1)", "Previous row", show=False),
        Binding("s", "side", "Other rows"),
        Binding("e", "edit", "Edit"),
        Binding("d", "drop", "Drop"),
        Binding("a", "accept", "Accept"),
        Binding("r", "review", "Rate"),
        Binding("l", "problems", "Problems"),
        Binding("c", "coverage", "Not covered"),
        Binding("h", "numbers", "Numbers"),
        Binding("g", "go", "Go to"),
        Binding("escape", "app.pop_screen", "Back"),
        Binding("pagedown", f"move({LEAP})", show=False),
        Binding("pageup", f"move({-LEAP})", show=False),
        Binding("home", "move(-1_000_000_000)", show=False),
        Binding("end", "move(1_000_000_000)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("up", "scroll(-1)", show=False),
    ]

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source
        self._view: rows.View | None = None
        self._job: Job | None = None
        self._report: dict[str, Any] = {}
        self._pages: dict[tuple[str, int], dict[str, Any]] = {}  # by side and place
        self._asked: set[tuple[str, int]] = set()  # pages
        self._files: dict[str, dict[int, datasets.DatasetRow]] = {}  # by side and line, of a dataset that is ours
        self._coverage: dict[str, Any] = {}  # as the dataset's report has it
        self._side = "train"
        self._at = dict.fromkeys(SIDES, 0)
        self._doing = "opening"
        self._rated = ""  # such as "18 of 20 rated good by you"
        self._busy = False  # a change is being written and read again

    def compose(self) -> ComposeResult:
        """Title, cards, numbers, keys."""
        yield TitleLine()
        yield Static(id="about", markup=False)
        with Horizontal(id="body"):
            with VerticalScroll(id="cards", can_focus=False):
                for place in range(CARDS):
                    yield RowCard(classes="" if place else "current")
            with VerticalScroll(id="numbers-box", can_focus=False):
                yield Static(id="numbers")
        yield Keys()

    def on_mount(self) -> None:
        """Find the rows, and have them read."""
        self._draw()
        run_in_background(self, self._follow())

    async def _follow(self) -> None:
        with self.problem_shown("These rows cannot be shown"):
            self._view = await asyncio.to_thread(rows.view, self._source)
            await self._read_files()
            async with errand("rows", self._view.spec) as self._job:
                run_in_background(self, self._stay(self._job))
                async for event in events_of(self._job):
                    self._show_event(event)

    async def _stay(self, job: Job) -> None:
        while True:
            await asyncio.sleep(STAY)
            job.ask(do="stay")

    async def _read_files(self) -> None:
        if self._view is not None and (folder := self._view.folder) is not None:
            self._files = await asyncio.to_thread(
                lambda: {side: datasets.numbered(folder / name) for side, name in FILES.items()}
            )
            self._coverage = (await asyncio.to_thread(datasets.report, folder)).get("coverage", {})
            self._rated = await asyncio.to_thread(ratings.sentence, folder)
            self._draw()

    def _show_event(self, event: Event) -> None:
        match event:
            case Stage():
                self._doing = event.name
            case Progress():
                self._doing = f"{event.what} {bar(event.done / max(1, event.total), 12)}"
            case Report():
                self._report, self._doing, self._busy = event.data, "", False
                self._pages.clear()
                self._asked.clear()
            case Rows():
                self._pages |= {(event.side, event.first + place): row for place, row in enumerate(event.rows)}
            case Declined():
                self.notify(event.why, severity="warning", markup=False)
            case Failed():
                self._doing, self._busy = "", False
                self._report = {name: value for name, value in self._report.items() if name == "problems"}
                error = GemmalocalError(event.message, event.hint)
                self.show_problem("The rows cannot be shown the way the model reads them", error)
        self._draw()

    @property
    def _tokenized(self) -> bool:
        """Whether rows of this side are shown as a job has read them, else as they are written."""
        return self._side in self._report

    @property
    def _total(self) -> int:
        if self._tokenized:
            return int(self._report[self._side]["rows"])
        return len(self._files.get(self._side, ()))

    def _row(self, place: int) -> tuple[datasets.DatasetRow | None, dict[str, Any] | None]:
        """The row at a place of this side: as the dataset has it, if it is ours, and as it is trained, if known."""
        if not self._tokenized:
            lines = self._files.get(self._side, {})
            return lines[list(lines)[place]], None
        row = self._pages.get((self._side, place))
        name, _, line = (row["source"] if row else "").rpartition(":")
        ours = self._files.get(self._side, {}) if name == FILES[self._side] else {}
        return ours.get(int(line)) if line.isdigit() else None, row

    def _draw(self) -> None:
        if not self.is_attached:
            return
        total, view = self._total, self._view
        at = self._at[self._side] = max(0, min(self._at[self._side], total - 1))
        title = self.query_one(TitleLine)
        title.left = f"{view.name if view else self._source} · {SIDES[self._side]}"
        title.right = self._doing or (f"row {at + 1:,} of {total:,}" if total else "no rows")
        reading = f"rows as {view.model.rpartition('/')[2]} is trained on them" if view and self._tokenized else WRITTEN
        about = [reading, self._report.get("shape", ""), self._rated, READ_ONLY if view and view.folder is None else ""]
        self.query_one("#about", Static).update(" · ".join(word for word in about if word))
        self._ask(at, total)
        width, room = self.query_one("#cards").size.width - 4, self.size.height
        for card, place in zip(self.query(RowCard), range(at, at + CARDS), strict=True):
            if place < total and room > 0:
                room -= card.show(*self._card(place), width)
            else:
                card.display = False
        self._draw_numbers()
        self.refresh_bindings()

    def _card(self, place: int) -> tuple[str, str, Content]:
        ours, row = self._row(place)
        words = provenance(ours) if ours else [row["source"]] if row else []
        head = f"{place + 1:,}  {' · '.join(words)}"
        if row is None and ours is None:
            return head, "", Content("…")
        right = f"{row['tokens']:,} tokens, {row['supervised']:,} trained on{', cut' * row['cut']}" if row else ""
        body = as_trained(row) if row else as_written(ours or {})
        if ours and "reason" in ours:
            body = Content.assemble((f"{ours['reason']}\n", "$text-error"), body)
        if ours and ours.get("evidence"):
            body = Content.assemble(body, (f"\nevidence: {ours['evidence']}", "italic $text-muted"))
        return head, right, body

    def _ask(self, at: int, total: int) -> None:
        """Ask for the pages that are to be seen and not yet here."""
        if self._job is None or not self._tokenized:
            return
        for first in {place // PAGE * PAGE for place in (at, min(at + CARDS, total) - 1) if place >= 0}:
            if (self._side, first) not in self._asked:
                self._asked.add((self._side, first))
                self._job.ask(do="page", side=self._side, first=first, count=PAGE)

    def _draw_numbers(self) -> None:
        reasons = Counter(row["reason"].partition(": ")[0] for row in self._files.get("rejected", {}).values())
        box = self.query_one("#numbers-box")
        panel = numbers(self._report, self._side, dict(reasons.most_common()), self._coverage, box.size.width - 3)
        self.query_one("#numbers", Static).update(panel)

    def on_resize(self) -> None:
        """Another width."""
        self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Rows of others are only looked at; a key that has nothing to do is dim."""
        if action == "review":
            return self._view is not None and self._view.folder is not None
        if action in ("edit", "drop", "accept"):
            ours = self._view is not None and self._view.folder is not None and self._total > 0 and not self._busy
            fits = {"drop": self._side != "rejected", "accept": self._side == "rejected"}.get(action, True)
            here = ours and self._row(min(self._at[self._side], self._total - 1))[0] is not None
            return True if here and fits else (None if fits else False)
        return bool(self._coverage) if action == "coverage" else True

    def action_move(self, by: int) -> None:
        """To another row."""
        self._at[self._side] += by
        self._draw()
        self.query_one("#cards", VerticalScroll).scroll_home(animate=False)

    def action_scroll(self, by: int) -> None:
        """Within a long row, or the numbers."""
        shown = "#numbers-box" if self.has_class("-numbers") and self.has_class("-narrow") else "#cards"
        self.query_one(shown, VerticalScroll).scroll_relative(y=by, animate=False)

    def action_side(self) -> None:
        """Train, held-out, and where rows are ours, rejected."""
        sides = [side for side in SIDES if side != "rejected" or self._files]
        self._side = sides[(sides.index(self._side) + 1) % len(sides)]
        self.action_move(0)

    def action_numbers(self) -> None:
        """In place of the cards, where there is no room beside them."""
        self.toggle_class("-numbers")
        self.call_after_refresh(self._draw)

    def action_problems(self) -> None:
        """What is wrong or odd, by kind."""
        from gemmalocal.cli.check import problems
        from gemmalocal.cli.output import page

        if not self._report.get("problems"):
            self.notify("Nothing was found wrong or odd." if self._report else "The rows are still being read.")
            return
        text = Text.from_ansi(page(problems(self._report)))
        self.app.push_screen(ReportScreen("What is left out, and what is odd", text))

    def action_coverage(self) -> None:
        """What of the documents no row is about."""
        text = Text("\n".join(covered.lines(self._coverage)))
        self.app.push_screen(ReportScreen("What the rows cover, and what they do not", text))

    def action_review(self) -> None:
        """Rate rows, and see what that tells."""
        if self._view is not None and self._view.folder is not None:
            self.app.push_screen(ReviewScreen(self._view.folder), self._reviewed)

    def _reviewed(self, moved: bool | None) -> None:
        """Rows may have changed sides; the figure may be another."""
        run_in_background(self, self._read_again(bool(moved)))

    def action_go(self) -> None:
        """To a row by its number."""
        if self._total:
            self.app.push_screen(AskNumberScreen(f"Which row? 1 to {self._total:,}"), self._go_to)
        else:
            self.notify("There are no rows here.")

    def _go_to(self, number: int | None) -> None:
        if number is not None:
            self._at[self._side] = number - 1
            self.action_move(0)

    def action_edit(self) -> None:
        """Write the answer anew."""
        side, (row, _) = self._side, self._row(self._at[self._side])
        if row is None:
            return
        asked = "\n\n".join(turn["content"] for turn in row.get("messages", ())[:-1])

        def edited(text: str | None) -> None:
            if text is not None:
                self._change(lambda folder: datasets.edit(folder, FILES[side], row, text), "Edited.")

        self.app.push_screen(EditAnswerScreen("The answer to train on", asked, datasets.answer(row)), edited)

    def action_drop(self) -> None:
        """Move the row to the rejected ones."""
        side, (row, _) = self._side, self._row(self._at[self._side])
        if row is not None:
            self._change(
                lambda folder: datasets.drop(folder, FILES[side], row), "Dropped. It is now among the rejected rows."
            )

    def action_accept(self) -> None:
        """Take a rejected row back."""
        row, _ = self._row(self._at[self._side])
        if row is not None:
            notice = f"Accepted. It is now the last {SIDES['held_out' if row.get('held_out') else 'train']} row."
            self._change(lambda folder: datasets.accept(folder, [row]), notice)

    def _change(self, work: Callable[[Path], None], notice: str) -> None:
        if self._view is not None and self._view.folder is not None:
            self._busy = True
            run_in_background(self, self._changed(work, self._view.folder, notice))

    async def _read_again(self, changed: bool) -> None:
        await self._read_files()
        if changed and self._job is not None and self._report.get("train"):
            self._busy = True
            self._job.ask(do="again")

    async def _changed(self, work: Callable[[Path], None], folder: Path, notice: str) -> None:
        with self.problem_shown("The row could not be changed"):
            await asyncio.to_thread(work, folder)
            self.notify(notice)
        await self._read_files()
        if self._job is not None and self._report.get("train"):
            self._job.ask(do="again")
        else:  # no job is there that could read them again
            self._busy = False
        self._draw()
