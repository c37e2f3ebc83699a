"""One file to rows. What is wrong with a row is a `Rejected`; the rows after it are read all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gemmalocal.documents import lines, spreadsheet
from gemmalocal.documents.delimited import separator, table
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.json_rows import json_lines, json_tree
from gemmalocal.documents.lines import LONGEST, OnProgress, SourceRows
from gemmalocal.records import Rejected

__all__ = ["LONGEST", "READERS", "OnProgress", "SourceRows", "read", "separator", "table"]
BLOCK = 1024  # rows of a Parquet or Arrow file at once
ARROW_FILE = b"ARROW1"


def read(file: Path, on_progress: OnProgress) -> SourceRows:
    """The rows of a file whose suffix is in `READERS`."""
    try:
        yield from READERS[file.suffix.lower()](file, on_progress)
    except OSError as error:
        yield Rejected(file.name, f"cannot be read: {error.strerror or error}")
    except Unreadable as problem:
        yield Rejected(file.name, str(problem))


@contextmanager
def _pyarrow(form: str) -> Iterator[None]:
    """Raise `Unreadable` where pyarrow is not installed, or says that a file is not a whole one of this form."""
    try:
        import pyarrow
    except ImportError as error:
        raise Unreadable("needs the package pyarrow (pip install pyarrow)") from error
    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise Unreadable(f"is not a whole {form} file: {str(error).splitlines()[0]}") from error


def parquet(file: Path, on_progress: OnProgress) -> SourceRows:
    """Columns in row groups (.parquet), a block at a time."""
    size, number = file.stat().st_size, 0
    with _pyarrow("Parquet"):
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(file) as stored:
            for block in stored.iter_batches(BLOCK):
                for columns in block.to_pylist():
                    number += 1
                    yield lines.row(f"{file.name}#{number}", columns)
                on_progress(size * number // stored.metadata.num_rows)


def arrow(file: Path, on_progress: OnProgress) -> SourceRows:
    """Record batches as `datasets` and others keep them (.arrow), in a stream or a file."""
    size, number = file.stat().st_size, 0
    with _pyarrow("Arrow"):
        import pyarrow

        with pyarrow.memory_map(str(file)) as mapped:
            for batch in _batches(mapped):
                for start in range(0, len(batch), BLOCK):
                    for columns in batch.slice(start, BLOCK).to_pylist():
                        number += 1
                        yield lines.row(f"{file.name}#{number}", columns)
                on_progress(min(size, mapped.tell()))


def _batches(mapped: Any) -> Iterator[Any]:
    import pyarrow

    if mapped.read(len(ARROW_FILE)) == ARROW_FILE:
        stored = pyarrow.ipc.open_file(mapped)
        yield from map(stored.get_batch, range(stored.num_record_batches))
    else:
        mapped.seek(0)
        yield from pyarrow.ipc.open_stream(mapped)


def document(file: Path, on_progress: OnProgress) -> SourceRows:
    """A text file (.txt, .md) is one row of plain text; `data.long_rows: split` makes several of a long one."""
    with file.open("rb") as raw:
        lines.begin(raw)
        content = raw.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise Unreadable(f"is longer than {LONGEST >> 20} MB (split it into several files)")
    on_progress(len(content))
    if text := lines.text(content):
        yield file.name, {"text": text}


READERS: dict[str, Callable[[Path, OnProgress], SourceRows]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_tree,
    ".csv": table,
    ".tsv": table,
    ".parquet": parquet,
    ".arrow": arrow,
    ".txt": document,
    ".md": document,
    **dict.fromkeys(spreadsheet.SUFFIXES, spreadsheet.sheets),
}
