"""Every generation of Gemma against transformers: logits, cache, loss and gradients, adapters that cross over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
import transformers
from mlx_lm.models.cache import make_prompt_cache

from gemmalocal.backends import full_model, open_backend
from gemmalocal.backends.mlx import config_compat, model
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.errors import ModelError
from gemmalocal.planning import model_sizes
from gemmalocal.recipe import recipe_file
from tests.backends.truth import close, gradient, reference, some_rows

SMALL: dict[str, Any] = {
    "vocab_size": 320, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0, "eos_token_id": 1,
    "bos_token_id": 2,
}  # fmt: skip
SIX = SMALL | {"num_hidden_layers": 6, "sliding_window": 16}
ROPES = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 20_000.0},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500_000.0},
}
GEMMA3 = SIX | {"query_pre_attn_scalar": 24, "rope_parameters": ROPES}
GEMMA4 = SIX | {
    "layer_types": ["sliding_attention", "full_attention"] * 3, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 320, "num_kv_shared_layers": 2, "global_head_dim": 32, "final_logit_softcapping": 5.0,
}  # fmt: skip
EXPERTS = SIX | {
    "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0, "global_head_dim": 32, "enable_moe_block": True,
    "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32, "attention_k_eq_v": True,
    "num_global_key_value_heads": 1,
}  # fmt: skip
EYE = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip


def configuration(name: str) -> Any:
    """Of a tiny model, in transformers' words."""
    made = {
        "gemma1": lambda: transformers.GemmaConfig(**SMALL),
        "gemma2": lambda: transformers.Gemma2Config(**SMALL, query_pre_attn_scalar=24, sliding_window=64),
        "gemma3": lambda: transformers.Gemma3TextConfig(**GEMMA3),
        "gemma3-vision": lambda: transformers.Gemma3Config(
            text_config=GEMMA3, vision_config=EYE, mm_tokens_per_image=4, image_token_index=300
        ),
        "gemma4": lambda: transformers.Gemma4TextConfig(**GEMMA4),
        "gemma4-vision": lambda: transformers.Gemma4Config(text_config=GEMMA4, vision_config=EYE, audio_config=None),
        "gemma4-unified": lambda: transformers.Gemma4UnifiedConfig(
            text_config={key: value for key, value in GEMMA4.items() if "per_layer_input" not in key},
            vision_config=EYE,
            audio_config=None,
        ),
        "gemma4-experts": lambda: transformers.Gemma4TextConfig(**EXPERTS),
    }
    return made[name]()


