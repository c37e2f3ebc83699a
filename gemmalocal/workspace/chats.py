"""Chats as a front end handles them: who is to speak, and the job that speaks."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.errors import UnknownRun
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history, processes

LIMITS = {"temperature": (0, 10), "top_p": (0, 1), "top_k": (0, 2**31), "seed": (0, 2**62), "max_tokens": (1, 131_072)}
PAST = 50  # newest chats that are listed
LONGEST = 16 * 1024 * 1024  # bytes of a transcript that are read
TRANSCRIPT = "transcript.jsonl"
WHOLE_NUMBERS = ("top_k", "seed", "max_tokens")


def checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is given, how answers are drawn; raises `ValueError` for what is no number within its limits."""
    settings: dict[str, Any] = {}
    for name, (smallest, largest) in LIMITS.items():
        if (value := given.get(name)) is None:
            continue
        number = isinstance(value, int if name in WHOLE_NUMBERS else int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not smallest <= value <= largest:
            kind = "a whole number" if name in WHOLE_NUMBERS else "a number"
            raise ValueError(f"{name} is {kind} from {smallest:,} to {largest:,}, not {value!r}")
        settings[name] = value
    return settings


def setting(name: str, written: str) -> Any:
    """The value of a setting as it is typed; raises `ValueError` as `checked_settings`."""
    value: Any = written
    with suppress(ValueError):
        value = int(written) if name in WHOLE_NUMBERS else float(written)
    return checked_settings({name: value})[name]


def start(
    runs: Sequence[str],
    base: bool,
    sampling: dict[str, Any],
    errand: bool = False,
    tools: Sequence[dict[str, Any]] = (),
) -> processes.Job:
    """Start a chat in a folder of its own, among the chats, or as an errand, whose folder the caller removes.

    It ends with whoever asked for it. `runs` are names, RUN or RUN@STEP; the newest with a result if there are none.
    `tools` are those that the voices may call, as OpenAI has them. Raises `UnknownRun`.
    """
    spec = {"voices": voices(runs or [str(newest())], base), "sampling": sampling}
    spec |= {"tools": list(tools)} if tools else {}
    place = paths.errands() if errand else paths.chats()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=time.strftime("chat-%Y%m%d-%H%M%S-"), dir=place))
    return processes.start(folder, "chat", spec, tied=True)


def voices(runs: Sequence[str], base: bool) -> list[dict[str, Any]]:
    """The voices of a chat's spec; raises `UnknownRun`."""
    specs: list[dict[str, Any]] = []
    for name in runs:
        run, step = _run(name)
        if base and not specs:
            specs.append({"name": "base", "run": str(run), "base": True})
        specs.append({"name": f"{run.name}@{step}" if step else run.name, "run": str(run), "step": step})
    return specs


def _run(name: str) -> tuple[Path, int | None]:
    before, _, step = name.rpartition("@")
    if before and step.isdigit():
        return history.find_run(before).resolve(), int(step)
    return history.find_run(name).resolve(), None


def newest() -> Path:
    """The newest run with a result; raises `UnknownRun` if there is none."""
    for folder in history.list_runs():
        if history.result(folder).is_dir():
            return folder
    raise UnknownRun("No run has a result yet.", "Start one with: gemmalocal train quotes")


class PastTalk(NamedTuple):
    """A chat that was had: its folder, when it began, how many questions were asked, and the first of them."""

    folder: Path
    when: str
    questions: int
    first: str


def transcripts() -> list[PastTalk]:
    """The newest chats in which something was asked; one that cannot be read is passed over."""
    talks = []
    for folder in sorted(safe_read.entries(paths.chats()), key=lambda folder: folder.name, reverse=True):
        lines = _exchanges(folder)
        if lines:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(safe_read.changed(folder / "job.json")))
            talks.append(PastTalk(folder, when, len(lines), " ".join(str(lines[0].get("text", "")).split())))
        if len(talks) == PAST:
            break
    return talks


def as_text(folder: Path) -> str:
    """A past chat to be read, question by question; raises `UnknownRun` if there is none."""
    parts = []
    for exchange in _exchanges(folder):
        parts.append(f"› {exchange.get('text', '')}")
        answers = exchange.get("answers")
        for answer in answers if isinstance(answers, list) else ():
            best = " ★" if answer["name"] == exchange.get("vote") else ""
            parts.append(f"{answer['name']}{best}: {str(answer['text']).strip()}")
    if not parts:
        raise UnknownRun(f"Nothing was said in {folder.name}.", "Take another.")
    return "\n\n".join(parts)


def _exchanges(folder: Path) -> list[dict[str, Any]]:
    """What a chat's transcript has, whatever became of the file."""
    try:
        with safe_read.regular(folder / TRANSCRIPT) as file:
            lines = [json.loads(line) for line in file.read(LONGEST).splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError):
        return []
    return [line for line in lines if isinstance(line, dict) and all(map(_whole, line.get("answers", ["?"])))]


def _whole(answer: Any) -> bool:
    return isinstance(answer, dict) and "name" in answer and "text" in answer
