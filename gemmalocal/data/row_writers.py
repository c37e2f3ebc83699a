"""Records to the forms that other programs read: one row of each, or why a form cannot hold the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from gemmalocal.data.cells import UnusableRow
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Message, Record

WrittenRow = dict[str, Any]
SENDERS = {"system": "system", "user": "human", "assistant": "gpt"}
BLOCK = 1024  # rows of a Parquet row group


def chat(record: Record) -> WrittenRow:
    """`messages`, as OpenAI and most trainers have it; plain text stays `text`, and judged answers stay apart.

    These are `prompt`, `chosen` and `rejected`, or `prompt`, `completion` and `label`, as TRL has them.
    """
    if not record.messages:
        return {"text": record.text}
    tools = {"tools": record.tools} if record.tools else {}  # as text: a Parquet file would mix their schemas
    if not record.kind:
        return {**tools, "messages": _said(record.messages)}
    answer, row = _said(record.messages[record.prompt_turns :]), {**tools, "prompt": _said(record.prompt)}
    if record.kind == "rated":
        return {**row, "completion": answer, "label": record.label}
    return {**row, "chosen": answer, "rejected": _said(record.rejected)}


def sharegpt(record: Record) -> WrittenRow:
    """`conversations` of human and gpt, judged answers as LLaMA-Factory has them; raises `UnusableRow` for text."""
    if not record.messages:
        raise UnusableRow("is plain text, not a conversation")
    _check_tools(record)
    if record.kind == "pairs":
        chosen, rejected = (_sent(turns)[0] for turns in _single_answers(record))
        return {"conversations": _sent(record.prompt), "chosen": chosen, "rejected": rejected}
    return {"conversations": _sent(record.messages), **_tag(record)}


def alpaca(record: Record) -> WrittenRow:
    """Instruction, input (empty) and output, a system message in front; raises `UnusableRow` for a longer chat."""
    question, *answers = _question(record)
    names = ("chosen", "rejected") if record.kind == "pairs" else ("output",)
    return {"instruction": question, "input": "", **dict(zip(names, answers, strict=True)), **_tag(record)}


def prompt(record: Record) -> WrittenRow:
    """Prompt and completion, or what was chosen and rejected; raises `UnusableRow` for several turns, and for text."""
    question, *answers = _question(record)
    names = ("chosen", "rejected") if record.kind == "pairs" else ("completion",)
    label = {} if record.label is None else {"label": record.label}
    return {"prompt": question, **dict(zip(names, answers, strict=True)), **label}


def text(record: Record) -> WrittenRow:
    """`text`; of a conversation its turns, with an empty line between; raises `UnusableRow` for judged answers."""
    if record.kind:
        raise UnusableRow("judges answers, which plain text cannot tell")
    _check_tools(record)
    return {"text": record.text or "\n\n".join(turn.content for turn in record.messages)}


def _said(turns: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": turn.role, "content": turn.content, **_tool_keys(turn)} for turn in turns]


def _tool_keys(turn: Message) -> dict[str, Any]:
    """What a turn calls, or which call it answers, as OpenAI has it."""
    if turn.tool_use is None:
        return {}
    if turn.role == "tool":
        return {"name": turn.tool_use.name, "tool_call_id": turn.tool_use.call_id}
    return {"tool_calls": [call.as_protocol for call in turn.calls]}


def _check_tools(record: Record) -> None:
    """Raise `UnusableRow` for a row with tools, which only the form chat can hold."""
    if record.tools or any(turn.tool_use for turn in record.messages):
        raise UnusableRow("calls tools, or may: the form chat holds that")


def _sent(turns: Sequence[Message]) -> list[dict[str, str]]:
    return [{"from": SENDERS[turn.role], "value": turn.content} for turn in turns]


def _tag(record: Record) -> dict[str, bool]:
    """A rated answer's label, by LLaMA-Factory's name."""
    return {} if record.label is None else {"kto_tag": record.label}


def _single_answers(record: Record) -> tuple[Sequence[Message], ...]:
    answers = record.messages[record.prompt_turns :], *([record.rejected] if record.rejected else [])
    if any(len(turns) > 1 for turns in answers):
        raise UnusableRow("has more than one turn")
    return answers


FORMS: dict[str, tuple[Callable[[Record], WrittenRow], str]] = {
    "chat": (chat, ".jsonl"),
    "sharegpt": (sharegpt, ".jsonl"),
    "alpaca": (alpaca, ".jsonl"),
    "prompt": (prompt, ".jsonl"),
    "text": (text, ".jsonl"),
    "parquet": (chat, ".parquet"),
    "hub": (chat, ".jsonl"),
}


def write(rows: Iterable[WrittenRow], file: Path) -> int:
    """Write rows to a .jsonl or .parquet file; how many they were."""
    return _parquet(rows, file) if file.suffix == ".parquet" else _json_lines(rows, file)


def card(name: str, sides: dict[str, tuple[str, int]], about: dict[str, Any]) -> str:
    """A Hub dataset's README: which file is which split, how many rows, and what is known of their making.

    `sides` are split to file and rows. No licence is claimed: it is that of the documents.
    """
    from huggingface_hub import DatasetCardData

    files = [{"split": split, "path": file} for split, (file, _) in sides.items()]
    head = DatasetCardData(
        pretty_name=name,
        tags=["gemmalocal", *(["synthetic"] if about else [])],
        configs=[{"config_name": "default", "data_files": files}],
    )
    lines = [f"---\n{head.to_yaml()}\n---\n\n# {name}\n"]
    lines += [f"- {split}: {counted(rows, 'row')}" for split, (_, rows) in sides.items()]
    labels = {"task": "Task", "author": "Written by", "documents": "Documents", "split": "Held out", "rated": "Quality"}
    lines += [f"- {label}: {about[key]}" for key, label in labels.items() if about.get(key)]
    return "\n".join([*lines, "\nThe documents' licence holds for their words. Made with gemmalocal.\n"])


def _question(record: Record) -> list[str]:
    """The prompt of a single exchange, a system message in front, and its answer, or the two that are compared."""
    _check_tools(record)
    turns = list(record.messages)
    system = turns.pop(0).content + "\n\n" if turns and turns[0].role == "system" else ""
    if [turn.role for turn in turns] != ["user", "assistant"] or len(record.rejected) > 1:
        raise UnusableRow("is plain text, not a question" if not turns else "has more than one turn")
    return [system + turns[0].content, turns[1].content, *(turn.content for turn in record.rejected)]


def _json_lines(rows: Iterable[WrittenRow], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(rows: Iterable[WrittenRow], file: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    text, blocks = pyarrow.string(), _blocks(rows)
    first = next(blocks, [])
    turn = [("role", text), ("content", text)]
    if any("tools" in row for row in first):
        called = pyarrow.struct([("name", text), ("arguments", text)])
        call = pyarrow.struct([("id", text), ("type", text), ("function", called)])
        turn += [("tool_calls", pyarrow.list_(call)), ("name", text), ("tool_call_id", text)]
    turns = pyarrow.list_(pyarrow.struct(turn))
    types = dict.fromkeys(("messages", "prompt", "chosen", "rejected", "completion"), turns)
    types |= {"label": pyarrow.bool_(), "text": text, "tools": text}
    names = {name for row in first for name in row} or {"messages", "text"}
    schema = pyarrow.schema([(name, kind) for name, kind in types.items() if name in names])
    count = 0
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for block in chain([first], blocks):
            if any(row.keys() - names for row in block):
                hint = "Write them in another form, such as chat."
                raise DatasetError("The rows are of several kinds, which do not fit one Parquet file.", hint)
            writer.write_table(pyarrow.Table.from_pylist(block, schema))
            count += len(block)
    return count


def _blocks(rows: Iterable[WrittenRow]) -> Iterator[list[WrittenRow]]:
    block: list[WrittenRow] = []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
