"""The sizes that decide memory: of every published Gemma, and of any config.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.planning import published

FAMILIES = {  # by config.json's model_type, those that can be tuned
    "gemma": "Gemma 1",
    "gemma2": "Gemma 2",
    "gemma3_text": "Gemma 3",
    "gemma3": "Gemma 3 with a vision tower",
    "gemma4_text": "Gemma 4",
    "gemma4": "Gemma 4 with towers",
    "gemma4_unified": "Gemma 4 with encoders",
}
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class Sizes:
    """Of a text model; what differs between layers (Gemma 4) is their mean.

    `width` is the hidden size, `inner` the feed-forward's, `queries` and `keys` the heads' widths together, `routed`
    the inner width of the experts that a token meets, `beside` the numbers that a token has for all layers' own inputs.
    """

    layers: int
    width: int
    inner: int
    queries: int
    keys: int
    vocabulary: int
    heads: int = 4
    routed: int = 0
    beside: int = 0
    other_weights: int = (
        0  # weights that are no projections of attention or feed-forward: experts, per-layer embeddings
    )

    @property
    def body(self) -> int:
        """Numbers (not bytes) in the projections of all layers: attention's four and the feed-forward's three."""
        attention = self.width * (self.queries + 2 * self.keys) + self.queries * self.width
        return self.layers * (attention + 3 * self.width * self.inner)

    @property
    def embedding(self) -> int:
        """Weights in the embedding, which is also the head."""
        return self.vocabulary * self.width

    @property
    def weights(self) -> int:
        """Numbers (not bytes) in all weights of the text model."""
        return self.body + self.embedding + self.other_weights


TOWERS = {"vision_config": "the vision tower", "audio_config": "the audio tower"}


def towers_left_out(config: dict[str, Any]) -> list[str]:
    """The parts of a multimodal model that are not loaded when it is read as a text model."""
    return [name for key, name in TOWERS.items() if config.get(key)]


BOUNDS = {  # of what a real model has
    "num_hidden_layers": 1_000, "hidden_size": 1 << 20, "intermediate_size": 1 << 24, "vocab_size": 1 << 26,
    "num_attention_heads": 4096, "num_key_value_heads": 4096, "head_dim": 1 << 16,
}  # fmt: skip


def impossible_size(config: dict[str, Any]) -> str:
    """What no model can have in its config.json; empty if there is nothing of the kind."""
    text = config.get("text_config") or config
    if not isinstance(text, dict):
        return "its text_config is not an object"
    for name, largest in BOUNDS.items():
        value = text.get(name)
        if value is not None and not (type(value) is int and 1 <= value <= largest):
            return f"its {name} is {str(value)[:40]}"
    return ""


def from_config(config: dict[str, Any]) -> Sizes:
    """The sizes in a model's config.json; raises `KeyError` where it lacks one, or has one that cannot be."""
    if problem := impossible_size(config):
        raise KeyError(problem)
    try:
        return _sizes(config.get("text_config") or config)
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise KeyError(f"a size is of a wrong kind: {error}") from error


def _sizes(config: dict[str, Any]) -> Sizes:
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    heads, head = config["num_attention_heads"], config.get("head_dim", 256)
    keys = config.get("num_key_value_heads", heads)
    by_layer = [_layer(config, index, heads, keys, head) for index in range(layers)]
    queries, values, inner = (sum(layer[index] for layer in by_layer) // layers for index in range(3))
    routed, experts = config.get("moe_intermediate_size") or 0, config.get("num_experts") or 0
    per_layer_input = config.get("hidden_size_per_layer_input") or 0
    tables = (config.get("vocab_size_per_layer_input", config["vocab_size"]) + 3 * width) * layers * per_layer_input
    return Sizes(
        layers, width, inner, queries, values, config["vocab_size"],
        heads=heads,
        routed=routed * (config.get("top_k_experts") or 0),
        beside=2 * layers * per_layer_input,
        other_weights=layers * experts * (3 * width * routed + width) + tables,
    )  # fmt: skip


def _layer(config: dict[str, Any], index: int, heads: int, keys: int, head: int) -> tuple[int, int, int]:
    """Width of a layer's queries, the mean of its keys' and values', and of its feed-forward."""
    kinds = config.get("layer_types")
    is_full = kinds[index] == FULL if kinds else index % 6 == 5
    overrides: dict[str, Any] = (config.get("per_layer_config") or {}).get(str(index), {})
    head = overrides.get("head_dim", config.get("global_head_dim", head) if is_full else head)
    same = is_full and config.get("attention_k_eq_v")
    if same:
        keys = config.get("num_global_key_value_heads") or keys
    keys = overrides.get("num_key_value_heads", keys)
    inner = overrides.get("intermediate_size", config["intermediate_size"])
    shared = index >= config["num_hidden_layers"] - (config.get("num_kv_shared_layers") or 0)
    if shared and config.get("use_double_wide_mlp"):
        inner *= 2
    return heads * head, 0 if shared else keys * head // (2 if same else 1), inner


PUBLISHED_SIZES = {model.name: from_config(model.size.config) for model in published.MODELS}
PUBLISHED_SIZES["gemma-3-270m-demo"] = PUBLISHED_SIZES["google/gemma-3-270m"]


def weights_of(folder: Path) -> float | None:
    """The numbers in a model's weights by its config.json; None where that does not say."""
    try:
        return from_config(safe_read.json_object(folder / "config.json")).weights
    except (GemmalocalError, KeyError):
        return None


def sizes_of(model: str) -> Sizes | None:
    """Of a published model, or of a folder; None if neither is known here."""
    if sizes := PUBLISHED_SIZES.get(model):
        return sizes
    for folder in (paths.expanded(model), paths.models() / model):
        try:
            return from_config(safe_read.json_object(folder / "config.json"))
        except (GemmalocalError, KeyError):
            continue
    return None
