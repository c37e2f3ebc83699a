"""What an author behind an endpoint makes of passages, and how many of its rows are bad, labelled blind.

    python -m benchmarks.authored_rows URL FILE SOURCE... [--passages 48] [--about sentences] [--pairs 2] [--name NAME]
    python -m benchmarks.authored_rows --labels FILE...

The first draws passages with prose evenly from all sources, asks the author about them, prints what came of them, and
adds the kept rows to FILE, shuffled. Each has an empty "label" and "reason": write good or bad, and why. The second
counts the labels by NAME, which a person who labels should not look at. Answers are kept beside FILE, asked once.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.pipelines.prepare import order_of
from gemmalocal.pipelines.shared.authors import open_author, usage_of
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.pipelines.shared.passages import gather
from gemmalocal.pipelines.shared.prepared_rows import reasons
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.synthesis.allotment import evenly
from gemmalocal.synthesis.asking import Remembered
from gemmalocal.synthesis.context import situated
from gemmalocal.synthesis.create import PieceResult, create
from gemmalocal.synthesis.language import sentences
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.rarity import by_vocabulary
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.wording import Wording
from gemmalocal.weights.locate import locate


def drawn(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """So many passages with prose, evenly from all."""
    prose = [piece for piece in pieces if sentences(piece.passage.text)]
    return [prose[place] for place in evenly(len(prose), min(count, len(prose)))]


def asked(preparation: Preparation, count: int, answers: Path) -> tuple[list[PieceResult], Remembered, int]:
    """What comes of the passages drawn, who was asked, and how many passages there are."""
    folder = locate(preparation.model, Teller(), weights=False)
    tokenizer = Tokenizer(folder)
    pieces = situated(gather(preparation, tokenizer, Teller()).pieces)
    index = PassageIndex(pieces, by_vocabulary(tokenizer.encoder))
    author = open_author(preparation, folder, tokenizer)
    assert author.ask is not None
    remembered = Remembered(answers, author.ask, author.name, partial(usage_of, tokenizer))
    order = order_of(preparation, Wording(), author.instructed, index)
    results = list(create(drawn(pieces, count), order, remembered))
    author.close()
    return results, remembered, len(pieces)


def told(results: Sequence[PieceResult], remembered: Remembered, passages: int) -> list[str]:
    """The figures of one way, as lines."""
    kept = [row for result in results for row in result.kept if row.by == "model"]
    rejected = reasons([rejection for result in results for rejection in result.rejected])
    tokens = sum(remembered.usage[:2])
    with_row = [result for result in results if result.kept]
    authored = sum(result.authored for result in results)
    return [
        f"{len(results)} of {passages} passages asked about, {authored} with a row of the author's, "
        f"{len(with_row) - authored} with one of the rules alone",
        f"{len(kept)} rows kept, {sum(rejected.values())} rejected, {tokens / max(1, len(kept)):.0f} tokens a kept row",
        *(f"  {count} {reason}" for reason, count in rejected.items()),
    ]


def row(candidate: Candidate, name: str) -> dict[str, Any]:
    """A row to be labelled."""
    piece = candidate.piece
    text = {"question": candidate.question, "answer": candidate.answer, "passage": piece.passage.text}
    return {"label": "", "reason": "", **text, "title": piece.title, "heading": piece.passage.heading, "name": name}


def add(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows to those of a file, all of them shuffled."""
    lines = file.read_text().splitlines() if file.exists() else []
    lines += [json.dumps(each, ensure_ascii=False) for each in rows]
    random.Random(0).shuffle(lines)
    file.write_text("".join(f"{line}\n" for line in lines))


def labels(files: Sequence[Path]) -> list[str]:
    """How many rows of each name are good and bad."""
    counts = dict[str, Counter[str]]()
    for file in files:
        for each in map(json.loads, file.read_text().splitlines()):
            counts.setdefault(each["name"], Counter())[each["label"] or "not labelled"] += 1
    return [
        f"{name}: {', '.join(f'{count} {label}' for label, count in own.most_common())}"
        for name, own in sorted(counts.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+")
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("--passages", type=int, default=48)
    parser.add_argument("--about", default="auto")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    if given.labels:
        print("\n".join(labels([Path(word) for word in given.words])))
        return
    url, file, *sources = given.words
    settings = {"sources": sources, "about": given.about, "pairs": given.pairs}
    preparation = Preparation.model_validate({**settings, "endpoint": {"url": url, "concurrency": 2, "timeout": 900}})
    results, remembered, passages = asked(preparation, given.passages, Path(file).with_suffix(".answers.jsonl"))
    kept = [candidate for result in results for candidate in result.kept if candidate.by == "model"]
    add(Path(file), [row(candidate, given.name or given.about) for candidate in kept])
    print("\n".join(told(results, remembered, passages)))


if __name__ == "__main__":
    main()
