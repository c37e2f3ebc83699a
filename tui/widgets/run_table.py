"""Runs as rows of a table; the cursor stays on its run while rows change and move."""

from __future__ import annotations

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

from gemmalocal.planning import throughput
from gemmalocal.workspace.runs import Run
from tui.widgets.marks import change, mark, spark

LEAST, NAME, SPARK = 80, 13, 8  # cells: of a table, and of a name and a spark line in it
COLUMNS = (("Run", NAME), ("State", 16), ("Loss", SPARK), ("Held-out", 12), ("Speed", 9), ("", 6))


class RunTable(DataTable[Text]):
    """Handed runs by `show`."""

    HELP = "Your runs. **Enter** opens the one under the cursor, **n** begins a new one."

    BINDINGS = [Binding("enter", "select_cursor", "Open")]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False)
        self._runs: list[Run] = []
        self._spark = 0

    def on_resize(self) -> None:
        """The columns, of fixed widths, so that numbers do not jump; names and spark lines take what is over."""
        more = max(0, self.size.width - LEAST)
        name, spark = NAME + more // 2, SPARK + more - more // 2
        if spark == self._spark:
            return
        runs, row, self._spark = self._runs, self.cursor_row, spark
        self.clear(columns=True)
        for label, width in COLUMNS:
            right = label in ("Speed", "Held-out", "")
            width = {"Run": name, "Loss": spark}.get(label, width)
            self.add_column(Text(label or "left", justify="right" if right else "left"), width=width, key=label)
        self._runs = []
        self.show(runs)
        self.move_cursor(row=row)

    @property
    def current(self) -> Run | None:
        """The run under the cursor."""
        return self._runs[self.cursor_row] if 0 <= self.cursor_row < len(self._runs) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to open."""
        return bool(self._runs) if action == "select_cursor" else True

    def show(self, runs: list[Run]) -> None:
        """Draw these runs; only what is new is drawn again."""
        if not self._spark:  # not laid out yet
            self._runs = runs
            return
        here = self.current
        names = [run.name for run in runs]
        if names != [run.name for run in self._runs]:
            self.clear()
            for run in runs:
                self.add_row(*cells(run, self._spark), key=run.name)
            if here is not None and here.name in names:
                self.move_cursor(row=names.index(here.name))
        else:
            for run, old in zip(runs, self._runs, strict=True):
                if run is not old:
                    for (label, _), cell in zip(COLUMNS, cells(run, self._spark), strict=True):
                        self.update_cell(run.name, label, cell)
        self._runs = runs


def cells(run: Run, width: int) -> list[Text]:
    """One run's row, with a spark line of so many cells."""
    state = run.state
    last = state.steps[-1] if state.steps else None
    live = state.status == "live"
    step = f"step {last.step}/{last.steps}" if last and state.status != "done" else state.status
    where = step if not live or last else (state.stage or "starting")
    if not live and last and state.status != "done":
        where = f"{state.status} {last.step}/{last.steps}"
    held = ""
    if state.evaluations:
        now = state.evaluations[-1] if live else state.best or state.evaluations[-1]
        held = f"{now.loss:.2f} {change(state.evaluations[0].loss, now.loss):>7}"
    return [
        Text(run.name, no_wrap=True, overflow="ellipsis"),
        Text(f"{mark(state.status)} {where}", no_wrap=True, overflow="ellipsis"),
        Text(spark([one.loss for one in state.steps], width)),
        Text(held, justify="right"),
        Text(f"{throughput.tokens_per_second(state.steps):.0f} tok/s" if last else "", justify="right"),
        Text(throughput.duration(throughput.seconds_left(state.steps)) if live and last else "", justify="right"),
    ]
