"""Damaged GGUF files: our error with file and field, before memory is taken; what is whole is read as before.

Tables of faults by hand, and a fuzz with a seed that flips, cuts and grows each field of a real header.
"""

from __future__ import annotations

import random
import resource
import struct
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from gemmalocal.weights import gguf_file, gguf_header
from tests.weights import ggufs
from tests.weights.damage import SEED, TRIES, harmed, message, quiet, refused


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
    "a key that is no UTF-8": (packed(*head(0, 1), ("Q", 1), b"\xff", ("II", 4, 1), ROOM), "key 0 is not UTF-8"),
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
