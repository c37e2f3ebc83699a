"""Record a workspace of this version, which later versions must open: python -m tests.recorded.make [FOLDER]

It goes to `tests/recorded/v0_1_0/` (of version 0.1.0). All of it is made by the command line, in processes of their
own, as a user would: nothing in it is written by hand but the rows, the documents and the recipe. Only what the app
alone can do is done by its functions. Run it at the last commit of a version, and never again on the same one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from gemmalocal import __version__
from gemmalocal.jobs.processes import Job
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets
from tests.conftest import random_weights, write_tiny
from tests.recorded.place import AUTHOR, DOCUMENTS, HOME, PLACE, RECIPE, ROWS, put
from tests.synthesis.server import running

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}  # in place of 64, 128, 4
MODEL = "tiny-gemma"  # a name, not a folder: an adapter's files hold it, and their hashes are kept
PATIENCE = 120.0  # seconds
ANSWERS = 2  # of its author, after which a preparation is killed
UNSEALED = ("job.json", "recipe.yaml", "events.jsonl", "log.txt", *datasets.SIDES)  # files that may say a place
RECIPE_TEXT = f"""\
model: {MODEL}
backend: mlx
data: {{path: {ROWS}, max_length: 64, split: 0.2}}
lora: {{rank: 2, alpha: 4, dropout: 0.1}}
train: {{steps: 12, batch_size: 4, learning_rate: 1e-2, evaluate_every: 4, save_every: 4, keep: 1}}
samples: {{prompts: ['the quote of a:'], max_tokens: 5}}
"""
LIGHT = """# The lamp

The lamp is a paraffin burner with six wicks. It stands inside a lens of 172 glass prisms that was made in 1871.

# The keepers

Three keepers share the watch of four hours. The principal keeper writes the journal every evening.

# The fog signal

The fog signal is a siren that is driven by compressed air. Fog is reported on about 40 days of each year.
"""
BEES = """# The hives

A hive is a stack of wooden boxes with frames that hold the comb. Eight hives stand along the wall of the garden.

# Honey

