"""Of a dataset of a million rows a report reads those that it asks, and no others."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data import token_store, token_writer
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.pipelines.shared import report_rows
from gemmalocal.recipe import recipe_file

LENGTH, ASKED = 8, 500


def write_store(folder: Path, rows: int) -> None:
    """A store of so many rows, of which every second one is held out: what `token_writer.Writer` would write."""
    with token_writer.writing(folder) as writer:
        ids, weights = np.arange(20, 20 + LENGTH, dtype=np.int32), np.array([0] * 4 + [1] * 4, np.float32)
        writer.add(Example(ids, weights, source="rows.jsonl:1"))
        writer.close(np.array([True]), {"plain": False})
    stored = np.tile(np.load(folder / token_store.ROWS), rows)
    stored["end"] = LENGTH * np.arange(1, rows + 1)
    stored["held_out"] = np.arange(rows) % 2
    np.save(folder / token_store.ROWS, stored)
    for name in (token_store.IDS, token_store.WEIGHTS, token_store.SOURCES):
        (folder / name).write_bytes((folder / name).read_bytes() * rows)
    (folder / token_store.HASHES).unlink()


def test_few_of_a_million_rows_are_read(
    tmp_path: Path, tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, tokenizer = recipe_file.load(str(recipe_path)), Tokenizer(tiny)
    read, take = list[int](), Examples.__getitem__

    def counted(examples: Examples, index: int) -> Example:
        read.append(index)
        return take(examples, index)

    monkeypatch.setattr(Examples, "__getitem__", counted)
    peaks = []
    for rows in (10_000, 1_000_000):
        write_store(tmp_path / str(rows), rows)
        read.clear()
        tracemalloc.start()
        asked = report_rows.asked_rows(tmp_path / str(rows), recipe, tokenizer, "prompt", ASKED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(asked) == len(read) == ASKED
    table = 1_000_000 * token_store.ROW.itemsize
    assert peaks[1] - peaks[0] < 3 * table  # what grows is the table of the rows' ends and sides


def test_documents_of_few_rows_are_found_among_many(tmp_path: Path) -> None:
    lines = [json.dumps({"source": f"{number}.pdf"}) for number in range(100)]
    (tmp_path / "train.jsonl").write_text("\n".join([*lines[:50], "{", *lines[51:]]))
    named = dict(report_rows._named(tmp_path / "train.jsonl", {3, 51, 100}))
    assert named == {3: "2.pdf", 100: "99.pdf"}
