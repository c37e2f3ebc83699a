"""PEFT's layout and mlx-lm's: the names of every generation, and adapters that go there and back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch
import transformers
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import _get_classes, load_model
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from gemmalocal.backends import convert_adapter, peft_adapter
from gemmalocal.backends.mlx import config_compat, mlx_lm_fixes
from gemmalocal.data.batches import BatchShape, MicroBatch, plan
from gemmalocal.errors import ModelError
from gemmalocal.recipe import recipe_file
from tests.backends.test_generations import EYE, NAMES, SIX, WRAPPED, configuration, saved, theirs, trainer
from tests.backends.truth import some_rows
from tests.here import run

TARGETS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
CROSSED = ["gemma1", "gemma2", "gemma3", "gemma3-vision", "gemma4", "gemma4-vision", "gemma4-unified", "gemma4-experts"]
SHAPES = {"lora_a": (2, 3), "lora_b": (3, 2)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(CROSSED, tmp_path_factory)


def three_n() -> Any:
    text = SIX | {
        "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 320,
        "laurel_rank": 4, "altup_num_inputs": 2, "layer_types": ["sliding_attention", "full_attention"] * 3,
        "intermediate_size": [96] * 6, "activation_sparsity_pattern": [0.0] * 6,
    }  # fmt: skip
    made = transformers.Gemma3nConfig(text_config=text)
    eye = transformers.SiglipVisionConfig(**EYE)  # its own tower wants a library that we do not have
    eye.vocab_size, eye.vocab_offset, eye.rms_norm_eps = 8, 300, 1e-6
    object.__setattr__(made, "vision_config", eye)  # past the check of types
    return made


def theirs_on_meta(name: str) -> tuple[dict[str, Any], set[str]]:
    """The config.json, and the names of the projections of the text model's layers, in transformers' class."""
    config = three_n() if name == "gemma3n" else configuration(name)
    kind = {**WRAPPED, "gemma3n": "Gemma3nForConditionalGeneration"}.get(name)
    with torch.device("meta"):
        made = getattr(transformers, kind)(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
    modules = {one for one, module in made.named_modules() if isinstance(module, torch.nn.Linear)}
    return config.to_dict(), {one for one in modules if adapted(one)}


def adapted(name: str) -> bool:
    parts = name.split(".")
    towers = {"vision_tower", "audio_tower", "vision_embedder", "embed_vision", "embed_audio", "vision_model"}
    return parts[-1] in TARGETS and "layers" in parts and not towers & set(parts)


@pytest.mark.parametrize("name", [*NAMES, "gemma3n"])
def test_both_libraries_have_the_projections_that_the_names_say(name: str) -> None:
    config, peft_names = theirs_on_meta(name)
    kind, arguments = _get_classes(config)
    if name == "gemma3n":  # transformers' older words, which the published files have
        config["text_config"] |= {"rope_theta": 1e6, "rope_local_base_freq": 1e4}
    made = kind(arguments.from_dict(config_compat.overrides(config) | config))
    mlx_names = {one for one, module in made.named_modules() if isinstance(module, nn.Linear) and adapted(one)}
    places = convert_adapter.MODULE_PREFIXES[config["model_type"]]
    inner = {one.removeprefix(places.peft) for one in peft_names}
    assert all(one.startswith("layers.") for one in inner)
    assert {
        one for name in mlx_names if not convert_adapter._shares_keys(one := name.removeprefix(places.mlx), config)
    } == inner
    layers = config.get("text_config", config)["num_hidden_layers"]
    assert {one.split(".")[1] for one in inner} == {str(number) for number in range(layers)}


def changed(folder: Path, recipe_path: Path, into: Path, method: str = "lora") -> tuple[Any, MicroBatch]:
    """A trainer whose adapter does something, saved in `into`, and a batch."""
    made = trainer(folder, recipe_path, f"method={method}", "lora.layers=3", "lora.alpha=6")
    for adapter in made._adapters:
        if method == "dora":
            adapter.magnitude = adapter.magnitude * 1.1
    into.mkdir()
    made.save(into)
    (batch,) = plan(some_rows(), BatchShape(1, 10_000, 10_000))
    return made, batch


def config_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def mlx_lm_loss(folder: Path, adapter: Path, batch: MicroBatch) -> float:
    """Summed, by mlx-lm's own classes and its own reading of the adapter; mended as ours are (families.py)."""
    config = config_of(folder)
    model, _ = load_model(folder, model_config=config_compat.overrides(config))
    mlx_lm_fixes.apply_fixes(model.language_model if "language_model" in model else model, config["model_type"])
    load_adapters(model, str(adapter))
    model.eval()
    logits = model(mx.array(batch.ids[:, :-1])).astype(mx.float32)
    losses = nn.losses.cross_entropy(logits, mx.array(batch.ids[:, 1:])) * mx.array(batch.weights[:, 1:])
    return float(losses.sum())


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", CROSSED)
def test_mlx_lm_reads_ours_with_the_same_loss_and_peft_what_comes_back(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str, method: str
) -> None:
    made, batch = changed(folders[name], recipe_path, tmp_path / "ours", method)
    config = config_of(folders[name])
    convert_adapter.to_mlx(tmp_path / "ours", config, tmp_path / "mlx")
    loss = made.evaluate([batch])[0]
    assert mlx_lm_loss(folders[name], tmp_path / "mlx", batch) == pytest.approx(loss, rel=1e-4)
    convert_adapter.to_peft(tmp_path / "mlx", config, str(folders[name]), tmp_path / "back")
    first, again = (load_file(tmp_path / one / peft_adapter.WEIGHTS) for one in ("ours", "back"))
    assert first.keys() == again.keys()
    assert all((first[key] == again[key]).all() for key in first)
    mine, back = (json.loads((tmp_path / one / peft_adapter.CONFIG).read_text()) for one in ("ours", "back"))
    assert mine | {"target_modules": 0} == back | {"target_modules": 0}


