"""bench --lengths: the memory of a step on one long row, ours beside the stock trainer's."""

from __future__ import annotations

import json
from typing import Any

import click

from gemmalocal.cli.errands import run
from gemmalocal.errors import OutOfMemory

SHORTEST = 16
COLUMNS = {
    "ours": ("ours", False),
    "ours_checkpointed": ("ours", True),
    "stock": ("stock", False),
    "stock_checkpointed": ("stock", True),
}
HEADS = ("ours", "checkpointed", "stock", "checkpointed")


def parsed(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int]:
    """Lengths in ascending order, of an option's value."""
    try:
        found = sorted({int(part) for part in (value or "").split(",") if part.strip()})
    except ValueError:
        found = [0]
    if found and found[0] < SHORTEST:
        raise click.BadParameter(f"give numbers of tokens from {SHORTEST} on, with commas: 512,1024")
    return found


def compare(model: str, backend: str, lengths: list[int], as_json: bool) -> int:
    """Measure every length in every way, each in a process of its own; one that dies is told as dead."""
    rows: list[dict[str, Any]] = []
    for length in lengths:
        row: dict[str, Any] = {"length": length}
        for column, (who, checkpointing) in COLUMNS.items():
            spec = {"model": model, "backend": backend, "length": length, "who": who, "checkpointing": checkpointing}
            code, report = run("lengths", spec)
            if code and code != OutOfMemory.code:
                return code
            row[column] = None if code else report
        rows.append(judged(row))
    figures = {"lengths": rows, "bytes_per_token": {column: _growth(rows, column) for column in COLUMNS}}
    click.echo(json.dumps(figures) if as_json else "\n".join(table(figures)))
    return 0


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """With our choice of checkpointing here, and what it takes of the stock trainer's memory (as it comes)."""
    ours = row["ours"] or row["ours_checkpointed"]
    chosen = row["ours_checkpointed" if ours and ours["auto"] else "ours"]
    ratio = chosen["peak_bytes"] / row["stock"]["peak_bytes"] if chosen and row["stock"] else None
    return row | {"auto": bool(ours and ours["auto"]), "ratio": ratio}


def _growth(rows: list[dict[str, Any]], column: str) -> float | None:
    """Bytes that a token adds to the peak, from the shortest to the longest row that ended."""
    ended = [(row["length"], row[column]["peak_bytes"]) for row in rows if row[column]]
    if len(ended) < 2:
        return None
    (short, less), (long, more) = ended[0], ended[-1]
    return float((more - less) / (long - short))


def table(figures: dict[str, Any]) -> list[str]:
    """Lines to read, 80 columns wide."""
    heads = "".join(f"{head:>14}" for head in HEADS)
    lines = ["peak memory of a step on one row, in GB", f"{'tokens':>8}{heads}{'ratio':>8}"]
    for row in figures["lengths"]:
        peaks = [f"{row[column]['peak_bytes'] / 1e9:.2f}" if row[column] else "died" for column in COLUMNS]
        lines.append(f"{row['length']:>8}" + "".join(f"{peak:>14}" for peak in peaks))
        if row["ratio"] is not None:
            lines[-1] += f"{row['ratio']:>8.2f}{'*' * row['auto']}"
    growth = [figures["bytes_per_token"][column] for column in COLUMNS]
    shown = ["" if more is None else f"{more / 1e6:.2f}" for more in growth]
    if any(shown):
        lines.append(f"{'MB/token':>8}" + "".join(f"{more:>14}" for more in shown))
    lines.append("ratio: ours (* checkpointed, where auto would here) to the stock trainer's as it comes")
    return lines