NAMES = ["gemma1", "gemma2", "gemma3", "gemma3-vision", "gemma4", "gemma4-vision", "gemma4-unified", "gemma4-experts"]
WRAPPED = {
    "gemma3-vision": "Gemma3ForConditionalGeneration",
    "gemma4-vision": "Gemma4ForConditionalGeneration",
    "gemma4-unified": "Gemma4UnifiedForConditionalGeneration",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(NAMES, tmp_path_factory)


def saved(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with random weights for each name, as transformers saves it."""
    made = {}
    for number, name in enumerate(names):
        torch.manual_seed(number)
        config = configuration(name)
        kind: Any = getattr(transformers, WRAPPED[name]) if name in WRAPPED else None
        network = kind(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn_like(parameter) * (0.1 if parameter.ndim > 1 else 0.2))
                if parameter.ndim == 1 and name.startswith("gemma4"):
                    parameter.add_(1)  # the norms of Gemma 4 have no `1 +`
        made[name] = tmp_path_factory.mktemp(name)
        network.save_pretrained(made[name])
    return made


def theirs(folder: Path) -> Any:
    kind = WRAPPED.get(folder.name.rstrip("0"), "AutoModelForCausalLM")
    return getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def trainer(folder: Path, path: Path, *overrides: str) -> Any:
    """A trainer whose adapter does something."""
    recipe = recipe_file.load(str(path), [f"model={folder}", "lora.dropout=0", *overrides])
    made: Any = open_backend("mlx").trainer(folder, recipe)
    for number, adapter in enumerate(made._adapters):
        adapter.lora_b = 0.1 * mx.random.normal(adapter.lora_b.shape, key=mx.random.key(number))
    return made


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_transformers_and_the_cache_changes_nothing(folders: dict[str, Path], name: str) -> None:
    ids = np.random.default_rng(1).integers(3, 300, (2, 40))
    text = model.load(folders[name], "float32").language_model
    ours = np.array(text(mx.array(ids)))
    with torch.no_grad():
        others = theirs(folders[name])(torch.tensor(ids)).logits.numpy()
    np.testing.assert_allclose(ours, others, atol=1e-3)
    cache = make_prompt_cache(text)
    text(mx.array(ids[:1, :30]), cache=cache)
    steps = [np.array(text(mx.array(ids[:1, place : place + 1]), cache=cache))[0, 0] for place in range(30, 40)]
    np.testing.assert_allclose(np.stack(steps), ours[0, 30:], atol=1e-4)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_equal_full_logits(
    folders: dict[str, Path], recipe_path: Path, name: str, method: str
) -> None:
    (batch,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
    choices = [(f"method={method}", f"train.checkpointing={checkpointing}") for checkpointing in ("true", "false")]
    trainers = [trainer(folders[name], recipe_path, *choice) for choice in choices]
    value, slopes = reference(trainers[0], batch)
    for made in trainers:
        made.accumulate([batch])
        assert float(made._loss) == pytest.approx(value, rel=1e-5)
        close(gradient(made), slopes, 1e-3)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_packed_rows_do_not_see_each_other(
    folders: dict[str, Path], recipe_path: Path, name: str, checkpointing: str
) -> None:
    found = []
    for packed in (False, True):
        made = trainer(folders[name], recipe_path, f"train.checkpointing={checkpointing}")
        parts = plan(some_rows(), BatchShape(8, 0, 256, packed=packed))
        assert any(part.segments for part in parts) == packed
        for part in parts:
            made.accumulate([part])
        found.append((float(made._loss), gradient(made), sum(made.evaluate([part])[0] for part in parts)))
    (loss, slopes, total), (packed_loss, packed_gradient, packed_total) = found
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    assert packed_total == pytest.approx(total, rel=1e-5)
    close(packed_gradient, slopes, 1e-3)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3-vision", "gemma4", "gemma4-vision"])
def test_peft_reads_the_adapter_and_finds_the_same_loss(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str, method: str
) -> None:
    from peft import PeftModel

    made = trainer(folders[name], recipe_path, f"method={method}", "lora.layers=3")
    for adapter in made._adapters:
        if method == "dora":
            adapter.magnitude = adapter.magnitude * 1.1
    (batch,) = plan(some_rows(1), BatchShape(1, 10_000, 10_000))
    folder = tmp_path / "adapter"
    folder.mkdir()
    made.save(folder)
    tuned = PeftModel.from_pretrained(theirs(folders[name]), str(folder))
    trained = made._trainable.by_projection(made._trainable.named)
    assert len([one for one, _ in tuned.named_parameters() if "lora_" in one]) == len(trained)
    ids = torch.tensor(batch.ids).long()
    with torch.no_grad():
        logits = tuned(input_ids=ids[:, :-1]).logits
    each = torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="none")
    wanted = float((each * torch.tensor(batch.weights[0, 1:])).sum())
    assert made.evaluate([batch])[0] == pytest.approx(wanted, rel=1e-4)
    again = trainer(folders[name], recipe_path, f"method={method}", "lora.layers=3")
    again.restore(folder)
    assert again.evaluate([batch])[0] == made.evaluate([batch])[0]


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_quantized_weights_are_frozen_and_the_adapter_learns(
    tiny: Path, recipe_path: Path, tmp_path: Path, bits: str
) -> None:
    made = trainer(tiny, recipe_path, f"quantize={bits}", "method=dora")
    assert {module.bits for module in made._model.modules() if hasattr(module, "bits")} == {int(bits[0])}
    (batch,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
    value, slopes = reference(made, batch)
    made.accumulate([batch])
    assert float(made._loss) == pytest.approx(value, rel=1e-5)
    close(gradient(made), slopes, 1e-3)
    plain = trainer(tiny, recipe_path, "method=dora").evaluate([batch])[0]
    assert float(made._loss) == pytest.approx(plain, rel=0.05)
    assert float(made._loss) != plain
    assert {name.rsplit(".", 1)[1] for name in made._trainable.names} == {"lora_a", "lora_b", "magnitude"}


def whole_recipe(path: Path, folder: Path) -> Any:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("lora")]
    path.write_text("\n".join(["method: full", *lines]))
    return recipe_file.load(str(path), [f"model={folder}"])


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma4"])
def test_a_whole_model_is_trained_and_loads_elsewhere(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    made: Any = open_backend("mlx").trainer(folders[name], whole_recipe(recipe_path, folders[name]))
    (batch,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
    value, slopes = reference(made, batch)
    made.accumulate([batch])
    assert float(made._loss) == pytest.approx(value, rel=1e-5)
    close(gradient(made), slopes, 1e-3)
    made.apply(1e-3)
    assert made.evaluate([batch])[0] < value
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    made.save(checkpoint)
    full_model.deliver(checkpoint, folders[name], tmp_path / "model")
    ids = np.random.default_rng(1).integers(3, 300, (1, 20))
    with torch.no_grad():
        others = theirs(tmp_path / "model")(torch.tensor(ids)).logits.numpy()
    np.testing.assert_allclose(np.array(made._model(mx.array(ids))), others, atol=1e-3)


def test_what_cannot_be_tuned_is_refused_with_the_reason(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3n"}))
    with pytest.raises(ModelError, match="other logits in training"):
        model.load(tmp_path, "float32")
    recipe = whole_recipe(recipe_path, folders["gemma4-experts"])
    for name, why in (("gemma4-experts", "experts"), ("gemma3-vision", "multimodal")):
        with pytest.raises(ModelError, match=why):
            open_backend("mlx").trainer(folders[name], recipe)


def test_old_and_new_configurations_say_the_same() -> None:
    found = config_compat.overrides({"model_type": "gemma3_text", "rope_parameters": ROPES})
    assert found["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}
    assert (found["rope_theta"], found["rope_local_base_freq"]) == (500_000.0, 20_000.0)
    assert config_compat.overrides({"model_type": "gemma3_text", "rope_theta": 1e6, "rope_scaling": None}) == {}
    irregular = ["full_attention", "sliding_attention", "sliding_attention"]
    with pytest.raises(ModelError, match="no regular pattern"):
        config_compat.overrides({"model_type": "gemma3_text", "layer_types": irregular})
    assert model_sizes.towers_left_out({"vision_config": {}, "audio_config": {"layers": 1}}) == ["the audio tower"]
