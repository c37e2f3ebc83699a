"""A tiny Gemma with FunctionGemma's marks and template, that was taught one call and what to say to its answer."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from tests import conftest
from tests.here import work
from tests.once import made_once, shared
from tests.tool_calls.templates import FUNCTION_GEMMA

MARKS = [f"<{end}_function_{what}>" for what in ("declaration", "call", "response") for end in ("start", "end")]
SCHEMA = {"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"]}
FUNCTION: dict[str, Any] = {"name": "heat", "description": "how hot.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"name": "heat", "arguments": {"of": "tea"}}
ASKED, ANSWER, SAID = "hot?", "so", "the tea is hot."


def write_caller(folder: Path) -> None:
    """The tiny Gemma with marks for calls among its tokens."""
    from safetensors.numpy import save_file

    from gemmalocal.weights import vocabulary

    special = [*conftest.SPECIAL, *MARKS, "<escape>"]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *conftest.LETTERS, *conftest.WORDS]
    letters, words = len(conftest.LETTERS), len(conftest.WORDS)
    kinds = [3, 3, 3, 2, *[4] * (len(special) - 4), *[6] * 256, *[1] * (letters + words)]
    scores = [*[0.0] * (len(special) + 256), *[-1000.0] * letters, *(-float(n) for n in range(words))]
    joined = vocabulary.merges(pieces, scores, vocabulary.added_pieces(pieces, kinds))
    tokenizer = vocabulary.build(pieces, kinds, joined, "<bos>", "<unk>")
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    vocabulary.write(tokenizer, folder, names, FUNCTION_GEMMA)
    config = {**conftest.CONFIG, "vocab_size": len(pieces)}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(conftest.random_weights(config), folder / "model.safetensors", metadata={"format": "pt"})


def row() -> dict[str, Any]:
    """What it is taught."""
    return {
        "tools": [TOOL],
        "messages": [
            {"role": "user", "content": ASKED},
            {"role": "assistant", "tool_calls": [{"type": "function", "function": CALL}]},
            {"role": "tool", "content": ANSWER},
            {"role": "assistant", "content": SAID},
        ],
    }


def train_caller(home: Path, model: Path) -> None:
    """A workspace with the run `caller` that was made of a model."""
    rows = [row(), {**row(), "messages": row()["messages"][:2]}]
    (home / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (home / "caller.yaml").write_text(
        f"model: {model}\nmethod: full\ndata: {{path: {home / 'rows.jsonl'}, max_length: 512, split: 0}}\n"
        "train: {steps: 60, batch_size: 2, learning_rate: 5e-3, warmup: 5}\n"
    )
    spec = recipe_file.load(str(home / "caller.yaml"), []).model_dump(mode="json")
    work(home / "runs" / "caller", "train", spec)
    assert history.read(home / "runs" / "caller").status == "done"


@pytest.fixture(scope="session")
def caller_home(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace, made once."""
    place = shared(pytestconfig, tmp_path_factory)
    model = made_once(place / "caller-model", write_caller)
    return made_once(place / "caller", partial(train_caller, model=model))


@pytest.fixture
def caller(caller_home: Path, workspace: Path) -> Path:
    """The run in a workspace of the test's own."""
    run = workspace / "runs" / "caller"
    shutil.copytree(caller_home / "runs" / "caller", run)
    return run
