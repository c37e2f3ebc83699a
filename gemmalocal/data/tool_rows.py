"""Rows with tools: declarations, calls and answers in the columns and messages of many programs, as one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gemmalocal.data import cells
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.remarks import TOLD, UNTYPED, Remarks
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.json_values import decode
from gemmalocal.documents.lines import kind
from gemmalocal.records import Message, Record, ToolCall, ToolUse
from gemmalocal.tool_calls import parser
from gemmalocal.tool_calls.grammars import PLAIN

COLUMNS = ("tools", "functions", "available_tools")
CALLS, CALL, THOUGHTS = "tool_calls", "function_call", ("reasoning_content", "reasoning", "thinking")  # of a reply
CALL_ID, NAMES = "tool_call_id", ("name", "tool_name")  # of a tool's answer
KEYS = {CALLS, CALL, CALL_ID, *NAMES}
CALLERS = ("function_call", "tool_call", "function-call")  # roles of a turn that is a call alone: LLaMA-Factory's
ANSWERERS = ("tool", "function", "observation", "tool_response", "ipython", "function_response", "function-response")
TYPES = {  # of parameters, as they are written elsewhere: Python's names
    **dict.fromkeys(("str", "text", "char"), "string"), **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"), "bool": "boolean", "dict": "object", "map": "object",
    **dict.fromkeys(("list", "tuple", "set"), "array"), "none": "null",
}  # fmt: skip
JSON_TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}


def column(columns: Columns) -> str:
    """The column that declares tools; "" if none does."""
    return next((name for name in COLUMNS if not cells.is_missing(columns.get(name))), "")


def declared(value: Any, remarks: Remarks) -> str:
    """The tools of a cell, a list or its text, as the text of a list as OpenAI has it; raises `UnusableRow`."""
    tools = [_tool(tool, remarks) for tool in _listed(value, "tools")]
    return json.dumps(tools, ensure_ascii=False) if tools else ""


def _listed(value: Any, what: str) -> list[Any]:
    """What a cell lists: a list, one thing of it, or either as text; raises `UnusableRow`."""
    if isinstance(value, str):
        try:
            value = decode(value)
        except Unreadable as problem:
            raise UnusableRow(f"has {what} as text: it {problem}") from problem
    value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise UnusableRow(f"has {what} that are no list: it is {kind(value)}")
    return value


def _tool(tool: Any, remarks: Remarks) -> dict[str, Any]:
    """One declaration; what Parquet fills in (null) is left out."""
    tool = _without_nulls(tool)
    if not isinstance(tool, dict):
        raise UnusableRow("has a tool that is not an object")
    if tool.get("type", "function") != "function":
        raise UnusableRow(f"has a tool of an unknown type: '{str(tool['type'])[:40]}'")
    function = tool.get("function", tool)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise UnusableRow("has a tool without a name")
    function = {key: inner for key, inner in function.items() if key != "type" or function is not tool}
    name = function["name"]
    if "parameters" not in function and "input_schema" in function:  # Anthropic's name
        function["parameters"] = function.pop("input_schema")
    if "parameters" in function:
        function["parameters"] = _schema(function["parameters"], name, remarks)
    return {**{key: inner for key, inner in tool.items() if function is not tool and key == "type"},
            "type": "function", "function": function}  # fmt: skip


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _schema(value: Any, name: str, remarks: Remarks) -> Any:
    """A tool's parameters as a JSON schema: as they are, or, where they are only named with their types, made one."""
    if isinstance(value, str):
        try:
            value = decode(value)
        except Unreadable as problem:
            raise UnusableRow(f"has a tool with a schema that {problem}: {name}") from problem
    if not isinstance(value, dict):
        raise UnusableRow(f"has a tool with a schema that is no object: {name}")
    if "type" in value and isinstance(value["type"], str | list):
        _check_types(value, name)
        return value
    if isinstance(value.get("properties"), dict):
        _check_types(value, name)
        return {"type": "object", **value}
    if any(not isinstance(inner, dict) for inner in value.values()):
        raise UnusableRow(f"has a tool with an unknown schema: {name}")
    return _of_named(value, name, remarks)


