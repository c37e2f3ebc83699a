"""The curves of a run: what each is of a step, one line a series; the train screen makes a tab of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gemmalocal.jobs.events import Step
from tui.widgets.curve import Curve


class Series(NamedTuple):
    """A number that each step has; `form` writes it, and `held_out` is whether evaluations measure the same."""

    name: str
    of: Callable[[Step], float]
    form: Callable[[float], str]
    held_out: bool = False


SERIES = (
    Series("loss", lambda step: step.loss, "{:.2f}".format, held_out=True),
    Series("rate", lambda step: step.learning_rate, "{:.0e}".format),
    Series("tokens/s", lambda step: step.tokens / max(step.seconds, 1e-9), "{:,.0f}".format),
    Series("memory", lambda step: step.memory / 1e9, "{:.2f}G".format),
    Series("gradient", lambda step: step.grad_norm, "{:.2f}".format),
)


class RunCurves:
    """The curves of one run, each made when it is first asked for, and grown by the steps that came since."""

    def __init__(self) -> None:
        self._curves: dict[str, Curve] = {}
        self._counted: dict[str, int] = {}
        self._newest: dict[str, Step] = {}

    def curve(self, series: Series, steps: list[Step]) -> Curve:
        """Of these steps; from the first one where the run has gone back."""
        name = series.name
        curve, count = self._curves.setdefault(name, Curve()), self._counted.get(name, 0)
        if count > len(steps) or (count and steps[count - 1] is not self._newest[name]):
            curve, count = Curve(), 0
            self._curves[name] = curve
        for step in steps[count:]:
            curve.add(step.step, series.of(step))
        self._counted[name] = len(steps)
        if steps:
            self._newest[name] = steps[-1]
        return curve
