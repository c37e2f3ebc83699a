"""Records to the forms that other programs read: one row of each, or why a form cannot hold the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from gemmalocal.data.cells import UnusableRow
from gemmalocal.records import Record

ExportRow = dict[str, Any]
SENDERS = {"system": "system", "user": "human", "assistant": "gpt"}
BLOCK = 1024  # rows of a Parquet row group


def chat(record: Record) -> ExportRow:
    """`messages`, as OpenAI and most trainers have it; plain text stays `text`."""
    if not record.messages:
        return {"text": record.text}
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in record.messages]}


def sharegpt(record: Record) -> ExportRow:
    """`conversations` of human and gpt; raises `UnusableRow` for plain text."""
    if not record.messages:
        raise UnusableRow("is plain text, not a conversation")
    return {"conversations": [{"from": SENDERS[turn.role], "value": turn.content} for turn in record.messages]}


def alpaca(record: Record) -> ExportRow:
    """Instruction, input (empty) and output, a system message in front; raises `UnusableRow` for a longer chat."""
    question, answer = _pair(record)
    return {"instruction": question, "input": "", "output": answer}


def prompt(record: Record) -> ExportRow:
    """Prompt and completion; raises `UnusableRow` for a chat of several turns, and for plain text."""
    question, answer = _pair(record)
    return {"prompt": question, "completion": answer}


def text(record: Record) -> ExportRow:
    """`text`; of a conversation its turns, with an empty line between."""
    return {"text": record.text or "\n\n".join(turn.content for turn in record.messages)}


FORMS: dict[str, tuple[Callable[[Record], ExportRow], str]] = {
    "chat": (chat, ".jsonl"),
    "sharegpt": (sharegpt, ".jsonl"),
    "alpaca": (alpaca, ".jsonl"),
    "prompt": (prompt, ".jsonl"),
    "text": (text, ".jsonl"),
    "parquet": (chat, ".parquet"),
    "hub": (chat, ".jsonl"),
}


def write(rows: Iterable[ExportRow], file: Path) -> int:
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
    lines += [f"- {split}: {rows} rows" for split, (_, rows) in sides.items()]
    labels = {"task": "Task", "author": "Written by", "documents": "Documents", "split": "Held out", "rated": "Quality"}
    lines += [f"- {label}: {about[key]}" for key, label in labels.items() if about.get(key)]
    return "\n".join([*lines, "\nThe documents' licence holds for their words. Made with gemmalocal.\n"])


def _pair(record: Record) -> tuple[str, str]:
    turns = list(record.messages)
    system = turns.pop(0).content + "\n\n" if turns and turns[0].role == "system" else ""
    if [turn.role for turn in turns] != ["user", "assistant"]:
        raise UnusableRow("is plain text, not a question" if not turns else "has more than one turn")
    return system + turns[0].content, turns[1].content


def _json_lines(rows: Iterable[ExportRow], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(rows: Iterable[ExportRow], file: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    turn = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    types = {"messages": pyarrow.list_(turn), "text": pyarrow.string()}
    blocks = _blocks(rows)
    first = next(blocks, [])
    schema = pyarrow.schema([(name, types[name]) for name in (first[0] if first else types)])  # a file's rows are alike
    count = 0
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for block in chain([first], blocks):
            writer.write_table(pyarrow.Table.from_pylist(block, schema))
            count += len(block)
    return count


def _blocks(rows: Iterable[ExportRow]) -> Iterator[list[ExportRow]]:
    block: list[ExportRow] = []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