@pytest.mark.parametrize("name", CROSSED)
def test_peft_finds_every_tensor_and_no_other(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    from peft import PeftModel, get_peft_model_state_dict

    changed(folders[name], recipe_path, tmp_path / "ours")
    config = config_of(folders[name])
    convert_adapter.to_mlx(tmp_path / "ours", config, tmp_path / "mlx")
    convert_adapter.to_peft(tmp_path / "mlx", config, str(folders[name]), tmp_path / "back")
    tuned = PeftModel.from_pretrained(theirs(folders[name]), str(tmp_path / "back"))
    found = get_peft_model_state_dict(tuned)
    wanted = load_file(tmp_path / "ours" / peft_adapter.WEIGHTS)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[key].numpy(), wanted[key]) for key in wanted)


def test_what_mlx_lm_trained_comes_to_us(folders: dict[str, Path], recipe_path: Path, tmp_path: Path) -> None:
    """In bfloat16, which numpy does not have."""
    made, batch = changed(folders["gemma3"], recipe_path, tmp_path / "ours")
    config = config_of(folders["gemma3"])
    convert_adapter.to_mlx(tmp_path / "ours", config, tmp_path / "mlx")
    halves = {
        key: torch.tensor(value).bfloat16()
        for key, value in load_file(tmp_path / "mlx" / "adapters.safetensors").items()
    }
    save_torch(halves, tmp_path / "mlx" / convert_adapter.MLX_WEIGHTS)
    convert_adapter.to_peft(tmp_path / "mlx", config, "some/base", tmp_path / "back")
    again = trainer(folders["gemma3"], recipe_path, "lora.layers=3", "lora.alpha=6")
    for file in tmp_path.joinpath("ours").iterdir():  # the optimizer's state
        if not (tmp_path / "back" / file.name).exists():
            (tmp_path / "back" / file.name).write_bytes(file.read_bytes())
    again.restore(tmp_path / "back")
    assert again.evaluate([batch])[0] == pytest.approx(made.evaluate([batch])[0], rel=0.01)
    assert json.loads((tmp_path / "back" / peft_adapter.CONFIG).read_text())["lora_alpha"] == 6


