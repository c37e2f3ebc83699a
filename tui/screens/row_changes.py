"""What a screen of rows does to those that are ours: edit, drop, accept, a new one; and each of it taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.binding import Binding

from gemmalocal.workspace import dataset_rows, datasets
from gemmalocal.workspace.dataset_rows import DatasetRow, Undo
from tui.background import run_in_background
from tui.screens.edit_row import EditRowScreen, Written
from tui.screens.run_screen import AppScreen
from tui.shown_rows import FILES, SIDES

EDIT = ("edit", "drop", "accept")  # of the row at hand


class RowChanges(AppScreen):
    """A screen that has a row at hand, of a side of a dataset in `dataset`, if there is one."""

    CHANGE_KEYS = (
        Binding("e", "edit", "Edit"),
        Binding("d", "drop", "Drop"),
        Binding("a", "accept", "Accept"),
        Binding("n", "add", "New row"),
        Binding("u", "undo", "Undo"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._side = "train"
        self._busy = False  # a change is being written and read again
        self._done: list[tuple[str, Undo]] = []  # what can be taken back, in words, the newest last

    @property
    def dataset(self) -> Path | None:
        """The folder of a dataset that may be changed."""
        raise NotImplementedError

    @property
    def row_at_hand(self) -> DatasetRow | None:
        """The row that a change is about, as the dataset has it."""
        raise NotImplementedError

    async def read_again(self) -> None:
        """Rows have changed."""
        raise NotImplementedError

    def check_change(self, action: str) -> bool | None:
        """Whether a change is possible: None is a key that is shown dim."""
        if self.dataset is None:
            return None if action in ("edit", "drop") else False
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

    def action_drop(self) -> None:
        """Move the row to the rejected ones."""
        side, row = self._side, self.row_at_hand
        if row is not None:
            self._change("dropped, to the rejected rows", lambda folder: datasets.drop(folder, FILES[side], row))

    def action_accept(self) -> None:
        """Take a rejected row back."""
        row = self.row_at_hand
        if row is not None:
            side = SIDES["held_out" if row.get("held_out") else "train"]
            self._change(f"accepted, as the last {side} row", lambda folder: datasets.accept(folder, [row]))

    def action_undo(self) -> None:
        """Take the newest change back."""
        if self._done and self.dataset is not None and not self._busy:
            what, change = self._done.pop()
            self._busy = True
            run_in_background(self, self._taken_back(what, change, self.dataset))

    def _change(self, what: str, work: Callable[[Path], Undo]) -> None:
        if self.dataset is not None and not self._busy:
            self._busy = True
            run_in_background(self, self._changed(what, work, self.dataset))

    async def _changed(self, what: str, work: Callable[[Path], Undo], folder: Path) -> None:
        with self.problem_shown("The row could not be changed"):
            self._done.append((what, await asyncio.to_thread(work, folder)))
            self.notify(f"The row was {what}. u takes it back.")
        await self.read_again()

    async def _taken_back(self, what: str, change: Undo, folder: Path) -> None:
        with self.problem_shown("That could not be taken back"):
            await asyncio.to_thread(datasets.undo, folder, change)
            self.notify(f"Taken back: the row that was {what}.")
        await self.read_again()