def _of_named(parameters: Mapping[str, Any], name: str, remarks: Remarks) -> dict[str, Any]:
    """xLAM's way: each parameter with its type in Python's words ("int, optional") and its default."""
    properties, required = dict[str, Any](), list[str]()
    for key, about in parameters.items():
        words = str(about.get("type", "")).strip()
        base = words.split(",")[0].split("[")[0].strip().lower()
        json_type = TYPES.get(base, base)
        if json_type not in JSON_TYPES:
            remarks.odd(UNTYPED, f"{name}.{key}: {words}")
            json_type = "string"
        properties[key] = {**about, "type": json_type}
        if "optional" not in words.lower() and "default" not in about:
            required.append(key)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _check_types(schema: Any, name: str, depth: int = 0) -> None:
    """Raise `UnusableRow` for a type that JSON schema does not have; capital letters are Google's."""
    if depth > 20 or not isinstance(schema, dict):
        return
    named = schema.get("type")
    for word in named if isinstance(named, list) else [named]:
        if word is not None and (not isinstance(word, str) or word.lower() not in JSON_TYPES):
            raise UnusableRow(f"has a tool with a parameter of an unknown type: '{str(word)[:40]}' in {name}")
    properties = schema.get("properties")
    for inner in (*(properties.values() if isinstance(properties, dict) else ()), schema.get("items")):
        _check_types(inner, name, depth + 1)


def calls_in(value: Any) -> tuple[ToolCall, ...]:
    """The calls of a cell: a list of them, one, or either as text; raises `UnusableRow`."""
    listed = _listed(value, "calls")
    try:
        return tuple(parser.call_of(call) for call in listed)
    except parser.Broken as problem:
        raise UnusableRow(str(problem)) from problem


def _given(call: ToolCall, tools: Mapping[str, Mapping[str, Any]]) -> ToolCall:
    """A call without arguments that are null and may not be: Parquet gives each call the names of all."""
    if "null" not in call.arguments or call.name not in tools:
        return call
    nullable = {key for key, about in tools[call.name].items() if _may_be_null(about)}
    kept = {key: value for key, value in call.values.items() if value is not None or key in nullable}
    return replace(call, arguments=parser.dumped(kept))


def _may_be_null(about: Mapping[str, Any]) -> bool:
    named = about.get("type")
    return named is None or bool(about.get("nullable")) or "null" in (named if isinstance(named, list) else [named])


