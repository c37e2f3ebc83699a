"""One run, live or past: is it learning, does it fit, when is it done."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.jobs import history
from gemmalocal.planning import device_memory
from gemmalocal.workspace.runs import Run
from tui.background import run_in_background
from tui.run_words import doing, numbers, samples, standing
from tui.screens.compare import CompareScreen
from tui.screens.export import ExportScreen
from tui.screens.next_steps import again
from tui.screens.pick import PickScreen
from tui.screens.recipe_changes import ask_changes
from tui.screens.run_screen import OneRunScreen
from tui.screens.verdict import VerdictScreen
from tui.series import RunCurves, Series, series_of
from tui.style_sheets import sheets
from tui.theme import framed, told
from tui.trial_lines import trial_lines
from tui.widgets.chart_grid import ZOOMS
from tui.widgets.choice import Choice
from tui.widgets.keys import Keys
from tui.widgets.series_chart import HELD_OUT, OTHERS, ChartLine, SeriesChart
from tui.widgets.title_line import TitleLine

KEYS = "tab next · z zoom · l log · ← → read · m more runs · w changes"
TICK = 1.0  # seconds between two looks at how long something takes


class Tabs(Choice, can_focus=False):
    """The series, to be clicked; keys belong to the screen."""


class TrainScreen(OneRunScreen):
    """Draws the run in `folder`."""

    CSS_PATH = sheets("train")

    BINDINGS = [
        Binding("c", "compare", "Compare"),
        Binding("v", "verdict", "Did it help?"),
        Binding("e", "export", "Export"),
        Binding("a", "again", "Edit recipe, again"),
        Binding("tab", "series(1)", "Next curve", show=False),
        Binding("shift+tab", "series(-1)", "Curve before", show=False),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("l", "logarithmic", "Log scale", show=False),
        Binding("right", "cursor(1)", "Read values", show=False),
        Binding("left", "cursor(-1)", "Read values", show=False),
        Binding("m", "others", "Other runs", show=False),
        Binding("w", "changes", "What changed", show=False),
        Binding("t", "track", "Show in a tracker", show=False),
        *OneRunScreen.JOB_KEYS,
        Binding("escape", "back", "Home"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._memory = 0
        self._all_series = series_of(history.known_spec(folder))
        self._curves: dict[Path, RunCurves] = {}
        self._runs: list[Run] = []
        self._others: list[Path] = []  # runs that are laid over
        self._chart_lines: list[ChartLine] = []

    def compose(self) -> ComposeResult:
        """Title, what it does, chart and numbers, samples, keys."""
        yield TitleLine()
        yield Static("starting", id="doing", markup=False)
        with Horizontal(id="middle"):
            with framed(Vertical(id="chart-box"), "Curve", KEYS):
                names = [series.name for series in self._all_series]
                yield Tabs(names, names[0])
                yield SeriesChart()
                yield Static(id="legend")
            with framed(VerticalScroll(id="figures", can_focus=False), "Figures"):
                yield Static(id="numbers")
        with framed(Vertical(id="below"), "Answers"):
            yield Static(id="trouble")
            yield Static(id="samples")
        yield Keys()

    def on_mount(self) -> None:
        """Ask how much memory the machine has, for runs that do not tell that of their device."""
        title = self.query_one(TitleLine)
        title.left, title.right = self._folder.name, told("live").plain.replace("running", "starting")
        run_in_background(self, self._ask_memory)
        self.set_interval(TICK, self._tick)

    async def _ask_memory(self) -> None:
        self._memory = (await asyncio.to_thread(device_memory.ram)).total
        self._draw()

    def show_runs(self, runs: list[Run]) -> None:
        """Draw it again if it, or one beside it, has changed; leave if it was deleted."""
        before, self._runs = {run.folder: run for run in self._runs}, runs
        beside = any(run is not before.get(run.folder) for run in runs if run.folder in self._others)
        if self._see(runs) or beside:
            self._draw()

    def _tick(self) -> None:
        if self._run is not None and self._run.state.alive:
            self._tell("#doing", doing(self._run, time.time()), layout=False)

    def _draw(self) -> None:
        if (run := self._run) is None:
            return
        state = run.state
        title = self.query_one(TitleLine)
        title.left = f"{run.name} · {Path(history.word(run.spec, 'model')).name}"
        title.right = standing(state, run.stopping)
        self._tell("#doing", doing(run, time.time()), layout=False)
        self._draw_chart(run)
        self._tell("#numbers", numbers(state, state.plan.get("device_memory", self._memory)), layout=False)
        self._show_trouble(run)
        self._tell("#samples", samples(state))
        below = self.query_one("#below")
        below.display = run.trouble is not None or bool(state.samples)
        below.border_title = "What happened" if run.trouble is not None else "Answers"
        self.refresh_bindings()

    @property
    def _series(self) -> Series:
        name = self.query_one(Tabs).value
        return next(series for series in self._all_series if series.name == name)

    def _draw_chart(self, run: Run) -> None:
        series = self._series
        beside = [other for other in self._runs if other.folder in self._others]
        lines = [self._line(series, each) for each in (run, *beside)]
        steps = run.state.steps[-1].steps if run.state.steps else 1
        if not run.state.steps and run.state.trials:  # a search comes first
            lines = trial_lines(run.state) if series is self._all_series[0] else []
            steps = max(trial.steps for trial in run.state.trials)
        self._chart_lines = lines
        self.query_one(SeriesChart).show(lines, steps, series.form)
        self._draw_legend()

    def _line(self, series: Series, run: Run) -> ChartLine:
        curve = self._curves.setdefault(run.folder, RunCurves()).curve(series, run.state.steps)
        told = series.held_out
        held_out = [(each.step, told(each)) for each in run.state.evaluations] if told else []
        return ChartLine(run.name, curve, held_out if run.folder == self._folder or self._others else [])

    def _draw_legend(self) -> None:
        chart = self.query_one(SeriesChart)
        if chart.cursor is not None:
            self._tell("#legend", chart.reading(), layout=False)
            return
        first, *others = [line.name for line in self._chart_lines] or [self._folder.name]
        parts: list[Content | tuple[str, str] | str] = [("⠒ ", "$accent"), first if others else "mean"]
        for style, name in zip(OTHER_STYLES, others, strict=False):
            parts += ["  ", ("⠒ ", style), name]
        if self._series.held_out is not None:
            circles = self._chart_lines[0].circles if self._chart_lines else "held-out"
            parts += ["  ", (f"{HELD_OUT} ", "$warning"), circles]
        parts.append((f"   {chart.zoom}{', log scale' * chart.logarithmic}", "$muted"))
        self._tell("#legend", Content.assemble(*parts), layout=False)

    def on_choice_changed(self) -> None:
        """Another series."""
        if self._run is not None:
            self._draw_chart(self._run)

    def on_series_chart_looked(self) -> None:
        """Another part of it, or another step."""
        self._draw_legend()

    def _tell(self, where: str, content: str | Content, layout: bool = True) -> None:
        """Show something, where it is news; with `layout` if it may take another room: all is drawn then."""
        static = self.query_one(where, Static)
        if static.content != content:
            static.update(content, layout=layout)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What a run made can be compared and exported, once it has made something."""
        if action == "compare":
            return self._run is not None and self._run.answers
        if action in ("verdict", "export"):
            return history.result(self._folder).is_dir()
        if action == "again":
            return self._run is not None and self._run.state.status != "live"
        return super().check_action(action, parameters)

    def action_series(self, by: int) -> None:
        """Another curve."""
        self.query_one(Tabs).action_move(by)

    def action_zoom(self) -> None:
        """What is so far, its newest part, the whole run, and so on."""
        chart = self.query_one(SeriesChart)
        chart.cursor = None
        chart.zoom = ZOOMS[(ZOOMS.index(chart.zoom) + 1) % len(ZOOMS)]

    def action_logarithmic(self) -> None:
        """A scale on which small values are seen beside large ones, or no longer."""
        chart = self.query_one(SeriesChart)
        chart.logarithmic = not chart.logarithmic

    def action_cursor(self, by: int) -> None:
        """Read what the curve is at a step."""
        self.query_one(SeriesChart).move(by)

    def action_back(self) -> None:
        """Read no step any more; then home."""
        chart = self.query_one(SeriesChart)
        if chart.cursor is not None:
            chart.cursor = None
        else:
            self.action_leave()

    def action_others(self) -> None:
        """Lay another run over this one, or take it away."""
        offers = [
            (Content.assemble("✓ " if run.folder in self._others else "  ", (run.name, "bold")), str(run.folder))
            for run in self._runs
            if run.folder != self._folder and run.state.steps
        ]

        def chosen(folder: str | None) -> None:
            if folder is not None:
                path = Path(folder)
                kept = [other for other in self._others if other != path]
                self._others = kept if path in self._others else [*kept, path][-len(OTHERS) :]
                self._draw()

        self.app.push_screen(PickScreen("Which run beside this one?", lambda: offers), chosen)

    def action_compare(self) -> None:
        """Ask the base and this run the same."""
        self.app.push_screen(CompareScreen([str(self._folder)]))

    def action_again(self) -> None:
        """Its recipe as a form: change it, and begin another run."""
        remedy = self._run.trouble.hint if self._run is not None and self._run.trouble is not None else ""
        again(self.app, self._folder, remedy)

    def action_changes(self) -> None:
        """What its recipe says otherwise than another run's, and how both came out."""
        if self._run is not None:
            ask_changes(self.app, self._run, self._runs)

    def action_track(self) -> None:
        """Show this run in TensorBoard, Weights & Biases, Trackio or MLflow."""
        from tui.screens.track import ask_tracker

        ask_tracker(self, self._folder)

    def action_verdict(self) -> None:
        """Did it help?"""
        self.app.push_screen(VerdictScreen(self._folder))

    def action_export(self) -> None:
        """Take this run away."""
        self.app.push_screen(ExportScreen(self._folder))


OTHER_STYLES = ("$secondary", "$good", "$primary")  # of OTHERS, as in the style sheet
