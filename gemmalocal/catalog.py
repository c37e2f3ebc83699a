"""The sizes that decide memory: of every published Gemma, and of any config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemmalocal import published


@dataclass(frozen=True)
class Sizes:
    """Of a dense text model: `width` is the hidden size, `inner` the feed-forward's; query and key-value widths."""

    layers: int
    width: int
    inner: int
    queries: int
    keys: int
    vocabulary: int

    @property
    def body(self) -> int:
        """Weights in the layers' projections."""
        attention = self.width * (self.queries + 2 * self.keys) + self.queries * self.width
        return self.layers * (attention + 3 * self.width * self.inner)

    @property
    def embedding(self) -> int:
        """Weights in the embedding, which is also the head."""
        return self.vocabulary * self.width


TOWERS = {"vision_config": "the vision tower", "audio_config": "the audio tower"}


def left_out(config: dict[str, Any]) -> list[str]:
    """The parts of a multimodal model that are not loaded when it is read as a text model."""
    return [name for key, name in TOWERS.items() if config.get(key)]


def from_config(config: dict[str, Any]) -> Sizes:
    """The sizes in a model's config.json; raises `KeyError` where it lacks one."""
    heads, head = config["num_attention_heads"], config.get("head_dim", 256)
    return Sizes(
        config["num_hidden_layers"],
        config["hidden_size"],
        config["intermediate_size"],
        heads * head,
        config.get("num_key_value_heads", heads) * head,
        config["vocab_size"],
    )


KNOWN = {model.name: from_config(model.size.config) for model in published.MODELS}
KNOWN["gemma-3-270m-demo"] = KNOWN["google/gemma-3-270m"]
