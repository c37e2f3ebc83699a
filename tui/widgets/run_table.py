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
        self._spark_width = 0

    def on_resize(self) -> None:
        """The columns, of fixed widths, so that numbers do not jump; names and spark lines take what is over."""
        more = max(0, self.size.width - LEAST)
        name_width, spark_width = NAME + more // 2, SPARK + more - more // 2
        if spark_width == self._spark_width:
            return
        runs, row, self._spark_width = self._runs, self.cursor_row, spark_width
        self.clear(columns=True)
        for label, width in COLUMNS:
            right = label in ("Speed", "Held-out", "")
            width = {"Run": name_width, "Loss": spark_width}.get(label, width)
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
        if not self._spark_width:  # not laid out yet
            self._runs = runs
            return
        selected = self.current
        names = [run.name for run in runs]
        if names != [run.name for run in self._runs]:
            self.clear()
            for run in runs:
                self.add_row(*cells(run, self._spark_width), key=run.name)
            if selected is not None and selected.name in names:
                self.move_cursor(row=names.index(selected.name))
        else:
            for run, old in zip(runs, self._runs, strict=True):
                if run is not old:
                    for (label, _), cell in zip(COLUMNS, cells(run, self._spark_width), strict=True):
                        self.update_cell(run.name, label, cell)
        self._runs = runs


def cells(run: Run, width: int) -> list[Text]:
    """One run's row, with a spark line of so many cells."""
    state = run.state
    last = state.steps[-1] if state.steps else None
    live = state.status == "live"
    where = f"step {last.step}/{last.steps}" if last and state.status != "done" else state.status
    if live and not last:
        where = state.stage or "starting"
    if not live and last and state.status != "done":
        where = f"{state.status} {last.step}/{last.steps}"
    if run.verdict and state.status == "done":
        where = run.verdict.replace(" but ", ", ")
    held_out = ""
    if state.evaluations:
        evaluation = state.evaluations[-1] if live else state.best or state.evaluations[-1]
        held_out = f"{evaluation.loss:.2f} {change(state.evaluations[0].loss, evaluation.loss):>7}"
    return [
        Text(run.name, no_wrap=True, overflow="ellipsis"),
        Text(f"{mark(state.status)} {where}", no_wrap=True, overflow="ellipsis"),
        Text(spark([step.loss for step in state.steps], width)),
        Text(held_out, justify="right"),
        Text(f"{throughput.tokens_per_second(state.steps):.0f} tok/s" if last else "", justify="right"),
        Text(throughput.duration(throughput.seconds_left(state.steps)) if live and last else "", justify="right"),
    ]
