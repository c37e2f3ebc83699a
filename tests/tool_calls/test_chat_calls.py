"""A chat in which a tool is called: answered by a table, by hand, or not at all; and calls counted while it trains."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from gemmalocal import cli
from gemmalocal.errors import UsageFault
from gemmalocal.jobs import history
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Asked, Notice, Replied
from gemmalocal.recipe import recipe_file
from gemmalocal.tool_calls.shown import written
from gemmalocal.workspace import tool_table
from gemmalocal.workspace.tool_table import OpenCalls, ToolTable
from gemmalocal.workspace.transcript import Answer, Exchange
from tests.here import work
from tests.tool_calls.conftest import ANSWER, ASKED, CALL, SAID, TOOL, row
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.tool_talk import ToolTalk
from tui.widgets.question import Question

CANNED = {"tools": [TOOL], "answers": [{"name": "heat", "arguments": {"of": "ice"}, "answer": "cold"},
                                       {"name": "heat", "arguments": {"of": "tea"}, "answer": ANSWER}]}  # fmt: skip


def table(folder: Path, content: Any) -> str:
    file = folder / "tools.json"
    file.write_text(json.dumps(content) if not isinstance(content, str) else content)
    return str(file)


def asked(*words: str) -> tuple[str, str]:
    """What `gemmalocal chat` says on stdout and on stderr; the chat itself is a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["gemmalocal", "chat", "caller", "--prompt", ASKED, "--no-base", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0, err.getvalue()
    return out.getvalue(), err.getvalue()


def test_a_table_answers_and_the_answer_is_gone_on_from(caller: Path, tmp_path: Path) -> None:
    lines = asked("--tools", table(tmp_path, CANNED), "--json")[0].splitlines()
    called, gone_on = (json.loads(line) for line in lines)
    assert [dict(call, id="") for call in called["answers"][0]["calls"]] == [{**CALL, "id": ""}]
    assert gone_on["tool_answers"][0][0]["text"] == ANSWER
    assert gone_on["answers"][0]["text"] == SAID


def test_nobody_answers_where_there_is_nobody(caller: Path, tmp_path: Path) -> None:
    out, err = asked("--tools", table(tmp_path, [TOOL]))
    assert "→ heat(of=" in out
    assert SAID not in out
    assert 'no answer to heat(of="tea")' in err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no list of tools"),
        ('[{"description": "x"}]', "a tool without a name"),
        ('[{"name": "a", "parameters": 3}]', "parameters of a"),
        ('{"tools": [{"name": "a"}], "answers": [{"answer": 1}]}', "an answer without a name"),
        ('{"tools": [{"name": "a"}], "answers": 3}', "are no list"),
        ('{"tools": [{"name": "a"}], "answers": [{"name": "a", "arguments": 3, "answer": 1}]}', "are no object"),
    ],
)
def test_a_file_that_has_no_tools_is_told(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=why):
        tool_table.load(Path(table(tmp_path, content)))
    with pytest.raises(UsageFault, match="cannot be read"):
        tool_table.load(tmp_path / "none.json")


def exchange(*of_voices: list[dict[str, Any]]) -> Exchange:
    """An exchange whose voices call these."""
    replied = [Replied(1, voice, "", 1, 0.1, 0.1, "end", calls) for voice, calls in enumerate(of_voices)]
    return Exchange(Asked(1, ASKED, "", {}), [Answer("", 1, done) for done in replied])


def test_equal_calls_are_answered_once_and_others_by_hand() -> None:
    one, other = {**CALL, "id": "a"}, {**CALL, "id": "b"}
    odd = {"name": "heat", "arguments": {"of": "x", "deep": {"list": [1, "y"]}}, "id": "c"}
    calls = OpenCalls.of(exchange([one, odd], [other], []), ToolTable([TOOL]))
    assert calls.any
    assert calls.next == one
    calls.take("warm")
    assert calls.next == odd
    assert written(odd) == 'heat(of="x", deep={"list": [1, "y"]})'
    calls.take("odd")
    assert calls.next is None
    assert [[answer["text"] for answer in of] for of in calls.as_command] == [["warm", "odd"], ["warm"], []]
    assert not OpenCalls.of(exchange([], []), ToolTable([TOOL])).any


def test_the_app_answers_by_the_table_or_asks(tmp_path: Path) -> None:
    talk = ToolTalk.of_file(table(tmp_path, CANNED))
    called = exchange([{**CALL, "id": "a"}])
    answers = talk.of(called)
    assert answers is not None
    assert answers[0][0]["text"] == ANSWER
    unknown = exchange([{"name": "heat", "arguments": {"of": "soup"}, "id": "a"}])
    assert talk.of(unknown) is None
    assert talk.asked == 'heat(of="soup")'
    assert talk.take("hot") == [[{"name": "heat", "id": "a", "text": "hot"}]]
    assert talk.asked == ""
    assert ToolTalk().of(called) is None


async def test_the_app_takes_tools_and_an_answer_that_is_typed(caller: Path, tmp_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = CompareScreen([str(caller)])
        await app.push_screen(screen)

        async def typed(text: str) -> None:
            screen.query_one(Question).value = text
            await pilot.press("enter")

        await until(pilot, lambda: screen._doing == "ready")
        await typed(f"/tools {tmp_path / 'none.json'}")
        assert screen.query_one(Question).value  # to be corrected
        await typed(f"/tools {table(tmp_path, [TOOL])}")
        await until(pilot, lambda: screen._tools.table.tools and screen._doing == "ready" and screen._talk.names)
        await typed(ASKED)
        await until(pilot, lambda: screen._tools.asked == 'heat(of="tea")')
        assert "→ heat(of=" in str(screen.query(".said").last(Static).content)
        await typed(f"/answer {ANSWER}")
        await until(pilot, lambda: len(screen._talk.exchanges) == 2 and screen._talk.exchanges[-1].whole)
        assert screen._talk.exchanges[-1].answers[1].text == SAID


@pytest.mark.parametrize("samples", ["calls: 2, calls_during: true", "during: true", "calls: 0, calls_during: true"])
def test_calls_are_counted_while_it_trains(caller_home: Path, workspace: Path, tmp_path: Path, samples: str) -> None:
    asked, called, _, said = row()["messages"]
    answers = [{"role": "tool", "content": f"so {word}"} for word in "abcd"]
    rows = [{**row(), "messages": [asked, called, answer, said]} for answer in answers]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "r.yaml").write_text(
        f"model: {caller_home / 'runs' / 'caller' / 'model'}\n"
        f"data: {{path: {tmp_path / 'rows.jsonl'}, max_length: 512, split: 0.5}}\n"
        "train: {steps: 2, batch_size: 1, learning_rate: 1e-5, evaluate_every: 1}\n"
        f"samples: {{{samples}}}\n"
    )
    work(workspace / "runs" / "r", "train", recipe_file.load(str(tmp_path / "r.yaml"), []).model_dump(mode="json"))
    assert history.read(workspace / "runs" / "r").status == "done"
    events = map(decode, (workspace / "runs" / "r" / "events.jsonl").read_text().splitlines())
    told = [event.text for event in events if isinstance(event, Notice)]
    counted = [text for text in told if text.startswith("held-out calls")]
    times = ["before training", "at step 1", "at step 2", "after training"]
    due = [] if "calls: 0" in samples else times if "calls_during" in samples else [times[0], times[-1]]
    assert [text.split(":")[0] for text in counted] == [f"held-out calls {when}" for when in due]
    assert all("2 of 2 calls exact" in text for text in counted)
    assert any("4 rows have tools: they are written by the model's own template" in text for text in told)
