"""The benchmark's parts: both trainers run, the loss is the truth, the made-up rows stay the same. No timing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gemmalocal.pipelines.bench import word_problems


def test_bench_compares_both_trainers(tiny: Path, rows: Path) -> None:
    words = ["bench", "--model", str(tiny), "--rows", str(rows), "--steps", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "gemmalocal", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ours"]["loss"] == pytest.approx(figures["ours"]["loss_by_full_logits"], rel=1e-5)
    assert figures["stock"]["trainer"] == "mlx-lm"
    assert figures["ours"]["tokens"] > 0
    assert figures["stock"]["tokens"] > 0
    assert figures["memory"] == figures["ours"]["peak_bytes"] / figures["stock"]["peak_bytes"]


def test_made_up_rows_are_always_the_same() -> None:
    assert word_problems(5) == word_problems(5)
    assert len({record.key for record in word_problems(50)}) == 50
