"""Our trainer beside the stock ones on this machine's device: speed, peak, losses, plan and resume, in one table.

    python -m benchmarks.device [--engine torch|mlx] [--seconds 430] [--tiny]

It trains the quotes on Gemma 3 270M and made-up word problems on a Gemma 3 4B of random weights. torch is held against
TRL with PEFT and bitsandbytes, MLX's CUDA build against its own CPU. `--tiny` does the same with tiny models, also
where there is no GPU. Each measurement is a process of its own; what does not fit into the seconds is left out, and
told. `benchmarks/device.sh` and `benchmarks/device_mlx.sh` set up what this needs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.device_step import MAX_LENGTH

# Gemma 3's published shapes: https://huggingface.co/google/gemma-3-4b-pt, its text model.
SHAPES: dict[str, dict[str, int]] = {
    "4B": {
        "hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 1024,
        "sliding_window_pattern": 6,
    },
    "tiny": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 64,
        "sliding_window_pattern": 2,
    },
}  # fmt: skip
COPIED = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
SECONDS, PATIENCE = 430.0, 3600.0  # in all, of a measurement and of a try
TOLERANCE = 0.01  # of a loss: in bfloat16 beside float32
LINE = "{:<28}{:>12}{:>10}{:>9}{:>10}{:>12}{:>12}"
SUITE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Measurement:
    """A line of the table: who trains what."""

    label: str
    model: str  # quotes or random
    who: str
    steps: int
    quantized: bool = False
    on_cpu: bool = False


def measurements(engine: str, tiny: bool) -> list[Measurement]:
    """The most telling first: what comes last may be left out for time."""
    steps = 4 if tiny else 12
    ours = [
        Measurement("quotes, ours", "quotes", engine, steps),
        Measurement("quotes, ours on the CPU", "quotes", engine, 4, on_cpu=True),
        Measurement("4B, ours", "random", engine, steps),
        Measurement("4B in 4 bits, ours", "random", engine, steps, quantized=True),
    ]
    if engine != "torch":
        return ours
    trl = [
        Measurement("quotes, TRL", "quotes", "trl", steps),
        Measurement("4B, TRL", "random", "trl", steps),
        Measurement("4B in 4 bits, TRL", "random", "trl", steps, quantized=True),
    ]
    return [ours[0], trl[0], *ours[1:], *trl[1:]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("torch", "mlx"), default="torch")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    end = time.monotonic() + (asked.seconds or (PATIENCE if asked.tiny else SECONDS))
    with tempfile.TemporaryDirectory() as place:
        models = {
            "quotes": quotes_model(Path(place), asked.tiny),
            "random": random_model(Path(place) / "random", "tiny" if asked.tiny else "4B"),
        }
        rows = {name: rows_file(Path(place), name, models[name]) for name in models}
        print(machine(asked.engine))
        figures = measured(measurements(asked.engine, asked.tiny), models, rows, end)
        for line in table(figures):
            print(line, flush=True)


def measured(
    todo: Sequence[Measurement], models: dict[str, Path], rows: dict[str, Path], end: float
) -> Iterator[tuple[Measurement, dict[str, Any]]]:
    """Each measurement's figures, or why there are none."""
    for one in todo:
        words = {
            "who": one.who, "folder": str(models[one.model]), "rows": str(rows[one.model]), "steps": one.steps,
            "batch": 4, "quantized": one.quantized, "on_cpu": one.on_cpu,
        }  # fmt: skip
        yield one, in_a_process(words, end - time.monotonic())


