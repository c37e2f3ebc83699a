"""Each tracker's own files hold what a run's events say, number for number: live, killed, gone on with, and ended."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gemmalocal as gemmalocal_api
from gemmalocal.files import paths
from gemmalocal.jobs import processes
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Event, Finished, Rollback, Sample, Skipped, Started, Step
from gemmalocal.pipelines import track
from gemmalocal.workspace import runs, trackings
from tests.children import HANGS
from tests.here import run as gemmalocal
from tests.here import work
from tests.tracking.readers import READERS, Series, Texts
from tests.tui.recorded import SPEC, real, record

NAMES = sorted(READERS)
EVENTS = real("quotes")  # what a run of Gemma 3 270M said
STEPS = [place for place, event in enumerate(EVENTS) if isinstance(event, Step)]
SAMPLES = [event for event in EVENTS if isinstance(event, Sample)]
HALF = STEPS[len(STEPS) // 2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trackio.sqlite_storage
    import trackio.utils

    for module in (trackio, trackio.utils, trackio.sqlite_storage):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    monkeypatch.setattr(track, "LOOK", 0.02)


def said(run: Path) -> Series:
    """The numbers of a run's events, by themselves: of a step that was trained twice, the last."""
    values: dict[str, dict[int, float]] = {}
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        names = {
            "step": {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm"}
            | {"memory": "memory/peak", "tokens": "train/tokens", "seconds": "train/seconds"},
            "evaluated": {"loss": "held_out/loss", "tokens": "held_out/tokens"},
        }.get(event["event"], {})
        for key, name in names.items():
            values.setdefault(name, {})[event["step"]] = event[key]
        for key, value in (event.get("preference") or {}).items():
            part = "train" if event["event"] == "step" else "held_out"
            values.setdefault(f"{part}/{key}", {})[event["step"]] = value
    return {name: sorted(by_step.items()) for name, by_step in values.items()}


def kept(run: Path, name: str) -> tuple[Series, Texts]:
    series, texts = READERS[name](run)
    return {key: series[key] for key in said(run)}, texts


def comes_to(run: Path, name: str) -> None:
    """Wait until a tracker that writes in the background has what a live run has said.

    To wandb a step is over when the next one begins.
    """
    wanted = {key: values[: -1 if name == "wandb" else None] for key, values in said(run).items()}
    end = time.monotonic() + HANGS
    while True:
        series, _ = READERS[name](run)
        if {key: series.get(key, [])[: len(values)] for key, values in wanted.items()} == wanted:
            return
        assert time.monotonic() < end, "live"
        time.sleep(0.05)


def append(run: Path, events: list[Event]) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write("".join(encode(event, time.time()) + "\n" for event in events))


class Told(threading.Thread):
    """A tracker that is told of a run, beside the test."""

    def __init__(self, run: Path, name: str) -> None:
        super().__init__(daemon=True)
        self.folder = run / "tracking" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.watch = track.Watch(run, name, self.folder)
        self.problem: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.watch.tell(lambda *progress: None)
        except BaseException as error:
            self.problem = error

    def has_read(self, lines: int) -> None:
        while self.is_alive() and lines > _lines(self.folder):
            time.sleep(0.01)

    def end(self) -> None:
        self.join(120)
        assert self.problem is None, self.problem


def _lines(folder: Path) -> int:
    file = folder / "sent.json"
    return int(json.loads(file.read_text())["lines"]) if file.is_file() else 0


@pytest.fixture
def alive() -> Iterator[Any]:
    """Hold a run's lock, as its process does; `close` is its death."""
    locks = []

    def hold(run: Path) -> Any:
        locks.append((run / "lock").open("a+"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
        return locks[-1]

    yield hold
    for lock in locks:
        lock.close()


@pytest.mark.parametrize("name", NAMES)
def test_its_own_reader_has_what_the_events_say(name: str, alive: Any) -> None:
    run = record("quotes", EVENTS[:HALF])
    lock = alive(run)
    told = Told(run, name)
    told.has_read(HALF)
    comes_to(run, name)
    lock.close()
    told.end()
    assert kept(run, name)[0] == said(run), "killed"
    steps = [event for event in EVENTS[:HALF] if isinstance(event, Step)]
    last, repeated = steps[-1].step, steps[-3:]
    again = [Started("train", 2, 2, step=last - 3), *repeated, *EVENTS[HALF:]]
    lock = alive(run)
    told = Told(run, name)
    append(run, again[:20])
    told.has_read(HALF + 20)
    append(run, again[20:])
    lock.close()
    told.end()
    series, texts = kept(run, name)
    assert series == said(run), "gone on with, and finished"
    answered = sorted(text for key, values in texts.items() if "samples/after" in key for _, text in values)
    assert answered == sorted(f"{event.prompt}\n\n{event.text}" for event in SAMPLES if event.when == "after")
    before = READERS[name](run)
    told = Told(run, name)
    told.end()
    assert told.watch.told == 0
    assert READERS[name](run) == before, "told again, it is not doubled"


def test_what_a_roll_back_takes_back_is_not_told_afterwards() -> None:
    steps = [Step(number, 9, 1.0 / number, 7, 1e-4, 0.5, 0.1, 10) for number in range(1, 7)]
    retried = [Step(number, 9, 2.0 / number, 7, 5e-5, 0.5, 0.1, 10) for number in range(4, 10)]
    events = [Started("train", 1, 1), *steps, Skipped(6, "x\x1b[2J"), Rollback(6, 3, 0.5, "its loss exploded")]
    run = record("back", [*events, *retried, Finished("done")])
    told = Told(run, "tensorboard")
    told.end()
    series, texts = kept(run, "tensorboard")
    assert series["train/loss"] == [(n, 1.0 / n) for n in (1, 2, 3)] + [(n, 2.0 / n) for n in range(4, 10)]
    assert "half" in texts["notices/rollback"][0][1] or "0.5" in texts["notices/rollback"][0][1]


def test_a_run_with_a_new_name_is_the_same_run() -> None:
    run = record("quotes", EVENTS)
    Told(run, "tensorboard").end()
    renamed = runs.rename(run, "other")
    told = Told(renamed, "tensorboard")
    told.end()
    assert told.watch.told == 0
    assert kept(renamed, "tensorboard")[0] == said(renamed)


def test_the_recipe_and_the_report_go_along() -> None:
    run = record("quotes", EVENTS)
    (run / "report").mkdir()
    (run / "report" / "report.json").write_text(json.dumps({"verdict": "helps", "sentence": "It helps.", "n": 3}))
    Told(run, "tensorboard").end()
    texts = READERS["tensorboard"](run)[1]
    assert json.dumps(SPEC["model"]) in texts["recipe"][0][1]
    assert "| verdict | helps |" in texts["report"][0][1]


def test_the_command_says_where_to_look_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    record("quotes", EVENTS)
    done = gemmalocal("track", "quotes", "--to", "tensorboard")
    assert done.returncode == 0, done.stderr
    assert f"tensorboard --logdir {paths.runs()}" in done.stdout
    again = gemmalocal("track", "quotes", "--to", "tensorboard", "--json")
    assert json.loads(again.stdout)["items"] == 0
    monkeypatch.setattr(processes, "start", work)
    assert gemmalocal_api.run("quotes").track("tensorboard") == [f"tensorboard --logdir {paths.runs()}"]
    monkeypatch.setitem(trackings.PACKAGES, "wandb", ("a_package_that_is_not_here",))
    missing = gemmalocal("track", "quotes", "--to", "wandb")
    assert missing.returncode == 3
    assert "wandb is not installed. pip install 'gemmalocal[wandb]'" in " ".join(missing.stderr.split())
    assert gemmalocal("track", "quotes", "--to", "excel").returncode == 2


def test_a_fault_is_a_sentence_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    record("quotes", EVENTS)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://me:secret@127.0.0.1:9/x")
    done = gemmalocal("track", "quotes", "--to", "mlflow")
    assert done.returncode == 1
    assert "mlflow failed:" in done.stderr
    assert "secret" not in done.stderr + done.stdout


def test_a_run_starts_its_trackers_and_names_what_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    run = record("quotes", EVENTS)
    monkeypatch.setattr(processes, "start", work)
    monkeypatch.setenv("GEMMALOCAL_TRACK", "excel, tensorboard")
    words = list(trackings.start_beside(run, ["tensorboard"]))
    assert words[0] == "tensorboard is told of this run as it goes on"
    assert words[1].startswith("not told to excel: There is no tracker 'excel'.")
    assert kept(run, "tensorboard")[0] == said(run)
