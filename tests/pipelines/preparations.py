"""Two documents to prepare, how the tests of it begin, and what they look at."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.synthesis import ground
from gemmalocal.workspace import datasets
from tests.here import apart, run
from tests.synthesis.server import Model

LIGHT = """# The lamp

The lamp is a paraffin burner with six wicks. It stands inside a lens of 172 glass prisms that was made in 1871.

# The keepers

Three keepers serve the station in watches of four hours. The principal keeper writes the journal every evening.

# The fog signal

The fog signal is a siren that is driven by compressed air. Fog is reported on about 40 days of each year.
"""
BEES = """# The hives

A hive is a stack of wooden boxes with frames that hold the comb. Eight hives stand along the wall of the garden.

# Honey

Honey is made from nectar that workers dry in the comb. The first honey is taken in the last week of June.
"""


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "light.md").write_text(LIGHT)
    (folder / "bees.md").write_text(BEES)
    return folder


def prepared(documents: Path, tiny: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    begun = apart if "--detach" in options else run
    return begun("prepare", str(documents), "--to", name, "--model", str(tiny), "--passage-tokens", "400", *options)


def through(model: Model, documents: Path, tiny: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return prepared(documents, tiny, name, "--endpoint", model.url, *options)


def of_files(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: datasets.read(folder / name) for name in (TRAIN_FILE, HELD_OUT_FILE, datasets.REJECTED)}


def grounded(rows: list[dict[str, Any]], documents: Path) -> bool:
    """Whether each row's evidence occurs in the file that it names."""
    quotes = [(row.get("evidence") or row["text"], Path(row["source"]).read_text()) for row in rows]
    return all(ground.problem(quote, text) is None for quote, text in quotes)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The report of a preparation that was run with --json."""
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "finished"
    report: dict[str, Any] = next(event["data"] for event in events if event["event"] == "report")
    return report
