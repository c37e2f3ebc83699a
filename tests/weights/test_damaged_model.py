"""A model's folder whose configuration, index, weights or tokenizer is damaged or contradicts the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.planning.published import MODELS, Model
from gemmalocal.weights import agree
from gemmalocal.weights.locate import locate
from tests.weights.damage import quiet, refused

CONFIGS: dict[str, tuple[Any, str]] = {  # a change of config.json, and what is said
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
    "10^9 layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    "a number of 4,000 digits": (
        {"num_hidden_layers": 10**4000},
        "is a number of more than 12 digits",
    ),
    "layers below 0": ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
    "layers in words": ({"num_hidden_layers": "two"}, "num_hidden_layers is 'two'"),
    "half a layer": ({"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
    "layers are true": ({"num_hidden_layers": True}, "num_hidden_layers is True"),
    "layers are a list": ({"num_hidden_layers": [2]}, r"num_hidden_layers is \[2\]"),
    "layers missing": ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
    "a width that is missing": ({"hidden_size": None}, "hidden_size is missing"),
    "an absurd width": ({"hidden_size": 10**12}, "hidden_size"),
    "an absurd vocabulary": ({"vocab_size": 10**9}, "vocab_size"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads is 0"),
    "heads that do not divide": ({"num_key_value_heads": 3}, "cannot be divided by num_key_value_heads"),
    "an epsilon of NaN": ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
    "an endless base": ({"rope_theta": float("inf")}, "rope_theta is inf"),
    "more layers than weights": ({"num_hidden_layers": 3}, "is 3, and the weights have 2 layers"),
    "fewer layers than weights": ({"num_hidden_layers": 1}, "is 1, and the weights have 2 layers"),
    "another width than the weights'": ({"hidden_size": 32}, "hidden_size is 32, and model.embed_tokens.weight is"),
    "another vocabulary than the weights'": ({"vocab_size": 7}, "vocab_size is 7, and model.embed_tokens.weight"),
    "another inner width": ({"intermediate_size": 64}, "mlp.down_proj.weight to be 64 x 64"),
    "other heads": ({"num_attention_heads": 2}, "self_attn.o_proj.weight to be 64 x 32"),
    "another head's size": ({"head_dim": 8}, "self_attn.k_proj.weight to be 8 x 64"),
    "layer types of others": ({"layer_types": ["full_attention"]}, "layer_types has 1 layer"),
    "a text_config that is a list": ({"text_config": [1]}, "text_config is not an object"),
    "layers of a kind that is not": (
        {"layer_types": ["full_attention", "round"]},
        "names 'round', and there is no such kind",
    ),
    "a family that is a list": ({"model_type": ["gemma"]}, "model_type is"),
    "positions of a list": ({"rope_parameters": [1]}, "rope_parameters is not an object"),
    "a factor of 0": ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "factor of rope_scaling is 0"),
    "a base of 0": ({"rope_parameters": {"full_attention": {"rope_theta": 0}}}, "rope_theta of rope_parameters is 0"),
    "quantized by a list": ({"quantization": [4]}, "quantization is not an object"),
    "no JSON": (b"{", "config.json is not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "deep": (b"[" * 100_000, "config.json is not JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "config.json is not JSON"),
}


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_is_absurd_or_contradicts_the_weights(case: str, model: Path) -> None:
    change, says = CONFIGS[case]
    file = model / "config.json"
    config = json.loads(file.read_text())
    file.write_bytes(change if isinstance(change, bytes) else json.dumps(config | change).replace("1e+", "1e").encode())
    refused(lambda: locate(str(model), quiet), says, "config.json")


def test_the_engines_refuse_it_as_well(model: Path) -> None:
    from gemmalocal.backends.mlx import model as mlx
    from gemmalocal.backends.torch import model as torch

    locate(str(model), quiet)
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-4])
    nothing: Any = None
    for load in (lambda: mlx.load(model, "auto"), lambda: torch.load(model, nothing, nothing)):
        refused(load, "its tensors take", "model.safetensors")


@pytest.mark.parametrize("published", MODELS, ids=lambda model: model.name)
def test_published_configurations_are_believed(published: Model) -> None:
    agree.check_numbers(published.size.config, published.name)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"weight_map": {"model.norm.weight": "model-2.safetensors"}}, "names model-2.safetensors, which is not there"),
        ({"weight_map": {"nothing": "model.safetensors"}}, "says that nothing is in model.safetensors, and it is not"),
        ({"weight_map": {"a": "../../model.safetensors"}}, "must map names to files"),
        ({"weight_map": ["model.safetensors"]}, "must map names to files"),
        ({"weight_map": {"a": 3}}, "must map names to files"),
        ([], "not a JSON object"),
        ({}, "must map names to files"),
    ],
)
def test_an_index_that_lies(index: Any, says: str, model: Path) -> None:
    (model / agree.INDEX).write_text(json.dumps(index))
    refused(lambda: locate(str(model), quiet), says, agree.INDEX)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": "1.0"', b"\xff{}", b"[" * 100_000, b'{"model": 3}'])
def test_a_damaged_tokenizer_is_named(content: bytes, model: Path) -> None:
    (model / "tokenizer.json").write_bytes(content)
    refused(lambda: Tokenizer(model), "is damaged", "tokenizer.json")
