"""bench --graph: what a training step and a decoded token ask of a GPU, ours beside mlx-lm's."""

from __future__ import annotations

from typing import Any

from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.jobs.plurals import counted


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
    """A line for each figure of a step, one for each kind of operation, and one for each way to decode a token."""
    step, token = report["step"], report["token"]
    lines = [_line("a training step", "gemmalocal", "mlx-lm"), *_figures(step["ours"], step["stock"])]
    lines += [f"  {step['ratio']:.3f} of the launches", "", _line("launches of a kind", "gemmalocal", "mlx-lm")]
    lines += _kinds(step["ours"]["kinds"], step["stock"]["kinds"])
    lines += ["", _line("launches of a decoded token", "gemmalocal", "mlx-lm")]
    for name, key in (("of the base", "base"), ("of an adapter", "adapted")):
        lines.append(_line(f"  {name}", token[key]["ours"]["launches"], token[key]["stock"]["launches"]))
    for count, several in token["several"].items():
        lines.append(_line(f"  {counted(int(count), 'answer')}, base and adapters", several["launches"]))
    waits = [token["base"]["ours"], token["adapted"]["ours"], *token["several"].values()]
    return [*lines, _line("  waits, at most", max(each["waits"] for each in waits), token["base"]["stock"]["waits"])]


def _figures(ours: dict[str, Any], stock: dict[str, Any]) -> list[str]:
    """Counts, and bytes where they are known."""
    lines = [_line(f"  {key}", ours[key], stock[key]) for key in ("launches", "waits")]
    for name, key in (("read", "bytes_read"), ("written", "bytes_written"), ("live at most", "largest_live_bytes")):
        if ours[key] is not None:
            lines.append(_line(f"  MB {name}", ours[key] // 10**6, stock[key] // 10**6))
    return lines


def _kinds(ours: dict[str, int], stock: dict[str, int]) -> list[str]:
    """The stock trainer's most frequent kind first."""
    kinds = sorted({**stock, **ours}, key=lambda kind: (-stock.get(kind, 0), -ours.get(kind, 0), kind))
    return [_line(f"  {kind}", ours.get(kind, 0), stock.get(kind, 0)) for kind in kinds]


def _line(name: str, *columns: int | str) -> str:
    return f"{name:<36}" + "".join(f"{value:>12}" if isinstance(value, str) else f"{value:>12,}" for value in columns)
