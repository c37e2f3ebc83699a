"""One run, live or past: is it learning, does it fit, when is it done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from gemmalocal.jobs import history
from gemmalocal.jobs.events import Step
from gemmalocal.jobs.history import JobState
from gemmalocal.planning import device_memory, throughput
from gemmalocal.workspace.runs import Run
from tui.background import run_in_background
from tui.screens.compare import CompareScreen
from tui.screens.export import ExportScreen
from tui.screens.next_steps import again
from tui.screens.run_screen import OneRunScreen
from tui.screens.verdict import VerdictScreen
from tui.widgets.curve import Curve
from tui.widgets.keys import Keys
from tui.widgets.loss_chart import LossChart
from tui.widgets.marks import bar, change, mark
from tui.widgets.title_line import TitleLine

PANEL = 26  # cells of the numbers' panel


class TrainScreen(OneRunScreen):
    """Draws the run in `folder`."""

    BINDINGS = [
        Binding("c", "compare", "Compare"),
        Binding("v", "verdict", "Verdict"),
        Binding("e", "export", "Export"),
        Binding("a", "again", "Edit recipe, again"),
        *OneRunScreen.JOB_KEYS,
        Binding("escape", "app.pop_screen", "Home"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._memory = 0
        self._curve, self._counted = Curve(), 0
        self._newest: Step | None = None

    def compose(self) -> ComposeResult:
        """Title, what it does, chart and numbers, samples, keys."""
        yield TitleLine()
        yield Static(id="doing", markup=False)
        with Horizontal(id="middle"):
            yield LossChart()
            yield Static(id="numbers")
        with Vertical(id="below"):
            yield Static(id="trouble")
            yield Static(id="samples")
        yield Keys()

    def on_mount(self) -> None:
        """Ask how much memory the machine has, for runs that do not tell that of their device."""
        self.query_one(TitleLine).left = self._folder.name
        run_in_background(self, self._ask_memory())

    async def _ask_memory(self) -> None:
        self._memory = (await asyncio.to_thread(device_memory.ram)).total
        self._draw()

    def show_runs(self, runs: list[Run]) -> None:
        """Draw it again if it has changed; leave if it was deleted."""
        if self._see(runs):
            self._draw()

    def _draw(self) -> None:
        if (run := self._run) is None:
            return
        state = run.state
        title = self.query_one(TitleLine)
        title.left = f"{run.name} · {Path(history.word(run.spec, 'model')).name}"
        title.right = standing(state)
        self._tell("#doing", doing(state), layout=False)
        last = state.steps[-1].steps if state.steps else 1
        held_out = [(evaluation.step, evaluation.loss) for evaluation in state.evaluations]
        self.query_one(LossChart).show(self._grown(state.steps), held_out, last)
        self._tell("#numbers", numbers(state, state.plan.get("device_memory", self._memory)), layout=False)
        self._show_trouble(run)
        self._tell("#samples", samples(state))
        self.refresh_bindings()

    def _tell(self, where: str, content: str | Content, layout: bool = True) -> None:
        """Show something, where it is news; with `layout` if it may take another room: all is drawn then."""
        static = self.query_one(where, Static)
        if static.content != content:
            static.update(content, layout=layout)

    def _grown(self, steps: list[Step]) -> Curve:
        """The curve with the steps that came since; from the first one where the run has gone back."""
        count = self._counted
        if count > len(steps) or (count and steps[count - 1] is not self._newest):
            self._curve, count = Curve(), 0
        for step in steps[count:]:
            self._curve.add(step.step, step.loss)
        self._counted, self._newest = len(steps), steps[-1] if steps else None
        return self._curve

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What a run made can be compared and exported, once it has made something."""
        if action == "compare":
            return self._run is not None and self._run.answers
        if action in ("verdict", "export"):
            return history.result(self._folder).is_dir()
        if action == "again":
            return self._run is not None and self._run.state.status != "live"
        return super().check_action(action, parameters)

    def action_compare(self) -> None:
        """Ask the base and this run the same."""
        self.app.push_screen(CompareScreen([str(self._folder)]))

    def action_again(self) -> None:
        """Its recipe as a form: change it, and begin another run."""
        remedy = self._run.trouble.hint if self._run is not None and self._run.trouble is not None else ""
        self.app.push_screen(again(self._folder, remedy))

    def action_verdict(self) -> None:
        """Did it help?"""
        self.app.push_screen(VerdictScreen(self._folder))

    def action_export(self) -> None:
        """Take this run away."""
        self.app.push_screen(ExportScreen(self._folder))


