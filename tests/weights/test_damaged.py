"""Damaged models: our error with file and field, before memory is taken; what is whole is read as before.

Tables of faults by hand, and a fuzz with a seed that flips, cuts and grows each field of both kinds of headers.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from gemmalocal.backends import peft_adapter
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import MISSING, ModelError
from gemmalocal.export import merge
from gemmalocal.planning.published import MODELS, Model
from gemmalocal.weights import agree, gguf_file, gguf_header, safe_header, tensors
from gemmalocal.weights.locate import locate
from tests.weights import ggufs

SEED, TRIES = 13, 300
MOST = 64_000_000  # bytes of memory that reading a header may take


def quiet(*what: object) -> None:
    return None


def refused(call: Callable[[], object], says: str = "", name: str = "") -> str:
    """What was said; the memory that it took is bounded."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=says) as refusal:
            call()
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert refusal.value.code == MISSING
    assert name in refusal.value.message
    return refusal.value.message


def message(call: Callable[[], object]) -> str | None:
    """What our error says, if there is one."""
    try:
        call()
    except ModelError as error:
        return error.message
    return None


# --- safetensors ----------------------------------------------------------------------------------------------------

A, B = (
    {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
)


def safetensors(header: Any, data: bytes = b"x" * 32, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def changed(**change: Any) -> bytes:
    """A header of two tensors of which the second is changed."""
    return safetensors({"a": A, "b": {**B, **change}})


WHOLE = safetensors({"__metadata__": {"format": "pt"}, "a": A, "b": B})
SAFETENSORS = {  # a file, and what is said of it
    "empty": (b"", "has 0 bytes"),
    "seven bytes": (b"1234567", "has 7 bytes"),
    "a header length of 2^63": (struct.pack("<Q", 1 << 63) + b"{}", "header length says 9,223,372,036,854,775,808"),
    "a header length beyond the file": (safetensors({"a": A}, length=1000), "header length says 1,000"),
    "a header length of 0": (safetensors({}, length=0), "not JSON"),
    "a header that is not JSON": (safetensors(b"{oops"), "not JSON"),
    "a header that is no UTF-8": (safetensors(b'{"\xff": 1}'), "not JSON"),
    "a header that is a list": (safetensors([]), "not a JSON object"),
    "a header that is deep": (safetensors(b"[" * 100_000), "not JSON"),
    "a number of 5,000 digits": (safetensors(b'{"a": ' + b"1" * 5000 + b"}"), "not JSON"),
    "a name twice": (safetensors(b'{"a": {"x": 1}, "a": {"x": 1}}'), "a is there twice"),
    "an entry that is not an object": (safetensors({"a": 3}), "dtype of a"),
    "a dtype that is not": (changed(dtype="F99"), "dtype of b is 'F99'"),
    "a dtype that is a list": (changed(dtype=["F32"]), "dtype of b"),
    "no shape": (changed(shape=None), "shape of b"),
    "a negative size": (changed(shape=[-4]), r"shape of b is \[-4\]"),
    "a size of 2^60": (changed(shape=[1 << 60]), "data_offsets of b hold 8 bytes"),
    "sizes whose product is 2^124": (changed(shape=[1 << 61, 1 << 61]), "data_offsets of b"),
    "a size that is true": (changed(shape=[True]), "shape of b"),
    "a size with a point": (changed(shape=[4.0]), "shape of b"),
    "a thousand dimensions": (changed(shape=[1] * 1000), "shape of b"),
    "offsets that end before they begin": (changed(data_offsets=[32, 24]), "data_offsets of b"),
    "one offset": (changed(data_offsets=[24]), "data_offsets of b are"),
    "offsets below 0": (changed(data_offsets=[-8, 0]), "data_offsets of b are"),
    "offsets of text": (changed(data_offsets=["24", "32"]), "data_offsets of b are"),
    "an overlap": (changed(data_offsets=[16, 24]), "data_offsets of b overlap"),
    "a gap": (safetensors({"a": A, "b": {**B, "data_offsets": [28, 36]}}, b"x" * 36), "leave a gap"),
    "a shape of more than its bytes": (changed(shape=[5]), "hold 8 bytes, and its shape .* takes 10"),
    "a dtype of more than its bytes": (changed(dtype="F64"), "takes 32"),
    "a cut copy": (WHOLE[:-1], "its tensors take"),
    "a copy cut in the header": (WHOLE[:40], "header length says"),
    "bytes after the end": (WHOLE + b"xyz", "3 bytes after its last"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAFETENSORS)
def test_damaged_safetensors(case: str, tmp_path: Path) -> None:
    content, says = SAFETENSORS[case]
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(lambda: tensors.stored(tmp_path), says, "model.safetensors")


def test_whole_safetensors_are_read(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    kinds = [np.float32, np.float16, np.float64, np.int64, np.int8, np.uint16, np.bool_]
    plain: dict[str, np.ndarray[Any, Any]] = {
        f"x{number}": np.ones((2, number), kind) for number, kind in enumerate(kinds)
    }
    plain |= {"none": np.zeros((0, 3), np.float32), "one": np.full((), 3.5, np.float32)}
    save_file(plain, tmp_path / "model.safetensors")
    found = tensors.stored(tmp_path)
    assert all(np.array_equal(found[name].raw, value) for name, value in plain.items())
    assert {name: one.raw.shape for name, one in found.items()} == {name: value.shape for name, value in plain.items()}
    assert found["one"].floats() == 3.5


def test_safetensors_that_are_changed_at_random(tiny: Path, tmp_path: Path) -> None:
    """Each field of a real header, and its length; what our reader lets pass, safetensors itself reads too."""
    from safetensors import SafetensorError, deserialize

    whole, draw = (tiny / "model.safetensors").read_bytes(), random.Random(SEED)
    (length,) = struct.unpack("<Q", whole[:8])
    file, passed = tmp_path / "model.safetensors", 0
    for _ in range(TRIES):
        file.write_bytes(harmed(whole, draw, 8 + length))
        if (said := message(lambda: safe_header.read(file))) is not None:
            assert "model.safetensors" in said
            continue
        passed += 1
        try:
            deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            pytest.fail(f"safetensors refuses what we let pass: {error}")
    assert passed < TRIES / 2
    file.write_bytes(whole)
    assert safe_header.read(file).keys() == tensors.stored(tiny).keys()


def harmed(whole: bytes, draw: random.Random, header: int) -> bytes:
    """A file with one to three faults in its first `header` bytes, or cut, or grown."""
    data = bytearray(whole)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(min(header, len(data)))
        match draw.randrange(6):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.choice(b'\0\xff09-{}[]"')
            case 2:
                data[at : at + 8] = struct.pack("<Q", draw.choice([0, 1 << 31, 1 << 40, 1 << 63, (1 << 64) - 1]))
            case 3:
                del data[draw.randrange(8, len(data)) :]
            case 4:
                data[at:at] = bytes(draw.randrange(1, 9))
            case _:
                data += bytes(draw.randrange(1, 99))
    return bytes(data)


# --- a model's folder -----------------------------------------------------------------------------------------------

CONFIGS: dict[str, tuple[Any, str]] = {  # a change of config.json, and what is said
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
    "10^9 layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    "a number of 4,000 digits": (
        {"num_hidden_layers": 10**4000},
        "is a number of more than 12 digits",
    ),
    "layers below 0": ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
    "layers in words": ({"num_hidden_layers": "two"}, "num_hidden_layers is 'two'"),
    "half a layer": ({"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
    "layers are true": ({"num_hidden_layers": True}, "num_hidden_layers is True"),
    "layers are a list": ({"num_hidden_layers": [2]}, r"num_hidden_layers is \[2\]"),
    "layers missing": ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
    "a width that is missing": ({"hidden_size": None}, "hidden_size is missing"),
    "an absurd width": ({"hidden_size": 10**12}, "hidden_size"),
    "an absurd vocabulary": ({"vocab_size": 10**9}, "vocab_size"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads is 0"),
    "heads that do not divide": ({"num_key_value_heads": 3}, "no multiple of num_key_value_heads"),
    "an epsilon of NaN": ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
    "an endless base": ({"rope_theta": float("inf")}, "rope_theta is inf"),
    "more layers than weights": ({"num_hidden_layers": 3}, "is 3, and the weights have 2 layers"),
    "fewer layers than weights": ({"num_hidden_layers": 1}, "is 1, and the weights have 2 layers"),
    "another width than the weights'": ({"hidden_size": 32}, "hidden_size is 32, and model.embed_tokens.weight is"),
    "another vocabulary than the weights'": ({"vocab_size": 7}, "vocab_size is 7, and model.embed_tokens.weight"),
    "another inner width": ({"intermediate_size": 64}, "mlp.down_proj.weight to be 64 x 64"),
    "other heads": ({"num_attention_heads": 2}, "self_attn.o_proj.weight to be 64 x 32"),
    "another head's size": ({"head_dim": 8}, "self_attn.k_proj.weight to be 8 x 64"),
    "layer types of others": ({"layer_types": ["full_attention"]}, "layer_types has 1 layers"),
    "a text_config that is a list": ({"text_config": [1]}, "text_config is not an object"),
    "layers of a kind that is not": ({"layer_types": ["full_attention", "round"]}, "names 'round', which there is not"),
    "a family that is a list": ({"model_type": ["gemma"]}, "model_type is"),
    "positions of a list": ({"rope_parameters": [1]}, "rope_parameters is not an object"),
    "a factor of 0": ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "factor of rope_scaling is 0"),
    "a base of 0": ({"rope_parameters": {"full_attention": {"rope_theta": 0}}}, "rope_theta of rope_parameters is 0"),
    "quantized by a list": ({"quantization": [4]}, "quantization is not an object"),
    "no JSON": (b"{", "config.json is not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "deep": (b"[" * 100_000, "config.json is not JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "config.json is not JSON"),
}


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_is_absurd_or_contradicts_the_weights(case: str, model: Path) -> None:
    change, says = CONFIGS[case]
    file = model / "config.json"
    config = json.loads(file.read_text())
    file.write_bytes(change if isinstance(change, bytes) else json.dumps(config | change).replace("1e+", "1e").encode())
    refused(lambda: locate(str(model), quiet), says, "config.json")


def test_the_engines_refuse_it_as_well(model: Path) -> None:
    from gemmalocal.backends.mlx import model as mlx
    from gemmalocal.backends.torch import model as torch

    locate(str(model), quiet)
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-4])
    nothing: Any = None
    for load in (lambda: mlx.load(model, "auto"), lambda: torch.load(model, nothing, nothing)):
        refused(load, "its tensors take", "model.safetensors")


@pytest.mark.parametrize("published", MODELS, ids=lambda model: model.name)
def test_published_configurations_are_believed(published: Model) -> None:
    agree.check_numbers(published.size.config, published.name)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"weight_map": {"model.norm.weight": "model-2.safetensors"}}, "names model-2.safetensors, which is not there"),
        ({"weight_map": {"nothing": "model.safetensors"}}, "says that nothing is in model.safetensors, and it is not"),
        ({"weight_map": {"a": "../../model.safetensors"}}, "no map of names to files"),
        ({"weight_map": ["model.safetensors"]}, "no map of names to files"),
        ({"weight_map": {"a": 3}}, "no map of names to files"),
        ([], "not a JSON object"),
        ({}, "no map of names to files"),
    ],
)
def test_an_index_that_lies(index: Any, says: str, model: Path) -> None:
    (model / agree.INDEX).write_text(json.dumps(index))
    refused(lambda: locate(str(model), quiet), says, agree.INDEX)


