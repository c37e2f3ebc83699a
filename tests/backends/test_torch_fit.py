"""The fit plan against what a process takes: a step's resident memory, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from gemmalocal.planning import memory, model_sizes
from gemmalocal.recipe import recipe_file
from tests.children import HANGS
from tests.conftest import CONFIG, random_weights

SIZES = {
    "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4, "head_dim": 128,
    "query_pre_attn_scalar": 128, "sliding_window": 512, "sliding_window_pattern": 3, "vocab_size": 16_384,
}  # fmt: skip
MEASURE = """
import sys
from pathlib import Path
import numpy as np
from gemmalocal.recipe import recipe_file
from gemmalocal.backends import open_backend
from gemmalocal.data.batches import MicroBatch
folder, recipe, length, *overrides = sys.argv[1:]
made = open_backend("torch").trainer(Path(folder), recipe_file.load(recipe, overrides))
ids = np.random.default_rng(0).integers(3, 16_000, (1, int(length) + 1)).astype(np.int32)
weights = np.zeros(ids.shape, np.float32)
weights[:, -40:] = 1
for _ in range(2):
    made.accumulate([MicroBatch(ids, weights)])
    made.apply(1e-4)
print(made.memory().peak)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("middling"), SIZES)


def write(made: Path, sizes: dict[str, int]) -> Path:
    """A Gemma 3 of these sizes, with random weights."""
    (made / "config.json").write_text(json.dumps(CONFIG | sizes))
    save_file(random_weights(CONFIG | sizes), made / "model.safetensors", metadata={"format": "pt"})
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
@pytest.mark.parametrize(
    ("length", "overrides"), [(256, []), (512, []), (512, ["train.checkpointing=true"]), (256, ["method=dora"])]
)
def test_the_peak_is_as_planned(folder: Path, recipe_path: Path, length: int, overrides: list[str]) -> None:
    words = [f"model={folder}", "lora.dropout=0", *overrides]
    recipe = recipe_file.load(str(recipe_path), words)
    sizes, load = model_sizes.from_config(CONFIG | SIZES), memory.Load(length, length)
    checkpointing = recipe.train.checkpointing is True
    planned = memory.estimate(sizes, recipe, load, 4, checkpointing, engine=memory.profile("torch")).total
    command = [sys.executable, "-c", MEASURE, str(folder), str(recipe_path), str(length), *words]
    peaks = list[int]()
    while len(peaks) < 3 and planned != pytest.approx(min(peaks, default=0), rel=0.2):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))  # pages of libraries that are touched first come on top, more of them at times
    assert planned == pytest.approx(min(peaks), rel=0.2)


LOADING = """
import sys
from pathlib import Path
import torch
from gemmalocal.backends.torch import cpu_memory, device, model
small, folder = map(Path, sys.argv[1:])
def load(folder):
    return model.load(folder, device.here("bfloat16"), torch.device("cpu"))
load(small)  # brings the libraries, which would count
memory = cpu_memory.Resident()
loaded = load(folder)
found = memory()
print(found.peak, found.active)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
def test_a_file_never_counts_beside_the_weights_made_of_it(tmp_path: Path) -> None:
    small, folder = tmp_path / "small", tmp_path / "middling"
    for made, sizes in (small, SIZES | {"hidden_size": 64}), (folder, SIZES | {"num_hidden_layers": 8}):
        made.mkdir()
        write(made, sizes)
    command = [sys.executable, "-c", LOADING, str(small), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    peak, active = map(int, done.stdout.split())
    weights = (folder / "model.safetensors").stat().st_size / 2  # float32 in the file
    assert 0.9 * weights < active < 1.2 * weights
    assert peak < 1.4 * weights


GROWING = """
import sys
from pathlib import Path
import numpy as np
from gemmalocal.recipe import recipe_file
from gemmalocal.backends import open_backend
from gemmalocal.backends.torch import cpu_memory
from gemmalocal.data.batches import MicroBatch
folder, recipe, *overrides = sys.argv[1:]
made = open_backend("torch").trainer(Path(folder), recipe_file.load(recipe, overrides))
def over(lengths):
    for length in lengths:
        ids = np.full((1, length + 1), 7, np.int32)
        made.accumulate([MicroBatch(ids, np.ones(ids.shape, np.float32))])
        made.apply(1e-4)
    cpu_memory.release()
    return made.memory().active
print(-over(range(32, 40)) + over(range(40, 72)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
def test_many_lengths_of_rows_take_no_memory(folder: Path, recipe_path: Path) -> None:
    """Where the CPU has products in bfloat16; where it has none, nothing is kept either way."""
    command = [sys.executable, "-c", GROWING, str(folder), str(recipe_path), f"model={folder}", "dtype=bfloat16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 16e6
