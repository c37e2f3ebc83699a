"""Twenty rows of a dataset, rated one after another by keys; what that tells, and the threshold that it proposes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs.plurals import counted
from gemmalocal.workspace import dataset_rows, ratings
from gemmalocal.workspace.ratings import Review
from tui.background import run_in_background
from tui.screens.dialog import Dialog
from tui.screens.problem import ProblemScreen
from tui.style_sheets import sheets
from tui.widgets.row_card import as_written, provenance


class ReviewScreen(Dialog[bool]):
    """Rates rows of the dataset in `folder`; gives whether rows changed sides by a threshold."""

    CSS_PATH = sheets("controls", "dataset")

    BINDINGS = [
        Binding("g", "rate('good')", "Good"),
        Binding("b", "rate('bad')", "Bad"),
        Binding("s", "rate('skip')", "Skip"),
        Binding("u", "undo", "Undo"),
        Binding("t", "threshold", "Take the threshold"),
        Binding("escape", "close", "Back"),
        Binding("down", "scroll(1)", show=False),
        Binding("up", "scroll(-1)", show=False),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Rate rows of {folder.name}", "large")
        self._folder = folder
        self._state: Review | None = None
        self._changed = False
        self._writing = asyncio.Lock()  # what is said is written in its order

    def body(self) -> ComposeResult:
        """How far it is, and the row."""
        yield Static(id="standing", markup=False)
        with VerticalScroll(id="rated-row", can_focus=False):
            yield Static(id="row")

    def on_mount(self) -> None:
        """Draw the rows."""
        run_in_background(self, self._open)

    async def _open(self) -> None:
        try:
            self._state = await asyncio.to_thread(ratings.opened, self._folder)
        except GemmalocalError as error:
            self.app.push_screen(ProblemScreen.of("The rows cannot be rated", error))
        self._draw()

    def _draw(self) -> None:
        if (state := self._state) is None or not self.is_attached:
            return
        number, total = state.place
        said = [f"row {number} of {total}" if state.waiting else "all rows are rated"]
        if state.standing.rated:
            low, high = state.standing.interval
            said.append(f"{state.standing.sentence} (of all, {low:.0%} to {high:.0%} at 95 %)")
        self.query_one("#standing", Static).update(" · ".join(said))
        self.query_one("#row", Static).update(card(state.waiting[0]) if state.waiting else end(state))
        self.query_one("#rated-row", VerticalScroll).scroll_home(animate=False)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that has nothing to do is dim; that of the threshold is there when one is proposed."""
        state = self._state
        if action == "rate":
            return True if state and state.waiting else None
        if action == "undo":
            return True if state and state.ratings else None
        if action == "threshold":
            return bool(state and not state.waiting and state.proposal)
        return True

    def action_rate(self, said: str) -> None:
        """Keep what is said of the row, and show the next."""
        if self._state is None or not self._state.waiting:
            return
        row, seed = self._state.waiting[0], self._state.seed
        self._state.ratings[dataset_rows.key(row)] = said
        self._write(lambda: ratings.rate(self._folder, row, said, seed))
        self._draw()

    def action_undo(self) -> None:
        """Take back what was said last."""
        if self._state is not None and self._state.ratings:
            self._state.ratings.popitem()
            self._write(lambda: ratings.undo(self._folder))
            self._draw()

    def action_threshold(self) -> None:
        """Apply what is proposed."""
        if self._state is not None and (proposal := self._state.proposal):
            threshold = proposal.threshold
            self._write(lambda: ratings.choose(self._folder, threshold), self._moved)

    def action_scroll(self, by: int) -> None:
        """Within a long row."""
        self.query_one("#rated-row", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_close(self) -> None:
        """What was said is kept."""
        self.dismiss(self._changed)

    def _moved(self, rows: tuple[int, int]) -> None:
        self._changed = True
        self.notify(f"Taken back: {counted(rows[0], 'row')}. Rejected: {counted(rows[1], 'row')}.")

    def _write(self, work: Callable[[], Any], then: Callable[[Any], None] = lambda _: None) -> None:
        run_in_background(self, partial(self._written, work, then))

    async def _written(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        try:
            async with self._writing:
                outcome = await asyncio.to_thread(work)
            then(outcome)
        except (GemmalocalError, OSError) as error:
            if self.is_attached:
                self.app.push_screen(ProblemScreen.of("The rating was not kept", error))
            await self._open()


def card(row: dataset_rows.DatasetRow) -> Content:
    """A row as it is rated: its score is not shown, so that it persuades nobody."""
    words = provenance({name: value for name, value in row.items() if name not in ("score", "by")})
    parts: list[Any] = [(f"{' · '.join(words)}\n\n", "$muted"), as_written(row)]
    if row.get("evidence") and row["evidence"] != dataset_rows.answer(row):
        parts.append((f"\n\nevidence: {row['evidence']}", "italic $muted"))
    return Content.assemble(*parts)


def end(state: Review) -> Content:
    """What the ratings tell."""
    if not state.drawn:
        return Content("There are no rows to rate.")
    if state.proposal is None:
        return Content("No threshold is proposed: that takes a judge's scores, and both good and bad rows.")
    if state.proposal.threshold == state.threshold:
        return Content(f"{state.proposal.sentence} It is applied already.")
    return Content(f"{state.proposal.sentence}\n\nt applies it, now and when the dataset is made again.")