def in_a_process(words: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What `device_step` says of one measurement."""
    if seconds < 5:
        return {"missing": "no time was left"}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if words["on_cpu"]:
        environment |= {"GEMMALOCAL_TORCH_TRAITS": "cpu"}
    command = [sys.executable, "-m", "benchmarks.device_step", json.dumps(words)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, cwd=SUITE, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"not done after {seconds:.0f} s"}
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]}
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def table(figures: Iterable[tuple[Measurement, dict[str, Any]]]) -> Iterator[str]:
    """Lines for people: a measurement each, as soon as it is made, then what was checked."""
    made: dict[str, dict[str, Any]] = {}
    yield LINE.format("", "tokens/s", "peak GB", "planned", "of plan", "first loss", "last loss")
    for one, found in figures:
        if "missing" in found:
            yield f"{one.label:<28}  {found['missing']}"
            continue
        made[one.label] = found
        planned, losses = found.get("planned"), found["losses"]
        yield LINE.format(
            one.label,
            f"{found['tokens'] / found['seconds']:,.0f}",
            f"{found['peak'] / 1e9:.2f}",
            f"{planned / 1e9:.2f}" if planned else "-",
            f"{found['peak'] / planned:.2f}" if planned else "-",
            f"{losses[0]:.4f}",
            f"{losses[-1]:.4f}",
        )
    yield from checks(made)


def checks(figures: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What must be so, and whether it is."""
    for label, found in figures.items():
        if "resumed_by" in found:
            how = "bit for bit" if found["resumed_by"] == 0 else f"within {found['resumed_by']:.1e} of a loss"
            yield f"{label}: goes on from its checkpoint {how}"
    pairs = [("quotes, ours", "quotes, ours on the CPU")]
    pairs += [(name, name.replace("ours", "TRL")) for name in ("quotes, ours", "4B, ours", "4B in 4 bits, ours")]
    for name, other in pairs:
        if name in figures and other in figures:
            compared = list(zip(figures[name]["losses"], figures[other]["losses"], strict=False))
            apart = max(abs(one - two) / two for one, two in compared)
            verdict = "ok" if apart <= TOLERANCE else "NOT OK"
            yield f"losses of {name}, and of {other}: at most {apart:.2%} apart in {len(compared)} steps: {verdict}"


def quotes_model(place: Path, tiny: bool) -> Path:
    """The demo's Gemma 3 270M, which comes with its package; or a tiny one of its words."""
    if tiny:
        return random_model(place / "tiny", "tiny")
    return demo()


@cache
def demo() -> Path:
    """The demo's folder."""
    from gemmalocal.weights.locate import DEMO, locate

    return locate(DEMO, lambda *progress: None)


def random_model(folder: Path, shape: str) -> Path:
    """A Gemma 3 of a shape with random weights in bfloat16, and the demo's tokenizer."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    words = json.loads((demo() / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        network = Gemma3ForCausalLM(Gemma3TextConfig(**SHAPES[shape], vocab_size=words))
    torch.set_default_dtype(torch.float32)
    network.save_pretrained(folder)
    del network
    torch.cuda.empty_cache()  # this process lives on, beside those that measure
    for name in COPIED:
        if (demo() / name).exists():
            shutil.copy(demo() / name, folder)
    return folder


def rows_file(place: Path, name: str, model: Path) -> Path:
    """The rows, as ids and what is supervised of them, for whoever trains."""
    from gemmalocal.data.dataset import Records
    from gemmalocal.data.examples import Example, to_examples
    from gemmalocal.data.tokenizer import Tokenizer
    from gemmalocal.pipelines.shared.word_problems import word_problems
    from gemmalocal.recipe import recipe_file

    records = Records(recipe_file.load("quotes").data) if name == "quotes" else word_problems(64)
    rows = []
    for _, examples in to_examples(records, Tokenizer(model), MAX_LENGTH):
        rows += [(row.ids.tolist(), row.weights.astype(int).tolist()) for row in examples if isinstance(row, Example)]
        if len(rows) >= 64:
            break
    file = place / f"{name}.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def machine(engine: str) -> str:
    """What it ran on."""
    from gemmalocal.backends import open_backend
    from gemmalocal.planning import hardware

    told, here = open_backend(engine).probe(), hardware.probe()
    return f"{told['device']} ({told['gflops']:,.0f} GFLOP/s in {told['dtype']}), {here['chip']}, {engine}"


if __name__ == "__main__":
    main()
