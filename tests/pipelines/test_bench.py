"""The benchmark's parts: both trainers run, the loss is the truth, the made-up rows stay the same. No timing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gemmalocal.cli.bench import bench
from gemmalocal.cli.bench_lengths import COLUMNS, expected_bytes, table, with_ratio
from gemmalocal.pipelines.shared.word_problems import word_problems
from tests.children import HANGS


def test_bench_compares_both_trainers(tiny: Path, rows: Path) -> None:
    words = ["bench", "--model", str(tiny), "--rows", str(rows), "--steps", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "gemmalocal", *words], capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ours"]["loss"] == pytest.approx(figures["ours"]["loss_by_full_logits"], rel=1e-5)
    assert figures["stock"]["trainer"] == "mlx-lm"
    assert figures["ours"]["tokens"] > 0
    assert figures["stock"]["tokens"] > 0
    assert figures["memory"] == figures["ours"]["peak_bytes"] / figures["stock"]["peak_bytes"]
    assert 0 < figures["ours"]["planned_bytes"] < 10**9
    line = figures["share"]
    assert line.count("\n") == 0
    for part in ("gemmalocal ", "Python ", "mlx ", "mlx-lm ", "GFLOP/s", "tok/s", "planned", f"| {tiny.name}, "):
        assert part in line
    assert str(tiny.parent) not in line  # a path says who sends it


def test_bench_compares_memory_by_length(tiny: Path) -> None:
    words = ["bench", "--model", str(tiny), "--lengths", "512,64"]
    command = [sys.executable, "-m", "gemmalocal", *words]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=HANGS, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    short, long = figures["lengths"]
    assert (short["length"], long["length"]) == (64, 512)
    ours, checkpointed, stock = (long[name]["peak_bytes"] for name in ("ours", "ours_checkpointed", "stock"))
    assert checkpointed < ours < stock
    assert long["auto"] is False
    assert long["ratio"] == ours / stock
    growth = figures["bytes_per_token"]
    assert growth["ours"] == (ours - short["ours"]["peak_bytes"]) / (512 - 64)
    assert growth["ours"] < growth["stock"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--lengths", ["512", "--steps", "3"]),
        ("--lengths", ["few"]),
        ("--lengths", ["4"]),
        ("--graph", ["--steps", "3"]),
        ("--graph", ["--lengths", "512"]),
        ("--graph", ["--backend", "torch"]),
        ("--share", ["--graph"]),
        ("--share", ["--json"]),
    ],
)
def test_options_that_do_not_go_together_are_refused(option: str, words: list[str]) -> None:
    answer = CliRunner().invoke(bench, [option, *words])
    assert answer.exit_code == 2
    assert option in answer.output


def test_what_died_is_told() -> None:
    peaks = ({"peak_bytes": 3 * 10**9, "auto": False}, {"peak_bytes": 2 * 10**9, "auto": False}, None, None)
    row = with_ratio({"length": 99, **dict(zip(COLUMNS, peaks, strict=True))})
    assert row["ratio"] is None
    lines = table({"lengths": [row], "bytes_per_token": dict.fromkeys(COLUMNS)})
    assert lines[2].split("  ")[-1].strip() == "died"
    assert "3.00" in lines[2]


def test_what_would_not_fit_is_foreseen_and_the_best_of_theirs_is_compared() -> None:
    def measured(length: int, stock: int) -> dict[str, Any]:
        peaks = (length * 10**6, length * 10**5, stock, length * 4 * 10**6)
        return {"length": length} | {
            name: {"peak_bytes": peak, "auto": False} for name, peak in zip(COLUMNS, peaks, strict=True)
        }

    rows = [with_ratio(measured(512, 2 * 10**9)), with_ratio(measured(1024, 5 * 10**9))]
    assert expected_bytes(rows[:1], "stock", 2048) == 0
    assert expected_bytes(rows, "stock", 2048) == 11 * 10**9
    long = measured(2048, 0) | {"stock": {"expected_bytes": 11 * 10**9}}
    assert with_ratio(long)["ratio"] == pytest.approx(0.25)
    lines = table({"lengths": [*rows, with_ratio(long)], "bytes_per_token": dict.fromkeys(COLUMNS)})
    assert "(11)" in lines[4]
    assert lines[4].endswith("0.25+")


def test_made_up_rows_are_always_the_same() -> None:
    assert word_problems(5) == word_problems(5)
    assert len({record.key for record in word_problems(50)}) == 50
