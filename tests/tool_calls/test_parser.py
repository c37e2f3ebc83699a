"""Calls survive being written, rendered and read again; what is broken gives text, a sentence, and no error."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.records import Message, ToolCall, ToolUse
from gemmalocal.tool_calls import grammars
from gemmalocal.tool_calls.grammars import FUNCTION_GEMMA, GEMMA_4, GRAMMARS, PLAIN, Grammar
from gemmalocal.tool_calls.parser import Splitter, parse
from tests.data.test_examples import with_template
from tests.export.gemma_templates import GEMMA2
from tests.tool_calls import draw, templates

BROKEN = [
    "<start_function_call>",
    "<start_function_call>call:",
    "<start_function_call>call:w{",
    "<start_function_call>call:w{a",
    "<start_function_call>call:w{a:",
    "<start_function_call>call:w{a:<escape>Paris}<end_function_call>",
    "<start_function_call>call:w{a:1}",
    "<start_function_call>call:w{a:1<end_function_call>",
    "<start_function_call>call:w{a:1}} <end_function_call>",
    "<start_function_call>call:w{a b}<end_function_call>",
    "<start_function_call>call:w{:1}<end_function_call>",
    "<start_function_call>call:w{a:<escape>x<escape>y}<end_function_call>",
    "<start_function_call>w{a:1}<end_function_call>",
    "<start_function_call>call:w(a=1)<end_function_call>",
    "<start_function_call>call:w" + "{a:" * 5000 + "<end_function_call>",
    "<start_function_call>call:w{a:" + "[" * 5000 + "<end_function_call>",
    "<tool_call>nonsense</tool_call>",
    "<tool_call>" + "[" * 100_000 + "</tool_call>",
    '<tool_call>{"name": 3}</tool_call>',
    '<tool_call>{"name": "w", "arguments": "{"}</tool_call>',
    '<tool_call>{"name": "w", "arguments": [1]}</tool_call>',
    '<tool_call>{"name": "w"}',
    '<|tool_call>call:w{a:<|"|>x}<tool_call|>',
]


def calls_of(lot: random.Random) -> list[ToolCall]:
    """One call or two."""
    return [
        ToolCall(lot.choice(draw.NAMES), json.dumps(draw.arguments(lot), ensure_ascii=False), f"call_{number}")
        for number in range(lot.choice((1, 1, 2)))
    ]


def said(calls: list[ToolCall]) -> list[tuple[str, object]]:
    """What calls mean."""
    return [(call.name, call.values) for call in calls]


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_a_thousand_calls_are_written_and_read(grammar: Grammar) -> None:
    lot = random.Random(7)
    for _ in range(1000):
        calls = calls_of(lot)
        parsed = parse(f"I look.{grammars.written(calls, grammar)}", grammar)
        assert (said(list(parsed.calls)), parsed.text, parsed.fault) == (said(calls), "I look.", "")


@pytest.mark.parametrize(("name", "template"), [*templates.PUBLISHED.items(), ("plain", GEMMA2)])
def test_calls_are_rendered_and_read(name: str, template: str, tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", template))
    lot, grammar = random.Random(3), tokenizer.grammar
    for _ in range(100):
        calls = calls_of(lot)
        turns = [Message("user", "a"), Message("assistant", "", tool_use=ToolUse(tuple(calls)))]
        reply = tokenizer.render(turns, ask=False).partition("model\n")[2]
        assert said(list(parse(reply, grammar).calls)) == said(calls)
        assert grammar is not None
        assert grammars.written(calls, grammar).replace("><", ">\n<" if name == "plain" else "><") in reply


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_what_is_broken_is_text(text: str) -> None:
    parsed = parse(text)
    assert (parsed.text, parsed.calls) == (text, ())
    assert parsed.fault


def test_two_hundred_broken_calls_are_no_error() -> None:
    lot = random.Random(5)
    for number in range(200):
        grammar = GRAMMARS[number % 3]
        text = grammars.written(calls_of(lot), grammar)
        place = lot.randrange(len(text))
        mark = lot.choice(("", "{", "}", grammar.quote, "<", ":", ",", "[", "]", grammar.call_start))
        broken = text[:place] + mark + text[place + lot.randrange(4) :]
        parsed = parse(broken)
        assert all(isinstance(call.values, dict) for call in parsed.calls)
        assert parsed.calls or parsed.text == broken


@pytest.mark.parametrize("grammar", [FUNCTION_GEMMA, GEMMA_4, PLAIN], ids=lambda grammar: grammar.name)
def test_text_that_comes_in_pieces_is_taken_apart_as_a_whole(grammar: Grammar) -> None:
    lot = random.Random(2)
    for size in (1, 2, 3, 7, 50, 10_000):
        calls = calls_of(lot)
        end = grammar.answer_start if grammar.within else ""
        text = f"I <b>look</b>, {grammar.call_start[:4]} too. {grammars.written(calls, grammar)}{end}"
        splitter, told, made = Splitter(grammar), "", list[ToolCall]()
        for start in range(0, len(text), size):
            more, new = splitter(text[start : start + size], start + size >= len(text))
            told, made = told + more, [*made, *new]
        assert told.strip() == f"I <b>look</b>, {grammar.call_start[:4]} too."
        assert said(made) == said(calls)
        assert [call.id for call in made] == [f"call_{number}" for number in range(len(made))]


@pytest.mark.parametrize("text", ["Hello!", *BROKEN[:14]])
def test_text_in_pieces_loses_nothing(text: str) -> None:
    splitter = Splitter(FUNCTION_GEMMA)
    assert "".join(splitter(letter)[0] for letter in text) + splitter("", True)[0] == text
