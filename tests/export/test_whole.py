"""Readers of exports take only what is whole; a kill while one is replaced loses neither; remedies differ from it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.errors import GemmalocalError
from gemmalocal.export import proof, proved, publish
from gemmalocal.files import manifest
from gemmalocal.workspace import exports

PROOF = {"form": "adapter", "passed": True, "tuned": 1.0, "exported": 1.0, "kept": 1.0}


@pytest.fixture
def run(workspace: Path) -> Path:
    """A run with an export, as both are on disk."""
    folder = workspace / "runs" / "tune"
    made = folder / "exports" / "adapter"
    made.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": {}}))
    (folder / "adapter").mkdir()
    for name, text in (("adapter_model.safetensors", "weights" * 9), ("README.md", "card"), ("config.json", "{}")):
        (made / name).write_text(text)
    (made / "proof.json").write_text(json.dumps(PROOF))
    manifest.write(made)
    return folder


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


Harm = Callable[[Path], None]
HARMS: dict[str, tuple[Harm, str, bool]] = {  # what is done, what is said, and whether sizes alone tell
    "no weights": (lambda made: (made / "adapter_model.safetensors").unlink(), "safetensors is missing", True),
    "cut weights": (lambda made: cut(made / "adapter_model.safetensors"), "62 bytes instead of 63", True),
    "a flipped bit": (lambda made: flipped(made / "adapter_model.safetensors"), "not as it was written", False),
    "another configuration": (lambda made: flipped(made / "config.json"), "config.json is not as", False),
    "grown weights": (lambda made: put(made / "adapter_model.safetensors", "weights" * 9 + "x"), "64 bytes", True),
    "a cut manifest": (lambda made: os.truncate(made / manifest.MANIFEST, 99), "list of files is damaged", True),
    "a manifest of a list": (lambda made: put(made / manifest.MANIFEST, "[]"), "list of files is damaged", True),
    "of an older version, no weights": (
        lambda made: unlink(made / manifest.MANIFEST, made / "adapter_model.safetensors"),
        "weights is missing",
        True,
    ),
    "of an older version, a shard missing": (
        lambda made: put(
            made / "model.safetensors.index.json",
            '{"weight_map": {"a": "model-1.safetensors"}}',
            made / manifest.MANIFEST,
        ),
        "model-1.safetensors is missing",
        True,
    ),
}


def unlink(*files: Path) -> None:
    for file in files:
        file.unlink()


def put(file: Path, text: str, gone: Path | None = None) -> None:
    file.write_text(text)
    if gone:
        gone.unlink()


@pytest.mark.parametrize("case", HARMS)
def test_what_is_not_whole_is_not_taken(case: str, run: Path) -> None:
    do, says, by_size = HARMS[case]
    assert proved.find(run, "adapter") == run / "exports" / "adapter"
    do(run / "exports" / "adapter")
    with pytest.raises(GemmalocalError, match=says) as refusal:
        proved.find(run, "adapter")
    assert "gemmalocal export tune --to adapter" in refusal.value.hint
    if by_size:
        (seen,) = exports.of_run(run)
        assert seen.proof is None
        assert seen.trouble is not None
        assert says in seen.trouble.message


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "\x80"])
def test_a_damaged_proof_is_none(content: str, run: Path) -> None:
    (run / "exports" / "adapter" / "proof.json").write_text(content)
    with pytest.raises(GemmalocalError, match="proof.json cannot be read"):
        proved.find(run, "adapter")
    assert all(seen.proof is None for seen in exports.of_run(run))


def test_an_edited_card_goes_out_and_an_older_export_too(run: Path) -> None:
    made = run / "exports" / "adapter"
    (made / "README.md").write_text("my own words")
    assert proved.find(run, "adapter") == made
    unlink(made / manifest.MANIFEST)
    save_file({"a": np.ones(9, np.float32)}, made / "adapter_model.safetensors")
    os.utime(made / "proof.json")
    assert proved.find(run, "adapter") == made
    cut(made / "adapter_model.safetensors")
    with pytest.raises(GemmalocalError, match="its tensors take"):
        proved.find(run, "adapter")
    save_file({"a": np.ones(9, np.float32)}, made / "adapter_model.safetensors")
    (seen,) = exports.of_run(run)
    assert seen.proof == PROOF


def test_what_others_put_into_an_export_is_not_pushed(run: Path) -> None:
    made = run / "exports" / "adapter"
    for name in ("secrets.json", "LICENSE", "notes.safetensors"):
        (made / name).write_text("{}")
    wanted = {"README.md", "LICENSE", "adapter_model.safetensors", "config.json", "proof.json"}
    assert {item.name for item in publish.model(made, "me/tune")} == wanted


def test_what_was_being_replaced_is_put_back_before_it_is_read(run: Path) -> None:
    made, gone = run / "exports" / "adapter", 2**22 + 1
    made.rename(made.with_name(f".adapter.{gone}.old"))
    (made.with_name(f".adapter.{gone}.tmp")).mkdir()
    (made.with_name("tmp1234abcd") / "whole").mkdir(parents=True)  # an older version's
    assert proved.find(run, "adapter") == made
    assert [path.name for path in made.parent.iterdir()] == ["adapter"]


def test_a_target_elsewhere_is_put_back_too(run: Path, tmp_path: Path) -> None:
    job = run / "exporting" / "adapter"
    job.mkdir(parents=True)
    (job / "job.json").write_text(json.dumps({"kind": "export", "spec": {"to": str(tmp_path / "out")}}))
    (tmp_path / f".out.{2**22 + 1}.old").mkdir()
    exports.settle(run)
    assert (tmp_path / "out").is_dir()


FORMS = [form for offer in exports.OFFERS for form in offer.forms]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.label)
def test_a_remedy_is_never_what_was_just_done(form: exports.ExportForm) -> None:
    said = proof.remedy(form.label)
    assert said.endswith((".", "?"))
    offered = said.partition(":")[2] if form.of_gguf else said
    if form.detail:
        assert form.detail not in offered.replace(",", " ").replace(".", " ").split()
    if form.of_gguf and form.type in ("Q4_0", "Q8_0"):
        assert {"Q4_0": "Q4_K_M, Q5_K_M, Q6_K, Q8_0, F16 or BF16", "Q8_0": "F16 or BF16"}[form.type] in said
    if form.bits == 4:
        assert "--quantize 8" in said