def test_equal_adapters_give_equal_files(tmp_path: Path) -> None:
    """safetensors gives a file's tensors in another order each time, and the lists of modules followed it."""
    source = tmp_path / "ours"
    source.mkdir()
    modules = [f"self_attn.{part}_proj" for part in "qkvo"] + [f"mlp.{part}_proj" for part in ("gate", "up", "down")]
    names = [f"model.layers.{layer}.{module}.{inner}" for layer in (1, 2) for module in modules for inner in SHAPES]
    tensors = {peft_adapter.to_disk(name): np.ones(SHAPES[name.rpartition(".")[2]], np.float32) for name in names}
    save_file(tensors, source / peft_adapter.WEIGHTS)
    config = peft_adapter.lora_config("some/base", 2, 4.0, 0.0, dora=False)
    (source / peft_adapter.CONFIG).write_text(json.dumps(config))
    model = {"model_type": "gemma3_text", "num_hidden_layers": 3}
    written = set()
    for attempt in range(4):
        mlx, back = tmp_path / f"mlx{attempt}", tmp_path / f"back{attempt}"
        convert_adapter.to_mlx(source, model, mlx)
        convert_adapter.to_peft(mlx, model, "some/base", back)
        written.add(tuple(file.read_bytes() for folder in (mlx, back) for file in sorted(folder.iterdir())))
    assert len(written) == 1
    assert json.loads((mlx / convert_adapter.CONFIG).read_text())["lora_parameters"]["keys"] == sorted(modules)


def test_what_cannot_cross_is_refused_with_the_reason(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path
) -> None:
    changed(folders["gemma3"], recipe_path, tmp_path / "ours")
    config = config_of(folders["gemma3"])
    with pytest.raises(ModelError, match="is not a LoRA tensor of this model's layers"):
        convert_adapter.to_mlx(tmp_path / "ours", config_of(folders["gemma3-vision"]), tmp_path / "no")
    with pytest.raises(ModelError, match="'llama'"):
        convert_adapter.to_mlx(tmp_path / "ours", {"model_type": "llama"}, tmp_path / "no")
    convert_adapter.to_mlx(tmp_path / "ours", config, tmp_path / "mlx")
    about = json.loads((tmp_path / "ours" / peft_adapter.CONFIG).read_text())
    (tmp_path / "ours" / peft_adapter.CONFIG).write_text(json.dumps(about | {"rank_pattern": {"q_proj": 2}}))
    with pytest.raises(ModelError, match="rank_pattern"):
        convert_adapter.to_mlx(tmp_path / "ours", config, tmp_path / "no")
    expert = {"model.layers.0.experts.switch_glu.up_proj.lora_a": np.zeros((2, 3, 4), np.float32)}
    save_file(expert, tmp_path / "mlx" / convert_adapter.MLX_WEIGHTS)
    with pytest.raises(ModelError, match="expert"):
        convert_adapter.to_peft(tmp_path / "mlx", config, "base", tmp_path / "no")
    (tmp_path / "mlx" / convert_adapter.MLX_WEIGHTS).write_bytes(b"broken")
    with pytest.raises(ModelError, match="adapters.safetensors is damaged"):
        convert_adapter.to_peft(tmp_path / "mlx", config, "base", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_the_command_writes_what_mlx_lm_generates_with(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    assert run("train", str(recipe_path), "--name", "one").returncode == 0
    done = run("adapter", "one", str(tmp_path / "mlx"), "--to", "mlx-lm")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "mlx")), done.stderr
    words = [
        "generate",
        "--model",
        str(tiny),
        "--adapter-path",
        str(tmp_path / "mlx"),
        "--prompt",
        "the quote",
        "-m",
        "5",
    ]
    said = subprocess.run([sys.executable, "-m", "mlx_lm", *words], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    back = run("adapter", str(tmp_path / "mlx"), str(tmp_path / "back"), "--to", "peft", "--json")
    assert json.loads(back.stdout)["model"] == recipe_file.load(str(recipe_path), ()).model
    assert run("adapter", "one", str(tmp_path / "mlx"), "--to", "mlx-lm").returncode == 2  # is there already
    assert run("adapter", "one", str(tmp_path / "new"), "--to", "peft").returncode == 2  # is so already
    assert run("adapter", "nothing", str(tmp_path / "new"), "--to", "mlx-lm").returncode == 2
