"""Whether a model's folder agrees with itself: config.json's numbers, its weights' headers, and these with those.

Only headers are read. What a configuration leaves out has the reader's defaults, and is not held against anything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gemmalocal.errors import ModelError
from gemmalocal.jobs.plurals import counted
from gemmalocal.planning.model_sizes import FAMILIES, FULL, SLIDING
from gemmalocal.weights import safe_header

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
LARGEST = 1 << 26  # bytes of a JSON file that is read
TensorShapes = Mapping[str, tuple[int, ...]]  # of tensors, by transformers' names

# The largest that is believed: ten times and more of any published Gemma.
NUMBERS = {
    "num_hidden_layers": 1000, "hidden_size": 1 << 20, "intermediate_size": 1 << 22, "num_attention_heads": 1 << 14,
    "num_key_value_heads": 1 << 14, "head_dim": 1 << 14, "global_head_dim": 1 << 14, "vocab_size": 1 << 26,
    "num_global_key_value_heads": 1 << 14, "max_position_embeddings": 1 << 32, "sliding_window": 1 << 32,
    "sliding_window_pattern": 1000, "num_experts": 1 << 14, "top_k_experts": 1 << 14, "moe_intermediate_size": 1 << 22,
}  # fmt: skip
COUNTS = {"num_kv_shared_layers": 1000, "hidden_size_per_layer_input": 1 << 20}  # these may be 0
RATIOS = ("rms_norm_eps", "rope_theta", "rope_local_base_freq", "query_pre_attn_scalar")
OBJECTS = ("text_config", "vision_config", "audio_config", "quantization", "quantization_config", "per_layer_config")
NEEDED = ("num_hidden_layers", "hidden_size", "intermediate_size")
PLAIN = ("gemma", "gemma2", "gemma3", "gemma3_text")  # whose layers are all of one shape
LAYER = re.compile(r"(?:model\.language_model\.|language_model\.model\.|model\.)layers\.(\d+)\.(.+)")
EMBEDDING = re.compile(r"(?:model\.language_model\.|language_model\.model\.|model\.)embed_tokens\.weight")


def check_folder(path: Path, weights: bool = True) -> None:
    """Raise `ModelError`, which names file and field, if the model in a folder contradicts itself.

    Without `weights` only config.json is looked at; a folder that has none is left to whoever opens it.
    """
    if not (path / CONFIG).is_file():
        return
    config = configuration(path)
    if not weights or config.get("model_type") not in FAMILIES:  # who opens it says why it is not taken
        return
    shapes = {name: entry.shape for name, entry in headers(path).items()}
    if not {"quantization", "quantization_config"} & config.keys():
        check_tensors(config, shapes, str(path / CONFIG))
    else:  # packed: their shapes are the packer's
        _layers(config.get("text_config") or config, shapes, str(path / CONFIG))


def configuration(path: Path) -> dict[str, Any]:
    """config.json of a folder as it stands, checked if it is a Gemma's; raises `ModelError` for a damaged one."""
    config = _object(path / CONFIG)
    if not isinstance(config.get("model_type"), str | None):
        raise _contradiction(str(path / CONFIG), f"model_type is {_short(config['model_type'])}")
    if config.get("model_type") in FAMILIES:
        check_numbers(config, str(path / CONFIG))
    return config


def check_numbers(config: dict[str, Any], source: str) -> None:
    """Raise `ModelError`, which names `source`, for a size of a Gemma's configuration that is missing or impossible."""
    for key in OBJECTS:
        if not isinstance(config.get(key), dict | None):
            raise _contradiction(source, f"{key} is not an object")
    text = config.get("text_config") or config
    _positions(text, source)
    for key in NEEDED:
        if text.get(key) is None:
            raise _contradiction(source, f"{key} is missing")
    for key, largest in (*NUMBERS.items(), *COUNTS.items()):
        smallest, value = 0 if key in COUNTS else 1, text.get(key)
        if value is not None and (type(value) is not int or not smallest <= value <= largest):
            range_text = f"a whole number from {smallest} to {largest:,}"
            raise _contradiction(source, f"{key} is {_short(value)}, and must be {range_text}")
    for key in RATIOS:
        value = text.get(key)
        if value is not None and (type(value) not in (int, float) or not 0 < value < math.inf):
            raise _contradiction(source, f"{key} is {_short(value)}, and must be a number above 0")
    _structure(text, source)


def _structure(text: dict[str, Any], source: str) -> None:
    """The layers' kinds are as many as the layers, and heads share keys evenly."""
    layers, kinds = text["num_hidden_layers"], text.get("layer_types")
    if kinds is not None and (not isinstance(kinds, list) or len(kinds) != layers):
        count = counted(len(kinds), "layer") if isinstance(kinds, list) else "no layers"
        raise _contradiction(source, f"num_hidden_layers is {layers}, and layer_types has {count}")
    if unknown_kinds := [kind for kind in kinds or () if kind not in (FULL, SLIDING)]:
        raise _contradiction(source, f"layer_types names {_short(unknown_kinds[0])}, and there is no such kind")
    heads, keys = text.get("num_attention_heads"), text.get("num_key_value_heads")
    if heads and keys and heads % keys:
        raise _contradiction(source, f"num_attention_heads ({heads}) cannot be divided by num_key_value_heads ({keys})")


