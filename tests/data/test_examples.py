"""What is supervised: every assistant turn and its terminator, nothing else; exactly one BOS."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data.examples import Example, pieces
from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.records import Message, Record, Rejected
from tests.data.single import to_example

CHAT = Record(
    "x",
    (
        Message("system", "be kind"),
        Message("user", "a"),
        Message("assistant", "the quote"),
        Message("user", "b"),
        Message("assistant", "and"),
    ),
)
# Gemma 4's way: its own marks, a system role, and an empty thought that opens a reply but is left out of history.
GEMMA4 = (
    "{{ bos_token }}{% for m in messages %}<|turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n"
    "{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}{% endif %}"
)


def with_template(tiny: Path, folder: Path, template: str) -> Path:
    shutil.copytree(tiny, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    return folder


def supervised(example: Example, tokenizer: Tokenizer) -> str:
    return tokenizer.decode(example.ids[example.weights > 0].tolist(), special=True)


def example_of(record: Record, tokenizer: Tokenizer, max_length: int = 512) -> Example:
    example = to_example(record, tokenizer, max_length)
    assert isinstance(example, Example)
    return example


def test_every_assistant_turn_and_its_terminator(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", TURNS))
    example = example_of(CHAT, tokenizer)
    assert supervised(example, tokenizer) == "the quote<end_of_turn>and<end_of_turn>"
    assert int((example.ids == tokenizer.bos_id).sum()) == 1
    assert example.ids[0] == tokenizer.bos_id
    text = tokenizer.decode(example.ids.tolist(), special=True)
    assert text == tokenizer.render(CHAT.messages, ask=False)
    assert "user\nbe kind\n\na<end_of_turn>" in text


def test_the_prompt_has_the_ids_that_generation_meets(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", TURNS))
    record = Record("x", (Message("user", "th"), Message("assistant", "\n\nthe")))
    example = example_of(record, tokenizer)
    asked = tokenizer.encode(tokenizer.render(record.messages[:1], ask=True))
    assert example.ids[: len(asked)].tolist() == asked
    assert not example.weights[: len(asked)].any()


def test_gemma4_keeps_its_system_role_and_its_empty_thought(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", GEMMA4))
    assert not tokenizer.folds_system
    texts = pieces(CHAT, tokenizer)
    assert "".join(text for text, learned in texts if learned) == "the quote<turn|>and<turn|>"
    assert texts[-3][0].endswith("<|turn>model\n<|channel>thought\n<channel|>")
    assert sum(text.count("<|channel>") for text, _ in texts) == 1
    thinking = Tokenizer(tmp_path / "m", thinking=True)
    assert not any("<|channel>" in text for text, _ in pieces(CHAT, thinking))


def test_text_and_plain_pairs(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    whole = example_of(Record("x", text="the quote"), tokenizer)
    assert supervised(whole, tokenizer) == "the quote<eos>"
    pair = example_of(Record("x", (Message("user", "the:"), Message("assistant", " and"))), tokenizer)
    assert supervised(pair, tokenizer) == " and<eos>"
    assert int((pair.ids == tokenizer.bos_id).sum()) == 1


def test_turns_stand_apart_where_no_template_sets_them_apart(tiny: Path, tmp_path: Path) -> None:
    turns = (Message("user", "the quote"), Message("assistant", "and"))
    record = Record("x", turns, between="\n")
    example = example_of(record, Tokenizer(tiny))
    assert Tokenizer(tiny).decode(example.ids.tolist(), special=True) == "<bos>the quote\nand<eos>"
    assert supervised(example, Tokenizer(tiny)) == "and<eos>"
    chatty = Tokenizer(with_template(tiny, tmp_path / "m", TURNS))
    assert pieces(record, chatty) == pieces(Record("x", turns), chatty)


def test_cut_rows_are_marked_and_empty_ones_rejected(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    record = Record("x", (Message("user", "the " * 20), Message("assistant", "and")))
    assert example_of(record, tokenizer, 60).cut is False
    rejected = to_example(record, tokenizer, 10)
    assert isinstance(rejected, Rejected)
    assert "no supervised token within 10 tokens" in rejected.reason
    assert example_of(Record("x", text="the " * 50), tokenizer, 16).cut
    assert len(example_of(Record("x", text="the " * 50), tokenizer, 16).ids) == 16


def test_a_template_that_refuses_is_a_reason(tiny: Path, tmp_path: Path) -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", template))
    rejected = to_example(CHAT, tokenizer, 64)
    assert isinstance(rejected, Rejected)
    assert "roles must alternate" in rejected.reason


@pytest.mark.parametrize("text", ["", " ", "the  quote", "naïve 日本 🎉", "\t\n\n"])
def test_decoding_gives_the_text_back(tiny: Path, text: str) -> None:
    tokenizer = Tokenizer(tiny)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_weights_are_zero_or_one(tiny: Path) -> None:
    example = example_of(Record("x", text="the"), Tokenizer(tiny))
    assert example.ids.dtype == np.int32
    assert set(example.weights.tolist()) <= {0.0, 1.0}
