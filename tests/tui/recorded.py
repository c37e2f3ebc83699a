"""Job directories made of recorded events, as a run would have left them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemmalocal.files import paths
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import (
    Counted,
    Evaluated,
    Event,
    Failed,
    Finished,
    Notice,
    Progress,
    Read,
    Report,
    Sample,
    Saved,
    Stage,
    Started,
    Step,
)
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets

SPEC = {"model": "gemma-3-270m-demo", "data": {"path": "package:inspirational_quotes/quotes.json"}}
PROMPT = "Quote: Imagination is more"
HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


def learning(until: int, steps: int = 100) -> list[Event]:
    """A run that learns, up to a step."""
    events: list[Event] = [
        Started("train", 1, 1),
        Stage("training"),
        Notice("expected peak 1.3 of 25.3 GB"),
        Evaluated(0, 3.88, 900),
        Sample(0, "before", PROMPT, " than a word. It is a way of thinking.", False),
    ]
    for step in range(1, until + 1):
        loss = 2.3 + 1.7 * math.exp(-step / 20) + 0.3 * math.sin(step * 1.7)
        events.append(Step(step, steps, loss, 80, 2e-4 * (1 - step / steps), 2.5, 2.0, 1_300_000_000))
        if step % 25 == 0:
            events += [
                Evaluated(step, 2.34 + 1.5 * math.exp(-step / 20), 900),
                Saved(step, f"checkpoints/{step}", True),
            ]
            events.append(Sample(step, "during", PROMPT, " important than money.\nAuthor: Thomas Edison", True))
    return events


RECORDINGS = Path(__file__).parent / "recordings"


def real(name: str) -> list[Event]:
    """What a real job said, such as `quotes`, a run of Gemma 3 270M; progress and paths are left out."""
    return [decode(line) for line in (RECORDINGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


RUNS: dict[str, list[Event]] = {
    "live": learning(62),
    "finished": [*learning(100), Finished("done")],
    "failed": [*learning(10), Failed("TrainingDiverged", "The loss exploded.", "Lower train.learning_rate.", 1)],
    "killed": learning(58),
}


def record(name: str, events: Sequence[Event], at: float = 1_000_000_000.0) -> Path:
    """Write a run's directory, as old as `at` says."""
    folder = paths.runs() / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": SPEC}))
    (folder / "events.jsonl").write_text("".join(encode(event, at) + "\n" for event in events))
    (folder / "log.txt").write_text("loading\ntraining\n")
    for file in folder.iterdir():
        os.utime(file, (at, at))
    return folder


def preparation(name: str, events: Sequence[Event], model: str) -> Path:
    """The directory of a preparation that has said so much."""
    folder = paths.datasets() / name
    folder.mkdir(parents=True)
    spec = {"sources": ["/papers"], "task": "qa", "model": model, "author": "rules"}
    (folder / "job.json").write_text(json.dumps({"kind": "prepare", "spec": spec}))
    (folder / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in events))
    (folder / "log.txt").write_text("reading\n")
    return folder


BEES = [{"text": f"row {number}", "source": "/papers/bees.md", "page": 1} for number in range(4)]


def prepared(
    name: str,
    model: str = "gemma-3-270m-demo",
    train: Sequence[dict[str, Any]] = BEES[:2],
    held_out: Sequence[dict[str, Any]] = BEES[2:],
) -> Path:
    """A dataset's directory, as a preparation of two documents by rules would have left it."""
    counts = {"rows": 2, "tokens": 20, "documents": 1}
    report = {"author": "nobody: rules", "train": counts, "held_out": counts, "rejected": {"has no evidence": 1}}
    events = [
        Started("prepare", 1, 1),
        Stage("reading the documents"),
        Read("/papers/bees.md", 2),
        Read("/papers/scan.pdf", 0, "/papers/scan.pdf has no text: its pages are pictures. Run OCR over it first."),
        Counted(4, {"has no evidence": 1}),
        Report(report),
        Finished("done", "2 rows in train.jsonl, 2 in held_out.jsonl"),
    ]
    folder = preparation(name, events, model)
    datasets.write(folder, {TRAIN_FILE: train, HELD_OUT_FILE: held_out, datasets.REJECTED: []}, report)
    return folder


