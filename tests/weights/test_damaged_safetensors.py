"""Damaged safetensors, of models and of adapters: our error with file and field, before memory is taken.

A table of faults by hand, and a fuzz with a seed that flips, cuts and grows each field of a real header.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.backends import peft_adapter
from gemmalocal.export import merge
from gemmalocal.weights import safe_header, tensors
from tests.weights.damage import SEED, TRIES, harmed, message, refused

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
