"""Calls of tools from Python: what is called, what is answered to it, and what cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import gemmalocal
from gemmalocal.api.answers import Answer, to_call
from gemmalocal.errors import UsageFault
from tests.tool_calls.conftest import ANSWER, ASKED, CALL, FUNCTION, SAID, TOOL

HEARD = {"name": CALL["name"], "arguments": CALL["arguments"], "id": "call_1_0"}


@pytest.fixture
def kettle(caller_home: Path, workspace: Path) -> str:
    shutil.copytree(caller_home / "runs" / "caller", workspace / "runs" / "kettle")
    return "kettle"


def test_voices_call_and_go_on_from_what_is_answered(kettle: str) -> None:
    heard: list[Any] = []

    def answer(call: dict[str, Any]) -> str:
        heard.append(call["arguments"])
        return ANSWER

    with gemmalocal.chat(kettle, base=False, tools=[TOOL]) as chat:
        with pytest.raises(UsageFault, match="No tool was called"):
            chat.answer({"heat": ANSWER})
        said = chat.ask(ASKED)["kettle"]
        assert said == ""
        assert said.calls == [HEARD]
        with pytest.raises(UsageFault, match="No answer of heat"):
            chat.answer({"cold": ANSWER})
        gone_on = chat.answer(answer)["kettle"]
        assert gone_on == SAID
        assert gone_on.calls == []
        assert heard == [CALL["arguments"]]
        with pytest.raises(UsageFault, match="No tool was called"):
            chat.answer({"heat": ANSWER})


def test_a_run_is_asked_with_tools_and_without(kettle: str) -> None:
    run = gemmalocal.run(kettle)
    with pytest.raises(UsageFault, match="No tool was called"):
        run.answer({})
    try:
        assert run.ask(ASKED, tools=[FUNCTION]).calls == [HEARD]
        assert run.answer({"heat": ANSWER}) == SAID
        assert run.ask(ASKED).calls == []
    finally:
        run.close()


def test_tools_that_are_none_are_told(kettle: str) -> None:
    with pytest.raises(UsageFault, match="The list of tools has a tool without a name"):
        gemmalocal.chat(kettle, tools=[{"description": "x"}])


def test_what_a_tool_answers_is_text_or_json() -> None:
    assert to_call({"heat": {"celsius": 21}}, HEARD) == '{"celsius": 21}'
    assert to_call(lambda call: call["arguments"]["of"], HEARD) == "tea"
    with pytest.raises(UsageFault, match="no JSON"):
        to_call({"heat": object()}, HEARD)
    said = Answer("a", [HEARD])
    assert (said, said.upper(), said.calls) == ("a", "A", [HEARD])
