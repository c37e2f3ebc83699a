"""GGUF files of every generation become folders that transformers and mlx-lm read, with the file's own numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from safetensors.numpy import load_file

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.records import Message
from gemmalocal.weights import gguf_file, gguf_gemma, gguf_peek, vocabulary
from gemmalocal.weights.gguf_names import tensor_name
from tests.weights import ggufs

IDS = [2, 270, 271, 280, 290, 300, 275, 265, 281, 272, 274, 293, 305]  # longer than the sliding window


def imported(source: Path, target: Path) -> Path:
    return gguf_file.to_folder(source, target, lambda *what: None, {})


def logits(folder: Path, **more: Any) -> np.ndarray[Any, Any]:
    """By transformers, float32."""
    from tests.with_torch import torch, transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **more
    )
    with torch.no_grad():
        found: np.ndarray[Any, Any] = model(torch.tensor([IDS])).logits[0].numpy()
    return found


@pytest.mark.parametrize("architecture", ["gemma", "gemma2", "gemma3"])
@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q4_0, Kind.Q8_0])
def test_every_tensor_arrives(architecture: str, kind: Kind, tmp_path: Path) -> None:
    expected = ggufs.write(tmp_path / "x.gguf", architecture, kind)
    found = load_file(imported(tmp_path / "x.gguf", tmp_path / "out") / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3"])
@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0])
def test_logits_are_those_of_transformers_own_reading(architecture: str, kind: Kind, tmp_path: Path) -> None:
    from tests.with_torch import transformers

    ggufs.write(tmp_path / "x.gguf", architecture, kind)
    folder = imported(tmp_path / "x.gguf", tmp_path / "out")
    theirs = logits(tmp_path, gguf_file="x.gguf", quantization_config=transformers.GgufConfig(dequantize=True))
    assert np.abs(logits(folder) - theirs).max() < 1e-4
    assert np.abs(theirs).max() > 0.1


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0])
def test_gemma_1_has_the_logits_of_its_dequantized_tensors(kind: Kind, tmp_path: Path) -> None:
    """transformers does not read `gemma` GGUF files: the model is built from what was written instead."""
    from tests.with_torch import torch, transformers

    expected = ggufs.write(tmp_path / "x.gguf", "gemma", kind)
    config = transformers.GemmaConfig(
        vocab_size=len(ggufs.PIECES), hidden_size=ggufs.WIDTH, intermediate_size=ggufs.INNER,
        num_hidden_layers=ggufs.LAYERS, num_attention_heads=ggufs.HEADS, num_key_value_heads=ggufs.KEYS,
        head_dim=ggufs.HEAD, attn_implementation="eager",
    )  # fmt: skip
    model = transformers.GemmaForCausalLM(config).eval()
    state = {name: torch.from_numpy(values) for name, values in expected.items()}
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    with torch.no_grad():
        theirs = model(torch.tensor([IDS])).logits[0].numpy()
    assert np.abs(logits(imported(tmp_path / "x.gguf", tmp_path / "out")) - theirs).max() < 1e-4


@pytest.mark.parametrize("architecture", ["gemma", "gemma2", "gemma3"])
def test_mlx_lm_agrees_with_transformers(architecture: str, tmp_path: Path) -> None:
    from gemmalocal.backends.mlx import cpu  # noqa: F401  (loads OpenBLAS before MLX)
    import mlx.core as mx  # isort: skip
    from mlx_lm.utils import load_model  # isort: skip

    ggufs.write(tmp_path / "x.gguf", architecture, Kind.Q8_0)
    folder = imported(tmp_path / "x.gguf", tmp_path / "out")
    model, _ = load_model(folder)
    ours = np.array(model(mx.array([IDS[:8]]))[0])  # within the window, which mlx-lm's Gemma 2 does not have
    theirs = logits(folder)[:8]
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_the_tokenizer_template_and_terminators_come_along(tmp_path: Path) -> None:
    ggufs.write(tmp_path / "x.gguf", "gemma3", Kind.F16)
    folder = imported(tmp_path / "x.gguf", tmp_path / "out")
    tokenizer = Tokenizer(folder)
    assert tokenizer.decode(tokenizer.encode("the quote and us")) == "the quote and us"
    assert tokenizer.has_template
    assert tokenizer.render([Message("user", "the")], ask=False) == "<bos><start_of_turn>the<end_of_turn>"
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [1, 5]
    assert tokenizer.stop_ids == {1, 5}
    assert "Gemma Terms of Use" in (folder / "NOTICE").read_text()


def test_a_file_whose_text_ends_with_the_turn_keeps_both_ends(tmp_path: Path) -> None:
    ggufs.write(tmp_path / "x.gguf", "gemma2", Kind.F16, tokenizer__ggml__eos_token_id=5)
    folder = imported(tmp_path / "x.gguf", tmp_path / "out")
    assert json.loads((folder / "tokenizer_config.json").read_text())["eos_token"] == "<eos>"
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == [1, 5]


def test_scaled_positions_and_the_global_layers_are_read(tmp_path: Path) -> None:
    more: dict[str, Any] = {"gemma3__rope__scaling__type": "linear", "gemma3__rope__scaling__factor": 8.0}
    pattern = [True, False] * 3 + [True]
    ggufs.write(
        tmp_path / "x.gguf", "gemma3", Kind.F16, **more, gemma3__rope__freq_base_swa=20_000.0,
        gemma3__attention__sliding_window_pattern=pattern,
    )  # fmt: skip
    config = json.loads((imported(tmp_path / "x.gguf", tmp_path / "out") / "config.json").read_text())
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}
    assert config["rope_local_base_freq"] == 20_000.0
    assert config["sliding_window_pattern"] == 2


def test_ollamas_own_gemma_3_is_read(tmp_path: Path) -> None:
    """With towers, a token for images, nothing on positions from 4B on, and other names for their bases below."""
    plain = ggufs.write(tmp_path / "4b.gguf", "gemma3", Kind.Q8_0, towers=True, gemma3__context_length=131_072)
    folder = imported(tmp_path / "4b.gguf", tmp_path / "4b")
    assert load_file(folder / "model.safetensors").keys() == plain.keys()
    assert json.loads((folder / "provenance.json").read_text())["left_out"] == "projector, vision tower"
    config = json.loads((folder / "config.json").read_text())
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}
    assert (config["rope_theta"], config["rope_local_base_freq"]) == (1_000_000.0, 10_000.0)
    assert config["vocab_size"] == len(ggufs.PIECES)
    assert Tokenizer(folder).encoder.get_vocab_size() == len(ggufs.PIECES)
    bases: dict[str, Any] = {"gemma3__rope__global__freq_base": 500_000.0, "gemma3__rope__local__freq_base": 20_000.0}
    ggufs.write(tmp_path / "1b.gguf", "gemma3", Kind.Q8_0, gemma3__rope__freq_base=None, **bases)
    config = json.loads((imported(tmp_path / "1b.gguf", tmp_path / "1b") / "config.json").read_text())
    assert (config["rope_theta"], config["rope_local_base_freq"]) == (500_000.0, 20_000.0)
    assert "rope_scaling" not in config


def test_a_large_model_is_written_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "SHARD", 200_000)
    expected = ggufs.write(tmp_path / "x.gguf", "gemma3", Kind.Q8_0)
    folder = imported(tmp_path / "x.gguf", tmp_path / "out")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == expected.keys()
    assert len(set(index["weight_map"].values())) > 3
    whole = {name: values for file in folder.glob("*.safetensors") for name, values in load_file(file).items()}
    assert all(np.array_equal(whole[name], values) for name, values in expected.items())
    assert logits(folder).shape == (len(IDS), len(ggufs.PIECES))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"not a model", "cannot be read as GGUF"),
        (lambda data: data[:-5000], "cannot be read as GGUF"),
        (lambda data: data[:300], "cannot be read as GGUF"),
        (lambda data: b"", "cannot be read as GGUF"),
    ],
)
def test_a_damaged_file_is_refused_and_leaves_nothing(damage: Any, says: str, tmp_path: Path) -> None:
    ggufs.write(tmp_path / "x.gguf", "gemma3", Kind.Q8_0)
    (tmp_path / "x.gguf").write_bytes(damage((tmp_path / "x.gguf").read_bytes()))
    with pytest.raises(ModelError, match=says):
        imported(tmp_path / "x.gguf", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


def test_other_models_and_parts_are_refused(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "llama.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match="'llama' model") as refusal:
        imported(tmp_path / "llama.gguf", tmp_path / "out")
    assert "gemma, gemma2, gemma3" in refusal.value.hint
    ggufs.write(tmp_path / "part.gguf", "gemma3", Kind.F16, split__count=2)
    with pytest.raises(ModelError, match="one part of several"):
        imported(tmp_path / "part.gguf", tmp_path / "out")
    ggufs.write(tmp_path / "bpe.gguf", "gemma3", Kind.F16, tokenizer__ggml__model="gpt2")
    with pytest.raises(ModelError, match="vocabulary"):
        imported(tmp_path / "bpe.gguf", tmp_path / "out")
    ggufs.write(tmp_path / "torn.gguf", "gemma3", Kind.F16, tokenizer__ggml__model="gemma4")
    with pytest.raises(ModelError, match="vocabulary"):
        imported(tmp_path / "torn.gguf", tmp_path / "out")


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ggufs.write(tmp_path / "x.gguf", "gemma3", Kind.Q8_0)
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(ModelError, match="kB free"):
        imported(tmp_path / "x.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_architecture_is_read_without_the_vocabulary(tmp_path: Path) -> None:
    ggufs.write(tmp_path / "x.gguf", "gemma2", Kind.Q8_0)
    assert gguf_peek.architecture(tmp_path / "x.gguf") == "gemma2"
    writer = gguf.GGUFWriter(tmp_path / "late.gguf", "gemma3")
    first = writer.kv_data[0].pop("general.architecture")
    writer.add_token_list(["a", "b"])
    writer.add_array("gemma3.numbers", [1, 2, 3])
    writer.kv_data[0]["general.architecture"] = first  # as Ollama writes it: keys in the order of the alphabet
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert gguf_peek.architecture(tmp_path / "late.gguf") == "gemma3"
    (tmp_path / "torn.gguf").write_bytes((tmp_path / "late.gguf").read_bytes()[:40])
    assert gguf_peek.architecture(tmp_path / "torn.gguf") is None
    assert gguf_peek.architecture(tmp_path / "none.gguf") is None


def test_a_foreign_tensor_is_refused() -> None:
    assert tensor_name("blk.3.ffn_up.weight", "gemma3") == "model.layers.3.mlp.up_proj.weight"
    assert tensor_name("blk.3.ffn_norm.weight", "gemma") == "model.layers.3.post_attention_layernorm.weight"
    with pytest.raises(ModelError, match="does not have"):
        tensor_name("blk.0.ssm_in.weight", "gemma3")
    with pytest.raises(ModelError, match="does not have"):
        tensor_name("blk.0.attn_q_norm.weight", "gemma2")


def test_merges_are_taken_as_a_file_lists_them() -> None:
    pieces = ["a", "b", "ab", " ", " a", "▁", "  "]
    assert vocabulary.listed_merges(["a b", "  a", "▁ ▁", "ab c", "x", ""], pieces) == [("a", "b"), (" ", "a")]


@pytest.mark.parametrize(
    ("slides", "more", "says"),
    [
        (None, {}, "which layers see a window"),
        ([True], {}, "which layers see a window"),
        ([True, False], {"attention.head_count_kv": [2]}, "do not agree"),
        ([True, False], {"embedding_length_per_layer_input": 8}, "do not agree"),
    ],
)
def test_a_gemma_4_that_contradicts_itself_is_refused(slides: Any, more: dict[str, Any], says: str) -> None:
    said = {"embedding_length": 8, "feed_forward_length": 8, "block_count": 2, "attention.head_count": 2, **more}
    metadata = {f"gemma4.{key}": value for key, value in said.items()} | {
        "gemma4.attention.sliding_window_pattern": slides
    }
    with pytest.raises(ModelError, match=says):
        gguf_gemma.config("gemma4", metadata.get, {"token_embd.weight": (9, 8)}, None)
