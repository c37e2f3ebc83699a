"""Several voices in one forward pass: each says what it says alone, in every generation of Gemma."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
import transformers

from gemmalocal import recipe_file
from gemmalocal.backends import adapters, open_backend
from gemmalocal.backends.mlx import generate, model
from gemmalocal.backends.protocol import Sampling
from gemmalocal.errors import ModelError
from tests.backends.test_generations import configuration

BACKEND = open_backend("mlx")
NAMES = ["gemma1", "gemma2", "gemma3", "gemma3-vision", "gemma4", "gemma4-vision", "gemma4-experts"]
STOPS = set(range(0, 320, 13))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with random weights for each name; their window of 16 tokens is passed by every answer here."""
    made = {}
    for number, name in enumerate(NAMES):
        torch.manual_seed(number)
        config: Any = configuration(name)
        if name == "gemma2":
            config.sliding_window = 16
        kind: Any = getattr(transformers, config.architectures[0]) if config.architectures else None
        if name.endswith("-vision"):
            kind = getattr(transformers, f"Gemma{name[5]}ForConditionalGeneration")
        network = kind(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim > 1 else 0.2))
                if parameter.ndim == 1 and name.startswith("gemma4"):
                    parameter.add_(1)
        made[name] = tmp_path_factory.mktemp(name)
        network.save_pretrained(made[name])
    return made


def adapter(folder: Path, path: Path, target: Path, *overrides: str) -> Any:
    """Save an adapter that does something; the trainer it comes from."""
    recipe = recipe_file.load(str(path), [f"model={folder}", "lora.dropout=0", *overrides])
    made: Any = BACKEND.trainer(folder, recipe)
    for number, layer in enumerate(made._adapters):
        layer.lora_b = 0.3 * mx.random.normal(layer.lora_b.shape, key=mx.random.key(number))
        if "magnitude" in layer:
            layer.magnitude = layer.magnitude * 1.2
    target.mkdir()
    made.save(target)
    return made


def answers(generator: Any, prompts: Any, voices: list[int], sampling: Sampling) -> list[list[int]]:
    """The ids of each answer; the stream must be regular."""
    found: list[list[int]] = [[] for _ in prompts]
    for step, ids in enumerate(generator.stream(prompts, voices, sampling, STOPS)):
        assert len(ids) == len(prompts)
        for row, number in zip(found, ids, strict=True):
            assert (number is None) == bool(len(row) < step or (row and row[-1] in STOPS))
            if number is not None:
                row.append(number)
    return found


def some_prompts(count: int = 4) -> list[list[int]]:
    random = np.random.default_rng(5)
    return [random.integers(20, 300, length).tolist() for length in (3, 40, 11, 22, 1, 19)[:count]]


