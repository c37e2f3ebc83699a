"""Adapter, adapter with lengths, or every weight: whole runs of each method, and what cannot be combined."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import recipe_file
from tests.here import run


def train(path: Path, name: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    words = [word for override in overrides for word in ("--set", override)]
    return run("train", str(path), "--name", name, *words)


def whole(path: Path) -> Path:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("lora")]
    path.write_text("\n".join(["method: full", *lines]))
    return path


def test_dora_over_quantized_weights_is_an_adapter(recipe_path: Path, workspace: Path) -> None:
    done = train(recipe_path, "q", "method=dora", "quantize=8bit", "train.steps=4", "samples.during=false")
    assert done.returncode == 0, done.stderr
    folder = workspace / "runs" / "q" / "adapter"
    assert json.loads((folder / "adapter_config.json").read_text())["use_dora"] is True
    names = load_file(folder / "adapter_model.safetensors")
    assert len([name for name in names if name.endswith("lora_magnitude_vector")]) == 14


def test_a_whole_model_is_the_result_of_a_full_fine_tune(recipe_path: Path, workspace: Path, tiny: Path) -> None:
    done = train(whole(recipe_path), "w", "train.learning_rate=1e-3", "train.steps=8")
    assert done.returncode == 0, done.stderr
    folder = workspace / "runs" / "w" / "model"
    assert {path.name for path in tiny.iterdir()} <= {path.name for path in folder.iterdir()}
    before, after = load_file(tiny / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before)
    again = run("resume", "w")
    assert again.returncode == 1
    assert f"Its model: {folder}" in again.stderr
    on_it = train(recipe_path, "again", f"model={folder}", "train.steps=1")
    assert on_it.returncode == 0, on_it.stderr


@pytest.mark.parametrize(
    ("override", "says"),
    [("quantize=4bit", "quantized"), ("dtype=bfloat16", "float32"), ("lora.rank=4", "leave the lora section out")],
)
def test_full_refuses_what_it_would_ignore(recipe_path: Path, override: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe_file.load(str(whole(recipe_path)), [override])
