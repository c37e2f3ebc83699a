"""Torch against the truth (transformers' whole logits, PEFT) and against MLX, for every generation of Gemma."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gemmalocal.backends import full_model, open_backend, peft_adapter
from gemmalocal.data.batches import BatchShape, MicroBatch, plan
from gemmalocal.errors import ModelError
from gemmalocal.recipe import recipe_file
from tests.backends.test_generations import NAMES, saved, theirs, whole_recipe
from tests.backends.truth import some_rows

ROUGH = BatchShape(8, 10_000, 10_000)
(BATCH,) = plan(some_rows(), ROUGH)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(NAMES, tmp_path_factory)


def trainer(folder: Path, path: Path, *overrides: str, backend: str = "torch") -> Any:
    recipe = recipe_file.load(str(path), [f"model={folder}", "lora.dropout=0", *overrides])
    return open_backend(backend).trainer(folder, recipe)


def stirred(made: Any) -> Any:
    """The trainer, with an adapter that does something."""
    random = np.random.default_rng(0)
    with torch.no_grad():
        for adapter in made._adapters:
            adapter.lora_b.copy_(torch.from_numpy(0.1 * random.standard_normal(adapter.lora_b.shape)))
            if hasattr(adapter, "magnitude"):
                adapter.magnitude.mul_(1.1)
    return made


def plain_loss(model: Any, batch: MicroBatch) -> torch.Tensor:
    """Summed, by padded rows and whole logits."""
    ids = torch.from_numpy(batch.ids.astype(np.int64))
    logits = model(input_ids=ids[:, :-1]).logits
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (each * torch.from_numpy(batch.weights[:, 1:])).sum()


def merged(made: Any, folder: Path) -> tuple[Any, dict[str, torch.nn.Parameter]]:
    """Transformers' own model with the adapter added to its weights, and these weights by our modules' names."""
    model = theirs(folder)
    inner = "model.language_model." if made._wrapped else "model."
    weights = {}
    for name, adapter in named_adapters(made):
        weight = model.get_submodule(name.replace("model.", inner, 1)).weight
        with torch.no_grad():
            weight += adapter.scale * adapter.lora_b @ adapter.lora_a
        weights[name] = weight
    return model, weights


def named_adapters(made: Any) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in made._model.named_modules() if hasattr(module, "lora_a")]


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_equal_full_logits(folders: dict[str, Path], recipe_path: Path, name: str) -> None:
    for checkpointing in ("true", "false"):
        made = stirred(trainer(folders[name], recipe_path, f"train.checkpointing={checkpointing}"))
        model, weights = merged(made, folders[name])
        value = plain_loss(model, BATCH)
        torch.autograd.backward(value)
        made.accumulate([BATCH])
        assert made._loss == pytest.approx(value.item(), rel=1e-5)
        assert made.evaluate([BATCH])[0] == pytest.approx(value.item(), rel=1e-5)
        for path, adapter in named_adapters(made):
            slope = weights[path].grad
            assert slope is not None
            near(adapter.lora_b.grad, adapter.scale * slope @ adapter.lora_a.T)
            near(adapter.lora_a.grad, adapter.scale * adapter.lora_b.T @ slope)


def near(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance * (float(wanted.abs().max()) + 1e-6))


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_crosses_over_both_ways_and_to_peft(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str, method: str
) -> None:
    ours = stirred(trainer(folders[name], recipe_path, f"method={method}", "lora.layers=3"))
    mlx = trainer(folders[name], recipe_path, f"method={method}", "lora.layers=3", backend="mlx")
    wanted = ours.evaluate([BATCH])[0]
    for made in (ours, mlx):
        (tmp_path / made.__class__.__name__).mkdir()
        made.save(tmp_path / made.__class__.__name__)
    by_torch, by_mlx = tmp_path / "TorchTrainer", tmp_path / "MlxTrainer"
    assert (by_torch / peft_adapter.CONFIG).read_text() == (by_mlx / peft_adapter.CONFIG).read_text()
    shutil.copy(by_torch / peft_adapter.WEIGHTS, by_mlx)
    mlx.restore(by_mlx)
    assert mlx.evaluate([BATCH])[0] == pytest.approx(wanted, rel=1e-4)
    (by_mlx / peft_adapter.WEIGHTS).unlink()
    mlx.save(by_mlx)  # what MLX writes, torch reads
    again = trainer(folders[name], recipe_path, f"method={method}", "lora.layers=3")
    shutil.copy(by_mlx / peft_adapter.WEIGHTS, by_torch)
    again.restore(by_torch)
    assert again.evaluate([BATCH])[0] == pytest.approx(wanted, rel=1e-6)
    if name != "gemma4-experts":  # PEFT takes its experts' down_proj for a target
        from peft import PeftModel

        with torch.no_grad():
            tuned = PeftModel.from_pretrained(theirs(folders[name]), str(by_torch))
            assert float(plain_loss(tuned, BATCH)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", ["gemma2", "gemma3", "gemma4"])
def test_steps_are_those_of_mlx(folders: dict[str, Path], recipe_path: Path, name: str, method: str) -> None:
    found = []
    for backend in ("mlx", "torch"):
        made = trainer(folders[name], recipe_path, f"method={method}", backend=backend)
        steps = []
        for _ in range(6):
            made.accumulate([BATCH])
            steps.append(made.apply(3e-3).loss)
        found.append(steps)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)


@pytest.mark.parametrize("name", ["adamw", "adafactor", "lion"])
def test_optimizers_are_those_of_mlx(tiny: Path, recipe_path: Path, name: str) -> None:
    found = []
    for backend in ("mlx", "torch"):
        made = trainer(tiny, recipe_path, f"train.optimizer={name}", "train.weight_decay=0.1", backend=backend)
        for _ in range(4):
            made.accumulate([BATCH])
            made.apply(1e-3)
        found.append(made.evaluate([BATCH])[0])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma4"])
def test_a_whole_model_is_trained_and_loads_elsewhere(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    recipe = whole_recipe(recipe_path, folders[name])
    made: Any = open_backend("torch").trainer(folders[name], recipe)
    model = theirs(folders[name])
    value = plain_loss(model, BATCH)
    torch.autograd.backward(value)
    made.accumulate([BATCH])
    assert made._loss == pytest.approx(value.item(), rel=1e-5)
    wanted = dict(model.named_parameters())
    assert set(made._names) == set(wanted)
    for path, weight in zip(made._names, made._weights, strict=True):
        near(weight.grad, wanted[path].grad)
    made.apply(1e-3)
    after = made.evaluate([BATCH])[0]
    assert after < value.item()
    (tmp_path / "checkpoint").mkdir()
    made.save(tmp_path / "checkpoint")
    full_model.deliver(tmp_path / "checkpoint", folders[name], tmp_path / "model")
    with torch.no_grad():
        assert float(plain_loss(theirs(tmp_path / "model"), BATCH)) == pytest.approx(after, rel=1e-5)


def test_what_cannot_be_tuned_is_refused_with_the_reason(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path
) -> None:
    recipe = whole_recipe(recipe_path, folders["gemma3"])
    for name, why in (("gemma4-experts", "experts"), ("gemma3-vision", "multimodal")):
        with pytest.raises(ModelError, match=why):
            open_backend("torch").trainer(folders[name], recipe)
    for content, why in (
        ('{"model_type": "gemma3n"}', "gemma3n"),
        ('{"model_type": "llama"}', "llama"),
        ("", "loaded"),
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ModelError, match=why):
            open_backend("torch").trainer(tmp_path, recipe)
