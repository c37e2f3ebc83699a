"""A run in words and numbers: how it stands, what it does just now, its figures, what it answered."""

from __future__ import annotations

from typing import Any

from textual.content import Content

from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.planning import throughput
from gemmalocal.workspace.runs import Run
from tui.remedies import in_app
from tui.theme import state as look_of
from tui.trial_lines import trial_figures
from tui.widgets.marks import bar, change

PANEL = 26  # cells of the numbers' panel
LONG = 2.0  # seconds of silence from which they are told
EVALUATE_EVERY = 25  # steps, where a recipe does not say
NEXT = "c compares it with its base · v says whether it helped · e exports it · a trains again"
TRY_AGAIN = "a edits its recipe, to try again"
GOES_ON, ANEW = "r goes on from where it saved", "r begins it anew"
STOPPING = "stopping: it finishes this step and saves"


def standing(state: JobState, stopping: bool = False) -> str:
    """State, step and what is left, for the title."""
    sign, word, _ = look_of(state.status)
    parts = [f"{sign} {'stopping' if stopping else 'starting' if _starts(state) else word}"]
    if state.steps:
        last = state.steps[-1]
        parts.append(f"step {last.step:>{len(str(last.steps))},} / {last.in_all}")
        if state.status == "live" and last.step < last.steps and not stopping:
            parts.append(f"{throughput.duration(throughput.seconds_left(state.steps)):>6} left")
    return "   ".join(parts)


def _starts(state: JobState) -> bool:
    return state.alive and not state.stage


def doing(run: Run, now: float) -> str:
    """What goes on, for how long if it is silent, and what was last said; once it is done, what one may do with it."""
    state = run.state
    if not state.alive:
        if state.status in ("done", "early"):
            return NEXT
        return " · ".join([GOES_ON if state.saved else ANEW] * run.resumable + [TRY_AGAIN, "g shows its log"])
    words = [STOPPING if run.stopping else activity(run)]
    if (silent := now - run.at) > LONG:
        words.append(throughput.duration(silent))
    if state.progress:
        words.append(f"{bar(state.progress.done / max(1, state.progress.total), 16)} {state.progress.what}")
    elif state.notices:
        words.append(in_app(state.notices[-1]))
    return " · ".join(words)


def activity(run: Run) -> str:
    """The stage by its name: which prompt it answers, of how many, and whether it trains or measures."""
    state, stage = run.state, run.state.stage or "starting"
    if stage.startswith("answering the prompts"):
        total, when = len(_setting(run, "samples", "prompts") or ()), stage.split()[3]
        answered = sum(sample.when == when for sample in state.samples)
        return f"{stage} · {min(answered + 1, total)} of {total}" if total else stage
    if stage != "training":
        return stage
    if not state.steps:
        return stage if state.evaluations else "measuring the loss before training"
    return _between_steps(run) or stage


def _between_steps(run: Run) -> str:
    """What comes after the newest step, where that is not the next one; empty if it is."""
    state, step = run.state, run.state.steps[-1]
    every = _setting(run, "train", "evaluate_every") or EVALUATE_EVERY
    if not isinstance(every, int) or (step.step % every and step.step < step.steps):
        return ""
    if state.evaluations and state.evaluations[-1].step < step.step:
        return "measuring the held-out loss"
    if _setting(run, "samples", "prompts") and not any(sample.step == step.step for sample in state.samples):
        return "answering a prompt"
    return "saving" if step.step == step.steps else ""


def _setting(run: Run, section: str, key: str) -> Any:
    values = run.spec.get(section)
    return values.get(key) if isinstance(values, dict) else None


def numbers(state: JobState, memory: int) -> Content:
    """The panel: label on the left, number on the right, in fixed places."""
    rows: list[tuple[str, str]] = []
    if state.evaluations:
        first, now, best = state.evaluations[0], state.evaluations[-1], state.best
        rows += [("held-out loss", loss_text(now.loss)), ("change", change(first.loss, now.loss))]
        if best is not None:
            rows.append((f"best, step {best.step}", loss_text(best.loss)))
        judged = now.preference or {}
        rows += [("judged right", f"{judged['accuracy']:.0%}")] if "accuracy" in judged else []
        rows += [(f"{side} gained", f"{judged[side]:+.1f} nats") for side in ("chosen", "rejected") if side in judged]
        rows += [("as its teacher", f"{judged['agreement']:.0%}")] if "agreement" in judged else []
        rows += [("KL to teacher", f"{judged['kl']:.3f} nats")] if "kl" in judged else []
    rows += trial_figures(state) if not state.steps else []
    if state.steps:
        last = state.steps[-1]
        rows += [
            ("training loss", loss_text(last.loss)),
            ("speed", f"{throughput.tokens_per_second(state.steps):.0f} tok/s"),
            ("learning rate", f"{last.learning_rate:.2e}"),
            ("gradient norm", f"{last.grad_norm:.2f}"),
        ]
        peak = max(step.memory for step in state.steps[-throughput.RECENT :])
        rows.append(("memory", f"{gigabytes(peak, 2)}{f' of {gigabytes(memory, 0)}' * bool(memory)} GB"))
        if memory:
            rows.append(("", bar(peak / memory, PANEL)))
    if state.skipped or state.rollbacks:
        rows += [("steps skipped", str(len(state.skipped))), ("times gone back", str(len(state.rollbacks)))]
    if state.saved:
        rows.append(("last save", f"step {state.saved.step}"))
    parts: list[Any] = []
    for label, value in rows:
        parts += [(label, "$muted"), value.rjust(PANEL - len(label)), "\n"]
    return Content.assemble(*parts[:-1])


def samples(state: JobState) -> Content:
    """The first prompt's answers: the earliest, and the newest."""
    if not state.samples:
        return Content("")
    prompt = state.samples[0].prompt
    mine = [sample for sample in state.samples if sample.prompt == prompt]
    shown = mine if len(mine) == 1 else [mine[0], mine[-1]]
    parts: list[Any] = []
    for sample in shown:
        text = f"{sample.shown.strip()}{'' if sample.stopped else ' …'}".replace("\n", " ⏎ ")
        where = f"step {sample.step}"
        parts += [(f"{where:<10}", "$muted"), (f"{sample.prompt.strip()} ", "$muted"), text, "\n"]
    return Content.assemble(*parts[:-1])
