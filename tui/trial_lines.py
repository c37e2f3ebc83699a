"""The trials of a search as lines of a chart, each of which ends where it ended."""

from __future__ import annotations

from itertools import groupby

from gemmalocal.jobs.events import Trial, Tried
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted
from tui.widgets.curve import Curve
from tui.widgets.series_chart import OTHERS, ChartLine

CHOOSES = "loss by which it is chosen"  # of rows that neither train nor report
WORDS = 18  # cells of what a trial tries, in the panel


def trial_lines(state: JobState) -> list[ChartLine]:
    """The newest trial, then the ones before it; a circle is the loss on the rows that choose."""
    ended = {_place(trial): trial for trial in state.tried}
    lines = []
    for place, steps in groupby(state.trials, _place):
        curve, words = Curve(), ""
        for step in steps:
            curve.add(step.step, step.loss)
            words = f"{_short(step.words)}, {counted(step.steps, 'step')}"
        end = ended.get(place)
        circles = [] if end is None or end.loss is None else [(end.steps, end.loss)]
        lines.append(ChartLine(words, curve, circles, CHOOSES))
    return lines[::-1][: 1 + len(OTHERS)]


def _place(trial: Trial | Tried) -> tuple[int, int]:
    return trial.rung, trial.trial


def trial_figures(state: JobState) -> list[tuple[str, str]]:
    """What was tried, and how it ended, for the panel."""
    return [(_short(trial.words), "diverged" if trial.loss is None else loss_text(trial.loss)) for trial in state.tried]


def _short(words: str) -> str:
    words = words.replace("learning_rate", "rate")
    return words if len(words) <= WORDS else f"{words[: WORDS - 1]}…"
