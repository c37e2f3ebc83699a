"""What a screen of rows does to those that are ours: edit, drop, accept, a new one; and each of it taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.binding import Binding

from gemmalocal.jobs.plurals import counted
from gemmalocal.workspace import dataset_rows, datasets
from gemmalocal.workspace.dataset_rows import DatasetRow, Undo
from tui.background import run_in_background
from tui.screens.edit_row import EditRowScreen, Written
from tui.screens.run_screen import AppScreen
from tui.shown_rows import FILES, SIDES


class RowChanges(AppScreen):
    """A screen that has a row at hand, of a side of a dataset in `dataset`, if there is one."""

    CHANGE_KEYS = (
        Binding("e", "edit", "Edit"),
        Binding("d", "drop", "Drop"),
        Binding("a", "accept", "Accept"),
        Binding("space", "mark", "Mark", key_display="␣"),
        Binding("n", "add", "New row"),
        Binding("u", "undo", "Undo"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._side = "train"
        self._busy = False  # a change is being written and read again
        self._done: list[tuple[str, Undo]] = []  # what can be taken back, in words, the newest last
        self._marked: dict[int, DatasetRow] = {}  # of this side, by their places among all

    @property
    def dataset(self) -> Path | None:
        """The folder of a dataset that may be changed."""
        raise NotImplementedError

    @property
    def row_at_hand(self) -> DatasetRow | None:
        """The row that a change is about, as the dataset has it."""
        raise NotImplementedError

    @property
    def place_at_hand(self) -> int:
        """Its place among all rows of this side."""
        raise NotImplementedError

    @property
    def _meant(self) -> list[DatasetRow]:
        """The rows that are marked, or else the one at hand."""
        here = self.row_at_hand
        return list(self._marked.values()) or ([here] if here is not None else [])

    async def read_again(self) -> None:
        """Rows have changed."""
        raise NotImplementedError

    def check_change(self, action: str) -> bool | None:
        """Whether a change is possible: None is a key that is shown dim."""
        if self.dataset is None:
            return None if action in ("edit", "drop") else False
        if action == "mark":
            return self.row_at_hand is not None and not self._busy
        if action == "undo":
            return bool(self._done) and not self._busy
        if action == "add":
            return self._side != "rejected" and not self._busy
        fits = {"drop": self._side != "rejected", "accept": self._side == "rejected"}.get(action, True)
        here = not self._busy and self.row_at_hand is not None
        return True if here and fits else (None if fits else False)

    def action_edit(self) -> None:
        """Write question and answer anew."""
        side, row = self._side, self.row_at_hand
        if row is None:
            return
        asked = dataset_rows.question(row)
        turns = dataset_rows.turns(row)
        before = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns[: -2 if asked else -1])

        def edited(new: Written | None) -> None:
            if new is not None:
                other = new.asked if asked is not None and new.asked != asked else None
                self._change("edited", lambda folder: datasets.edit(folder, FILES[side], row, new.answer, other))

        self.app.push_screen(EditRowScreen("Edit the row", asked, dataset_rows.answer(row), before), edited)

    def action_add(self) -> None:
        """Write a row of one's own."""
        side = self._side

        def written(new: Written | None) -> None:
            if new is not None:
                self._change(
                    f"added, as the last {SIDES[side]} row",
                    lambda folder: datasets.add(folder, FILES[side], new.answer, new.asked),
                )

        self.app.push_screen(EditRowScreen("A new row", "", ""), written)

    def action_mark(self) -> None:
        """Mark the row, or not any more: what is dropped or accepted is then all that is marked."""
        if (row := self.row_at_hand) is not None and self._marked.pop(self.place_at_hand, None) is None:
            self._marked[self.place_at_hand] = row

    def action_drop(self) -> None:
        """Move the row, or all that are marked, to the rejected ones."""
        side, meant = self._side, self._meant
        if meant:
            self._change("dropped, to the rejected rows", lambda f: datasets.drop(f, FILES[side], *meant), len(meant))

    def action_accept(self) -> None:
        """Take the rejected row, or all that are marked, back."""
        if meant := self._meant:
            sides = {SIDES["held_out" if row.get("held_out") else "train"] for row in meant}
            where = f"accepted, to the end of {' and '.join(sorted(sides))}"
            self._change(where, lambda folder: datasets.accept(folder, meant), len(meant))

    def action_undo(self) -> None:
        """Take the newest change back."""
        if self._done and self.dataset is not None and not self._busy:
            told, change = self._done.pop()
            self._busy = True
            run_in_background(self, partial(self._taken_back, told, change, self.dataset))

    def _change(self, what: str, work: Callable[[Path], Undo], count: int = 1) -> None:
        """Have so many rows changed; `what` says what was done, after "was" or "were"."""
        if self.dataset is not None and not self._busy:
            self._busy = True
            told = f"the row was {what}" if count == 1 else f"{counted(count, 'row')} were {what}"
            run_in_background(self, partial(self._changed, told, work, self.dataset))

    async def _changed(self, told: str, work: Callable[[Path], Undo], folder: Path) -> None:
        with self.problem_shown("The rows could not be changed"):
            self._done.append((told, await asyncio.to_thread(work, folder)))
            self.notify(f"{told[0].upper()}{told[1:]}. u takes that back.")
        self._marked.clear()
        await self.read_again()

    async def _taken_back(self, told: str, change: Undo, folder: Path) -> None:
        with self.problem_shown("That could not be taken back"):
            await asyncio.to_thread(datasets.undo, folder, change)
            self.notify(f"Taken back: {told}.")
        self._marked.clear()
        await self.read_again()
