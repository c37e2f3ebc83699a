"""A LoRA alone as GGUF: llama.cpp over a base says what the merged model says, and what it cannot hold is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.backends import peft_adapter
from gemmalocal.errors import ModelError
from gemmalocal.export import forms, gguf_adapter, merge, publish
from gemmalocal.files import manifest, paths
from gemmalocal.weights import gguf_place
from tests.export.llama_server import LlamaServer
from tests.export.test_llama_cpp import IDS, saved, written
from tests.here import run

PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK, ALPHA = 4, 12.0


def adapter(model: Path, folder: Path, dora: bool = False) -> Path:
    """A random LoRA on all projections of a model, in PEFT's layout."""
    rng, tensors = np.random.default_rng(3), {}
    for tensor in merge.merged(model, None):
        name = merge.plain_name(tensor.name.removesuffix(".weight")) or ""
        if name.split(".")[-1] in PARTS:
            rows, columns = tensor.shape
            for inner, shape in (("lora_a", (RANK, columns)), ("lora_b", (rows, RANK))):
                tensors[peft_adapter.to_disk(f"{name}.{inner}")] = rng.normal(0, 0.25, shape).astype(np.float32)
            if dora:
                tensors[peft_adapter.to_disk(f"{name}.magnitude")] = np.ones(rows, np.float32)
    folder.mkdir()
    save_file(tensors, folder / peft_adapter.WEIGHTS)
    config = peft_adapter.lora_config(str(model), RANK, ALPHA, 0.0, dora)
    (folder / peft_adapter.CONFIG).write_text(json.dumps(config))
    return folder


def difference(said: dict[int, float], wanted: dict[int, float]) -> float:
    """The largest one of the log-probabilities that both have; infinite if they have few in common."""
    both = said.keys() & wanted.keys()
    return max(abs(said[number] - wanted[number]) for number in both) if len(both) > 5 else float("inf")


@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma3-vision", "gemma4"])
def test_llama_cpp_over_the_base_says_what_the_merged_model_says(name: str, tiny: Path, tmp_path: Path) -> None:
    model = saved(name, tiny, tmp_path / name, query_pre_attn_scalar=16)
    lora = adapter(model, tmp_path / "lora")
    file, whole = tmp_path / "lora.gguf", tmp_path / "whole"
    whole.mkdir()
    gguf_adapter.write(file, lora, json.loads((model / "config.json").read_text()), "x", lambda *what: None)
    forms.write_merged(whole, model, merge.merged(model, lora), "float32", lambda *what: None)
    base = written(model, tmp_path / "base.gguf")
    wanted = LlamaServer(written(whole, tmp_path / "whole.gguf")).next(IDS, 20)
    found = LlamaServer(base, file).next(IDS, 20)
    plain = LlamaServer(base).next(IDS, 20)
    near, far = (difference(said, wanted) for said in (found, plain))
    assert near < 0.03
    assert far > 10 * near
    back = merge.read_adapter(gguf_adapter.to_peft(file, "x", tmp_path / "back"))
    for module, change in merge.read_adapter(lora).items():
        np.testing.assert_array_equal(back[module].a, change.a)
        np.testing.assert_array_equal(back[module].b, change.b)
        assert back[module].scale == pytest.approx(change.scale)


def test_what_llama_cpp_cannot_hold_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no place for what DoRA learns"):
        gguf_adapter.check(adapter(tiny, tmp_path / "dora", dora=True), tiny)
    other = written(saved("gemma2", tiny, tmp_path / "gemma2", query_pre_attn_scalar=16), tmp_path / "other.gguf")
    with pytest.raises(ModelError, match="holds a 'gemma2' model, and the run was trained on a gemma3"):
        gguf_adapter.check_base(other, tiny)
    with pytest.raises(ModelError, match="holds no LoRA of a Gemma"):
        gguf_adapter.to_peft(other, "x", tmp_path / "back")


def test_the_bases_file_is_found_again_if_it_is_as_it_was(tiny: Path, tmp_path: Path) -> None:
    file = written(tiny, tmp_path / "mine.gguf")
    assert run("import", str(file), "--name", "mine").returncode == 0
    folder = paths.models() / "mine"
    assert gguf_place.origin(folder, lambda *what: None) == file
    assert gguf_place.origin(tiny, lambda *what: None) is None
    with file.open("ab") as changed:
        changed.write(b"x")
    assert gguf_place.origin(folder, lambda *what: None) is None


def test_no_folder_of_this_machine_is_published(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Modelfile").write_text(f"FROM {tmp_path}/models/base.gguf\nADAPTER ./x-lora.gguf\n")
    (folder / "x-lora.gguf").write_bytes(b"GGUF")
    manifest.write(folder)
    uploads = {upload.name: upload.content for upload in publish.model(folder, "me/x")}
    assert uploads["Modelfile"] == b"FROM ./base.gguf\nADAPTER ./x-lora.gguf\n"
