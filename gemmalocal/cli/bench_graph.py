"""bench --graph: what a step asks of a GPU, ours beside the stock trainer's."""

from __future__ import annotations

from typing import Any

from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report


def compare_graphs(model: str | None, dtype: str, as_json: bool) -> int:
    """Count, and print a table, or the counts as JSON."""
    code, report = run_for_report("bench_graph", {"model": model, "dtype": dtype})
    if code:
        return code
    if as_json:
        say_json(report)
    else:
        say(page(table(report)))
    return 0


def table(report: dict[str, Any]) -> list[str]:
    """A line for each figure, then one for each kind of operation."""
    ours, stock = report["ours"], report["stock"]
    lines = [f"{'':<28}{'gemmalocal':>12}{'mlx-lm':>12}"]
    lines += [_line(key, ours[key], stock[key]) for key in ("launches", "waits")]
    for name in dict.fromkeys([*ours["parts"], *stock["parts"]]):
        lines.append(_line(f"in the {name}", ours["parts"].get(name, 0), stock["parts"].get(name, 0)))
    kinds = sorted(dict.fromkeys([*ours["kinds"], *stock["kinds"]]), key=lambda kind: -stock["kinds"].get(kind, 0))
    lines += [_line(kind, ours["kinds"].get(kind, 0), stock["kinds"].get(kind, 0)) for kind in kinds]
    return [*lines, f"ratio of launches {report['ratio']:.3f}"]


def _line(name: str, ours: int, stock: int) -> str:
    return f"{name:<28}{ours:>12,}{stock:>12,}"
