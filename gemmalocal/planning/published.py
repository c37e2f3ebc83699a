"""The published Gemma models, as data: names on the Hub, sizes, licences.

Sizes are the text model's config.json keys. Parameters of Gemma 1 to 3n are the published counts; those of Gemma 4 are
counted from the sizes by transformers' classes, and its image and audio encoders are the model cards' rounded figures.
Downloads follow from parameters and bits a weight, so for Gemma 4 and for all conversions they are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

GROUP_BITS = 0.5  # MLX keeps a float16 scale and bias for every 64 quantized weights


@dataclass(frozen=True)
class Licence:
    """Of weights: `key` as the Hub and GGUF write it, `terms` for people, `notice` for copies of them."""

    key: str
    terms: str
    notice: str


# https://ai.google.dev/gemma/terms, 3.1: the notice that goes with every copy.
GEMMA_TERMS = Licence(
    "gemma",
    "Gemma Terms of Use, https://ai.google.dev/gemma/terms",
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
)
APACHE = Licence(
    "apache-2.0", "Apache-2.0", "Licensed under the Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0"
)


# https://developers.google.com/health-ai-developer-foundations/terms, 3.2.4: the notice that goes with every copy.
HEALTH_TERMS = Licence(
    "other",
    "Health AI Developer Foundations Terms of Use, https://developers.google.com/health-ai-developer-foundations/terms",
    "HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at "
    "https://developers.google.com/health-ai-developer-foundations/terms",
)


def licence(model_type: str, name: str = "") -> Licence:
    """The licence of a model, by config.json's `model_type` and its name, or the path of its folder.

    Gemma 4 is Apache's, earlier ones have Google's terms, and MedGemma has terms of its own.
    """
    if "medgemma" in name.lower():
        return HEALTH_TERMS
    return APACHE if model_type.startswith("gemma4") else GEMMA_TERMS


@dataclass(frozen=True)
class Size:
    """One architecture at one size: `config` has config.json's keys; `text` and `encoders` are counts of parameters."""

    config: dict[str, Any]
    text: int
    encoders: int = 0


@dataclass(frozen=True)
class Model:
    """One repository on the Hub; `bits` a weight: 32 and 16 as published, 8 and 4 as converted for MLX."""

    name: str
    size: Size
    bits: int
    licence: str
    gated: bool
    template: str = ""  # what its chat template does that those of its generation do not

    @property
    def converted(self) -> bool:
        """Whether it is a quantized conversion by mlx-community."""
        return self.bits < 16

    @property
    def estimated(self) -> bool:
        """Whether `download` is an estimate, and not the published count of parameters."""
        return self.converted or self.size.config["model_type"].startswith("gemma4")

    @property
    def download(self) -> int:
        """Bytes of its safetensors; a conversion keeps its encoders in 16 bits."""
        if self.converted:
            return int(self.size.text * (self.bits + GROUP_BITS) / 8) + 2 * self.size.encoders
        return (self.size.text + self.size.encoders) * self.bits // 8


def _text(
    family: str, layers: int, width: int, inner: int, heads: int, keys: int, head: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": head,
        "vocab_size": vocabulary,
        **more,
    }


def _four(layers: int, width: int, inner: int, heads: int, keys: int, **more: Any) -> dict[str, Any]:
    extra = {"global_head_dim": 512, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0, **more}
    return _text("gemma4_text", layers, width, inner, heads, keys, 256, 262_144, **extra)


def _three_n(layers: int, inner: int, shared: int) -> dict[str, Any]:
    return _text("gemma3n_text", layers, 2048, inner, 8, 2, 256, 262_400, num_kv_shared_layers=shared, **PER_LAYER)


