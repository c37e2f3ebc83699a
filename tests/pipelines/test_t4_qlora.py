"""The recipe for a T4 with a tiny Gemma 2 on the CPU: NF4, and bitsandbytes' AdamW with an 8-bit state."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from gemmalocal.backends.torch.train import OPTIMIZER
from gemmalocal.engine import checkpoints
from gemmalocal.jobs import history
from tests.children import killed_at
from tests.here import run
from tests.pipelines.test_runs import described, finished, same, weights
from tests.with_torch import torch, transformers

RECIPE = Path(__file__).parents[2] / "recipes" / "t4-qlora.yaml"
SIZES = {  # rank 16 times the width is as much as bitsandbytes keeps in 8 bits
    "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16, "pad_token_id": 0,
    "eos_token_id": 1, "bos_token_id": 2,
}  # fmt: skip


@pytest.fixture
def gemma2(tiny: Path, tmp_path: Path) -> Path:
    """A folder with a tiny random Gemma 2 and the tiny tokenizer."""
    torch.manual_seed(1)
    words = json.loads((tiny / "config.json").read_text())["vocab_size"]
    folder = tmp_path / "gemma2"
    transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**SIZES, vocab_size=words)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder)
    return folder


def test_killed_and_resumed_it_equals_a_run_of_one_go(gemma2: Path, rows: Path, workspace: Path) -> None:
    overrides = (f"model={gemma2}", f"data.path={rows}", "train.epochs=3", "train.save_every=2", "train.keep=9")
    whole = finished(workspace, "whole", RECIPE, *overrides).directory
    between = killed_at(workspace / "runs" / "killed", "train", described(RECIPE, *overrides), "Step", 7)
    folder = between.directory
    assert between.exit_code == -signal.SIGKILL
    newest = checkpoints.existing(folder / "checkpoints")[-1]
    assert (newest.name, history.read(folder).status) == ("000006", "killed")
    assert torch.uint8 in {value.dtype for value in load_file(newest / OPTIMIZER).values()}
    done = run("resume", "killed")
    assert done.returncode == 0, done.stderr
    truth, state = history.read(whole), history.read(folder)
    assert [(step.step, step.loss) for step in state.steps] == [(step.step, step.loss) for step in truth.steps]
    assert len(truth.steps) > 10
    assert same(weights(folder), weights(whole))
