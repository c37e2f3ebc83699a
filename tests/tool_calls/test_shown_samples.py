"""A sample that calls a tool is shown as what it calls, wherever samples are; on disk it is as the model wrote it."""

from __future__ import annotations

import json

import pytest

from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.export.card import _samples
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import Sample
from gemmalocal.jobs.history import JobState
from gemmalocal.records import ToolCall
from gemmalocal.tool_calls.grammars import GRAMMARS, Grammar, written
from gemmalocal.tracking import series
from tui.run_words import samples

CALLS = [ToolCall("heat", json.dumps({"deep": {"list": [1, "y"]}, "of": "tea"})), ToolCall("stop", "{}")]
SHOWN = '→ heat(deep={"list": [1, "y"]}, of="tea")'
BESIDE = ["", "I look."]


def sample(text: str) -> Sample:
    return Sample(3, "after", "hot?", text, True)


@pytest.mark.parametrize("said", BESIDE)
@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_calls_are_shown_as_structure(grammar: Grammar, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    of_model = said + written(CALLS, grammar)
    given = sample(of_model)
    assert given.said == said
    assert [(call["name"], call["arguments"]) for call in given.calls] == [
        ("heat", {"of": "tea", "deep": {"list": [1, "y"]}}),
        ("stop", {}),
    ]
    assert given.shown.splitlines() == [*([said] if said else []), SHOWN, "→ stop()"]
    EventPrinter()(given)
    state = JobState(samples=[given])
    item = series.item(given, 0.0, [])
    assert isinstance(item, series.Text)
    places = [capsys.readouterr().err, str(samples(state)), item.text, _samples(state)]
    for place in places:
        assert "→ heat(deep=" in place
        assert "call:" not in place
        assert grammar.call_start not in place
    line = encode(given, 1.0)
    assert decode(line) == given
    assert json.loads(line)["text"] == of_model


@pytest.mark.parametrize("text", ["plain words", "<tool_call>{", "<start_function_call>call:heat{of:", " a\n b "])
def test_what_is_no_whole_call_is_shown_as_it_is(text: str) -> None:
    assert sample(text).shown == text
    assert sample(text).calls == []
