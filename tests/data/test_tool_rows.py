"""Rows with tools in the columns of many programs become one record; what is wrong with them is named with the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.data import row_writers, tool_lint
from gemmalocal.data.cells import UnusableRow
from gemmalocal.data.dataset import Records
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import Record

SCHEMA = {"type": "object", "properties": {"c": {"type": "string"}, "n": {"type": "integer"}}, "required": ["c"]}
W = {"type": "function", "function": {"name": "w", "description": "d", "parameters": SCHEMA}}
ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "ok"}
MANY = [("w", {"c": "P"}), ("w", {"c": "Q"})]
GLAIVE = {
    "system": 'SYSTEM: You have these functions -\n{\n "name": "w", "parameters": ' + json.dumps(SCHEMA) + "}\n",
    "chat": 'USER: q\n\n\nASSISTANT: <functioncall> {"name": "w", "arguments": \'{"c": "it\\\'s"}\'} <|endoftext|>\n\n'
    '\nFUNCTION RESPONSE: {"r": 1}\n\n\nASSISTANT: ok <|endoftext|>',
}


def call(arguments: Any, name: str = "w", **more: Any) -> dict[str, Any]:
    return {**more, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **more}


def record(columns: dict[str, Any]) -> tuple[Record, list[str]]:
    """A row as a record, and what is said of it."""
    remarks = Remarks(Findings())
    return RowFormats("auto", None, False, remarks)("rows.jsonl:1", columns), remarks.sentences(True)


def openai(*messages: dict[str, Any], tools: Any = None) -> dict[str, Any]:
    return {"tools": [W] if tools is None else tools, "messages": [ASK, *messages]}


def hermes(value: str, who: str = "gpt") -> dict[str, str]:
    return {"from": who, "value": value}


LAYOUTS: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]], list[str]]] = {
    "object": (openai(calling(call({"c": "P"}))), MANY[:1], []),
    "text": (openai(calling(call('{"c": "P"}'))), MANY[:1], []),
    "tools as text": (openai(calling(call({"c": "P"})), tools=json.dumps([W])), MANY[:1], []),
    "bare tools": (openai(calling(call({"c": "P"})), tools=[W["function"]]), MANY[:1], []),
    "several": (
        openai(calling(call({"c": "P"}), call({"c": "Q"}, id="z"), content=None),
               {"role": "tool", "content": "5"}, {"role": "tool", "tool_call_id": "z", "content": {"t": 5}}, ANSWER),
        MANY, ["5", '{"t": 5}'],
    ),
    "function_call": (openai({"role": "assistant", "function_call": {"name": "w", "arguments": '{"c": "P"}'}},
                             {"role": "function", "name": "w", "content": "r"}, ANSWER), MANY[:1], ["r"]),
    "llama_factory": (
        {"tools": json.dumps([W["function"]]), "conversations": [
            hermes("q", "human"), hermes('{"name": "w", "arguments": {"c": "P"}}', "function_call"),
            hermes("r", "observation"), hermes("ok")]}, MANY[:1], ["r"],
    ),
    "xlam": ({"query": "q", "answers": json.dumps([{"name": "w", "arguments": {"c": "P"}}]),
              "tools": json.dumps([{"name": "w", "parameters": {"c": {"type": "str", "description": "d"}}}])},
             MANY[:1], []),
    "glaive": (GLAIVE, [("w", {"c": "it's"})], ['{"r": 1}']),
    "hermes": (
        {"tools": json.dumps([W]), "conversations": [
            hermes("You call <tools>[]</tools> as <tool_call>", "system"), hermes("q", "human"),
            hermes('<tool_call>\n{"name": "w", "arguments": {"c": "P"}}\n</tool_call>'),
            hermes('<tool_response>\n{"name": "w", "content": {"a": 1}}\n</tool_response>', "tool"), hermes("ok")]},
        MANY[:1], ['{"a": 1}'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_become_one(name: str) -> None:
    columns, calls, answers = LAYOUTS[name]
    made, _ = record(columns)
    said = [call for turn in made.messages for call in turn.calls]
    assert [(call.name, call.values) for call in said] == calls
    assert all(call.id for call in said)
    told = [turn for turn in made.messages if turn.role == "tool"]
    assert [turn.content for turn in told] == answers
    assert [turn.tool_use.call_id for turn in told if turn.tool_use] == [call.id for call in said][: len(told)]
    assert all(turn.tool_use and turn.tool_use.name == "w" for turn in told)
    assert [tool["function"]["name"] for tool in json.loads(made.tools)] == ["w"]
    assert json.loads(made.tools)[0]["function"]["parameters"]["properties"]["c"]["type"] == "string"
    assert list(tool_lint.problems(made)) == []
    assert '"tool_calls"' in made.reply or made.reply == "ok"
    assert not made.is_exchange


REFUSED = [
    (openai(ANSWER, tools="{x"), "tools as text"),
    (openai(ANSWER, tools=3), "tools that are no list"),
    (openai(ANSWER, tools=[{"type": "retrieval"}]), "a tool of an unknown type: 'retrieval'"),
    (openai(ANSWER, tools=[{"name": ""}]), "a tool without a name"),
    (openai(ANSWER, tools=[{"name": "w", "parameters": {"type": "object", "properties": {"c": {"type": "strng"}}}}]),
     "unknown type: 'strng' in w"),
    (openai(ANSWER, tools=[{"name": "w", "parameters": {"c": 3}}]), "a tool with an unknown schema: w"),
    (openai(calling(call("{"))), "arguments are no JSON"),
    (openai(calling(call([1]))), "arguments are no object"),
    (openai(calling({"function": {}})), "a call without a name"),
    (openai(calling(call({})), {"role": "tool", "content": "r"}, ASK, ANSWER), "does not go on from"),
    (openai({"role": "tool", "content": "r"}, ANSWER), "a tool's answer to a user's message"),
    ({"query": "q", "answers": "[]", "tools": [W]}, "no call in 'answers'"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "why"), REFUSED)
def test_what_cannot_be_read_is_named(columns: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableRow, match=why):
        record(columns)


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        ([calling(call({"c": "x"}))], []),
        ([calling(call({"c": "x"}, "v"))], [tool_lint.UNDECLARED]),
        ([calling(call({"c": 3}))], [tool_lint.UNFIT]),
        ([calling(call({"n": 3}))], [tool_lint.UNFIT]),
        ([calling(call({"c": "x", "n": None}))], []),
        (
            [calling(call({"c": "x"})), {"role": "tool", "content": "a"}, {"role": "tool", "content": "b"}, ANSWER],
            [tool_lint.UNASKED],
        ),
        ([calling(call({"c": "x"})), ASK, ANSWER], [tool_lint.UNANSWERED]),
    ],
)
def test_lint_of_calls(messages: list[dict[str, Any]], kinds: list[str]) -> None:
    made, _ = record(openai(*messages))
    assert [kind for kind, _ in tool_lint.problems(made)] == kinds


@pytest.mark.parametrize("schema", [{"$ref": "#/$defs/x"}, {"type": "object", "required": "c"}])
def test_a_schema_that_is_none_is_told(schema: dict[str, Any]) -> None:
    tool = {"name": "w", "parameters": {"type": "object", "properties": {"c": schema}, **schema}}
    made, _ = record(openai(calling(call({"c": "x"})), tools=[tool]))
    assert [kind for kind, _ in tool_lint.problems(made)] == [tool_lint.BAD_SCHEMA]


def test_what_is_taken_otherwise_is_told() -> None:
    parameters = {"f": {"type": "Callable"}, "o": {"type": "List[int], optional"}}
    xlam = {"query": "q", "answers": [{"name": "w", "arguments": {}}], "id": 7}
    xlam["tools"] = [{"name": "w", "parameters": parameters}]
    made, said = record(xlam)
    (schema,) = [tool["function"]["parameters"] for tool in json.loads(made.tools)]
    assert (schema["required"], schema["properties"]["o"]["type"]) == (["f"], "array")
    assert any("unknown type, which is taken for text" in sentence for sentence in said)
    assert any("id (1)" in sentence for sentence in said)
    assert any("tells how to write calls" in sentence for sentence in record(LAYOUTS["hermes"][0])[1])


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_row_that_is_written_is_read_again(name: str) -> None:
    made, _ = record(LAYOUTS[name][0])
    again, _ = record(json.loads(json.dumps(row_writers.chat(made))))
    assert (again.tools, again.key) == (made.tools, made.key)
    assert [turn.calls for turn in again.messages] == [turn.calls for turn in made.messages]
    for form in (row_writers.sharegpt, row_writers.alpaca, row_writers.prompt, row_writers.text):
        with pytest.raises(UnusableRow, match="calls tools"):
            form(made)


def test_a_parquet_file_keeps_calls(tmp_path: Path) -> None:
    made = [record(LAYOUTS[name][0])[0] for name in ("object", "several")]
    assert row_writers.write(map(row_writers.chat, made), tmp_path / "rows.parquet") == 2
    again = list(Records(DataSpec(path=str(tmp_path / "rows.parquet"))))
    assert [[turn.calls for turn in row.messages] for row in again] == [[t.calls for t in row.messages] for row in made]
    assert [row.tools for row in again] == [row.tools for row in made]


def test_two_calls_are_compared() -> None:
    chosen, rejected = (calling(call({"c": word})) for word in ("x", "y"))
    made, _ = record({"tools": [W], "prompt": [ASK], "chosen": [chosen], "rejected": [rejected]})
    assert (made.kind, json.loads(made.tools)[0]["function"]["name"]) == ("pairs", "w")
    assert [answer.reply for answer in made.answers] == [
        json.dumps({"tool_calls": [{"name": "w", "arguments": {"c": word}}]}) for word in ("x", "y")
    ]


def test_metadata_is_the_split(tmp_path: Path) -> None:
    rows = [
        {
            "metadata": side,
            "tools": [W],
            "messages": [{"role": "developer", "content": "now"}, {**ASK, "content": word}, calling(call({"c": word}))],
        }  # fmt: skip
        for word, side in (("a", "train"), ("b", "eval"), ("c", "train"))
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = Records(DataSpec(path=str(file)))
    made = list(records)
    assert [record.messages[1].content for record in made] == ["b", "a", "c"]
    assert records.held_out(np.ones(3, np.bool_)).tolist() == [True, False, False]
    assert made[0].source == "rows.jsonl:2"
    assert any("by its column metadata" in note for note in records.notes())
