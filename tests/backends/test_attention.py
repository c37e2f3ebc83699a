"""Attention in chunks against mlx-lm's whole one: values, gradients, every family, streams, checkpointing, memory."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map_with_path
from mlx_lm.models import gemma2, gemma3_text
from mlx_lm.models.cache import make_prompt_cache

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import attention
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.data.examples import Example
from gemmalocal.data.judged_rounds import judged_rounds
from gemmalocal.recipe import recipe_file
from tests.backends.truth import gradient

WINDOW = 16
SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
}
SLIDING, FULL = "sliding_attention", "full_attention"
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma": {"num_hidden_layers": 2},
    "gemma2": {"num_hidden_layers": 2, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0},
    "gemma3_text": {
        "num_hidden_layers": 3,
        "query_pre_attn_scalar": 16,
        "sliding_window": WINDOW,
        "sliding_window_pattern": 3,
    },
    "gemma4_text": {
        "num_hidden_layers": 6,
        "global_head_dim": 32,
        "sliding_window": WINDOW,
        "sliding_window_pattern": 3,
        "layer_types": [SLIDING, SLIDING, FULL] * 2,
        "num_kv_shared_layers": 3,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 64,
        "rope_parameters": {
            FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
            SLIDING: {"rope_type": "default", "rope_theta": 1e4},
        },
    },
}


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of 50 tokens are long ones."""
    monkeypatch.setattr(attention, "CHUNK", 12)
    monkeypatch.setattr(attention, "LONG", 20)


def model(family: str) -> Any:
    """A small random model of mlx-lm's, the same at every call."""
    module = import_module(f"mlx_lm.models.{family}")
    made = module.Model(module.ModelArgs.from_dict({"model_type": family, **SMALL, **FAMILIES[family]}))

    def random(path: str, value: mx.array) -> mx.array:
        seed = sum(ord(letter) * (place + 1) for place, letter in enumerate(path))
        return 0.3 * mx.random.normal(value.shape, key=mx.random.key(seed))

    made.update(tree_map_with_path(random, made.parameters()))
    return made


def chunked(family: str) -> Any:
    made = model(family)
    attention.use_chunked_attention(made.model, {"sliding_window": None} if family == "gemma2" else {})
    return made


def ids(rows: int, length: int) -> mx.array:
    return mx.array(np.random.default_rng(1).integers(0, 64, (rows, length)))


def normal(rows: int, heads: int, length: int) -> mx.array:
    shape = (rows, heads, length, 16)
    return mx.array(np.random.default_rng([heads, length]).standard_normal(shape).astype(np.float32))


def near(one: mx.array, other: mx.array, tolerance: float = 1e-5) -> None:
    found, wanted = np.array(one), np.array(other)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(1.0, float(np.abs(wanted).max())))


