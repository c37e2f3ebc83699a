"""What events say where a job is told line by line."""

from __future__ import annotations

from gemmalocal.jobs.events import Event, Notice, Rollback, Skipped, Stage, Tried
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted


def sentence(event: Event) -> str:
    """Of a stage, a notice, a step that was skipped or taken back, a trial; empty for others, drawn by figures."""
    match event:
        case Stage():
            return f"{event.name} ..."
        case Notice():
            return event.text
        case Tried():
            loss = "it diverged" if event.loss is None else f"loss {loss_text(event.loss, 4)} on the rows to choose by"
            return f"tried {event.words}, {counted(event.steps, 'step')}: {loss}"
        case Skipped():
            return f"step {event.step} was skipped: {event.why}"
        case Rollback():
            rate = f"from now on at {event.factor:g} of the learning rate"
            return f"back from step {event.step} to step {event.to}, {rate}: {event.why}"
    return ""
