"""Several voices in one forward pass: each says what it says alone, in every generation of Gemma."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from gemmalocal.backends import BACKENDS, open_backend, peft_adapter
from gemmalocal.backends.decoding import draw
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.generate import MlxRows
from gemmalocal.backends.protocol import Sampling
from gemmalocal.backends.torch import attention, kv_cache
from gemmalocal.backends.torch.frozen_linear import has_few_rows, product_of_few
from gemmalocal.backends.torch.generate import TorchRows
from gemmalocal.errors import ModelError
from gemmalocal.recipe import recipe_file
from tests.backends.conftest import path
from tests.backends.test_generations import configuration
from tests.conftest import random_weights
from tests.engine.toy import Babbler

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


GPU_PATH = "mlx, GPU path"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    return open_backend(request.param)


@pytest.fixture(params=[*BACKENDS, GPU_PATH])
def path_backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A backend, and MLX on the GPU's path."""
    with path(compute_path.GPU.name) if request.param == GPU_PATH else contextlib.nullcontext():
        yield open_backend(request.param.partition(",")[0])


def adapter(backend: Any, folder: Path, path: Path, target: Path, *overrides: str) -> Any:
    """Save an adapter that does something; a trainer that has it."""
    recipe = recipe_file.load(str(path), [f"model={folder}", "lora.dropout=0", *overrides])
    made: Any = backend.trainer(folder, recipe)
    target.mkdir()
    made.save(target)
    random, tensors = np.random.default_rng(4), load_file(target / peft_adapter.WEIGHTS)
    for name, value in tensors.items():
        if "lora_B" in name:
            tensors[name] = (0.3 * random.standard_normal(value.shape)).astype(np.float32)
        elif "magnitude" in name:
            tensors[name] = value * np.float32(1.2)
    save_file(tensors, target / peft_adapter.WEIGHTS, {"format": "pt"})
    made.load(target)
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
    path_backend: Any, folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str
) -> None:
    backend = path_backend
    folder, both = folders[name], [tmp_path / "small", tmp_path / "large"]
    few = ("lora.target_modules=[q_proj,down_proj]", "lora.rank=2")
    small = adapter(backend, folder, recipe_path, both[0], *few)
    large = adapter(backend, folder, recipe_path, both[1], "method=dora", "lora.layers=2")
    together, prompts = backend.generator(folder, both), some_prompts(6)
    found = answers(together, prompts, [0, 1, 2, 1, 2, 0], Sampling(max_tokens=18))
    wanted = [
        list(small.stream(prompts[1], 18, STOPS)),
        list(large.stream(prompts[2], 18, STOPS)),
        list(small.stream(prompts[3], 18, STOPS)),
        list(large.stream(prompts[4], 18, STOPS)),
    ]
    assert found[1:5] == wanted
    base = backend.generator(folder)
    for row in (0, 5):
        assert [found[row]] == answers(base, prompts[row : row + 1], [0], Sampling(max_tokens=18))
    assert len({len(row) for row in found}) > 1  # some have left the batch before others


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_read_as_it_is_alone(backend: Any, folders: dict[str, Path], name: str) -> None:
    prompts, generator = some_prompts(6), backend.generator(folders[name])
    together = scores(backend, generator, prompts)
    for prompt, found in zip(prompts, together, strict=True):
        (alone,) = scores(backend, generator, [prompt])
        np.testing.assert_allclose(found, alone, atol=1e-4 * float(np.abs(alone).max()))


def scores(backend: Any, generator: Any, prompts: list[list[int]]) -> Any:
    """(prompts, vocabulary) of what follows prompts that are read together."""
    rows_class: Any = {"mlx": MlxRows, "torch": TorchRows}[backend.name]
    rows = rows_class(generator._language_model, generator._head, voices=[0] * len(prompts))
    rows.feed(prompts)
    return rows.logits()


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma4"])
def test_greedy_answers_are_those_of_transformers_and_peft(
    backend: Any, folders: dict[str, Path], recipe_path: Path, tmp_path: Path, name: str, method: str
) -> None:
    from peft import PeftModel

    prompts, place = some_prompts(4), tmp_path / "a"
    adapter(backend, folders[name], recipe_path, place, f"method={method}")
    found = answers(backend.generator(folders[name], [place]), prompts, [0, 1, 0, 1], Sampling(max_tokens=20))
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(
        folders[name], dtype=torch.float32, attn_implementation="eager"
    )
    theirs = PeftModel.from_pretrained(theirs, str(place)).eval()
    for row, prompt in enumerate(prompts):
        with contextlib.nullcontext() if row % 2 else theirs.disable_adapter():
            assert found[row] == likeliest(theirs, prompt, found[row])
        assert len(found[row]) == 20 or found[row][-1] in STOPS
        assert STOPS.isdisjoint(found[row][:-1])