PER_LAYER = {"hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262_144}
SAME_KEYS = {"attention_k_eq_v": True}
EXPERTS = {"enable_moe_block": True, "num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}
FOUR_TO_ONE = ["sliding_attention"] * 4 + ["full_attention"]

SIZES = {
    "2b": Size(_text("gemma", 18, 2048, 16_384, 8, 1, 256, 256_000), 2_506_172_416),
    "7b": Size(_text("gemma", 28, 3072, 24_576, 16, 16, 256, 256_000), 8_537_680_896),
    "2-2b": Size(_text("gemma2", 26, 2304, 9216, 8, 4, 256, 256_000), 2_614_341_888),
    "2-9b": Size(_text("gemma2", 42, 3584, 14_336, 16, 8, 256, 256_000), 9_241_705_984),
    "2-27b": Size(_text("gemma2", 46, 4608, 36_864, 32, 16, 128, 256_000), 27_227_128_320),
    "3-270m": Size(_text("gemma3_text", 18, 640, 2048, 4, 1, 256, 262_144), 268_098_176),
    "3-1b": Size(_text("gemma3_text", 26, 1152, 6912, 4, 1, 256, 262_144), 999_885_952),
    "3-4b": Size(_text("gemma3_text", 34, 2560, 10_240, 8, 4, 256, 262_208), 3_880_263_168, 419_816_304),
    "3-12b": Size(_text("gemma3_text", 48, 3840, 15_360, 16, 8, 256, 262_208), 11_766_034_176, 421_290_864),
    "3-27b": Size(_text("gemma3_text", 62, 5376, 21_504, 32, 16, 128, 262_208), 27_009_346_304, 423_060_336),
    # Their checkpoints also hold the unused keys and values of the layers that share them.
    "3n-E2B": Size(_three_n(30, 8192, 10), 4_456_154_208, 983_284_064),
    "3n-E4B": Size(_three_n(35, 16_384, 15), 6_866_692_848, 983_285_344),
    "4-E2B": Size(
        _four(
            35, 1536, 6144, 8, 1, **PER_LAYER, num_kv_shared_layers=20, use_double_wide_mlp=True,
            layer_types=FOUR_TO_ONE * 7,
        ),
        4_628_569_344, 450_000_000,
    ),
    "4-E4B": Size(_four(42, 2560, 10_240, 8, 2, **PER_LAYER, num_kv_shared_layers=18), 7_463_013_376, 450_000_000),
    "4-12B": Size(
        _four(48, 3840, 15_360, 16, 8, num_global_key_value_heads=1, model_type="gemma4_unified_text", **SAME_KEYS),
        11_907_350_272, 50_000_000,
    ),
    "4-26B-A4B": Size(
        _four(30, 2816, 2112, 16, 8, num_global_key_value_heads=2, **SAME_KEYS, **EXPERTS), 25_233_141_760, 550_000_000
    ),
    "4-31B": Size(
        _four(60, 5376, 21_504, 32, 16, num_global_key_value_heads=4, **SAME_KEYS), 30_697_345_280, 550_000_000
    ),
}  # fmt: skip


def _repositories(size: str) -> list[tuple[str, int]]:
    """The Hub names of a size, base models first, with their bits a weight."""
    if size in ("2b", "7b"):
        published = [f"google/gemma-{size}", f"google/gemma-{size}-it", f"google/gemma-1.1-{size}-it"]
        return [*((name, 16) for name in published), (f"mlx-community/gemma-1.1-{size}-it-4bit", 4)]
    base = "-pt" if size in ("3-1b", "3-4b", "3-12b", "3-27b") else ""
    # Gemma 2's base models are published in float32.
    repositories = [
        (f"google/gemma-{size}{base}", 32 if size.startswith("2-") else 16),
        (f"google/gemma-{size}-it", 16),
    ]
    converted = size.lower() if size.startswith("4-") and size != "4-12B" else size
    for kind in (base, "-it"):
        repositories += [(f"mlx-community/gemma-{converted}{kind}-{bits}bit", bits) for bits in (4, 8)]
    return repositories


GENERAL: tuple[Model, ...] = tuple(
    Model(
        name,
        size,
        bits,
        licence(str(size.config["model_type"])).terms,
        gated=name.startswith("google/") and not key.startswith("4"),
    )
    for key, size in SIZES.items()
    for name, bits in _repositories(key)
)
CALLS = "Tools are declared in a developer's turn, calls and answers have marks of their own (docs/tools.md)."
MEDICAL = "That of Gemma 3: it has no place for tools, which are told in the plain layout."
TRANSLATING = (
    "It takes a single text with the codes of two languages (source_lang_code, target_lang_code) and refuses all else: "
    "for rows of your own name a template, data.chat_template."
)
MADE_FOR = (  # one purpose: the name, the size, what its template does
    ("google/functiongemma-270m-it", "3-270m", CALLS),
    ("google/medgemma-4b-pt", "3-4b", ""),
    ("google/medgemma-4b-it", "3-4b", MEDICAL),
    ("google/medgemma-1.5-4b-it", "3-4b", MEDICAL),
    ("google/medgemma-27b-text-it", "3-27b", MEDICAL),
    ("google/medgemma-27b-it", "3-27b", MEDICAL),
    ("google/translategemma-4b-it", "3-4b", TRANSLATING),
    ("google/translategemma-12b-it", "3-12b", TRANSLATING),
    ("google/translategemma-27b-it", "3-27b", TRANSLATING),
)
TEXT_ALONE = ("google/medgemma-27b-text-it",)
MODELS: tuple[Model, ...] = (
    *GENERAL,
    *(
        Model(
            name,
            replace(SIZES[key], encoders=0) if name in TEXT_ALONE else SIZES[key],
            16,
            licence(str(SIZES[key].config["model_type"]), name).terms,
            gated=True,
            template=template,
        )
        for name, key, template in MADE_FOR
    ),
)
