"""What of a row is learned, and by how much: replies, the last of them, all; prompts beside them; weights of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.data import token_store, token_writer
from gemmalocal.data.examples import Example, Supervision, decode_example, pieces
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import HEAVY, Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Record
from tests.data.test_examples import with_template
from tests.pipelines.test_damaged_run import work

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>assistant\n{% endif %}"
)
TALK = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two", "weight": 0.25},
    {"role": "user", "content": "three"},
    {"role": "assistant", "content": "four"},
]


def record(columns: dict[str, Any]) -> tuple[Record, list[str]]:
    """A row as a record, and what is odd of it."""
    findings = Findings()
    made = RowFormats("auto", None, False, Remarks(findings))("rows.jsonl:1", columns)
    return made, [kind.kind for kind in findings.of("odd")]


def weights(columns: dict[str, Any], tokenizer: Tokenizer, **supervision: Any) -> dict[str, float]:
    """The weight of each word of a row."""
    parts = pieces(record(columns)[0], tokenizer, True, Supervision(**supervision))
    return {word: weight for word in ("one", "two", "three", "four") for text, weight in parts if word in text}


@pytest.fixture
def tokenizer(tiny: Path, tmp_path: Path) -> Tokenizer:
    return Tokenizer(with_template(tiny, tmp_path / "m", TEMPLATE))


@pytest.mark.parametrize(
    ("supervision", "expected"),
    [
        ({}, [0, 0.25, 0, 1]),
        ({"train_on": "last"}, [0, 0, 0, 1]),
        ({"train_on": "all"}, [1, 0.25, 1, 1]),
        ({"prompt_weight": 0.1}, [0.1, 0.25, 0.1, 1]),
        ({"train_on": "last", "prompt_weight": 0.1}, [0.1, 0, 0.1, 1]),
    ],
)
def test_what_is_learned_of_a_conversation(
    supervision: dict[str, Any], expected: list[float], tokenizer: Tokenizer
) -> None:
    assert list(weights({"messages": TALK}, tokenizer, **supervision).values()) == expected


def test_a_row_s_weight_counts_for_all_its_replies(tokenizer: Tokenizer) -> None:
    assert list(weights({"messages": TALK, "weight": 0.5}, tokenizer).values()) == [0, 0.125, 0, 0.5]
    assert record({"text": "plain", "weight": 0.5})[0].weight == 0.5
    assert record({"prompt": "one", "completion": "two", "weight": 0.5})[0].messages[1].weight == 0.5
    heavy, odd = record({"prompt": "one", "completion": "two", "weight": 3})
    assert (heavy.messages[1].weight, odd) == (1, [HEAVY])


def test_weights_are_kept_on_disk_to_a_half_of_a_percent(tmp_path: Path) -> None:
    values = np.array([0, 1, 0.5, 0.1, 1e-6, 0.999, 0.25, 1 / 3], np.float32)
    with token_writer.writing(tmp_path / "store") as writer:
        writer.add(Example(np.arange(8, dtype=np.int32), values))
        writer.close(np.array([False]), {"plain": True})
    train, _, _ = token_store.load(tmp_path / "store")
    kept = train[0].weights
    np.testing.assert_allclose(kept, values, atol=0.004)
    assert (kept > 0).tolist() == (values > 0).tolist()
    assert (kept == 1).tolist() == (values == 1).tolist()
    assert train[0].supervised == train.supervised == 7


def test_a_run_learns_by_weights_and_its_losses_count_by_them(
    recipe_path: Path, rows: Path, tmp_path: Path, workspace: Path
) -> None:
    """Rows of a weight of 0.5 are learned as whole ones are, since all count alike; prompts beside them are not."""
    halves = tmp_path / "halves.jsonl"
    read = [json.loads(line) for line in rows.read_text().splitlines()]
    halves.write_text("".join(json.dumps({**row, "weight": 0.5}) + "\n" for row in read))
    losses = {}
    cases = {"whole": (rows, ()), "half": (halves, ()), "prompts": (halves, ("train.prompt_weight=0.3",))}
    for name, (path, more) in cases.items():
        items = (f"data.path={path}", "samples.prompts=[]", "lora.dropout=0", "train.steps=3", *more)
        state = work(workspace / "runs" / name, recipe_path, *items)
        assert state.status == "done", state.last_word
        losses[name] = [step.loss for step in state.steps] + [look.loss for look in state.evaluations]
    assert losses["half"] == pytest.approx(losses["whole"], rel=1e-5)
    assert losses["prompts"] != pytest.approx(losses["whole"], rel=1e-3)


def test_answers_that_are_compared_have_no_prompts_to_learn() -> None:
    tree = {"model": "m", "data": {"path": "a", "train_on": "all"}, "train": {"steps": 1}, "objective": {"kind": "dpo"}}
    _, problems = recipe_file.from_tree(tree, Recipe)
    assert "dpo compares answers" in "".join(problems.values())


def test_parts_that_count_a_little_are_shown_as_learned(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    ids = np.array(tokenizer.encode("the quote"), np.int32)
    shown = decode_example(Example(ids, np.full(len(ids), 0.1, np.float32)), tokenizer)
    assert [supervised for _, supervised in shown] == [True]
