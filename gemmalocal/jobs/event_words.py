"""What events say where a job is told line by line."""

from __future__ import annotations

from gemmalocal.jobs.events import Event, Notice, Rollback, Skipped, Stage


def sentence(event: Event) -> str:
    """Of a stage, a notice, a step that was skipped or taken back; empty for others, which are drawn by figures."""
    match event:
        case Stage():
            return f"{event.name} ..."
        case Notice():
            return event.text
        case Skipped():
            return f"step {event.step} was skipped: {event.why}"
        case Rollback():
            rate = f"from now on at {event.factor:g} of the learning rate"
            return f"back from step {event.step} to step {event.to}, {rate}: {event.why}"
    return ""
