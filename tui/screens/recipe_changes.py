"""What was changed from one run's recipe to another's, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.app import App
from textual.content import Content

from gemmalocal.jobs.terminal_text import on_line
from gemmalocal.recipe.differences import differences
from gemmalocal.workspace.runs import Run
from tui.screens.pick import Offers, PickScreen
from tui.screens.report import ReportScreen
from tui.theme import state
from tui.widgets.run_table import held_out

KEY, VALUE = 26, 60  # cells of a key, and of a value at most
NOTHING = "–"


def ask_changes(app: App[Any], run: Run, runs: Sequence[Run]) -> None:
    """Ask with which other run's recipe this one's is compared, first those of its name before it; then show that."""
    offers = _offers(run, runs)
    if not offers:
        app.notify("There is no other run to compare its recipe with.")
        return

    def picked(name: str | None) -> None:
        for other in runs:
            if other.name == name:
                app.push_screen(changes(other, run))

    app.push_screen(PickScreen(f"{run.name}: what was changed since which run?", lambda: offers), picked)


def _offers(run: Run, runs: Sequence[Run]) -> Offers:
    stem = run.name.rstrip("0123456789")
    others = [other for other in runs if other.folder != run.folder]
    others.sort(key=lambda other: (other.name.rstrip("0123456789") != stem, other.at > run.at, -other.at))
    return [(Content.assemble((other.name.ljust(KEY), "bold"), _outcome(other)), other.name) for other in others]


def changes(first: Run, second: Run) -> ReportScreen:
    """The keys that differ, with what each has; and how both came out."""
    return ReportScreen(f"From {first.name} to {second.name}", written(first, second))


def written(first: Run, second: Run) -> Text:
    """A line each: key, before, after; below them the outcome of each run."""
    changed = differences(first.spec, second.spec)
    width = min(VALUE, max([len(first.name), *(len(_value(line.first)) for line in changed)]))
    rows = [(line.key, _value(line.first), _value(line.second)) for line in changed]
    text = Text()
    for key, before, after in [("", first.name, second.name), *rows, ("", "", "")]:
        text.append(f"{key:<{KEY}} ", "bold")
        text.append(f"{before:<{width}}   {after}\n")
    if not changed:
        text.append("Their recipes say the same.\n\n")
    for run in (first, second):
        text.append(f"{run.name:<{KEY}} {_outcome(run)}\n")
    return text


def _outcome(run: Run) -> str:
    sign, word, _ = state(run.state.status)
    loss = held_out(run)
    words = [f"{sign} {word}", *([f"held-out loss {' '.join(loss.split())}"] if loss else [])]
    return ", ".join([*words, run.verdict] if run.verdict else words)


def _value(value: Any) -> str:
    if value is None:
        return NOTHING
    return on_line(", ".join(map(str, value)) if isinstance(value, list) else str(value), VALUE)