def standing(state: JobState) -> str:
    """State, step and what is left, for the title."""
    parts = [f"{mark(state.status)} {state.status}"]
    if state.steps:
        last = state.steps[-1]
        parts.append(f"step {last.step:>{len(str(last.steps))}} / {last.steps}")
        if state.status == "live":
            parts.append(f"{throughput.duration(throughput.seconds_left(state.steps)):>6} left")
    return "   ".join(parts)


def doing(state: JobState) -> str:
    """What goes on, or what was last said."""
    words = [state.stage] if state.alive and state.stage else []
    if state.alive and state.progress:
        share = state.progress.done / max(1, state.progress.total)
        words.append(f"{bar(share, 16)} {state.progress.what}")
    elif state.notices:
        words.append(state.notices[-1])
    return " · ".join(words)


def numbers(state: JobState, memory: int) -> Content:
    """The panel: label on the left, number on the right, in fixed places."""
    rows: list[tuple[str, str]] = []
    if state.evaluations:
        first, now, best = state.evaluations[0], state.evaluations[-1], state.best
        rows += [("held-out loss", f"{now.loss:.3f}"), ("change", change(first.loss, now.loss))]
        if best is not None:
            rows.append((f"best, step {best.step}", f"{best.loss:.3f}"))
    if state.steps:
        last = state.steps[-1]
        rows += [
            ("training loss", f"{last.loss:.3f}"),
            ("speed", f"{throughput.tokens_per_second(state.steps):.0f} tok/s"),
            ("learning rate", f"{last.learning_rate:.2e}"),
            ("gradient norm", f"{last.grad_norm:.2f}"),
        ]
        peak = max(step.memory for step in state.steps[-throughput.RECENT :])
        rows.append(("memory", f"{peak / 1e9:.2f} of {memory / 1e9:.0f} GB" if memory else f"{peak / 1e9:.2f} GB"))
        if memory:
            rows.append(("", bar(peak / memory, PANEL)))
    if state.skipped or state.rollbacks:
        rows += [("steps skipped", str(len(state.skipped))), ("times gone back", str(len(state.rollbacks)))]
    if state.saved:
        rows.append(("last save", f"step {state.saved.step}"))
    parts: list[Any] = []
    for label, value in rows:
        parts += [(label, "$text-muted"), value.rjust(PANEL - len(label)), "\n"]
    if state.steps or state.evaluations:
        legend = [("\n⠒ ", "$accent"), "smoothed  ", ("○ ", "$warning"), "held-out"]
        parts += legend
    return Content.assemble(*parts)


def samples(state: JobState) -> Content:
    """The first prompt's answers: the earliest, and the newest."""
    if not state.samples:
        return Content("")
    prompt = state.samples[0].prompt
    mine = [sample for sample in state.samples if sample.prompt == prompt]
    shown = mine if len(mine) == 1 else [mine[0], mine[-1]]
    parts: list[Any] = []
    for sample in shown:
        text = f"{sample.text.strip()}{'' if sample.stopped else ' …'}".replace("\n", " ⏎ ")
        where = f"step {sample.step}"
        parts += [(f"{where:<10}", "$text-muted"), (f"{sample.prompt.strip()} ", "$text-muted"), text, "\n"]
    return Content.assemble(*parts[:-1])
