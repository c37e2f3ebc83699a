"""Runs as rows of a table; the cursor stays on its run while rows change and move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.text import Text

from gemmalocal.jobs.loss_words import loss_in_a_list
from tui.theme import cursor_keeps_colors, rich_style, state
from tui.widgets.list_table import ListTable
from tui.widgets.marks import change, spark

if TYPE_CHECKING:
    from gemmalocal.workspace.runs import Run

GAP = 2  # cells between two columns
NAME, STATE, SPARK = 10, (11, 28), 8  # cells: least of a name, least and most of a state, least of a spark line
HELD_OUT, SPEED, LEFT = 12, 9, 6  # cells
SHORT = {
    "helps but forgets": "helps, forgets",
    "no difference but forgets": "forgets",
    "hurts and forgets": "hurts, forgets",
}
VERDICTS = {
    "helps": "$good",
    "helps but forgets": "$warning",
    "no difference": "$muted",
    "no difference but forgets": "$warning",
    "hurts": "$bad",
    "hurts and forgets": "$bad",
}


class RunTable(ListTable["Run"]):
    """Handed runs by `show`."""

    HELP = """\
Your runs: what each does or how it ended, its training loss as a small curve, and how far the loss on rows that it
never saw (held-out) has fallen. **Enter** opens the one under the cursor.

**/** searches, **f** shows only one state, **o** sorts. **a** begins a run by the same recipe, with changes.
"""

    def __init__(self) -> None:
        super().__init__()
        self._widths: dict[str, int] = {}

    def on_mount(self) -> None:
        """Its colours are those of the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._take_colors())
        self._take_colors()

    def _take_colors(self) -> None:
        keeps = cursor_keeps_colors(self.app.theme_variables)
        self.cursor_foreground_priority = "renderable" if keeps else "css"
        self._draw_again()

    def on_resize(self) -> None:
        """Other columns."""
        self._draw_again()

    def _draw_again(self) -> None:
        runs, self._items, self._widths = self._items, [], {}
        self.show(runs, self.cursor_row)

    def show(self, runs: list[Run], row: int = 0) -> None:
        """Draw these runs; only what is new is drawn again, and another order of the same ones in one frame."""
        if not self.size.width:  # not laid out yet
            self._items = runs
            return
        selected, names = self.current, [run.name for run in runs]
        widths = columns(self.size.width - 1, max((len(standing(run)[0]) for run in runs), default=0))
        then = names.index(selected.name) if selected and selected.name in names else row
        old = {run.name: run for run in self._items}
        if widths != self._widths or old.keys() != set(names):
            self._fill(runs, widths)
            self.move_cursor(row=then)
        else:
            for run in runs:
                if run is not old[run.name]:
                    for label, cell in self._cells(run).items():
                        self.update_cell(run.name, label, cell)
            if names != list(old):
                places = {id(self.get_cell(name, "Run")): place for place, name in enumerate(names)}
                self.sort("Run", key=lambda cell: places[id(cell)])
                self.move_cursor(row=then)
        self._items = runs

    def _fill(self, runs: list[Run], widths: dict[str, int]) -> None:
        if widths != self._widths:
            self.clear(columns=True)
            self._widths = widths
            for label, width in widths.items():
                self.add_column(Text(label, justify=_justify(label)), width=width, key=label)
        self.clear()
        for run in runs:
            self.add_row(*self._cells(run).values(), key=run.name)

    def _cells(self, run: Run) -> dict[str, Text]:
        """One run's row, for the columns that there is room for."""
        from gemmalocal.planning import throughput

        last = run.state.steps[-1] if run.state.steps else None
        live = run.state.status == "live"
        going = last is not None and last.step < last.steps  # else it measures, or saves, for as long as that takes
        words, style = standing(run)
        variables = self.app.theme_variables
        losses = [step.loss for step in run.state.steps if run.whole]
        rate = f"{throughput.tokens_per_second(run.state.steps):.0f} tok/s" if last and run.whole else ""
        tags = "".join(f" #{tag}" for tag in run.labels.tags)
        cells = {
            "Run": Text.assemble(run.name, (tags, rich_style("$secondary", variables))),
            "State": Text(words, rich_style(style, variables)),
            "Loss": Text(spark(losses, self._widths.get("Loss", 0)), rich_style("$accent", variables)),
            "Held-out": Text(held_out(run)),
            "Speed": Text(rate),
            "Left": Text(throughput.duration(throughput.seconds_left(run.state.steps)) if live and going else ""),
        }
        for label, cell in cells.items():
            cell.no_wrap, cell.overflow, cell.justify = True, "ellipsis", _justify(label)
        return {label: cells[label] for label in self._widths}


def _justify(label: str) -> Literal["left", "right"]:
    return "right" if label in ("Speed", "Held-out", "Left") else "left"


def columns(room: int, longest_state: int) -> dict[str, int]:
    """The columns that a table of `room` cells has, with their widths; names and curves take what is over."""
    state_width = min(max(STATE[0], longest_state), STATE[1])
    widths: dict[str, int] = {"Run": NAME, "State": state_width}
    wanted = (("Held-out", HELD_OUT), ("Loss", SPARK), ("Left", LEFT), ("Speed", SPEED))
    room -= sum(widths.values()) + GAP * len(widths)
    for label, width in wanted:
        if width + GAP <= room:
            widths[label] = width
            room -= width + GAP
    order = ("Run", "State", "Loss", "Held-out", "Speed", "Left")
    shown: dict[str, int] = {label: widths[label] for label in order if label in widths}
    room = max(0, room)
    more = room - room // 2 if "Loss" in shown else room
    shown["Run"] += more
    if "Loss" in shown:
        shown["Loss"] += room - more
    return shown


def standing(run: Run) -> tuple[str, str]:
    """How a run stands: sign and words, and their style; a verdict in place of a bare "done"."""
    now = run.state
    last = now.steps[-1] if now.steps else None
    sign, word, style = state(now.status)
    if now.status == "done" and run.verdict:
        return f"{sign} {SHORT.get(run.verdict, run.verdict)}", VERDICTS.get(run.verdict, style)
    if run.stopping:
        return f"{sign} stopping", style
    if now.status == "live" and last is None:
        return f"{sign} {now.stage or ('starting' if run.whole else word)}", style
    width = len(str(last.steps)) if last and now.status == "live" else 0  # so that it does not jump
    where = f" {last.step:>{width}}/{last.in_all}" if last and now.status != "done" else ""
    return f"{sign} {word}{where}", style


def held_out(run: Run) -> str:
    """The loss on held-out rows, and by how much it has changed."""
    evaluations = run.state.evaluations
    if not evaluations or not run.whole:
        return ""
    evaluation = evaluations[-1] if run.state.status == "live" else run.state.best or evaluations[-1]
    return f"{loss_in_a_list(evaluation.loss)} {change(evaluations[0].loss, evaluation.loss):>6}"