# --- GGUF -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "x.gguf"
    ggufs.write(file, "gemma3", Kind.Q8_0)
    return file


def packed(*parts: Any) -> bytes:
    """A GGUF file by hand: text as a string with its length, numbers by their width ("I", 3)."""
    return b"".join(
        part if isinstance(part, bytes)
        else struct.pack("<Q", len(part)) + part.encode() if isinstance(part, str)
        else struct.pack(f"<{part[0]}", *part[1:])
        for part in parts
    )  # fmt: skip


def head(tensors: int, pairs: int) -> tuple[Any, ...]:
    return b"GGUF", ("I", 3), ("QQ", tensors, pairs)


def tensor(*shape: int, name: str = "t", kind: int = 0, offset: int = 0) -> tuple[Any, ...]:
    return name, ("I", len(shape)), (f"{len(shape)}Q", *shape), ("IQ", kind, offset)


ROOM = bytes(400)
GGUFS = {  # a file, and what is said of it
    "another magic": (packed(b"GGML", ("I", 3), ("QQ", 0, 0)), "does not begin with GGUF"),
    "another version": (packed(b"GGUF", ("I", 9), ("QQ", 0, 0)), "version is 9"),
    "an old version": (packed(b"GGUF", ("I", 1), ("QQ", 0, 0)), "version is 1"),
    "of the other byte order": (packed(b"GGUF", ("I", 3 << 24), ("QQ", 0, 0)), "version is"),
    "short": (b"GGUF\3\0\0\0", "too short"),
    "2^60 tensors": (packed(*head(1 << 60, 0), ROOM), "count of tensors is 1,152,921,504,606,846,976"),
    "2^60 keys": (packed(*head(0, 1 << 60), ROOM), "count of metadata is"),
    "a key of 2^60 bytes": (packed(*head(0, 1), ("Q", 1 << 60), ROOM), "the length of key 0"),
    "a key that is no UTF-8": (packed(*head(0, 1), ("Q", 1), b"\xff", ("II", 4, 1), ROOM), "key 0 is no UTF-8"),
    "a key twice": (packed(*head(0, 2), "a", ("II", 4, 1), "a", ("II", 4, 1), ROOM), "a is there twice"),
    "a value of no type": (packed(*head(0, 1), "a", ("I", 99), ROOM), "a is of type 99"),
    "a text beyond the end": (packed(*head(0, 1), "a", ("I", 8), ("Q", 10**6), ROOM), "the length of a is 1,000,000"),
    "an array beyond the end": (packed(*head(0, 1), "a", ("IIQ", 9, 4, 10**9), ROOM), "length of a is 1,000"),
    "an array of no type": (packed(*head(0, 1), "a", ("IIQ", 9, 99, 1), ROOM), "an array of type 99"),
    "an array of texts beyond": (packed(*head(0, 1), "a", ("IIQ", 9, 8, 2), "x", ("Q", 1 << 50), ROOM), "beyond"),
    "arrays in arrays in arrays": (packed(*head(0, 1), "a", ("IIQ", 9, 9, 1), ("IQ", 9, 1), ("IQ", 9, 1)), "type 9"),
    "an array of nothing but numbers": (packed(*head(0, 1), "a", ("IIQ", 9, 0, 1 << 24), bytes(1 << 24)), "than any"),
    "an alignment of 0": (packed(*head(0, 1), "general.alignment", ("II", 4, 0), ROOM), "general.alignment is 0"),
    "an alignment of 3": (packed(*head(0, 1), "general.alignment", ("II", 4, 3), ROOM), "general.alignment is 3"),
    "an alignment in words": (packed(*head(0, 1), "general.alignment", ("I", 8), "a", ROOM), "general.alignment is a"),
    "a tensor of no dimension": (packed(*head(1, 0), *tensor(), ROOM), "t has 0 dimensions"),
    "a tensor of 9 dimensions": (packed(*head(1, 0), *tensor(*[1] * 9), ROOM), "t has 9 dimensions"),
    "a tensor of no numbers": (packed(*head(1, 0), *tensor(0), ROOM), r"t has the shape \[0\]"),
    "a tensor of 2^60 numbers": (packed(*head(1, 0), *tensor(1 << 60), ROOM), "t ends at"),
    "a tensor of 2^120 numbers": (packed(*head(1, 0), *tensor(1 << 60, 1 << 60), ROOM), "t ends at"),
    "a tensor of no type": (packed(*head(1, 0), *tensor(1, kind=99), ROOM), "t is of type 99"),
    "half a block": (packed(*head(1, 0), *tensor(33, kind=8), ROOM), "packs 32 numbers"),
    "an offset that is not aligned": (packed(*head(1, 0), *tensor(1, offset=4), ROOM), "offset of t is 4, which"),
    "an offset beyond the end": (packed(*head(1, 0), *tensor(1, offset=32 << 40), ROOM), "t ends at"),
    "tensors that overlap": (packed(*head(2, 0), *tensor(16), *tensor(16, name="u", offset=32), ROOM), "u overlaps"),
    "a tensor twice": (packed(*head(2, 0), *tensor(8), *tensor(8, offset=32), ROOM), "there twice"),
}  # fmt: skip


