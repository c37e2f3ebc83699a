"""One run in a panel beside the list: how it learned, what it is about, and what it said before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textual.content import Content

from gemmalocal.files.sizes import size
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Sample, Tried
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted
from gemmalocal.planning import throughput
from gemmalocal.workspace.runs import Run
from tui.remedies import in_app
from tui.theme import state, told
from tui.widgets.marks import area, change
from tui.widgets.run_table import VERDICTS

LABEL, CURVE, MOST = 11, 6, 4000  # cells of a label; rows of the curve; steps that are looked at for it
READING = "reading what it has said ..."
SAID = 240  # characters of an answer


def detail(run: Run, width: int, on_disk: int | None) -> Content:
    """The whole panel, `width` cells wide; `on_disk` are its bytes, None while they are counted."""
    if not run.whole:
        return Content.styled(READING, "$muted")
    parts: list[Any] = []
    losses = [step.loss for step in run.state.steps]
    for line in area(losses[:: max(1, len(losses) // MOST)], width, CURVE):
        parts += [(line, "$accent"), "\n"]
    if losses:
        ends = loss_text(losses[0], 2), loss_text(losses[-1], 2)
        parts += [
            (f"{ends[0]}{'training loss'.center(max(0, width - len(ends[0]) - len(ends[1])))}{ends[1]}", "$muted")
        ]
        parts.append("\n\n")
    if run.trouble is not None:
        parts += [(run.trouble.message, "$bad"), " ", in_app(run.trouble.hint), "\n\n"]
    for label, words in _facts(run, on_disk):
        parts += [(label.ljust(LABEL), "$muted"), words, "\n"]
    parts += _samples(run)
    return Content.assemble(*parts)


def line(run: Run) -> Content:
    """The same in a line or two, where there is no room for a panel."""
    if not run.whole:
        return Content.styled(READING, "$muted")
    if run.trouble is not None:
        return Content.assemble((run.trouble.message, "$bad"), " ", in_app(run.trouble.hint))
    now = run.state
    words = [f"{_model(run)} on {_rows(run)}"]
    if now.status == "live":
        words += [now.stage or "starting", *map(in_app, now.notices[-1:])]
    else:
        words += [state(now.status).word, f"{throughput.duration(_trained(run))} of training"]
        words += [f"saved at step {now.saved.step}"] if now.saved else []
    words += [run.verdict] if run.verdict else []
    words += [run.labels.note.splitlines()[0]] if run.labels.note.strip() else []
    return Content(" · ".join(words))


def _facts(run: Run, on_disk: int | None) -> Iterator[tuple[str, Content | str]]:
    now = run.state
    last = now.steps[-1] if now.steps else None
    yield "state", told(now.status, f"· {now.stage}" if now.status == "live" and now.stage else "")
    yield "model", _model(run)
    yield "rows", _rows(run)
    if last:
        left = f", {throughput.duration(throughput.seconds_left(now.steps))} left" if now.status == "live" else ""
        yield "steps", f"{last.step:,} of {last.in_all}{left}"
    if now.tried:
        yield "search", _search(now.tried)
    if now.best is not None:
        first = now.evaluations[0].loss
        fallen = f"{loss_text(first)} to {loss_text(now.best.loss)} ({change(first, now.best.loss)})"
        yield "held-out", f"{fallen} at step {now.best.step}"
    if last:
        yield "speed", f"{counted(round(throughput.tokens_per_second(now.steps)), 'trained token')} a second"
        yield "trained", throughput.duration(_trained(run))
    if run.verdict:
        yield "report", Content.styled(run.verdict, VERDICTS.get(run.verdict, ""))
    elif now.status in ("done", "early"):
        yield "report", Content.styled("none yet: v asks whether it helped", "$muted")
    yield "on disk", "counting ..." if on_disk is None else size(on_disk)
    if run.labels.tags:
        yield "tags", Content.styled(" ".join(f"#{tag}" for tag in run.labels.tags), "$secondary")
    if run.labels.note:
        yield "note", run.labels.note


def _search(tried: Sequence[Tried]) -> str:
    """How many trials ended, and what is best so far."""
    last = max(trial.rung for trial in tried)
    ended = [(trial.loss, trial.words) for trial in tried if trial.rung == last and trial.loss is not None]
    return f"{counted(len(tried), 'trial')}{f', best {min(ended)[1]}' if ended else ''}"


def _samples(run: Run) -> Iterator[Any]:
    samples = run.state.samples
    if not samples:
        return
    prompt = samples[0].prompt
    mine = [sample for sample in samples if sample.prompt == prompt]
    yield ("\n› ", "$primary")
    yield (f"{_on_line(prompt)}\n", "$muted")
    for sample in mine[:1] if len(mine) == 1 else (mine[0], mine[-1]):
        yield (_when(sample).ljust(LABEL), "$muted")
        yield f"{_on_line(sample.shown)}\n"


def _when(sample: Sample) -> str:
    return "before" if sample.step == 0 else f"step {sample.step}"


def _model(run: Run) -> str:
    return Path(history.word(run.spec, "model")).name


def _rows(run: Run) -> str:
    return Path(history.word(run.spec, "data", "path")).name


def _trained(run: Run) -> float:
    return sum(step.seconds for step in run.state.steps)


def _on_line(text: str) -> str:
    text = text.strip().replace("\n", " ⏎ ")
    return text if len(text) <= SAID else f"{text[:SAID]} …"
