"""Sources to pieces, in this process: names that are no text, folders of our own, what dies on its way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents import limits
from gemmalocal.documents.find import find_documents
from gemmalocal.documents.limits import Limits
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Notice
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.pipelines.shared.passages import GatheredPieces, gather
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.synthesis.piece import Candidate, Piece, pair, passage_key
from gemmalocal.synthesis.split import held_out


def gathered(tiny: Path, *sources: str, task: str = "text", **more: object) -> GatheredPieces:
    """The pieces of sources; what is told of them can be written down."""
    tell = Teller()
    wanted = Preparation.model_validate({"sources": list(sources), "author": "rules", "task": task, **more})
    found = gather(wanted, Tokenizer(tiny), tell)
    while not tell.news.empty():
        event = tell.news.get()
        assert event is not None
        encode(event, 0.0).encode()
    for piece in found.pieces:
        json.dumps([piece.file, piece.title, piece.passage.source], ensure_ascii=False).encode()
    json.dumps([found.refused, found.warnings], ensure_ascii=False).encode()
    return found


@pytest.mark.skipif("sys.platform == 'darwin'", reason="file names are Unicode there")
def test_names_that_are_no_text_are_told_with_a_mark(tmp_path: Path, tiny: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/dir\xe9"))
    folder.mkdir()
    (folder / os.fsdecode(b"a\xff.md")).write_text("A pump wants oil in the spring.")
    (folder / os.fsdecode(b"b\xff.zip")).write_text("x")
    (folder / os.fsdecode(b"c\xff.jsonl")).write_text('{"prompt": "a", "completion": "b"}\n{"text": 3\n')
    (folder / "good.txt").write_text("A valve is made of brass.")
    found = gathered(tiny, str(folder))
    assert found.documents == 3
    assert {Path(piece.title).name for piece in found.pieces} >= {"a\ufffd", "good"}
    assert [Path(source).name for source, _ in found.refused] == ["b\ufffd.zip", "c\ufffd.jsonl:2"]
    rewritten = gathered(tiny, str(folder / os.fsdecode(b"c\xff.jsonl")), task="rewrite")
    assert len(rewritten.pieces) == 1
    assert len(rewritten.warnings) == 1


def test_a_dataset_beside_its_sources_is_none_of_them(tmp_path: Path) -> None:
    for name in ("a.md", "set/job.json", "set/events.jsonl", "set/train.jsonl", "deep/set/job.json", "deep/b.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "deep" / "set" / "events.jsonl").write_text("x")
    assert find_documents([str(tmp_path)]) == [f"{tmp_path}/a.md", f"{tmp_path}/deep/b.md"]
    assert len(find_documents([str(tmp_path / "set")])) == 3


NAMES = (
    "wheel",
    "valve",
    "lever",
    "gasket",
    "flange",
    "spring",
    "handle",
    "axle",
    "chain",
    "nozzle",
    "bearing",
    "shaft",
)


def candidates(pieces: Sequence[Piece]) -> Iterator[Candidate]:
    """A row of each."""
    return (Candidate(piece, pair(piece, "q", "a"), "", "rules") for piece in pieces)


def test_near_copies_are_told_before_they_are_many_and_may_be_kept(tmp_path: Path, tiny: Path) -> None:
    for number in range(140):
        line = f"The worker number {number} has oiled the pump of the house in the spring and has gone home again."
        (tmp_path / f"{number:03}.txt").write_text(line)
    tell = Teller()
    wanted = Preparation.model_validate({"sources": [str(tmp_path)], "author": "rules", "task": "text"})
    dropped = gather(wanted, Tokenizer(tiny), tell)
    assert dropped.copies > 130
    told = list[object]()
    while not tell.news.empty():
        told.append(tell.news.get())
    notices = [(place, event.text) for place, event in enumerate(told) if isinstance(event, Notice)]
    ((place, text),) = notices
    assert "100 of the first 1" in text
    assert "--near-copies keep" in text
    assert place < len(told) - 30  # while there is still something to stop
    kept = gathered(tiny, str(tmp_path), near_copies="keep")
    assert (len(kept.pieces), kept.copies) == (140, 0)
    split = held_out(kept.pieces, candidates(kept.pieces), 0.1, kept.alike)
    assert split == (set(), "nothing: all rows are from a single passage and near copies of it")


def test_near_copies_that_are_kept_are_on_one_side(tmp_path: Path, tiny: Path) -> None:
    words = {name: ["".join(Random(f"{name}{n}").choices("abcdefghij", k=7)) for n in range(30)] for name in NAMES}
    parts = [f"A {name} is {' '.join(words[name])}" for name in NAMES]
    for number in range(60):
        other = f" in the month {number} of the year."
        (tmp_path / f"{number:02}.txt").write_text(parts[number % len(parts)] + other)
    kept = gathered(tiny, str(tmp_path), near_copies="keep")
    assert len(kept.alike) >= 60 - len(parts)
    split = held_out(kept.pieces, candidates(kept.pieces), 0.1, kept.alike)
    sides = {
        name: {passage_key(piece) in split.places for piece in kept.pieces if f" {name} " in piece.passage.text}
        for name in NAMES
    }
    assert all(len(side) == 1 for side in sides.values())
    assert len(split.places) in range(4, 9)
    assert "near copies each on the side of its like" in split.how


def test_rows_that_differ_in_a_number_are_no_near_copies(tmp_path: Path, tiny: Path) -> None:
    line = "The pump of house number {} has been oiled in the spring, and its valves of brass have been looked at; {}."
    lines = [line.format(number, "all is well") for number in range(60)]
    lines += [line.format(7, "ALL is well!"), line.format(8, "all is, well")]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": each}) for each in lines))
    found = gathered(tiny, str(tmp_path))
    assert (len(found.pieces), found.copies) == (60, 2)


def test_what_kills_its_reader_is_refused_and_the_others_become_pieces(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "planned", lambda: Limits(200 << 20))
    (tmp_path / "a.txt").write_text("A pump wants oil in the spring.")
    (tmp_path / "b.html").write_text("<p><b>x</b></p>" * 1_000_000)
    (tmp_path / "c.json").write_text('[{"text": "a valve"}, {"text": "of brass", "n": ' + "7" * 4301 + "}]")
    (tmp_path / "d.json").write_text("[" * 100_000)
    (tmp_path / "e.txt").write_text("A valve is made of brass.")
    found = gathered(tiny, str(tmp_path))
    assert [Path(source).name for source, _ in found.refused] == ["b.html", "d.json:1"]
    assert "takes more than 210 MB of memory to read" in found.refused[0][1]
    assert {Path(piece.file).name for piece in found.pieces} == {"a.txt", "c.json", "e.txt"}
    assert found.documents == 4