def _properties(tools: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The declared arguments of each tool."""
    made = {}
    for tool in json.loads(tools) if tools else ():
        properties = tool["function"].get("parameters", {}).get("properties", {})
        made[tool["function"]["name"]] = {key: it for key, it in properties.items() if isinstance(it, dict)}
    return made


def message(turn: Columns, role: str, text: Any, learned: bool, weight: float) -> Message:
    """A turn that calls tools, or is a tool's answer; `text` stands in its content. Raises `UnusableRow`."""
    if role == "tool":
        structured = isinstance(text, dict) or (isinstance(text, list) and not cells.is_parts(text))
        content = json.dumps(text, ensure_ascii=False, default=str) if structured else _text(text)
        name = next((str(turn[key]) for key in NAMES if not cells.is_missing(turn.get(key))), "")
        call_id = turn.get(CALL_ID) or turn.get("id")
        given_id = str(call_id) if call_id else ""
        return Message(role, content, True, 1.0, ToolUse((), "", name, given_id, isinstance(text, dict)))
    if role in CALLERS:
        return Message("assistant", "", learned, weight, ToolUse(calls_in(text)))
    given = turn.get(CALLS) if not cells.is_missing(turn.get(CALLS)) else turn.get(CALL)
    calls = () if cells.is_missing(given) else calls_in(given)
    thought = next((str(turn[key]) for key in THOUGHTS if not cells.is_missing(turn.get(key))), "")
    if not calls:
        return Message(role, cells.content({"content": text} if text is not None else {}, "content"), learned, weight)
    return Message(role, _text(text), learned, weight, ToolUse(calls, thought))


def protocol_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Messages as OpenAI's protocol has them, which were looked at before."""
    return [
        message(turn, str(turn["role"]), turn["content"], True, 1.0)
        if turn["role"] == "tool" or turn.get(CALLS)
        else Message(str(turn["role"]), str(turn["content"] or ""))
        for turn in messages
    ]


def _text(value: Any) -> str:
    """A content that may be empty."""
    if cells.is_missing(value):
        return ""
    return cells.content({"content": value}, "content")


def linked(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Each call with an id, and each tool's answer with the name and the id of the call that it answers.

    An answer without an id is that of the first call of its name that waits for one, or of the first at all.
    """
    made, waiting, count = list[Message](), list[ToolCall](), 0
    for turn in messages:
        if turn.calls and turn.tool_use:
            calls = list(turn.calls)
            for place, call in enumerate(calls):
                calls[place] = call if call.id else replace(call, id=f"call_{count}")
                count += 1
            waiting = calls if not waiting else [*waiting, *calls]
            turn = replace(turn, tool_use=replace(turn.tool_use, calls=tuple(calls)))
        elif turn.role == "tool":
            turn = _answering(turn, waiting)
        elif turn.role == "user":
            waiting = []
        made.append(turn)
    return tuple(made)


def _answering(turn: Message, waiting: list[ToolCall]) -> Message:
    use = turn.tool_use or ToolUse()
    call = next((call for call in waiting if use.call_id and call.id == use.call_id), None)
    if call is None and not use.call_id:
        call = next((call for call in waiting if not use.name or call.name == use.name), None)
    if call is None:
        return turn
    waiting.remove(call)
    return replace(turn, tool_use=replace(use, name=use.name or call.name, call_id=call.id))


def with_tools(record: Record, tools: str, remarks: Remarks) -> Record:
    """A record with its tools; what Hermes writes into the texts becomes calls and answers. Raises `UnusableRow`."""
    if not record.messages:
        raise UnusableRow("has tools and no conversation")
    messages = [*record.messages]
    if any(turn.role == "assistant" and PLAIN.call_start in turn.content for turn in messages) or (
        messages[0].role == "system" and "<tools>" in messages[0].content
    ):
        messages = [_from_hermes(turn) for turn in messages]
        if messages[0].role == "system" and "<tools>" in messages[0].content:
            remarks.odd(TOLD, messages[0].content)
            del messages[0]
    if any("null" in call.arguments for turn in messages for call in turn.calls):
        declared_arguments = _properties(tools)
        messages = [_with_given(turn, declared_arguments) for turn in messages]
    return replace(record, messages=linked(messages), tools=tools)


def _with_given(turn: Message, tools: Mapping[str, Mapping[str, Any]]) -> Message:
    if not turn.tool_use or not turn.calls:
        return turn
    return replace(turn, tool_use=replace(turn.tool_use, calls=tuple(_given(call, tools) for call in turn.calls)))


def _from_hermes(turn: Message) -> Message:
    """A turn whose calls, or whose answer, stand between marks in its text."""
    if turn.role == "assistant" and PLAIN.call_start in turn.content:
        parsed = parser.parse(turn.content, PLAIN)
        if parsed.fault:
            raise UnusableRow(parsed.fault)
        bare = tuple(replace(call, id="") for call in parsed.calls)
        return replace(turn, content=parsed.text, tool_use=ToolUse(bare))
    if turn.role == "tool" and PLAIN.answer_start in turn.content:
        text = turn.content.strip().removeprefix(PLAIN.answer_start).removesuffix(PLAIN.answer_end).strip()
        return _named_answer(turn, text)
    return turn


def _named_answer(turn: Message, text: str) -> Message:
    """A tool's answer that says in itself whose it is: {"name": ..., "content": ...}."""
    try:
        value = decode(text)
    except Unreadable:
        return replace(turn, content=text)
    use = turn.tool_use or ToolUse()
    if isinstance(value, dict) and isinstance(value.get("name"), str) and "content" in value:
        inner = value["content"]
        content = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
        use = replace(use, name=value["name"], structured=isinstance(inner, dict))
        return replace(turn, content=content, tool_use=use)
    return replace(turn, content=text)