@pytest.mark.parametrize("name", NAMES)
def test_each_voice_says_what_the_trained_model_says_alone(
    folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    folder = folders[name]
    small = adapter(folder, recipe_path, tmp_path / "small", "lora.target_modules=[q_proj,down_proj]", "lora.rank=2")
    large = adapter(folder, recipe_path, tmp_path / "large", "method=dora", "lora.layers=2")
    base: Any = BACKEND.generator(folder)
    together: Any = BACKEND.generator(folder, [tmp_path / "small", tmp_path / "large"])
    prompts = some_prompts(6)
    found = answers(together, prompts, [0, 1, 2, 1, 2, 0], Sampling(max_tokens=24))
    wanted = [
        list(small.stream(prompts[1], 24, STOPS)),
        list(large.stream(prompts[2], 24, STOPS)),
        list(small.stream(prompts[3], 24, STOPS)),
        list(large.stream(prompts[4], 24, STOPS)),
    ]
    assert found[1:5] == wanted
    for row in (0, 5):
        assert [found[row]] == answers(base, prompts[row : row + 1], [0], Sampling(max_tokens=24))
    assert len({len(row) for row in found}) > 1  # some have left the batch before others


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_prompt_is_read_as_it_is_alone(folders: dict[str, Path], name: str) -> None:
    text, prompts = model.load(folders[name], "float32").text, some_prompts(6)
    together = generate._read(text, generate._cache(text, prompts), prompts)
    for prompt, states in zip(prompts, together, strict=True):
        alone = generate._read(text, generate._cache(text, [prompt]), [prompt])[0]
        np.testing.assert_allclose(np.array(states), np.array(alone), atol=1e-4 * float(mx.max(mx.abs(alone))))


@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma4"])
def test_greedy_answers_are_those_of_transformers(folders: dict[str, Path], name: str) -> None:
    prompts = some_prompts(3)
    found = answers(BACKEND.generator(folders[name]), prompts, [0, 0, 0], Sampling(max_tokens=20))
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(
        folders[name], dtype=torch.float32, attn_implementation="eager"
    )
    for prompt, ids in zip(prompts, found, strict=True):
        with torch.no_grad():
            whole = theirs(torch.tensor([prompt + ids])).logits[0]
        wanted = whole[len(prompt) - 1 : -1]
        chosen = wanted[torch.arange(len(ids)), torch.tensor(ids)]
        assert torch.all(wanted.max(dim=-1).values - chosen < 1e-3)  # the likeliest, or its equal


def test_a_long_prompt_is_read_in_pieces(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, sampling = some_prompts(4), Sampling(max_tokens=12)
    generator = BACKEND.generator(folders["gemma4"])
    whole = answers(generator, prompts, [0] * 4, sampling)
    monkeypatch.setattr(generate, "PREFILL", 28)  # 7 tokens of each at once
    assert answers(generator, prompts, [0] * 4, sampling) == whole


def test_draws_are_reproducible_and_blind_to_other_rows(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    adapter(tiny, recipe_path, tmp_path / "a")
    generator = BACKEND.generator(tiny, [tmp_path / "a"])
    prompts = some_prompts(3)
    sampling = Sampling(temperature=1.5, top_p=0.95, top_k=40, seed=3, max_tokens=16)
    found = answers(generator, prompts, [0, 1, 0], sampling)
    assert found == answers(generator, prompts, [0, 1, 0], sampling)
    assert found != answers(generator, prompts, [0, 1, 0], sampling._replace(seed=4))
    assert found[1:2] == answers(generator, prompts[1:2], [1], sampling)
    twice = answers(generator, [prompts[0]] * 2, [0, 0], sampling)
    assert twice[0] == found[0]
    assert twice[1] != twice[0]


def test_draws_follow_the_probabilities() -> None:
    from gemmalocal.backends.mlx.generate import _choose

    shares = np.array([0.5, 0.25, 0.15, 0.06, 0.04])
    logits = mx.array(np.log(np.tile(shares, (400, 1))).astype(np.float32))

    def drawn(**settings: float) -> Any:
        sampling = Sampling(seed=1, **settings)  # type: ignore[arg-type]
        ids: Any = _choose(logits, sampling, [(row, 0) for row in range(400)])
        return np.bincount(np.array(ids), minlength=5) / 400

    np.testing.assert_allclose(drawn(temperature=1), shares, atol=0.06)
    np.testing.assert_allclose(drawn(temperature=0.5), shares**2 / (shares**2).sum(), atol=0.06)
    np.testing.assert_allclose(drawn(temperature=1, top_k=2), [2 / 3, 1 / 3, 0, 0, 0], atol=0.06)
    np.testing.assert_allclose(drawn(temperature=1, top_p=0.8), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0, 0], atol=0.06)
    assert drawn(temperature=1, top_p=0.01)[0] == 1  # the likeliest always stays
    assert drawn(temperature=1, top_k=99).all()


def test_an_adapter_of_another_model_is_refused(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    adapter(tiny, recipe_path, tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    for file in tiny.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    from tests.conftest import random_weights

    save = __import__("safetensors.numpy", fromlist=["save_file"]).save_file
    config |= {"intermediate_size": 96, "num_hidden_layers": 1}
    (other / "config.json").write_text(json.dumps(config))
    save(random_weights(config), other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="does not fit the model|has not"):
        BACKEND.generator(other, [tmp_path / "a"])
    settings = tmp_path / "a" / adapters.CONFIG
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"alpha_pattern": {"x": 1}}))
    with pytest.raises(ModelError, match="alpha_pattern"):
        BACKEND.generator(tiny, [tmp_path / "a"])
    (tmp_path / "a" / adapters.WEIGHTS).unlink()
    with pytest.raises(ModelError, match="no adapter that can be read"):
        BACKEND.generator(tiny, [tmp_path / "a"])


def test_quantized_weights_have_voices_too(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    tuned = adapter(tiny, recipe_path, tmp_path / "q", "quantize=8bit")
    generator = BACKEND.generator(tiny, [tmp_path / "q"], quantize=8)
    prompts = some_prompts(2)
    found = answers(generator, prompts, [0, 1], Sampling(max_tokens=12))
    assert found[1] == list(tuned.stream(prompts[1], 12, STOPS))
