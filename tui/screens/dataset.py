"""Rows as cards, as they are trained; those of a dataset that was prepared here are edited, dropped and accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs.events import Declined, Event, Failed, Found, Progress, Report, Rows, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import covered, datasets, ratings, rows
from gemmalocal.workspace.dataset_rows import DatasetRow
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.remedies import in_app
from tui.screens.ask_line import AskLineScreen
from tui.screens.ask_number import AskNumberScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.next_steps import train_on
from tui.screens.pick import PickScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.screens.review import ReviewScreen
from tui.screens.row_changes import RowChanges
from tui.shown_rows import FILES, SIDES, ShownRows, Sought
from tui.style_sheets import sheets
from tui.theme import framed
from tui.widgets.keys import Keys
from tui.widgets.marks import bar
from tui.widgets.row_card import RowCard, as_trained, as_written, numbers, provenance, with_marks
from tui.widgets.title_line import TitleLine

STAY = 120.0  # seconds after which the job, which ends when nobody asks, is told that we are still here
CARDS = 16  # rows that are drawn at most, from the one at hand
LEAP = 10  # rows that page up and page down move by
READ_ONLY = "read only, as they were not prepared here"
WRITTEN = "rows as they stand in the file"


class DatasetScreen(RowChanges):
    """The rows of `source`, as `rows.view` understands it."""

    CSS_PATH = sheets("dataset")

    BINDINGS = [
        Binding("j", "move(1)", "Rows", key_display="j/k"),
        Binding("k", "move(-1)", "Previous row", show=False),
        Binding("s", "side", "Other rows"),
        Binding("slash", "search", "Search", key_display="/"),
        *RowChanges.CHANGE_KEYS,
        Binding("t", "train", "Train on this"),
        Binding("r", "review", "Rate"),
        Binding("f", "documents", "Of one document"),
        Binding("l", "problems", "Problems"),
        Binding("c", "coverage", "Not covered"),
        Binding("h", "numbers", "Numbers"),
        Binding("g", "go", "Go to"),
        Binding("escape", "back", "Back"),
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
        self._rows = ShownRows()
        self._coverage: dict[str, Any] = {}  # as the dataset's report has it
        self._at = dict.fromkeys(SIDES, 0)
        self._doing = "opening"
        self._rated = ""  # such as "18 of 20 rated good by you"

    def compose(self) -> ComposeResult:
        """Title, cards, numbers, keys."""
        yield TitleLine()
        yield Static(id="about", markup=False)
        with Horizontal(id="body"):
            with framed(VerticalScroll(id="cards", can_focus=False), "Rows"):
                for place in range(CARDS):
                    yield RowCard(classes="" if place else "current")
            with framed(VerticalScroll(id="numbers-box", can_focus=False), "Numbers"):
                yield Static(id="numbers")
        yield Keys()

    def on_mount(self) -> None:
        """Find the rows, and have them read."""
        self._draw()
        run_in_background(self, self._follow)

    async def _follow(self) -> None:
        with self.problem_shown("These rows cannot be shown"):
            self._view = await asyncio.to_thread(rows.view, self._source)
            await self._read_files()
            if not await self._may_fetch(self._view):
                self._doing = ""
                return self._draw()
            async with errand("rows", self._view.spec) as self._job:
                run_in_background(self, partial(self._stay, self._job))
                async for event in events_of(self._job):
                    self._show_event(event)

    async def _may_fetch(self, view: rows.View) -> bool:
        """Whether all is here, or somebody wants it fetched: looking at rows goes to no network by itself."""
        lines = await asyncio.to_thread(_fetched, view)
        if not lines:
            return True
        question = ConfirmScreen("Fetch that from the Hugging Face Hub?", "\n".join(lines), "Fetch")
        return await self.app.push_screen_wait(question)

    async def _stay(self, job: Job) -> None:
        while True:
            await asyncio.sleep(STAY)
            job.ask(do="stay")

    async def _read_files(self) -> None:
        if (folder := self.dataset) is not None:
            self._rows.files = await asyncio.to_thread(
                lambda: {side: datasets.numbered(folder / name) for side, name in FILES.items()}
            )
            self._rows.seek(self._rows.sought)
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
                self._rows.report, self._doing, self._busy = event.data, "", False
                self._rows.forget()
                self._seek()
            case Rows():
                self._rows.pages |= {(event.side, event.first + place): row for place, row in enumerate(event.rows)}
            case Found():
                self._rows.found(event.side, event.text, event.places)
            case Declined():
                self.notify(event.why, severity="warning", markup=False)
            case Failed():
                self._doing, self._busy = "", False
                report = self._rows.report
                self._rows.report = {name: value for name, value in report.items() if name == "problems"}
                error = GemmalocalError(event.message, event.hint)
                self.show_problem("The rows cannot be shown the way the model reads them", error)
        self._draw()

    @property
    def dataset(self) -> Path | None:
        """Where the rows are, if they were prepared here."""
        return self._view.folder if self._view is not None else None

    @property
    def row_at_hand(self) -> DatasetRow | None:
        """As the dataset has it, once it is here."""
        total = self._rows.total(self._side)
        return self._rows.row(self._side, min(self._at[self._side], total - 1))[0] if total else None

    @property
    def place_at_hand(self) -> int:
        """Among all rows of this side."""
        total = self._rows.total(self._side)
        return self._rows.place(self._side, min(self._at[self._side], total - 1))

    def action_mark(self) -> None:
        """Mark the row, or not any more, and go to the next: a drop or accept is then of all that are marked."""
        super().action_mark()
        self.action_move(1)

    def _draw(self) -> None:
        if not self.is_attached:
            return
        total = self._rows.total(self._side)
        at = self._at[self._side] = max(0, min(self._at[self._side], total - 1))
        self._draw_title(at, total)
        if self._job is not None:
            for first, count in self._rows.missing(self._side, at, CARDS):
                self._job.ask(do="page", side=self._side, first=first, count=count)
        width, room = self.query_one("#cards").size.width - 2, self.size.height
        for card, place in zip(self.query(RowCard), range(at, at + CARDS), strict=True):
            if place < total and room > 0:
                room -= card.show(*self._card(place), width)
            else:
                card.display = False
        self._draw_numbers()
        self.refresh_bindings()

    def _draw_title(self, at: int, total: int) -> None:
        view, shown, sought = self._view, self._rows, self._rows.sought
        title = self.query_one(TitleLine)
        title.left = f"{view.name if view else self._source} · {SIDES[self._side]}"
        place = f"row {at + 1:,} of {total:,}" if total else "no rows"
        if sought != Sought():
            place = "searching" if shown.unknown(self._side) else f"{place} {sought}"
        marked = f" · {len(self._marked):,} marked" if self._marked else ""
        title.right = self._doing or f"{place}{marked}"
        by_job = view is not None and shown.read_by_job(self._side)
        reading = f"rows as {view.model.rpartition('/')[2]} is trained on them" if view and by_job else WRITTEN
        about = [reading, shown.report.get("shape", ""), self._rated]
        about.append(READ_ONLY if view and view.folder is None else "")
        self.query_one("#about", Static).update(" · ".join(word for word in about if word))

    def _card(self, index: int) -> tuple[str, str, Content]:
        ours, row = self._rows.row(self._side, index)
        words = provenance(ours) if ours else [row["source"]] if row else []
        place = self._rows.place(self._side, index)
        head = f"{'✓ ' * (place in self._marked)}{place + 1:,}  {' · '.join(words)}"
        if row is None and ours is None:
            return head, "", Content("…")
        right = (
            f"{counted(row['tokens'], 'token')}, {row['supervised']:,} trained on{', cut' * row['cut']}" if row else ""
        )
        body = as_trained(row) if row else as_written(ours or {})
        if text := self._rows.sought.text:
            body = with_marks(body, text)
        if ours and "reason" in ours:
            body = Content.assemble((f"{in_app(ours['reason'])}\n", "$text-error"), body)
        if ours and ours.get("evidence"):
            body = Content.assemble(body, (f"\nevidence: {ours['evidence']}", "italic $muted"))
        return head, right, body

    def _draw_numbers(self) -> None:
        rejected = self._rows.files.get("rejected", {}).values()
        reasons = Counter(row["reason"].partition(": ")[0] for row in rejected)
        width = self.query_one("#numbers-box").size.width - 1
        panel = numbers(self._rows.report, self._side, dict(reasons.most_common()), self._coverage, width)
        self.query_one("#numbers", Static).update(panel)

    def on_resize(self) -> None:
        """Another width."""
        self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Rows of others are only looked at; a key that has nothing to do is dim."""
        if action in ("edit", "drop", "accept", "add", "undo", "mark"):
            return self.check_change(action)
        if action in ("review", "documents"):
            return self.dataset is not None
        if action == "train":
            return True if self._view is not None else None
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
        sides = [side for side in SIDES if side != "rejected" or self._rows.files]
        self._side = sides[(sides.index(self._side) + 1) % len(sides)]
        self._marked.clear()
        self._seek()
        self.action_move(0)

    def action_back(self) -> None:
        """To all rows, if only some are shown; else to the screen before."""
        if self._rows.sought != Sought():
            self._show_only(Sought())
        else:
            self.action_leave()

    def action_search(self) -> None:
        """Only rows with some words."""
        now = self._rows.sought
        ask = AskLineScreen(
            "Search rows", now.text, "words of a question or an answer; nothing shows all rows", taking="Search"
        )
        self.app.push_screen(ask, lambda text: self._show_only(now._replace(text=text)) if text is not None else None)

    def action_documents(self) -> None:
        """Only rows of one document."""
        every = [(Content("all documents"), "")]
        counted = self._rows.documents(self._side).most_common()
        offers = every + [(Content(f"{count:>7,}  {Path(name).name}"), name) for name, count in counted]

        def chosen(name: str | None) -> None:
            if name is not None:
                self._show_only(self._rows.sought._replace(document=name))

        self.app.push_screen(PickScreen("Rows of which document?", lambda: offers), chosen)

    def _show_only(self, sought: Sought) -> None:
        self._rows.seek(sought)
        self._at = dict.fromkeys(SIDES, 0)
        self._seek()
        self.action_move(0)

    def _seek(self) -> None:
        """Have the job look, where it knows more than we."""
        if self._job is not None and self._rows.unknown(self._side):
            lines, text = self._rows.lines(self._side), self._rows.sought.text
            self._job.ask(do="find", side=self._side, text=text, lines=lines)

    def action_numbers(self) -> None:
        """In place of the cards, where there is no room beside them."""
        self.toggle_class("-numbers")
        self.call_after_refresh(self._draw)

    def action_problems(self) -> None:
        """What is wrong or odd, by kind."""
        from gemmalocal.cli.check import problems
        from gemmalocal.cli.output import page

        if not self._rows.report.get("problems"):
            self.notify("Nothing was found wrong or odd." if self._rows.report else "The rows are still being read.")
            return
        text = Text.from_ansi(page(problems(self._rows.report)))
        self.app.push_screen(ReportScreen("What is left out, and what is odd", text))

    def action_train(self) -> None:
        """The form of a run on these rows: by the recipe that they are read by, if one was named."""
        if (view := self._view) is None:
            return
        with self.problem_shown("There is no recipe to train by"):
            if view.recipe is not None:
                self.app.push_screen(RecipeScreen(view.recipe))
            else:
                self.app.push_screen(train_on(view.name, str(view.spec["data"]["path"]), view.model))

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
        run_in_background(self, partial(self._read_again, bool(moved)))

    def action_go(self) -> None:
        """To a row by its number."""
        if total := self._rows.total(self._side):
            self.app.push_screen(AskNumberScreen(f"Which row? 1 to {total:,}"), self._go_to)
        else:
            self.notify("There are no rows here.")

    def _go_to(self, number: int | None) -> None:
        if number is not None:
            self._at[self._side] = number - 1
            self.action_move(0)

    async def _read_again(self, changed: bool) -> None:
        await self._read_files()
        if changed and self._job is not None and self._rows.report.get("train"):
            self._busy = True
            self._job.ask(do="again")

    async def read_again(self) -> None:
        """As they are now; by the job too, where there is one that can."""
        await self._read_files()
        if self._job is not None and self._rows.report.get("train"):
            self._job.ask(do="again")
        else:
            self._busy = False
        self._draw()


def _fetched(view: rows.View) -> list[str]:
    """What the network would be asked for; reads files."""
    from gemmalocal.planning import expected
    from gemmalocal.recipe import recipe_file
    from gemmalocal.recipe.schema import Recipe

    recipe, _ = recipe_file.from_tree(view.spec, Recipe)
    return expected.fetched_to_look(recipe) if recipe else []
