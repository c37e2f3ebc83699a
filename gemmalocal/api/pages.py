"""Values as HTML for a notebook: small tables; whatever people or models wrote is only text in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from gemmalocal.files.sizes import size
from gemmalocal.jobs.events import Step
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.planning import throughput

WIDTH, HEIGHT = 240, 48  # of the curve, in pixels
POINTS = 120  # of it


def table(title: str, rows: Mapping[str, Any], below: str = "") -> str:
    """A title and labelled values; `below` is HTML."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{escape(label)}</th><td {left}>{escape(str(value))}</td></tr>"
        for label, value in rows.items()
        if value not in (None, "")
    )
    return f"<div><b>{escape(title)}</b><table>{cells}</table>{below}</div>"


def of_job(name: str, state: JobState) -> str:
    """How a job stands; of a run also its losses."""
    rows: dict[str, Any] = {"status": state.status, "stage": state.stage if state.alive else ""}
    if state.progress and state.alive and not state.steps:
        rows[state.progress.what] = f"{state.progress.done} of {state.progress.total}"
    if state.steps:
        last = state.steps[-1]
        rows |= {"step": f"{last.step} of {last.in_all}", "loss": loss_text(last.loss, 4)}
        rows["left"] = throughput.duration(throughput.seconds_left(state.steps)) if state.alive else ""
    if state.best:
        rows["held-out loss"] = (
            f"{loss_text(state.evaluations[0].loss, 4)} → {loss_text(state.best.loss, 4)} (step {state.best.step})"
        )
    if state.last_word:
        rows["last word"] = state.last_word.message
    return table(name, rows, curve(state.steps))


def of_check(
    rows: tuple[int, int], steps: int | None, memory: int | None, fits: bool, problems: Sequence[dict[str, Any]]
) -> str:
    """What a recipe would train on."""
    told = {
        "rows": f"{rows[0]} to train on, {rows[1]} held out",
        "steps": steps,
        "memory": f"{size(memory)} at the peak: {'it fits' if fits else 'it may not fit'}" if memory else None,
    }
    told |= {f"{problem['effect']} {problem['count']}": f"the row {problem['kind']}" for problem in problems}
    return table("check", told)


def of_report(verdict: str, sentence: str, page: Path) -> str:
    """A verdict, and where its page is."""
    return table(verdict, {"": sentence, "page": page})


def of_export(folder: Path, kept: float | None, passed: bool) -> str:
    """Where an export is, and what it kept."""
    share = "no gain to keep" if kept is None else f"{100 * kept:.1f} % of the gain"
    return table("export", {"folder": folder, "kept": share, "proof": "passed" if passed else "FAILED"})


def curve(steps: Sequence[Step]) -> str:
    """The losses as a line, drawn small; nothing of fewer than two steps."""
    losses = [step.loss for step in steps[:: max(1, len(steps) // POINTS)]]
    if len(losses) < 2:
        return ""
    low, high = min(losses), max(losses)
    spread = (high - low) or 1.0
    across = WIDTH / (len(losses) - 1)
    down = [HEIGHT * (high - loss) / spread for loss in losses]
    points = " ".join(f"{place * across:.1f},{height:.1f}" for place, height in enumerate(down))
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' viewBox='0 -2 {WIDTH} {HEIGHT + 4}' role='img' "
        f"aria-label='loss from {loss_text(losses[0])} to {loss_text(losses[-1])}'>"
        f"<polyline points='{points}' fill='none' stroke='currentColor'/></svg>"
    )
