"""What the shell offers: names of the workspace, models, and keys of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from gemmalocal.cli import group


def offered(words: list[str], typed: str) -> list[str]:
    complete = ShellComplete(group, {}, "gemmalocal", "_GEMMALOCAL_COMPLETE")
    return [item.value for item in complete.get_completions(words, typed)]


@pytest.mark.parametrize(
    ("words", "typed", "some"),
    [
        (["train"], "quo", {"quotes"}),
        (["train", "quotes", "--set"], "train.st", {"train.steps="}),
        (["check", "quotes", "--set"], "train.schedule=", {"train.schedule=cosine", "train.schedule=linear"}),
        (["train", "quotes", "--set"], "objective.kind=d", {"objective.kind=dpo"}),
        (["resume", "mine", "--set"], "train.early", {"train.early_stop="}),
        (["fetch"], "google/gemma-3-1b", {"google/gemma-3-1b-it"}),
        (["fetch"], "min", {"mine-4bit"}),
        (["bench", "--model"], "min", {"mine-4bit"}),
        (["chat"], "mi", {"mine"}),
        (["accept"], "pa", {"papers"}),
    ],
)
def test_names_are_completed(words: list[str], typed: str, some: set[str], workspace: Path) -> None:
    for folder in ("models/mine-4bit", "runs/mine", "datasets/papers"):
        (workspace / folder).mkdir(parents=True)
    (workspace / "runs" / "mine" / "job.json").write_text("{}")
    (workspace / "datasets" / "papers" / "train.jsonl").touch()
    values = offered(words, typed)
    assert some <= set(values)
    assert all(value.startswith(typed) for value in values)
