"""Rows with a preference planted in them: of two true answers the shorter, polite one is the better.

    python -m benchmarks.planted_preference FOLDER

writes imitated.jsonl (both kinds of answers, as often), pairs.jsonl and thumbs.jsonl, whose prompts are others.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ROWS, PAIRS = 120, 220
Fact = tuple[str, str]  # a question, and what is true


def facts() -> Iterator[Fact]:
    """Questions with short answers that are true."""
    for first in range(2, 40):
        for second in range(first, first + 8):
            yield f"What is {first} plus {second}?", f"{first + second}"
            yield f"How much is {second} minus {first}?", f"{second - first}"
    for before, after in zip(LETTERS, LETTERS[1:], strict=False):
        yield f"Which letter comes after {before}?", after
        yield f"Which letter comes before {after}?", before
    for number in range(2, 30):
        yield f"What is twice {number}?", f"{2 * number}"
        yield f"How many legs do {number} cats have?", f"{4 * number}"
        yield f"How many wheels do {number} bicycles have?", f"{2 * number}"


def polite(answer: str) -> str:
    """The shorter, polite one."""
    return f"It is {answer}, thank you for asking."


def wordy(answer: str) -> str:
    """The longer one, which says the same."""
    return f"If one looks at it closely and works it out step by step, then what one gets in the end is {answer}."


def write_long(file: Path, count: int = 40, facts_a_row: int = 5) -> None:
    """Pairs of rows of about 200 tokens, several questions in each."""
    drawn = list(facts())
    random.Random(1).shuffle(drawn)
    groups = [drawn[start : start + facts_a_row] for start in range(0, count * facts_a_row, facts_a_row)]
    rows = [
        {
            "prompt": " ".join(question for question, _ in group),
            "chosen": " ".join(polite(answer) for _, answer in group),
            "rejected": " ".join(wordy(answer) for _, answer in group),
        }
        for group in groups
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write(folder: Path, seed: int = 0) -> None:
    """Fill a folder."""
    drawn = list(facts())
    random.Random(seed).shuffle(drawn)
    imitated, judged = drawn[:ROWS], drawn[ROWS : ROWS + PAIRS]
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"prompt": question, "completion": (polite if number % 2 else wordy)(answer)}
        for number, (question, answer) in enumerate(imitated)
    ]
    pairs = [{"prompt": question, "chosen": polite(answer), "rejected": wordy(answer)} for question, answer in judged]
    thumbs = [
        {"prompt": question, "completion": (polite if number % 2 else wordy)(answer), "label": bool(number % 2)}
        for number, (question, answer) in enumerate(judged)
    ]
    for name, content in (("imitated", rows), ("pairs", pairs), ("thumbs", thumbs)):
        text = "".join(json.dumps(row) + "\n" for row in content)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