@pytest.mark.parametrize("case", GGUFS)
def test_damaged_ggufs(case: str, tmp_path: Path) -> None:
    content, says = GGUFS[case]
    (tmp_path / "x.gguf").write_bytes(content)
    refused(lambda: gguf_file.to_folder(tmp_path / "x.gguf", tmp_path / "out", quiet, {}), says, "x.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


METADATA: dict[str, tuple[dict[str, Any], str]] = {  # metadata that contradicts the tensors or itself
    "a layer more": ({"gemma3__block_count": 8}, "lacks blk.7"),
    "a layer less": ({"gemma3__block_count": 6}, "num_hidden_layers is 6, and the weights have 7"),
    "10^9 layers": ({"gemma3__block_count": 10**9}, "num_hidden_layers is 1000000000"),
    "no layers": ({"gemma3__block_count": 0}, "num_hidden_layers is 0"),
    "layers in words": ({"gemma3__block_count": "seven"}, "num_hidden_layers"),
    "layers missing": ({"gemma3__block_count": None}, "num_hidden_layers"),
    "more heads": ({"gemma3__attention__head_count": 4}, "self_attn.(q|o)_proj.weight to be"),
    "more heads of keys": ({"gemma3__attention__head_count_kv": 2}, "self_attn.k_proj.weight to be 512 x 64"),
    "10^9 heads": ({"gemma3__attention__head_count": 10**9}, "num_attention_heads is 1000000000"),
    "another width": ({"gemma3__embedding_length": 128}, "hidden_size is 128, and"),
    "another inner width": ({"gemma3__feed_forward_length": 64}, "mlp.(gate|up|down)_proj.weight to be"),
    "another head's size": ({"gemma3__attention__key_length": 128}, "self_attn.q_proj.weight to be 256"),
    "an epsilon of NaN": ({"gemma3__attention__layer_norm_rms_epsilon": float("nan")}, "rms_norm_eps"),
    "an epsilon in words": ({"gemma3__attention__layer_norm_rms_epsilon": "small"}, "metadata of x.gguf"),
    "a window in words": ({"gemma3__attention__sliding_window": "wide"}, "sliding_window"),
    "no context": ({"gemma3__context_length": 0}, "max_position_embeddings is 0"),
    "an end that is no token": ({"tokenizer__ggml__eos_token_id": "x"}, "eos_token_id"),
    "fewer tokens than rows": ({"tokenizer__ggml__tokens": ["<bos>", "a"]}, "tokenizer.ggml.tokens .* 310 tokens"),
    "fewer scores than rows": ({"tokenizer__ggml__scores": [0.5]}, "tokenizer.ggml.scores"),
    "scores in words": ({"tokenizer__ggml__scores": ["a"] * 310}, "tokenizer.ggml.scores"),
    "tokens in numbers": ({"tokenizer__ggml__tokens": [1] * 310}, "tokenizer.ggml.tokens"),
    "a template that is a number": ({"tokenizer__chat_template": 3}, "chat_template"),
}


@pytest.mark.parametrize("case", METADATA)
def test_a_gguf_that_contradicts_itself_is_not_imported(case: str, tmp_path: Path) -> None:
    change, says = METADATA[case]
    ggufs.write(tmp_path / "x.gguf", "gemma3", Kind.Q8_0, **change)
    refused(lambda: gguf_file.to_folder(tmp_path / "x.gguf", tmp_path / "out", quiet, {}), says)
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


def test_ggufs_that_are_changed_at_random(gguf: Path, tmp_path: Path) -> None:
    """Each field of a real header: our error, or a file that gguf itself reads; never more memory than a bound."""
    whole, draw, file = gguf.read_bytes(), random.Random(SEED), tmp_path / "x.gguf"
    gguf_header.check(gguf)
    passed, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(TRIES):
        file.write_bytes(harmed(whole, draw, 12_000))
        if (said := message(lambda: gguf_header.check(file))) is not None:
            assert "x.gguf" in said
            continue
        passed += 1
        if passed <= 40:  # each takes a while
            out = tmp_path / str(passed)
            said = message(partial(gguf_file.to_folder, file, out, quiet, {}))
            assert said is None or not out.exists()
    assert 0 < passed < TRIES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": "1.0"', b"\xff{}", b"[" * 100_000, b'{"model": 3}'])
def test_a_damaged_tokenizer_is_named(content: bytes, model: Path) -> None:
    (model / "tokenizer.json").write_bytes(content)
    refused(lambda: Tokenizer(model), "is damaged", "tokenizer.json")


ADAPTER = {"r": 2, "lora_alpha": 4, "peft_type": "LORA"}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "adapter_config"),
        ([], "adapter_config"),
        ({"r": 0, "lora_alpha": 1, "use_rslora": True}, "adapter_config"),
        (ADAPTER, "lora_B"),
    ],
)
def test_a_damaged_adapter_is_named(config: Any, says: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    name = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"
    save_file({name: np.ones((2, 4), np.float32)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    refused(lambda: merge.read_adapter(tmp_path), says)
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors({"a": A}, length=1 << 40))
    refused(lambda: peft_adapter.load(tmp_path, peft_adapter.WEIGHTS), "header length", "adapter_model.safetensors")
