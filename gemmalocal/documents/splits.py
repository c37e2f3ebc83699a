"""Which side of a dataset a file, a folder, a split or a list is, by its name."""

from __future__ import annotations

import re

TRAIN, HELD_OUT, TEST = "train", "held out", "test"
WORDS = {
    TRAIN: {"train", "training"},
    HELD_OUT: {"val", "valid", "validation", "dev", "eval", "evaluation", "heldout", "holdout"},
    TEST: {"test", "testing"},
}
SHARD = re.compile(r"[-_.]\d+([-_.]of[-_.]\d+)?(?=$|\.)")  # train-00000-of-00001
TWO = re.compile(r"(held|hold)[-_ .]out", re.IGNORECASE)


def side_of(name: str) -> str:
    """`TRAIN`, `HELD_OUT` or `TEST`, by the first or the last word of a name without its suffix; "" by neither."""
    words = [word for word in re.split(r"[^a-z0-9]+", TWO.sub("heldout", SHARD.sub("", name)).lower()) if word]
    ends = {words[0], words[-1]} if words else set[str]()
    return next((side for side, side_words in WORDS.items() if ends & side_words), "")
