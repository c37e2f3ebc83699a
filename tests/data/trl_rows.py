"""What TRL makes of 800 rows of eight shapes, to hold ours against: python -m tests.data.trl_rows TINY

Made once with TRL 1.16, in an environment that has it, on the tokenizer in the folder TINY (`write_tiny` of
tests/conftest.py), and kept in `trl_rows.npz`. All of a row's handling is TRL's own: `maybe_extract_prompt`, and
`_prepare_dataset` of its trainers.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gemmalocal.data.chat_template import TURNS

KEPT = Path(__file__).with_suffix(".npz")
EACH = 100
WORDS = ["the", "quote", "and", "a", "model", "of", "users:", "an", "answer,", "then", "more?", "yes!", "no.", "naïve"]
STARTS = ("because", "then", "no", "yes", "more", "so", "quote", "it")  # of answers: two differ in their first letter
Row = dict[str, Any]
Turns = list[dict[str, str]]


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, words)))


def _answers(dice: random.Random) -> list[str]:
    return [f"{start} {_text(dice, 9)}" for start in dice.sample(STARTS, 2)]


def _talk(dice: random.Random, turns: int) -> Turns:
    """A system message, perhaps, and turns up to a user's."""
    system = [{"role": "system", "content": _text(dice, 4)}] if dice.random() < 0.4 else []
    roles = [("user", "assistant")[number % 2] for number in range(turns)]
    return [*system, *({"role": role, "content": _text(dice, 6)} for role in roles)]


def _said(content: str) -> Turns:
    return [{"role": "assistant", "content": content}]


def text(dice: random.Random) -> Row:
    """A prompt and two answers as text, joined as they are."""
    chosen, rejected = _answers(dice)
    return {"prompt": _text(dice, 9), "chosen": f" {chosen}", "rejected": f" {rejected}"}


def text_without_prompt(dice: random.Random) -> Row:
    """Two texts that begin with the prompt."""
    prompt, answers = _text(dice, 9), _answers(dice)
    chosen, rejected = (f"{prompt} {answer}" for answer in answers)
    return {"chosen": chosen, "rejected": rejected}


def turns(dice: random.Random) -> Row:
    """A prompt and two answers as messages."""
    chosen, rejected = map(_said, _answers(dice))
    return {"prompt": _talk(dice, dice.choice((1, 3))), "chosen": chosen, "rejected": rejected}


def conversations(dice: random.Random) -> Row:
    """Two whole conversations."""
    prompt, (chosen, rejected) = _talk(dice, dice.choice((1, 3, 5))), map(_said, _answers(dice))
    return {"chosen": prompt + chosen, "rejected": prompt + rejected}


def conversations_that_part(dice: random.Random) -> Row:
    """Two conversations of which one or both go on after the answers that differ."""
    row = conversations(dice)
    for name in ("chosen", "rejected"):
        if dice.random() < 0.6:
            row[name] = row[name] + [{"role": "user", "content": _text(dice, 4)}, *_said(_text(dice, 4))]
    return row


def conversations_under_a_text(dice: random.Random) -> Row:
    """UltraFeedback's way: the prompt as text once more, beside whole conversations."""
    prompt, (chosen, rejected) = _talk(dice, 1), map(_said, _answers(dice))
    return {"prompt": prompt[-1]["content"], "chosen": prompt + chosen, "rejected": prompt + rejected}


def rated_text(dice: random.Random) -> Row:
    """A prompt, a completion, and whether that is good."""
    return {"prompt": _text(dice, 9), "completion": f" {_answers(dice)[0]}", "label": dice.random() < 0.5}


def rated_turns(dice: random.Random) -> Row:
    """The same as messages."""
    completion = _said(_answers(dice)[0])
    return {"prompt": _talk(dice, dice.choice((1, 3))), "completion": completion, "label": dice.random() < 0.5}


SHAPES: dict[str, Callable[[random.Random], Row]] = {
    shape.__name__: shape
    for shape in (
        text, text_without_prompt, turns, conversations, conversations_that_part, conversations_under_a_text,
        rated_text, rated_turns,
    )
}  # fmt: skip


def rows(shape: str) -> list[Row]:
    """The rows of a shape: the same wherever they are drawn."""
    dice = random.Random(shape)
    return [SHAPES[shape](dice) for _ in range(EACH)]


def parts(row: Row) -> tuple[str, ...]:
    """What TRL makes of a row, by name."""
    return ("prompt_ids", "completion_ids") if "label" in row else ("prompt_ids", "chosen_ids", "rejected_ids")


def _of_trl(shape: str, tokenizer: Any) -> Iterator[list[list[int]]]:
    from datasets import Dataset
    from trl.data_utils import maybe_extract_prompt
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.kto_trainer import KTOTrainer

    trainer = KTOTrainer if shape.startswith("rated") else DPOTrainer
    settings = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    stub = SimpleNamespace(_tokenizer=tokenizer, calculate_KL=False)
    drawn = rows(shape)
    dataset = Dataset.from_list([maybe_extract_prompt(row) for row in drawn])
    for made in trainer._prepare_dataset(stub, dataset, tokenizer, settings, shape):
        yield [made[name] for name in parts(drawn[0])]


def main(folder: str) -> None:
    """Ask TRL for all rows, and keep their ids: end to end, int32, and how many there are of each part."""
    import numpy as np
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TURNS
    kept: dict[str, Any] = {}
    for shape in SHAPES:
        made = [part for row in _of_trl(shape, tokenizer) for part in row]
        kept[f"{shape}_ids"] = np.array([number for part in made for number in part], np.int32)
        kept[f"{shape}_lengths"] = np.array([len(part) for part in made], np.int32)
    np.savez_compressed(KEPT, **kept)


if __name__ == "__main__":
    main(sys.argv[1])
