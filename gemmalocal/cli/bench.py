"""bench: us and the engine's stock trainer on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.bench_graph import compare_graphs
from gemmalocal.cli.bench_lengths import compare_memory, parse_lengths
from gemmalocal.cli.bench_share import line
from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.files.sizes import gigabytes

DEMO, STEPS, ROUNDS = "gemma-3-270m-demo", 6, 2


@click.command()
@click.option(
    "--model",
    default=DEMO,
    show_default=True,
    shell_complete=completion.models,
    help="The model: a folder, a Hub name, or the demo's.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "mlx", "torch"]),
    default="auto",
    show_default=True,
    help="The engine, as in a recipe.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="The numbers of our frozen weights, as in a recipe.",
)
@click.option(
    "--rows", shell_complete=completion.files, help="Rows of prompt and completion. If left out: made-up word problems."
)
@click.option(
    "--steps", default=STEPS, show_default=True, type=click.IntRange(2), help="How many steps, of 4 rows each."
)
@click.option(
    "--rounds", default=ROUNDS, show_default=True, type=click.IntRange(1), help="How often each trainer has its turn."
)
@click.option(
    "--lengths",
    callback=parse_lengths,
    metavar="512,1024",
    help="Instead, compare the memory of one step on a row of each length.",
)
@click.option(
    "--graph",
    is_flag=True,
    help="Instead, count what a step asks of a GPU (MLX). No GPU is needed, nor a model: Gemma 3 270M's shapes.",
)
@click.option(
    "--share", is_flag=True, help="Print one line to send: this machine, versions and figures; no name, no path."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def bench(
    model: str,
    backend: str,
    dtype: str,
    rows: str | None,
    steps: int,
    rounds: int,
    lengths: list[int],
    graph: bool,
    share: bool,
    as_json: bool,
) -> int:
    """Compare our training with the engine's own.

    Both train the same rows in turns, each in a process of its own. It prints the supervised tokens a second (without
    the first step) and the most memory. Of ours it also prints the first batch's loss, beside that of full logits, and
    how much of the machine's speed the useful work reaches.
    """
    if share and (graph or lengths or as_json):
        raise click.UsageError("--share prints its one line: leave --graph, --lengths and --json out.")
    if graph:
        if (rows, steps, rounds, lengths, backend) != (None, STEPS, ROUNDS, [], "auto"):
            raise click.UsageError("--graph counts a step of MLX on made-up rows: leave --rows, --backend, ... out.")
        return compare_graphs(None if model == DEMO else model, dtype, as_json)
    if lengths:
        if (rows, steps, rounds, dtype) != (None, STEPS, ROUNDS, "auto"):
            raise click.UsageError("--lengths trains one step on made-up rows: leave --rows, --steps, ... out.")
        return compare_memory(model, backend, lengths, as_json)
    spec = {"model": model, "backend": backend, "dtype": dtype, "steps": steps}
    spec["rows"] = rows and str(Path(rows).resolve())
    code, figures = _in_turns(spec, rounds)
    if code:
        return code
    figures["share"] = line(figures, model, dtype)
    if as_json:
        say_json(figures)
    else:
        say(figures["share"] if share else page(_table(figures)))
    return 0


def _in_turns(spec: dict[str, Any], rounds: int) -> tuple[int, dict[str, Any]]:
    """Let both trainers have their turns: an exit code, and the figures of each and their ratios."""
    figures: dict[str, Any] = {}
    for trainer in ("ours", "stock") * rounds:
        code, report = run_for_report("bench", {**spec, "who": trainer})
        if code:
            return code, {}
        figures[trainer] = _added(figures.get(trainer), report)
    ours, stock = figures["ours"], figures["stock"]
    figures["speed"] = ours["tokens_per_second"] / stock["tokens_per_second"]
    figures["memory"] = ours["peak_bytes"] / stock["peak_bytes"]
    return 0, figures


def _table(figures: dict[str, Any]) -> list[str]:
    ours, stock = figures["ours"], figures["stock"]
    lines = []
    for measured, name in ((ours, "gemmalocal"), (stock, stock["trainer"])):
        rate, peak = measured["tokens_per_second"], gigabytes(measured["peak_bytes"], 2)
        lines.append(f"{name:<18}{rate:>7.1f} supervised tok/s, peak {peak} GB")
    return [
        *lines,
        f"{'ratio':<18}{figures['speed']:>7.2f} x the speed, {figures['memory']:.2f} of the memory",
        f"useful work reaches {ours['gflops']:.0f} of {ours['limit_gflops']:.0f} GFLOP/s ({ours['device']})",
        f"first batch: loss {ours['loss']:.6f}, by full logits {ours['loss_by_full_logits']:.6f}",
    ]


def _added(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """Figures over one more turn: counts add up, what is a peak or a limit stays one."""
    if before is None:
        return now
    total = {key: before[key] + now[key] for key in ("tokens", "seconds")}
    highest = {key: max(before[key], now[key]) for key in ("peak_bytes", "limit_gflops") if key in now}
    rates = {
        key: (before[key] * before["seconds"] + now[key] * now["seconds"]) / total["seconds"]
        for key in ("tokens_per_second", "gflops")
        if key in now
    }
    return now | total | highest | rates


COMMANDS = (bench,)
