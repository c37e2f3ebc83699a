"""Which tensor is stored how, in llama.cpp's mixed quantizations of a text model.

Source: llama.cpp's llama-quant.cpp (`llama_tensor_get_type`), without an importance matrix.
"""

from __future__ import annotations

from gguf import GGMLQuantizationType as Kind
from gguf import LlamaFileType

from gemmalocal.weights.gguf_names import EMBEDDING, OUTPUT

FORMS = {
    "F16": (Kind.F16, LlamaFileType.MOSTLY_F16),
    "BF16": (Kind.BF16, LlamaFileType.MOSTLY_BF16),
    "Q8_0": (Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "Q6_K": (Kind.Q6_K, LlamaFileType.MOSTLY_Q6_K),
    "Q5_K_M": (Kind.Q5_K, LlamaFileType.MOSTLY_Q5_K_M),
    "Q4_K_M": (Kind.Q4_K, LlamaFileType.MOSTLY_Q4_K_M),
    "Q4_0": (Kind.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
MIXED = ("Q5_K_M", "Q4_K_M")
FLOATS = (Kind.F16, Kind.BF16)
BLOCK, SMALL_BLOCK = 256, 32  # numbers of a block of the K-quants and of the others: rows must be multiples of it
FALLBACK = {Kind.Q4_K: Kind.Q5_0, Kind.Q5_K: Kind.Q5_1, Kind.Q6_K: Kind.Q8_0}
UNQUANTIZED = ("ffn_gate_inp.weight",)  # the router of experts
HALF_PRECISION = ("per_layer_model_proj.weight",)  # llama.cpp leaves it as it finds it


def tensor_type(form: str, name: str, shape: tuple[int, ...], layers: int, tied: bool) -> Kind:
    """How a tensor (llama.cpp's name) of a model with so many layers is stored in a `form` of FORMS."""
    preferred = preferred_type(form, name, shape, layers, tied)
    if preferred in FALLBACK and shape[-1] % BLOCK:
        preferred = FALLBACK[preferred]
    return Kind.F16 if preferred not in (Kind.F32, *FLOATS) and shape[-1] % SMALL_BLOCK else preferred


def preferred_type(form: str, name: str, shape: tuple[int, ...], layers: int, tied: bool) -> Kind:
    """The same, were every width a multiple of the blocks."""
    plain = FORMS[form][0]
    if len(shape) == 1 or name.endswith(UNQUANTIZED) or not name.endswith(".weight"):
        return Kind.F32
    if name.endswith(HALF_PRECISION) and plain not in FLOATS:
        return Kind.F16
    if name == (EMBEDDING if tied else OUTPUT) and plain not in (*FLOATS, Kind.Q8_0):
        return Kind.Q6_K
    if form in MIXED and name.endswith(("attn_v.weight", "ffn_down.weight", "ffn_down_exps.weight")):
        return Kind.Q6_K if _gets_more_bits(int(name.split(".")[1]), layers) else plain
    return plain


def _gets_more_bits(layer: int, layers: int) -> bool:
    """Whether a layer is one of those that get more bits: the first and last eighth, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