def whole(window: int | None, softcap: float | None) -> Callable[..., mx.array]:
    """Textbook attention with every score."""

    def attend(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        share, places = queries.shape[1] // keys.shape[1], mx.arange(queries.shape[2])
        keys, values = mx.repeat(keys, share, axis=1), mx.repeat(values, share, axis=1)
        scores = 0.25 * queries @ keys.swapaxes(-1, -2)
        scores = softcap * mx.tanh(scores / softcap) if softcap else scores
        distance = places[:, None] - places
        seen = (distance >= 0) & (distance < (window or distance.size))
        return mx.softmax(mx.where(seen, scores, -1e30), axis=-1) @ values

    return attend


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize(("length", "window"), [(50, None), (48, 12), (50, 16), (50, 7), (31, 30), (9, None), (1, 4)])
def test_chunks_equal_the_whole(length: int, window: int | None, softcap: float | None) -> None:
    queries, keys, values, bend = (normal(2, heads, length) for heads in (4, 2, 2, 4))

    def ours(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        return attention.attend(queries, keys, values, 0.25, window, softcap)

    found, slopes = mx.vjp(ours, [queries, keys, values], [bend])
    wanted, others = mx.vjp(whole(window, softcap), [queries, keys, values], [bend])
    for one, other in zip([*found, *slopes], [*wanted, *others], strict=True):
        near(one, other)


@pytest.mark.usefixtures("either_path", "short_chunks")
@pytest.mark.parametrize("length", [50, 14])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_computes_what_mlx_lm_does(family: str, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    windows, attend = [], attention.attend

    def watched(*given: Any) -> mx.array:
        windows.append(given[4] if len(given) > 4 else None)
        return attend(*given)

    monkeypatch.setattr(attention, "attend", watched)
    tokens, found = ids(2, length), []
    for made in (chunked(family), model(family)):

        def loss(made: Any) -> Any:
            return nn.losses.cross_entropy(made(tokens[:, :-1]), tokens[:, 1:], reduction="sum")

        value, slopes = nn.value_and_grad(made, loss)(made)
        named: Any = tree_flatten(slopes)
        found.append([made(tokens), value, *(slope for _, slope in named)])
    for one, other in zip(*found, strict=True):
        near(one, other)
    if length < WINDOW:
        assert not windows, "short rows are attended at once"
        return
    layers = FAMILIES[family]["num_hidden_layers"]
    assert len(windows) == 2 * layers, "every layer of both passes went through us"
    assert set(windows) == ({WINDOW, None} if "sliding_window" in FAMILIES[family] else {None})


@pytest.mark.usefixtures("either_path", "short_chunks")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_that_is_computed_once_counts_for_both_answers(family: str) -> None:
    random, made = np.random.default_rng(3), chunked(family)
    pairs = []
    for prompt, *answers in ((30, 9, 11), (4, 25, 2)):  # tokens: beyond a window and within
        shared = random.integers(0, 64, prompt)
        for answer in answers:
            weights = np.repeat([0, 1], [prompt, answer]).astype(np.float32)
            pairs.append(Example(np.concatenate([shared, random.integers(0, 64, answer)]).astype(np.int32), weights))
    (one_round,) = judged_rounds(pairs, 2, BatchShape(8, 0, 200, packed=True))
    ((once,),) = one_round.passes
    assert sum(prefix is not None for prefix in once.prefixes) == 2
    computed = []
    for parts in ([once], plan([pairs[place] for place in once.rows], BatchShape(1, 0, 1))):

        def loss(made: Any, parts: Any = parts) -> Any:
            total = mx.array(0.0)
            for part in parts:
                places, targets = map(mx.array, part.predictions())
                with attention.segments(part.segments, part.prefixes):
                    logits = made(mx.array(part.ids[:, :-1])).reshape(-1, 64)
                total = total + nn.losses.cross_entropy(logits[places], targets, reduction="sum")
            return total

        value, slopes = nn.value_and_grad(made, loss)(made)
        named: Any = tree_flatten(slopes)
        computed.append([value, *(slope for _, slope in named)])
    for one, other in zip(*computed, strict=True):
        near(one, other, 5e-5)  # what stands before is turned twice


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_and_other_models_are_untouched(family: str) -> None:
    plain, ours, tokens = model(family), chunked(family), ids(1, 40)
    assert type(plain.layers[0].self_attn) is not type(ours.layers[0].self_attn)
    assert type(plain.layers[0].self_attn) is type(model(family).layers[0].self_attn)
    caches = [make_prompt_cache(made) for made in (plain, ours)]
    for part in (tokens[:, :30], tokens[:, 30:31], tokens[:, 31:]):
        one, other = (made(part, cache=cache) for made, cache in zip((plain, ours), caches, strict=True))
        np.testing.assert_array_equal(np.array(one), np.array(other))


def test_the_same_bits_every_time() -> None:
    given = [normal(1, heads, 700) for heads in (4, 1, 1)]

    def summed(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        return mx.sum(attention.attend(queries, keys, values, 0.25, 300) ** 2)

    first, second = (mx.value_and_grad(summed, [0, 1, 2])(*given) for _ in range(2))
    assert first[0] == second[0]
    for one, other in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


@pytest.mark.parametrize("window", [64, None])
def test_no_scores_of_a_whole_row(window: int | None) -> None:
    length = 4096
    given = [normal(1, heads, length) for heads in (2, 1, 1)]

    def ours(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        return attention.attend(queries, keys, values, 0.25, window)

    mx.eval(given)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(mx.vjp(ours, given, [mx.ones_like(given[0])]))
    taken, scores = mx.get_peak_memory() - before, 2 * length * length * 4
    assert taken < scores / (8 if window else 2)


@pytest.mark.usefixtures("either_path", "short_chunks")
@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_training_in_lanes_and_with_checkpointing(
    tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch, checkpointing: str
) -> None:
    random, found = np.random.default_rng(5), []
    rows = [Example(random.integers(6, 300, 60).astype(np.int32), np.ones(60, np.float32), "") for _ in range(2)]
    for replacement in (attention.use_chunked_attention, lambda *_: None):
        monkeypatch.setattr(attention, "use_chunked_attention", replacement)
        recipe = recipe_file.load(str(recipe_path), ["lora.dropout=0", f"train.checkpointing={checkpointing}"])
        made: Any = open_backend("mlx").trainer(tiny, recipe)
        for number, adapter in enumerate(made._adapters):
            adapter.lora_b = 0.1 * mx.random.normal(adapter.lora_b.shape, key=mx.random.key(number))
        made.accumulate(plan(rows, BatchShape(8, 1, 8, made.shapes.streams)))
        found.append([mx.array(made._loss), *gradient(made)])
    for one, other in zip(*found, strict=True):
        near(one, other)


def test_gemma2_slides_as_transformers_does(tmp_path: Path, short_chunks: None) -> None:
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    sizes = {**SMALL, **FAMILIES["gemma2"], "sliding_window": WINDOW}
    theirs = Gemma2ForCausalLM(Gemma2Config(**sizes, attn_implementation="eager", pad_token_id=0)).eval()
    ours = gemma2.Model(gemma2.ModelArgs.from_dict({"model_type": "gemma2", **sizes}))
    named = [(name, mx.array(value.numpy())) for name, value in theirs.state_dict().items() if "lm_head" not in name]
    ours.load_weights(named)
    attention.use_chunked_attention(ours.model, sizes)
    tokens = ids(2, 50)
    with torch.no_grad():
        wanted = theirs(torch.tensor(np.array(tokens)).long()).logits.numpy()
    np.testing.assert_allclose(np.array(ours(tokens)), wanted, atol=1e-5)
    whole = gemma2.Model(gemma2.ModelArgs.from_dict({"model_type": "gemma2", **sizes}))
    whole.load_weights(named)
    assert np.abs(np.array(whole(tokens)) - wanted).max() > 1e-4, "mlx-lm leaves the window out"


def test_a_chunked_class_is_made_once() -> None:
    one, other = chunked("gemma3_text"), chunked("gemma3_text")
    kinds = [type(layer.self_attn) for layer in (*one.layers, *other.layers)]
    assert len(set(kinds)) == 2
    assert all(issubclass(kind, gemma3_text.Attention) for kind in kinds)