def likeliest(theirs: Any, prompt: list[int], answer: list[int]) -> list[int]:
    """What follows a prompt and each part of its answer: the answer itself, if that is what `generate` would say.

    One pass tells it, where `generate` takes as many as there are ids.
    """
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0]
    found: list[int] = logits[len(prompt) - 1 : -1].argmax(-1).tolist()
    return found


@pytest.mark.parametrize("name", ["gemma1", "gemma2", "gemma3", "gemma4"])
def test_a_long_prompt_is_read_in_pieces(
    backend: Any, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prompts, sampling = some_prompts(4), Sampling(max_tokens=12)
    generator = backend.generator(folders[name])
    whole = answers(generator, prompts, [0] * 4, sampling)
    monkeypatch.setattr(import_module(f"gemmalocal.backends.{backend.name}.generate"), "PREFILL", 28)
    assert answers(generator, prompts, [0] * 4, sampling) == whole
    monkeypatch.setattr(attention, "LONG", 4)  # and scores of some queries at a time
    monkeypatch.setattr(attention, "CHUNK", 5)
    assert answers(generator, prompts, [0] * 4, sampling) == whole


def test_an_answer_outgrows_its_room(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of torch, which moves what a row remembers to larger tensors now and then."""
    prompts, sampling = some_prompts(4), Sampling(max_tokens=40)
    generator = open_backend("torch").generator(folders["gemma3"])
    whole = answers(generator, prompts, [0] * 4, sampling)
    monkeypatch.setattr(kv_cache, "BLOCK", 3)
    assert answers(generator, prompts, [0] * 4, sampling) == whole


@pytest.mark.parametrize("engine", ["toy", *BACKENDS])
def test_draws_are_reproducible_and_blind_to_other_rows(
    tiny: Path, recipe_path: Path, tmp_path: Path, engine: str
) -> None:
    if engine == "toy":
        generator: Any = Babbler()
    else:
        adapter(open_backend(engine), tiny, recipe_path, tmp_path / "a")
        generator = open_backend(engine).generator(tiny, [tmp_path / "a"])
    prompts = some_prompts(3)
    sampling = Sampling(temperature=1.5, top_p=0.95, top_k=40, seed=3, max_tokens=16)
    found = answers(generator, prompts, [0, 1, 0], sampling)
    assert found == answers(generator, prompts, [0, 1, 0], sampling)
    assert found != answers(generator, prompts, [0, 1, 0], sampling._replace(seed=4))
    assert found[1:2] == answers(generator, prompts[1:2], [1], sampling)
    twice = answers(generator, [prompts[0]] * 2, [0, 0], sampling)
    assert twice[0] == found[0]
    assert twice[1] != twice[0]
    greedy = answers(generator, prompts, [0, 1, 0], Sampling(max_tokens=16))
    assert greedy == answers(generator, prompts, [0, 1, 0], sampling._replace(top_k=1))
    assert [row[:5] for row in greedy] == answers(generator, prompts, [0, 1, 0], Sampling(max_tokens=5))


def test_engines_draw_the_same(tiny: Path) -> None:
    sampling = Sampling(temperature=1.0, top_p=0.9, seed=2, max_tokens=16)
    found = [answers(open_backend(name).generator(tiny), some_prompts(3), [0, 0, 0], sampling) for name in BACKENDS]
    assert found[0] == found[1]


def test_draws_follow_the_probabilities() -> None:
    shares = np.array([0.25, 0.5, 0.15, 0.06, 0.04])
    logits = np.log(np.tile(shares, (2000, 1))).astype(np.float32)

    def drawn(**settings: float) -> Any:
        sampling = Sampling(seed=1, **settings)  # type: ignore[arg-type]
        return np.bincount(draw(logits, sampling, [(row, 0) for row in range(2000)]), minlength=5) / 2000

    np.testing.assert_allclose(drawn(temperature=1), shares, atol=0.03)
    np.testing.assert_allclose(drawn(temperature=0.5), shares**2 / (shares**2).sum(), atol=0.03)
    np.testing.assert_allclose(drawn(temperature=1, top_k=2), [1 / 3, 2 / 3, 0, 0, 0], atol=0.03)
    np.testing.assert_allclose(drawn(temperature=1, top_p=0.8), [0.25 / 0.9, 0.5 / 0.9, 0.15 / 0.9, 0, 0], atol=0.03)
    both = drawn(temperature=1, top_k=3, top_p=0.75)  # 0.75 of what the three have
    np.testing.assert_allclose(both, [1 / 3, 2 / 3, 0, 0, 0], atol=0.03)
    assert drawn(temperature=1, top_p=0)[1] == drawn(temperature=1, top_p=0.01)[1] == 1  # the likeliest always stays
    assert drawn(temperature=1, top_k=99).all()


def test_an_adapter_of_another_model_is_refused(backend: Any, tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    adapter(backend, tiny, recipe_path, tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    for file in tiny.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    config |= {"intermediate_size": 96, "num_hidden_layers": 1}
    (other / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="does not fit the model|has not"):
        backend.generator(other, [tmp_path / "a"])
    settings = tmp_path / "a" / peft_adapter.CONFIG
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"alpha_pattern": {"x": 1}}))
    with pytest.raises(ModelError, match="alpha_pattern"):
        backend.generator(tiny, [tmp_path / "a"])
    (tmp_path / "a" / peft_adapter.WEIGHTS).unlink()
    with pytest.raises(ModelError, match="holds no adapter"):
        backend.generator(tiny, [tmp_path / "a"])


@pytest.mark.parametrize("bits", [8, 4])
def test_quantized_weights_have_voices_too(
    path_backend: Any, tiny: Path, recipe_path: Path, tmp_path: Path, bits: int
) -> None:
    backend, places = path_backend, [tmp_path / "q", tmp_path / "d"]
    tuned = adapter(backend, tiny, recipe_path, places[0], f"quantize={bits}bit")
    stretched = adapter(backend, tiny, recipe_path, places[1], f"quantize={bits}bit", "method=dora")
    prompts = some_prompts(3)
    generator = backend.generator(tiny, places, quantize=bits)
    found = answers(generator, prompts, [0, 1, 2], Sampling(max_tokens=12))
    assert found[1] == list(tuned.stream(prompts[1], 12, STOPS))
    assert found[2] == list(stretched.stream(prompts[2], 12, STOPS))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_torch_speaks_in_narrow_numbers(tiny: Path, recipe_path: Path, tmp_path: Path, dtype: str) -> None:
    backend: Any = open_backend("torch")
    tuned = adapter(backend, tiny, recipe_path, tmp_path / "a", f"dtype={dtype}")
    generator, (prompt,) = backend.generator(tiny, [tmp_path / "a"], dtype), some_prompts(1)
    rows = TorchRows(generator._language_model, generator._head, generator._layers, [0, 1])
    rows.feed([prompt, prompt])
    base, found = rows.logits()
    wanted = tuned.logits(prompt)
    np.testing.assert_allclose(found, wanted, atol=0.03 * np.abs(wanted).max())
    assert np.abs(base - wanted).max() > 0.1 * np.abs(wanted).max()
    assert np.isfinite(answers(generator, [prompt] * 2, [0, 1], Sampling(max_tokens=8))).all()


def test_a_product_of_few_rows_is_the_product() -> None:
    matrix = torch.randn(30, 50, generator=torch.Generator().manual_seed(1)).T
    for shape in ((1, 50), (1, 2, 50), (2, 2, 50), (4, 50), (50,)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        assert has_few_rows(x)
        torch.testing.assert_close(product_of_few(x, matrix), x @ matrix)
    assert not has_few_rows(torch.zeros(5, 50))
