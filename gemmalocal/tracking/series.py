"""Events as what trackers draw: numbers by step, and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from gemmalocal.jobs import event_words
from gemmalocal.jobs.events import Evaluated, Event, Rollback, Sample, Skipped, Step


@dataclass(frozen=True)
class Point:
    """Values by the name of their series, at a step; `at` is in seconds since the epoch.

    Points of one `name` come by ascending step.
    """

    name: str
    step: int
    at: float
    values: dict[str, float]


@dataclass(frozen=True)
class Text:
    """A text at a step."""

    name: str
    step: int
    at: float
    text: str


def item(event: Event, at: float, prompts: Sequence[str]) -> Point | Text | None:
    """What a tracker is told of an event; None for those that say nothing by step. `prompts` are the recipe's."""
    match event:
        case Step():
            return Point("train", event.step, at, _trained(event))
        case Evaluated():
            values = {"loss": event.loss, "tokens": event.tokens, **(event.preference or {})}
            return Point("held_out", event.step, at, {f"held_out/{key}": value for key, value in values.items()})
        case Sample():
            known = event.prompt in prompts
            number = prompts.index(event.prompt) + 1 if known else crc32(event.prompt.encode("utf-8", "replace"))
            return Text(f"samples/{event.when}/{number}", event.step, at, f"{event.prompt}\n\n{event.shown}")
        case Skipped():
            return Text("notices/skipped", event.step, at, event_words.sentence(event))
        case Rollback():
            return Text("notices/rollback", event.step, at, event_words.sentence(event))
    return None


def _trained(step: Step) -> dict[str, float]:
    values: dict[str, float] = {
        "train/loss": step.loss,
        "train/learning_rate": step.learning_rate,
        "train/grad_norm": step.grad_norm,
        "train/tokens": step.tokens,
        "train/seconds": step.seconds,
        "train/tokens_per_second": step.tokens / step.seconds if step.seconds else 0.0,
        "memory/peak": step.memory,
        "memory/active": step.active,
        "memory/cached": step.cached,
    }
    return values | {f"train/{key}": value for key, value in (step.preference or {}).items()}
