"""One bad thing never takes a list away: it is shown as damaged, with why, and the others beside it."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from gemmalocal import cli
from gemmalocal.files import paths
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import Event, Finished, Started, Step, Unknown
from gemmalocal.planning import calibration, device_memory, memory, model_sizes, throughput
from gemmalocal.weights import inventory
from gemmalocal.workspace import exports, preparations, rows
from tests import damaged
from tui.watch import Watcher

EVENTS: list[Event] = [Started("train", 1, 1), Step(1, 2, 3.0, 4, 1e-3, 1.0, 1.0, 9), Finished("done")]


def job(place: Path, name: str, kind: str = "train") -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    about = {"kind": kind, "spec": {"model": "m", "data": {"path": "d"}, "sources": ["s"]}}
    (folder / "job.json").write_text(json.dumps(about))
    (folder / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in EVENTS))
    (folder / "log.txt").write_text("loading\n")
    (folder / "lock").touch()
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gemmalocal", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("what", damaged.DAMAGES)
def test_the_lists_go_on(what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job(paths.runs(), "good")
    damaged.DAMAGES[what](job(paths.runs(), "bad"))
    job(paths.datasets(), "good", "prepare")
    damaged.DAMAGES[what](job(paths.datasets(), "bad", "prepare"))
    assert call(monkeypatch, "runs") == 0
    out = capsys.readouterr().out
    assert "good                     done" in out
    assert "bad " in out
    assert call(monkeypatch, "runs", "--json") == 0
    shown = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(shown) == {"good", "bad"}
    lost = what.startswith(("job.json", "a "))
    assert (shown["bad"]["status"] == "damaged") == lost
    assert bool(lost) <= bool(shown["bad"]["why"])
    for words in (("log", "bad"), ("watch", "bad"), ("watch", "bad", "--json"), ("stop", "bad")):
        assert call(monkeypatch, *words) in (0, 1, 2, 4)
    assert "Traceback" not in capsys.readouterr().err
    for listed in (history.list_runs, preparations.list_all):
        watcher = Watcher(listed)
        looks = watcher.look()
        assert {run.name for run in looks} == {"good", "bad"}
        assert watcher.look() == looks
    rows.offers()
    throughput.pace_of_model("m")
    calibration.corrections("mlx", 4)
    exports.of_run(paths.runs() / "bad")


def test_a_line_without_end_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LONGEST", 1000)
    folder = job(paths.runs(), "x")
    whole = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(b"x" * 5_000 + b"\n" + whole)
    assert [event for event in processes.Job(folder).poll() if not isinstance(event, Unknown)] == EVENTS
    (folder / "events.jsonl").write_bytes(whole + whole[:-9])
    watcher = processes.Job(folder)
    assert len(watcher.poll()) == 5
    (folder / "events.jsonl").write_bytes(whole + whole)
    assert watcher.poll() == EVENTS[-1:]


def test_a_name_that_no_file_can_have_is_no_model() -> None:
    for name in ("a\0b", "\ud800", "x" * 5_000, "~nobody-of-this-name/x"):
        assert model_sizes.sizes_of(name) is None


def test_no_line_raises() -> None:
    for line in damaged.lines():
        decode(line)
        for cut in range(0, len(line[:200]), 7):
            decode(line[:cut])


def test_types_are_held_to_the_fields() -> None:
    assert decode('{"event": "step", "step": "1"}') == Unknown('{"event": "step", "step": "1"}')
    assert isinstance(decode(encode(Step(1, 2, float("nan"), 4, 1, 1.0, 1.0, 9), 1.0)), Step)
    line = '{"event": "evaluated", "step": 1, "loss": 3, "tokens": 2, "new": [1]}'
    assert decode(line) == decode(line.replace("3", "3.0"))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


CONFIGS: dict[str, tuple[Any, str]] = {
    "layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
    "text for a number": ({"hidden_size": "big"}, "hidden_size is big"),
    "negative": ({"vocab_size": -3}, "vocab_size is -3"),
    "text_config": ({"text_config": [1]}, "text_config is not an object"),
    "no JSON": ("{", "is not JSON"), "list": ("[]", "not a JSON object"), "deep": (damaged.DEEP, "is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_a_damaged_model_is_shown_as_such(case: str, disk: Path, tiny: Path) -> None:
    from gemmalocal.pipelines import models

    content, why = CONFIGS[case]
    good = json.loads((tiny / "config.json").read_text())
    for name, text in (("a", json.dumps(good)), ("b", content)):
        folder = paths.models() / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"x" * 100)
        (folder / "config.json").write_text(text if isinstance(text, str) else json.dumps({**good, **text}))
    found = {one.name: one for one in inventory.on_this_disk()}
    assert not found["a"].damage
    assert why in found["b"].damage
    engine = models._Engine(device_memory.ram(10**10), memory.profile("mlx"), 4)
    assert models._described(found["b"], engine)["damaged"]
    assert model_sizes.sizes_of("b") is None


MANIFESTS = ["", "{", "[]", damaged.DEEP, '{"layers": 3}', '{"layers": [3]}', '{"layers": null}']


@pytest.mark.parametrize("content", MANIFESTS, ids=map(str, range(len(MANIFESTS))))
def test_a_damaged_manifest_takes_no_other_away(content: str, disk: Path) -> None:
    folder = disk / "ollama" / "manifests" / "registry" / "library" / "gemma3"
    folder.mkdir(parents=True)
    (folder / "bad").write_text(content)
    blob = disk / "ollama" / "blobs" / "sha256-1"
    blob.parent.mkdir()
    blob.touch()
    layer = {"mediaType": inventory.MODEL_LAYER, "digest": "sha256:1"}
    (folder / "good").write_text(json.dumps({"layers": [layer]}))
    (folder / "link").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    assert dict(inventory.ollama()) == {"gemma3:good": blob}
    bad = {one.name: one.damage for one in inventory.on_this_disk()}
    assert ("gemma3:bad" in bad) == (not content.startswith('{"'))
    assert all(bad.values())


def test_reading_takes_bounded_memory() -> None:
    folder = job(paths.runs(), "x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (folder / "job.json").open("r+b") as file:
        file.truncate(2**40)  # sparse
    assert "MB" in history.damage(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