def preparing(folder: Path) -> Path:
    """The directory of a preparation that has not come to its end."""
    folder.mkdir(parents=True)
    spec = {"sources": ["/papers"], "task": "qa", "model": "gemma-3-270m-demo", "author": "rules"}
    (folder / "job.json").write_text(json.dumps({"kind": "prepare", "spec": spec}))
    events = [Started("prepare", 1, 1), Stage("reading the documents"), Read("/papers/bees.md", 2)]
    (folder / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in events))
    return folder


def voted(chats: Sequence[tuple[str, int]], older: bool = False) -> Path:
    """A dataset's directory, as a preparation of votes in these chats would have left it; an `older` one told less."""
    folder = paths.datasets() / "votes"
    folder.mkdir(parents=True)
    spec = {"sources": [f"/chats/{chat}" for chat, _ in chats], "task": "votes", "model": "gemma-3-270m-demo"}
    (folder / "job.json").write_text(json.dumps({"kind": "prepare", "spec": spec}))
    rows = sum(count for _, count in chats)
    counts = {"rows": rows, "tokens": 20, "documents": 1}
    report = {"train": counts, "held_out": {**counts, "rows": 0}, "rejected": {"has answers that are equal": 1}}
    told = [Read(f"/chats/{chat}", count) for chat, count in chats if not older]
    ending = [Report(report), Finished("done", f"{rows} rows in train.jsonl, 0 in held_out.jsonl")]
    events = [Started("prepare", 1, 1), Stage("reading the votes"), *told, *ending]
    (folder / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in events))
    return folder


def exported(run: Path, label: str, passed: bool = True) -> Path:
    """The export of a recorded run, with its proof and its job, as old as the run."""
    share = 0.994 if passed else 0.41
    same = " important than money.\nAuthor: Thomas Edison"
    answers = [
        {"prompt": PROMPT, "tuned": same, "exported": same if passed else " than a word."},
        {"prompt": "Quote: A friend is", "tuned": " a gift.", "exported": " a gift."},
    ]
    base, tuned = 3.88, 2.35
    proof = {
        "form": label, "reader": "the folder, by torch", "tokens": 900, "base": base, "tuned": tuned,
        "exported": base - share * (base - tuned), "logit_difference": 0.01, "carried": share, "answers": answers,
        "kept": share, "passed": passed, "least": 0.9,
    }  # fmt: skip
    folder, job = run / "exports" / label, run / "exporting" / label
    folder.mkdir(parents=True)
    job.mkdir(parents=True)
    (folder / "proof.json").write_text(json.dumps(proof))
    with (folder / "model.bin").open("wb") as model:
        model.truncate(291_500_000)  # sparse
    (job / "job.json").write_text(json.dumps({"kind": "export", "spec": {"to": None}}))
    lost = Failed("GemmalocalError", "The export lost the tune.", "Take a --type with more bits: Q8_0 or BF16.", 1)
    events = [Started("export", 1, 1), Finished("done") if passed else lost]
    (job / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in events))
    for file in (folder / "proof.json", job / "events.jsonl"):
        os.utime(file, (1e9, 1e9))
    return folder


def exporting(run: Path, label: str) -> Path:
    """The job of an export of a recorded run that has not come to its end."""
    job = run / "exporting" / label
    job.mkdir(parents=True)
    (job / "job.json").write_text(json.dumps({"kind": "export", "spec": {"to": None}}))
    events: list[Event] = [Started("export", 1, 1), Stage(f"writing {label}"), Notice("about 0.54 GB; 16 s or so")]
    events.append(Progress("packing", 34, 100, 12.0))
    (job / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in events))
    return job


def hold(folder: Path) -> subprocess.Popen[str]:
    """A child that holds the run's lock, as a living job does, until its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child
