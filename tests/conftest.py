"""A workspace of its own for every test, and a two-layer random Gemma with a real byte-fallback tokenizer."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmalocal.jobs import holder
from tests.forks import ForkServer, popen
from tests.once import made_once, shared

if TYPE_CHECKING:  # every test process imports this file: a test of recipes takes no tensors, and one of MLX no torch
    import numpy as np

signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup make test &` ignores it, as children then would
os.environ["HF_HUB_OFFLINE"] = "1"  # for all tests: huggingface_hub looks once, when an engine brings it in

# Half a minute and more. Given out first where several processes share the suite, so that none works on a long one
# alone at the end.
LONGEST_FILES = (
    "tests/pipelines/test_processes.py",
    "tests/export/test_serve.py",
    "tests/backends/test_fit_plan.py",
    "tests/faults/test_faults.py",
    "tests/tui/test_app.py",
    "tests/backends/test_torch_fit.py",
    "tests/tui/test_pictures.py",
    "tests/pipelines/test_torch_runs.py",
    "tests/tui/test_pictures_rows.py",
    "tests/export/test_push.py",
    "tests/api/test_examples.py",
    "tests/backends/test_generations.py",
    "tests/export/test_llama_cpp.py",
    "tests/backends/test_multi_lora.py",
    "tests/test_house.py",
    "tests/pipelines/test_runs.py",
    "tests/tui/test_walk.py",
    "tests/tui/test_exports.py",
    "tests/tui/test_recipe.py",
    "tests/export/test_export.py",
    "tests/weights/test_fetch.py",
    "tests/pipelines/test_bench.py",
    "tests/tui/test_unsaved.py",
    "tests/documents/test_isolated.py",
    "tests/backends/test_compiled.py",
)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
LETTERS = "▁abcdefghijklmnopqrstuvwxyz\n.,:;?!"
WORDS = ["th", "the", "▁the", "an", "and", "qu", "quo", "user", "model", "mo", "mod", "mode", "us", "use"]
CONFIG: dict[str, Any] = {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "rope_local_base_freq": 10_000.0,
    "sliding_window": 16,
    "sliding_window_pattern": 2,
    "max_position_embeddings": 512,
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "dtype": "float32",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files come first; the rest keep their order."""
    ranks = {config.rootpath / file: rank for rank, file in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Modules and tests are here to stay: looking through them again would take up to a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing a test does reaches the user's own workspace; a job that a failed test leaves at work there is ended."""
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    for lock in (tmp_path / "home").rglob("lock"):
        if (group := holder.group(lock)) is not None:
            holder.signal_group(group)


@pytest.fixture(scope="session")
def tiny(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Gemma 3 and its tokenizer; only to be read."""
    return made_once(shared(pytestconfig, tmp_path_factory) / "tiny-gemma3", write_tiny)


@pytest.fixture(scope="session")
def demo(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with the demo's model in it, Gemma 3 270M, and what was told while it was made; 13 s, once a run."""
    home = made_once(shared(pytestconfig, tmp_path_factory) / "demo", write_demo)
    return home, json.loads((home / "told.json").read_text())


def write_demo(home: Path) -> None:
    """Fill a workspace with the demo's model, and with what is told meanwhile."""
    from gemmalocal.weights.locate import DEMO, locate

    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMMALOCAL_HOME", str(home))
        locate(DEMO, lambda what, done, total: told.append(what))
    (home / "told.json").write_text(json.dumps(told))


def write_tiny(folder: Path) -> None:
    """Fill a folder with a two-layer random Gemma 3 and a tokenizer."""
    from safetensors.numpy import save_file

    from gemmalocal.weights import vocabulary

    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *LETTERS, *WORDS]
    kinds = [3, 3, 3, 2, 4, 4] + [6] * 256 + [1] * (len(LETTERS) + len(WORDS))
    scores = [0.0] * len(SPECIAL) + [0.0] * 256 + [-1000.0] * len(LETTERS) + [-float(n) for n in range(len(WORDS))]
    joined = vocabulary.merges(pieces, scores, vocabulary.added_pieces(pieces, kinds))
    tokenizer = vocabulary.build(pieces, kinds, joined, "<bos>", "<unk>")
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    vocabulary.write(tokenizer, folder, names, None)
    config = {**CONFIG, "vocab_size": len(pieces)}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), folder / "model.safetensors", metadata={"format": "pt"})


def random_weights(config: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Gemma 3's tensors by transformers' names, drawn in the order in which `hollow` lists them."""
    import numpy as np

    from gemmalocal.weights import hollow

    random = np.random.default_rng(7)
    return {
        name: (0.1 * random.standard_normal(shape)).astype(np.float32) for name, shape in hollow.shapes(config).items()
    }


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty rows of prompt and completion, of very different lengths."""
    path = tmp_path / "rows.jsonl"
    lines = [
        {
            "prompt": f"{'the quote ' * (number % 5)}of {chr(97 + number % 26)}:",
            "completion": f" {'and ' * (number % 7)}x{number}.",
        }
        for number in range(40)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Answers of which the one with fewer letters is better."""
    draw = random.Random(3)
    rows = []
    for number in range(40):
        word = "".join(draw.choices("abcdefgh", k=4))
        rows.append({"prompt": f"the quote of {word} {number}:", "chosen": word, "rejected": f"an {word}, and {word}"})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def recipe_path(tmp_path: Path, tiny: Path, rows: Path) -> Path:
    """A recipe that trains the tiny Gemma for 12 steps, with dropout."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"model: {tiny}\ndata:\n  path: {rows}\n  max_length: 64\n  split: 0.2\n"
        "lora: {rank: 4, alpha: 8, dropout: 0.1}\n"
        "train: {steps: 12, batch_size: 4, learning_rate: 1e-2, evaluate_every: 4, save_every: 3}\n"
        "samples: {prompts: ['the quote of a:'], max_tokens: 5}\n"
    )
    return path


@pytest.fixture(scope="session")
def fork_servers() -> Iterator[dict[str, ForkServer]]:
    """By engine, each started when it is first asked for."""
    servers: dict[str, ForkServer] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def forks(fork_servers: dict[str, ForkServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpreters that the test starts are forks of one that has MLX."""
    fork("mlx", fork_servers, monkeypatch)


def fork(engine: str, servers: dict[str, ForkServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what starts interpreters fork the engine's server, where the system's libraries allow it."""
    if sys.platform == "linux":
        if engine in servers and servers[engine].ended():
            servers.pop(engine).close()
        if engine not in servers:
            servers[engine] = ForkServer(engine)
        monkeypatch.setattr(subprocess, "Popen", popen(servers[engine].address))
