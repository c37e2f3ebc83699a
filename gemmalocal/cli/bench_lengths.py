"""bench --lengths: the memory of a step on one long row, ours beside the stock trainer's."""

from __future__ import annotations

from typing import Any

import click

from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import OutOfMemory
from gemmalocal.files.sizes import gigabytes
from gemmalocal.planning import hardware

SHORTEST = 16
ROOM = 0.95  # of the free memory
COLUMNS = {
    "ours": ("ours", False),
    "ours_checkpointed": ("ours", True),
    "stock": ("stock", False),
    "stock_checkpointed": ("stock", True),
}
HEADS = ("ours", "checkpointed", "stock", "checkpointed")


def parse_lengths(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int]:
    """Lengths in ascending order, of an option's value."""
    try:
        lengths = sorted({int(part) for part in (value or "").split(",") if part.strip()})
    except ValueError:
        lengths = [0]
    if lengths and lengths[0] < SHORTEST:
        raise click.BadParameter(f"give numbers of tokens, {SHORTEST} or more, with commas between them: 512,1024")
    return lengths


def compare_memory(model: str, backend: str, lengths: list[int], as_json: bool) -> int:
    """Measure every length in every way, each in a process of its own; one that dies is told as dead.

    What shorter rows say would not fit this machine is not tried: the system would kill more than our child.
    """
    rows: list[dict[str, Any]] = []
    for length in lengths:
        row: dict[str, Any] = {"length": length}
        for column, (trainer, checkpointing) in COLUMNS.items():
            expected = expected_bytes(rows, column, length)
            if expected > ROOM * hardware.probe()["memory_free"]:
                row[column] = {"expected_bytes": expected}
                continue
            spec = {
                "model": model,
                "backend": backend,
                "length": length,
                "who": trainer,
                "checkpointing": checkpointing,
            }
            code, report = run_for_report("lengths", spec)
            if code and code != OutOfMemory.code:
                return code
            row[column] = None if code else report
        rows.append(with_ratio(row))
    figures = {"lengths": rows, "bytes_per_token": {column: _growth(rows, column) for column in COLUMNS}}
    if as_json:
        say_json(figures)
    else:
        say(page(table(figures)))
    return 0


def with_ratio(row: dict[str, Any]) -> dict[str, Any]:
    """With our choice of checkpointing here, and what it takes of the stock trainer's memory.

    The stock trainer's as it comes, or checkpointed (`against`) where it comes to no end otherwise.
    """
    ended = {column for column in COLUMNS if _peak(row[column]) is not None}
    auto = any(row[column]["auto"] for column in ("ours", "ours_checkpointed") if column in ended)
    chosen = "ours_checkpointed" if auto else "ours"
    against = "stock" if "stock" in ended else "stock_checkpointed"
    ratio = row[chosen]["peak_bytes"] / row[against]["peak_bytes"] if {chosen, against} <= ended else None
    return row | {"auto": auto, "against": against, "ratio": ratio}


def _peak(measured: dict[str, Any] | None) -> int | None:
    return measured.get("peak_bytes") if measured else None


def _ended(rows: list[dict[str, Any]], column: str) -> list[tuple[int, int]]:
    """Lengths and peaks of the rows that ended."""
    return [(row["length"], peak) for row in rows if (peak := _peak(row[column])) is not None]


def _growth(rows: list[dict[str, Any]], column: str) -> float | None:
    """Bytes that a token adds to the peak, from the shortest to the longest row that ended."""
    ended = _ended(rows, column)
    if len(ended) < 2:
        return None
    (short, less), (long, more) = ended[0], ended[-1]
    return (more - less) / (long - short)


def expected_bytes(rows: list[dict[str, Any]], column: str, length: int) -> int:
    """Bytes at least that a row of `length` takes, by the growth between the last two that ended; 0 if unknown."""
    ended = _ended(rows, column)[-2:]
    growth = _growth(rows[-2:], column)
    return 0 if growth is None or len(ended) < 2 else int(ended[-1][1] + growth * (length - ended[-1][0]))


def table(figures: dict[str, Any]) -> list[str]:
    """Lines to read, 80 columns wide."""
    heads = "".join(f"{head:>14}" for head in HEADS)
    lines = ["peak memory of a step on one row, in GB", f"{'tokens':>8}{heads}{'ratio':>8}"]
    for row in figures["lengths"]:
        lines.append(f"{row['length']:>8}" + "".join(f"{_shown(row[column]):>14}" for column in COLUMNS))
        if row["ratio"] is not None:
            lines[-1] += f"{row['ratio']:>8.2f}{'*' * row['auto']}{'+' * (row['against'] != 'stock')}"
    growth = [figures["bytes_per_token"][column] for column in COLUMNS]
    shown = ["" if more is None else f"{more / 1e6:.2f}" for more in growth]
    if any(shown):
        lines.append(f"{'MB/token':>8}" + "".join(f"{more:>14}" for more in shown))
    lines.append("ratio: ours to the stock trainer's. *: ours checkpointed, as auto does here.")
    lines.append("+: the stock trainer checkpointed, since it ran out of memory without.")
    lines.append("(n): not tried, since it needs more memory than there is. It is an estimate.")
    return lines


def _shown(measured: dict[str, Any] | None) -> str:
    """A peak in GB, one that is only foreseen, or that the process died."""
    if measured is None:
        return "died"
    return (
        gigabytes(measured["peak_bytes"], 2)
        if "peak_bytes" in measured
        else f"({gigabytes(measured['expected_bytes'], 0)})"
    )
