"""Dialogues with tools have the ids that transformers gives them, and what the model says is learned, nothing else.

`python -m tests.tool_calls.test_rendering 500` does so with 500 drawn dialogues for each template, and says so.
"""

from __future__ import annotations

import copy
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from gemmalocal.data.examples import Example, pieces
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.data.tokenizer import TURN_ENDS, Tokenizer
from gemmalocal.records import Record
from tests.data.single import to_example
from tests.data.test_examples import with_template
from tests.export.gemma_templates import GEMMA2
from tests.tool_calls import draw, templates

TEMPLATES = {**templates.PUBLISHED, "plain": GEMMA2}


def record_of(row: dict[str, Any]) -> Record:
    """A row as a record."""
    return RowFormats("auto", None, False, Remarks(Findings()))("rows.jsonl:1", row)


def beside(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with the tools' answers in `tool_responses`, as the first template of Gemma 4 takes them."""
    made: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            answer = {"name": message["name"], "response": message["content"]}
            made[-1].setdefault("tool_responses", []).append(answer)
        elif message["role"] == "assistant" and made and "tool_responses" in made[-1]:
            made[-1]["content"] = message["content"]
        else:
            made.append(copy.deepcopy(message))
    return made


def theirs(tokenizer: Any, row: dict[str, Any], name: str, ask: bool) -> list[int]:
    """The ids that transformers gives a dialogue; a system's text goes where the template has a place for it."""
    messages = beside(row["messages"]) if name == "gemma_4_first" else copy.deepcopy(row["messages"])
    if name == "plain":
        tokenizer.chat_template = row["template"]
        if messages[0]["role"] in ("system", "developer"):
            led = messages.pop(0)["content"]
            messages[0]["content"] = f"{led}\n\n{messages[0]['content']}"
    text = tokenizer.apply_chat_template(messages, tools=row["tools"], tokenize=False, add_generation_prompt=ask)
    return list(tokenizer.encode(text, add_special_tokens=False))


def spoken(row: dict[str, Any], text: str, tokenizer: Tokenizer) -> str:
    """What the model says in a dialogue as it is laid out, by the marks of the grammar alone."""
    grammar = tokenizer.grammar
    assert grammar is not None
    start, turn_end = ("<|turn>model\n", "<turn|>") if "<|turn>" in text else ("<start_of_turn>model\n", TURN_ENDS[0])
    parts = re.split(f"{re.escape(start)}(?:<\\|channel>thought\n<channel\\|>)?", text)[1:]
    turns = [part.partition(turn_end)[0] + turn_end * (turn_end in part) for part in parts]
    if grammar.within:
        body = f"response:[^{{]*{{.*?}}{re.escape(grammar.answer_end)}"
        more = f"(?:{re.escape(grammar.answer_start)}{body})*"
        turns = [re.sub(f"{body}{more}", "", turn, flags=re.DOTALL) for turn in turns]
    return "".join(turns).replace("<|channel>thought\n<channel|>", "")


def check(name: str, folder: Path, count: int) -> int:
    """Hold drawn dialogues against transformers; how many had the same ids and the right mask."""
    tokenizer, reference = Tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    lot, same = random.Random(11), 0
    for _ in range(count):
        row = draw.dialogue(lot, objects=name != "plain")
        record = record_of(row)
        for ask in (False, True):
            wanted = theirs(reference, {**row, "template": tokenizer.tools_template}, name, ask)
            assert tokenizer.encode(tokenizer.render(record.messages, ask, record.tools)) == wanted
        parts = pieces(record, tokenizer)
        text = "".join(part for part, _ in parts)
        assert text.replace("<|channel>thought\n<channel|>", "") == tokenizer.render(
            record.messages, False, record.tools
        )
        assert "".join(part for part, weight in parts if weight) == spoken(row, text, tokenizer)
        example = to_example(record, tokenizer, 10**6)
        assert isinstance(example, Example)
        assert example.ids.tolist() == tokenizer.encode(text)
        same += 1
    return same


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_transformers_and_masks_what_the_model_says(name: str, tiny: Path, tmp_path: Path) -> None:
    assert check(name, with_template(tiny, tmp_path / "m", TEMPLATES[name]), 25) == 25


def main() -> None:
    """As many dialogues as the first word says."""
    from tests.conftest import write_tiny

    with tempfile.TemporaryDirectory() as place:
        tiny = Path(place) / "tiny"
        tiny.mkdir()
        write_tiny(tiny)
        for name, template in TEMPLATES.items():
            count = int(sys.argv[1])
            same = check(name, with_template(tiny, Path(place) / name, template), count)
            print(f"{name}: {same} of {count} dialogues have the ids and the mask that they should have")


if __name__ == "__main__":
    main()
