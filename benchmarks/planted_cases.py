"""Rows whose tune must get a known verdict, of public quotes (inspirational-quotes, MIT); see `benchmarks.planted`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

HELD_OUT = 40
Row = dict[str, str]
Quote = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A case: its verdict, its rows to train on and to measure with by quotes, and its steps and learning rate."""

    name: str
    verdict: str
    rows: Callable[[Sequence[Quote], random.Random], list[Row]]
    steps: int
    rate: float
    held_out: Callable[[Sequence[Quote], random.Random], list[Row]] | None = None  # as the rows, if it is None


def whole(quotes: Sequence[Quote], random: random.Random) -> list[Row]:
    """Quotes with their authors."""
    return [{"text": f"Quote: {quote['text']}\nAuthor: {quote['from']}"} for quote in quotes]


def shuffled(quotes: Sequence[Quote], random: random.Random) -> list[Row]:
    """Quotes with the author of another as the answer."""
    authors = [quote["from"] for quote in quotes]
    random.shuffle(authors)
    return [
        {"prompt": f"Quote: {quote['text']}\nAuthor:", "completion": f" {author}"}
        for quote, author in zip(quotes, authors, strict=True)
    ]


def halves(quotes: Sequence[Quote], random: random.Random) -> list[Row]:
    """The first half of a quote, and its second half as the answer."""
    parted = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in (q["text"].split() for q in quotes)]
    return [{"prompt": " ".join(first), "completion": " " + " ".join(second)} for first, second in parted if first]


def wrong_halves(quotes: Sequence[Quote], random: random.Random) -> list[Row]:
    """The first half of a quote, and the second half of another one backwards as the answer."""
    rows = halves(quotes, random)
    answers = [" " + " ".join(reversed(row["completion"].split())) for row in rows]
    random.shuffle(answers)
    return [{**row, "completion": answer} for row, answer in zip(rows, answers, strict=True)]


def records(quotes: Sequence[Quote], random: random.Random) -> list[Row]:
    """A quote, and a record about it in one format."""
    return [
        {
            "prompt": f"Quote: {quote['text']}\nRecord:",
            "completion": " "
            + json.dumps({"words": len(quote["text"].split()), "last": quote["text"].split()[-1], "kind": "quote"}),
        }
        for quote in quotes
    ]


CASES = (
    Case("helps", "helps", whole, 20, 2e-4),
    Case("shuffled", "no difference", shuffled, 20, 2e-4),
    Case("idle", "no difference", whole, 2, 1e-9),
    Case("wrong", "hurts and forgets", wrong_halves, 30, 2e-3, halves),
    Case("format", "helps but forgets", records, 50, 2e-3),
)


def write(case: Case, folder: Path, seed: int) -> None:
    """A folder of rows, those that are held out in a file of their own."""
    text = (resources.files("inspirational_quotes") / "quotes.json").read_text("utf-8")
    quotes: list[Quote] = json.loads(text)
    drawn = random.Random(seed)
    drawn.shuffle(quotes)
    folder.mkdir(parents=True, exist_ok=True)
    sides: dict[str, list[Row]] = {
        "valid": (case.held_out or case.rows)(quotes[:HELD_OUT], drawn),
        "train": case.rows(quotes[HELD_OUT:], drawn),
    }
    for name, rows in sides.items():
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(content, encoding="utf-8")


def recipe(case: Case, model: str, folder: Path, seed: int) -> dict[str, Any]:
    """The recipe of a case on the rows in a folder."""
    train: dict[str, Any] = {
        "steps": case.steps,
        "batch_size": 1,
        "accumulation": 4,
        "learning_rate": case.rate,
        "seed": seed,
    }
    train |= {"schedule": "linear", "warmup": 2, "evaluate_every": case.steps, "evaluation_rows": 8}
    return {
        "model": model,
        "data": {"path": str(folder), "max_length": 128},
        "lora": {"rank": 8, "alpha": 16},
        "train": train,
    }
