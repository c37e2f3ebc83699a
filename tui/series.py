"""The curves of a run: what each is of a step, one line a series; the train screen makes a tab of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gemmalocal.files.sizes import GB
from gemmalocal.jobs.events import Evaluated, Step
from tui.widgets.chart_grid import Form
from tui.widgets.curve import Curve


class Series(NamedTuple):
    """A number that each step has; `form` writes it, and `held_out` is what evaluations say of the same, if they do."""

    name: str
    of: Callable[[Step], float]
    form: Form
    held_out: Callable[[Evaluated], float] | None = None


def _judged(name: str, figure: str, form: Form) -> Series:
    """One of the figures of answers that are judged, or of a teacher."""

    def of(event: Step | Evaluated) -> float:
        return (event.preference or {}).get(figure, math.nan)

    return Series(name, of, form, of)


SERIES = (
    Series("loss", lambda step: step.loss, Form("{:.{digits}f}", 2), lambda evaluated: evaluated.loss),
    Series("rate", lambda step: step.learning_rate, Form("{:.{digits}e}", 0)),
    Series("tokens/s", lambda step: step.tokens / max(step.seconds, 1e-9), Form("{:,.{digits}f}", 1)),
    Series("memory", lambda step: step.memory / GB, Form("{:.{digits}f}G", 2)),
    Series("gradient", lambda step: step.grad_norm, Form("{:.{digits}f}", 2)),
)
JUDGED = (  # of runs that learn from judgements, beside the others
    _judged("right", "accuracy", Form("{:.{digits}%}", 0)),
    _judged("margin", "margin", Form("{:.{digits}f}", 1)),
    _judged("chosen", "chosen", Form("{:+.{digits}f}", 1)),
    _judged("rejected", "rejected", Form("{:+.{digits}f}", 1)),
)

TAUGHT = (  # of runs with a teacher
    _judged("KL", "kl", Form("{:.{digits}f}", 3)),
    _judged("as teacher", "agreement", Form("{:.{digits}%}", 0)),
    _judged("rows", "cross_entropy", Form("{:.{digits}f}", 2)),
)


def series_of(spec: Mapping[str, Any]) -> tuple[Series, ...]:
    """What there is to draw of a run, by what it was asked to do."""
    objective = spec.get("objective")
    kind = objective.get("kind", "sft") if isinstance(objective, Mapping) else "sft"
    told = () if kind == "sft" else TAUGHT if kind == "distill" else JUDGED
    return (SERIES[0], *told, *SERIES[1:])


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