def _positions(text: dict[str, Any], source: str) -> None:
    """How positions are turned: objects, in which bases and factors are numbers above 0."""
    ropes = [(key, text.get(key)) for key in ("rope_parameters", "rope_scaling")]
    ropes += [
        (key, nested)
        for key, rope in ropes
        if isinstance(rope, dict)
        for nested in rope.values()
        if type(nested) is dict
    ]
    for key, rope in ropes:
        if not isinstance(rope, dict | None):
            raise _contradiction(source, f"{key} is not an object")
        for name in ("rope_theta", "factor"):
            value = (rope or {}).get(name)
            if value is not None and (type(value) not in (int, float) or not 0 < value < math.inf):
                raise _contradiction(source, f"{name} of {key} is {_short(value)}, and must be a number above 0")


def headers(path: Path) -> dict[str, safe_header.TensorEntry]:
    """All tensors of a folder's `model*.safetensors` by name, read from the headers alone.

    Raises `ModelError` for a damaged file, and for an index that names a file or a tensor which is not there.
    """
    files = {file.name: safe_header.read(file) for file in sorted(path.glob("model*.safetensors"))}
    for name, file in files_by_tensor(path).items():
        if file not in files:
            raise ModelError(f"{path / INDEX} names {file}, which is not there.", "Get the missing file.")
        if name not in files[file]:
            raise ModelError(f"{path / INDEX} says that {name} is in {file}, and it is not.", safe_header.DAMAGED_HINT)
    return {name: entry for entries in files.values() for name, entry in entries.items()}


def files_by_tensor(path: Path) -> dict[str, str]:
    """Names of tensors to names of files, by a folder's index; empty if it has none. Raises `ModelError`."""
    if not (path / INDEX).is_file():
        return {}
    weight_map: Any = _object(path / INDEX).get("weight_map")
    files = weight_map.values() if isinstance(weight_map, dict) else (None,)
    if not all(isinstance(file, str) and "/" not in file for file in files):
        raise ModelError(f"{path / INDEX} is damaged: weight_map must map names to files.", safe_header.DAMAGED_HINT)
    return dict(weight_map)


def check_tensors(config: dict[str, Any], shapes: TensorShapes, source: str) -> None:
    """Raise `ModelError`, which names `source`, if tensors of these shapes are not a configuration's weights.

    Names and shapes (out, in) are transformers'. Checked are the count of layers, the embedding
    (vocabulary, hidden size), and a layer's projections and norms where their shape follows from the configuration.
    """
    text = config.get("text_config") or config
    _layers(text, shapes, source)
    _embedding(text, shapes, source)
    for name, shape in shapes.items():
        if match := LAYER.fullmatch(name):
            expected = _expected_shape(text, match[2])
            if expected and not _fits(shape, expected):
                expected_text = " x ".join(str(size) if size else "any" for size in expected)
                raise _contradiction(source, f"it wants {name} to be {expected_text}, and it is {_times(shape)}")


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape is the expected one, in which 0 stands for any size."""
    return len(shape) == len(expected) and all(
        size in (0, actual) for actual, size in zip(shape, expected, strict=True)
    )


def _layers(text: dict[str, Any], shapes: Iterable[str], source: str) -> None:
    layer_numbers = {int(match[1]) for name in shapes if (match := LAYER.fullmatch(name))}
    layers = text["num_hidden_layers"]
    if layer_numbers and layer_numbers != set(range(layers)):
        raise _contradiction(
            source, f"num_hidden_layers is {layers}, and the weights have {counted(len(layer_numbers), 'layer')}"
        )


def _embedding(text: dict[str, Any], shapes: TensorShapes, source: str) -> None:
    name = next((name for name in shapes if EMBEDDING.fullmatch(name)), None)
    if name and (len(shapes[name]) != 2 or shapes[name][1] != text["hidden_size"]):
        raise _contradiction(source, f"hidden_size is {text['hidden_size']}, and {name} is {_times(shapes[name])}")
    rows = text.get("vocab_size")
    if name and rows and text.get("model_type") in PLAIN and shapes[name][0] != rows:
        raise _contradiction(source, f"vocab_size is {rows}, and {name} is {_times(shapes[name])}")


def _expected_shape(text: dict[str, Any], tensor: str) -> tuple[int, ...] | None:
    """The shape of a layer's tensor (`mlp.up_proj.weight`), 0 where a size is not known; None for other tensors."""
    plain = text.get("model_type") in PLAIN
    width, inner = text["hidden_size"], text["intermediate_size"] if plain else 0
    head = text.get("head_dim") or 0 if plain else 0
    queries, keys = ((text.get(key) or 0) * head for key in ("num_attention_heads", "num_key_value_heads"))
    return {
        "self_attn.q_proj.weight": (queries, width),
        "self_attn.k_proj.weight": (keys, width),
        "self_attn.v_proj.weight": (keys, width),
        "self_attn.o_proj.weight": (width, queries),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.up_proj.weight": (inner, width),
        "mlp.down_proj.weight": (width, inner),
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
    }.get(tensor)


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path} is damaged: it is larger than any real one.", safe_header.DAMAGED_HINT)
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}", "Give a folder with config.json."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {str(error)[:80]}", safe_header.DAMAGED_HINT) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is damaged: it is not a JSON object.", safe_header.DAMAGED_HINT)
    return value


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _short(value: Any) -> str:
    if type(value) is int and abs(value) >= 10**12:
        return "a number of more than 12 digits"
    return repr(value)[:40]


def _contradiction(source: str, problem: str) -> ModelError:
    return ModelError(f"{source} contradicts itself or its weights: {problem}.", "Get the model again.")