Honey is made from nectar that workers dry in the comb. The first honey is taken in the last week of June.
"""


class Recorder:
    """A place where the workspace grows, and the command line that makes it grow."""

    def __init__(self, place: Path) -> None:
        self.place, self.home = place, place / HOME
        self._environment = {**os.environ, "GEMMALOCAL_HOME": str(self.home), "HF_HUB_OFFLINE": "1"}
        self._environment |= {"PYTHONPATH": os.getcwd(), "PYTHONWARNINGS": "ignore"}

    def run(self, *words: str, given: str | None = None, **environment: str) -> None:
        """`gemmalocal` with these words, which must do."""
        subprocess.run(
            [sys.executable, "-m", "gemmalocal", *words], check=True, cwd=self.place, input=given, text=True,
            env={**self._environment, **environment},
        )  # fmt: skip

    def events(self, job: str) -> list[dict[str, Any]]:
        """What a job of the workspace has said so far."""
        file = self.home / job / "events.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]


def main(target: Path) -> None:
    """Record into `target`, which must not exist."""
    with tempfile.TemporaryDirectory() as temporary:
        recorder = Recorder(Path(temporary).resolve() / "recording")
        begin(recorder)
        for part in (trained, trained_by_torch, stopped, exported, talked, prepared, interrupted):
            part(recorder)
        shutil.rmtree(recorder.home / "errands", ignore_errors=True)
        nameless(recorder.place)
        shutil.copytree(recorder.place, target)


def begin(recorder: Recorder) -> None:
    """The model, the rows, the documents and the recipe."""
    model = recorder.home / "models" / MODEL
    model.mkdir(parents=True)
    write_tiny(model)
    config = {**json.loads((model / "config.json").read_text()), **SMALL}
    (model / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), model / "model.safetensors", metadata={"format": "pt"})
    rows = [
        {"prompt": f"{'the quote ' * (n % 5)}of {chr(97 + n % 26)}:", "completion": f" {'and ' * (n % 7)}x{n}."}
        for n in range(40)
    ]
    (recorder.place / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (recorder.place / RECIPE).write_text(RECIPE_TEXT)
    (recorder.place / DOCUMENTS).mkdir()
    (recorder.place / DOCUMENTS / "light.md").write_text(LIGHT)
    (recorder.place / DOCUMENTS / "bees.md").write_text(BEES)


def trained(recorder: Recorder) -> None:
    """A run of MLX to its end."""
    recorder.run("train", RECIPE, "--name", "finished")


def trained_by_torch(recorder: Recorder) -> None:
    """One of torch, with DoRA."""
    changes = ("backend=torch", "method=dora", "train.steps=4")
    recorder.run("train", RECIPE, "--name", "torch", *(word for change in changes for word in ("--set", change)))


def stopped(recorder: Recorder) -> None:
    """A run that was stopped in its midst; its steps are too short to wait for the command that stops it."""
    recorder.run("train", RECIPE, "--name", "stopped", "--detach")
    until(lambda: any(event["event"] == "step" for event in recorder.events("runs/stopped")))
    Job(recorder.home / "runs" / "stopped").ask(do="stop")
    until(lambda: recorder.events("runs/stopped")[-1]["event"] == "finished")
    last, step = recorder.events("runs/stopped")[-1], recorder.events("runs/stopped")[-2]["step"]
    assert (last["outcome"], 1 < step < 12) == ("stopped", True), "the stop came too early or too late: record again"


def exported(recorder: Recorder) -> None:
    """An adapter and a whole model, each with its proof."""
    recorder.run("export", "finished", "--to", "adapter")
    recorder.run("export", "finished", "--to", "merged")


def talked(recorder: Recorder) -> None:
    """A chat of two questions, with a vote for the tuned model."""
    recorder.run(
        "chat", "finished", "--max-tokens", "8", given="the quote of a:\n/vote finished\nof b:\n/save\n/quit\n"
    )


def prepared(recorder: Recorder) -> None:
    """A dataset by rules; of its rows one was edited, one dropped, and one dropped and taken back."""
    options = ("--author", "rules", "--model", MODEL, "--passage-tokens", "400", "--held-out", "0.5")
    recorder.run("prepare", DOCUMENTS, "--to", "papers", *options)
    folder = recorder.home / "datasets" / "papers"
    edited, gone, back = datasets.read(folder / TRAIN_FILE)[:3]
    datasets.edit(folder, TRAIN_FILE, edited, "Six wicks, says the keeper.")
    datasets.drop(folder, TRAIN_FILE, gone)
    datasets.drop(folder, TRAIN_FILE, back)
    rejected = datasets.numbered(folder / datasets.REJECTED)
    recorder.run("accept", "papers", str(max(rejected)))


def interrupted(recorder: Recorder) -> None:
    """A preparation that was killed after two answers of its author."""
    server = ("--endpoint", AUTHOR, "--endpoint-model", "author", "--concurrency", "1")
    options = (*server, "--model", MODEL, "--passage-tokens", "400", "--detach")
    with running() as author:
        author.hold = ANSWERS
        proxy = {"HTTP_PROXY": author.url, "http_proxy": author.url, "NO_PROXY": "", "no_proxy": ""}
        recorder.run("prepare", DOCUMENTS, "--to", "interrupted", *options, **proxy)
        until(lambda: len(author.asked) == ANSWERS + 1)
        recorder.run("stop", "interrupted", "--force")


def until(done: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.002)


def nameless(place: Path) -> None:
    """Take this machine's paths out of a recording; fails where some stay, or stood in a file whose hash is sealed."""
    sealed = {file.name for file in put(place, str(place), PLACE)} - set(UNSEALED)
    assert not sealed, f"{sealed} say where they were made, and their hashes are kept"
    for machine, name in ((sys.prefix, "@PYTHON@"), (os.getcwd(), "@CLONE@")):
        put(place, machine, name)
    for file in (path for path in place.rglob("*") if path.is_file()):
        for word in (str(Path.home()), tempfile.gettempdir()):
            assert word.encode() not in file.read_bytes(), f"{file.relative_to(place)} says {word}"


if __name__ == "__main__":
    version = Path(__file__).parent / f"v{__version__.replace('.', '_')}"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else version)
