"""Five steps of DPO and of KTO on a tiny Gemma of each generation, against TRL 1.16 with PEFT."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from gemmalocal.jobs import history
from gemmalocal.weights.tensors import Floats
from tests import here
from tests.backends.preference_steps import GENERATIONS, STEPS, base, pairs, recipe, thumbs
from tests.backends.test_objective import ENGINES, engine

GOLDENS = np.load(Path(__file__).parent / "goldens" / "preference_steps.npz", allow_pickle=False)
Weights = dict[str, Floats]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each generation."""
    folders = {name: tmp_path_factory.mktemp(name) for name in GENERATIONS}
    for name, folder in folders.items():
        base(name, folder)
    return folders


def run(folder: Path, model: Path, kind: str, name: str) -> tuple[history.JobState, Weights]:
    """A run over the rows; what is known of it, and its last adapter."""
    rows = folder.with_suffix(".jsonl")
    rows.parent.mkdir(parents=True, exist_ok=True)
    rows.write_text("".join(json.dumps(row) + "\n" for row in (pairs() if kind == "dpo" else thumbs())))
    with engine(name) as backend:
        spec = {**recipe(model, kind, rows).model_dump(mode="json"), "backend": backend}
        here.work(folder, "train", spec)
    state = history.read(folder)
    assert state.status == "done", state.last_word
    return state, load_file(folder / "checkpoints" / f"{STEPS:06d}" / "adapter_model.safetensors")


CASES = [  # torch is slow to start
    (name, generation, kind)
    for name in ENGINES
    for generation in GENERATIONS
    for kind in ("dpo", "kto")
    if name != "torch" or kind == "dpo" or generation == "gemma4"
]


@pytest.mark.parametrize(("name", "generation", "kind"), CASES)
def test_the_adapter_is_as_trl_makes_it(
    name: str, generation: str, kind: str, models: dict[str, Path], workspace: Path
) -> None:
    prefix = f"{generation} {kind} "
    wanted = {key.removeprefix(prefix): GOLDENS[key] for key in GOLDENS.files if key.startswith(prefix)}
    losses = wanted.pop("losses")
    state, weights = run(workspace / "runs" / "ours", models[generation], kind, name)
    np.testing.assert_allclose([step.loss for step in state.steps], losses, rtol=2e-4)
    assert weights.keys() == wanted.keys()
    for key, values in wanted.items():
        # By its length: where a gradient is next to nothing, Adam makes a whole step of its sign.
        assert np.linalg.norm(weights[key] - values) < 1e-4 * np.linalg.norm(values), key
