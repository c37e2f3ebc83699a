"""Exports of a tiny tuned Gemma: each read again by somebody else, and what sabotage looks like in the proof."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import libgguf
import numpy as np
import pytest
from safetensors import safe_open

from gemmalocal.backends import peft_adapter
from gemmalocal.errors import ModelError
from gemmalocal.export import forms, gguf_types, gguf_write, merge
from gemmalocal.export.source import FinishedRun
from gemmalocal.pipelines.shared.export_proof import prove
from gemmalocal.recipe import recipe_file
from gemmalocal.weights import tensors
from gemmalocal.weights.tensors import Tensor
from gemmalocal.workspace.exports import ExportForm
from tests.conftest import CONFIG, random_weights
from tests.here import run
from tests.with_torch import torch, transformers

IDS = torch.tensor([[2, 40, 270, 9, 281, 30]])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A workspace with a run that has learned something."""
    folder = tmp_path_factory.mktemp("exported")
    rows = [{"prompt": f"the {word}:", "completion": f" and {word} the quote."} for word in "abcdefghijklmnopqrst"]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "tune.yaml").write_text(
        f"model: {tiny}\ndata:\n  path: {folder / 'rows.jsonl'}\n  split: 0.3\n"
        "lora: {rank: 8, alpha: 16}\n"
        "train: {steps: 40, batch_size: 4, learning_rate: 2e-3, evaluate_every: 20}\n"
        "samples: {prompts: ['the a:'], max_tokens: 5}\n"
    )
    trained(folder, "tune")
    return folder


def trained(home: Path, name: str, *words: str) -> Path:
    """A run of the home's recipe, changed by `words`."""
    done = run("train", str(home / "tune.yaml"), "--name", name, *words, home=home)
    assert done.returncode == 0, done.stderr
    return home / "runs" / name


@pytest.fixture
def source(home: Path, tiny: Path) -> FinishedRun:
    return opened(home / "runs" / "tune", tiny)


def opened(run: Path, tiny: Path) -> FinishedRun:
    return FinishedRun(run, recipe_file.load(str(run / "recipe.yaml")), tiny, run / "adapter")


def exported(home: Path, *words: str, name: str = "tune") -> tuple[Path, dict[str, Any]]:
    done = run("export", name, "--json", *words, home=home)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return Path(report["path"]), {**report, "told": done.stderr}


@pytest.mark.parametrize(
    "words",
    [
        ["adapter"],
        ["mlx-adapter"],
        ["gguf-adapter"],
        ["merged"],
        ["merged", "--quantize", "8"],
        ["gguf"],
        ["ollama", "--type", "F16"],
    ],
    ids=lambda words: "-".join(words).replace("--", ""),
)
def test_every_form_keeps_the_tune_and_says_so(home: Path, words: list[str]) -> None:
    folder, report = exported(home, "--to", *words)
    assert report["tuned"] < 0.9 * report["base"]
    assert report["kept"] > 0.97
    assert report["carried"] == pytest.approx(1, abs=0.1)
    assert report["exported"] == pytest.approx(report["base"] - report["kept"] * (report["base"] - report["tuned"]))
    assert json.loads((folder / "proof.json").read_text())["passed"] is True
    card = (folder / "README.md").read_text()
    assert "license: gemma\n" in card
    assert f"{report['exported']:.4f}" in card
    assert str(home) not in card
    assert "<polyline" in (folder / "losses.svg").read_text()
    assert not [path for path in folder.parent.iterdir() if path.name.startswith((".", "tmp"))]
    if words[0] == "mlx-adapter":
        assert report["reader"] == "the adapter over its base, by mlx-lm itself"
        assert "--adapter-path" in card
    if words[0] == "gguf-adapter":
        assert report["reader"].startswith("the adapter of the GGUF over its base")
        assert "no GGUF of the base is known here" in report["told"]
    if words[0] == "ollama":
        (file,) = folder.glob("*.gguf")
        written = (folder / "Modelfile").read_text()
        assert f"FROM ./{file.name}" in written
        assert "Gemma Terms of Use" in written


def test_an_adapter_as_gguf_is_proved_by_llama_cpp_over_the_bases_file(home: Path, tiny: Path) -> None:
    base = home / "base.gguf"
    gguf_write.write(base, tiny, gguf_write.plan(tiny, merge.merged(tiny, None), "Q8_0"), "b", lambda *what: None)
    folder, report = exported(home, "--to", "gguf-adapter", "--base", str(base))
    assert report["reader"] == "the adapter over base.gguf, by llama.cpp"
    assert report["kept"] > 0.97
    assert report["carried"] == pytest.approx(1, abs=0.1)
    (file,) = folder.glob("*.gguf")
    lines = (folder / "Modelfile").read_text().splitlines()
    assert lines[:2] == [f"FROM {base}", f"ADAPTER ./{file.name}"]
    refused = run("export", "tune", "--to", "gguf", "--base", str(base), home=home)
    assert refused.returncode == 2
    assert "--base is for gguf-adapter" in refused.stderr


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_merging_equals_peft(home: Path, source: FinishedRun, tiny: Path, tmp_path: Path, method: str) -> None:
    from peft import PeftModel

    if method == "dora":
        dora = trained(home, "dora", "--set", "method=dora", "--set", "train.steps=20")
        source = opened(dora, tiny)
        _, report = exported(home, "--to", "mlx-adapter", name="dora")
        assert report["kept"] > 0.97
    forms.write_merged(tmp_path, tiny, source.tensors(), "float32", lambda *what: None)
    ours = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    theirs = PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(tiny), str(source.result))
    plain = transformers.AutoModelForCausalLM.from_pretrained(tiny)
    with torch.no_grad():
        wanted = theirs(IDS).logits
        torch.testing.assert_close(ours(IDS).logits, wanted, atol=2e-5, rtol=1e-4)
        assert (plain(IDS).logits - wanted).abs().max() > 0.1


def test_a_whole_model_is_exported_as_what_it_is(home: Path) -> None:
    recipe = home / "tune.yaml"
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("lora")]
    (home / "whole.yaml").write_text("\n".join(["method: full", *lines]))
    slower = ("--set", "train.learning_rate=1e-3")
    done = run("train", str(home / "whole.yaml"), "--name", "whole", *slower, home=home)
    assert done.returncode == 0, done.stderr
    for words in (["merged", "--dtype", "float32"], ["gguf", "--type", "BF16"]):
        folder, report = exported(home, "--to", *words, name="whole")
        assert report["tuned"] < 0.9 * report["base"]
        assert report["kept"] > 0.97
        assert "lora" not in (folder / "README.md").read_text()
    refused = run("export", "whole", "--to", "mlx-adapter", home=home)
    assert refused.returncode == 3
    assert "A full fine-tune has no adapter." in refused.stderr


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_sabotage_is_caught(source: FinishedRun, tiny: Path, tmp_path: Path, share: float) -> None:
    """An export whose adapter was dropped, or whose scale was halved."""
    config = json.loads((source.result / peft_adapter.CONFIG).read_text())
    weak = tmp_path / "weak"
    weak.mkdir()
    (weak / peft_adapter.WEIGHTS).write_bytes((source.result / peft_adapter.WEIGHTS).read_bytes())
    (weak / peft_adapter.CONFIG).write_text(json.dumps(config | {"lora_alpha": share * config["lora_alpha"]}))
    folder = tmp_path / "export"
    folder.mkdir()
    forms.write_merged(folder, tiny, merge.merged(tiny, weak), "float32", lambda *what: None)
    proof = prove(ExportForm("merged", "float32"), source, folder, lambda *what: None)
    assert not proof.passed
    assert proof.kept is not None
    assert proof.carried < share + 0.3
    assert share > 0 or abs(proof.kept) < 0.01
    assert proof.logit_difference > 0.05
    honest = prove(ExportForm("adapter"), source, source.result, lambda *what: None)
    assert honest.kept == pytest.approx(1, abs=1e-3)
    assert all(answer.same for answer in honest.answers)
    assert replace(honest, base=honest.tuned).passed, "without a gain nothing can be lost"


def test_a_failed_proof_is_an_exit_code_and_stays_in_the_folder(home: Path) -> None:
    done = run("export", "tune", "--to", "gguf", "--type", "Q4_K_M", "--json", home=home)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["passed"] else 1)
    assert re.search(r"about [\d.]+ [MGk]B in ", done.stderr)
    assert "s or so, with the proof" in done.stderr
    assert "12 tensors as Q5_0: their rows do not fit Q4_K" in done.stderr
    again = run("export", "tune", "--to", "gguf", "--quantize", "4", home=home)
    assert again.returncode == 2
    assert "--quantize is for merged" in again.stderr


def test_the_adapter_of_another_model_is_refused(source: FinishedRun, tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text((tiny / "config.json").read_text())
    parts = [part for part in merge.merged(tiny, None) if "layers.1." not in part.name]
    tensors.write(other, parts, "F32", lambda *what: None, 10**9)
    with pytest.raises(ModelError, match="changes 7 weights"):
        merge.merged(other, source.result)


def test_bfloat16_is_rounded_as_torch_does() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(size=2000), [0, np.inf, -np.inf, 1 + 2**-9, 3e38, np.nan]])
    ours = tensors.packed(values.astype(np.float32), "BF16").view(np.int16)
    theirs = torch.tensor(values, dtype=torch.float32).bfloat16().view(torch.int16).numpy()
    finite = ~np.isnan(values)
    np.testing.assert_array_equal(ours[finite], theirs[finite])
    assert np.isnan(tensors.Stored("x", "BF16", ours.view(np.uint16)).floats()[-1])


def test_large_models_are_written_in_shards(tiny: Path, tmp_path: Path) -> None:
    tensors.write(tmp_path, merge.merged(tiny, None), "F16", lambda *what: None, 100_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    with safe_open(tmp_path / index["weight_map"]["model.norm.weight"], "np") as file:
        whole = tensors.stored(tiny)["model.norm.weight"].floats()
        np.testing.assert_allclose(file.get_tensor("model.norm.weight"), whole, atol=1e-3)


@pytest.mark.parametrize("form", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_packing_equals_the_gguf_packages_own(form: str) -> None:
    values = np.random.default_rng(1).normal(size=(6, 256)).astype(np.float32)
    kind = gguf_types.FORMS[form][0]
    np.testing.assert_array_equal(
        gguf_write.pack(values, kind).view(np.uint8), gguf.quants.quantize(values, kind).view(np.uint8)
    )


MORE = ("attn_v.weight", "ffn_down.weight")  # in the layers 0, 3, 6 and 7 of eight, where types are mixed


def larger(form: str, name: str) -> bool:
    """Whether llama.cpp gives a tensor Q6_K in a form of fewer bits."""
    if name == "token_embd.weight":
        return form in ("Q4_0", "Q4_K_M", "Q5_K_M")
    return form.endswith("_M") and name.endswith(MORE) and name.split(".")[1] in "0367"


FALLEN = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


@pytest.mark.parametrize("form", gguf_types.FORMS)
@pytest.mark.parametrize("width", [256, 64])
def test_a_file_holds_the_bytes_of_libggufs_quantizers(tiny: Path, tmp_path: Path, width: int, form: str) -> None:
    config = CONFIG | {"hidden_size": width, "intermediate_size": width, "num_hidden_layers": 8, "vocab_size": 320}
    config |= {"num_key_value_heads": 4, "head_dim": width // 4, "query_pre_attn_scalar": width // 4}
    weights = random_weights(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copyfile(tiny / "tokenizer.json", tmp_path / "tokenizer.json")
    parts = [Tensor(name, value.shape, partial(np.copy, value)) for name, value in weights.items()]
    planned = gguf_write.plan(tmp_path, parts, form)
    gguf_write.write(tmp_path / "x.gguf", tmp_path, planned, "x", lambda *what: None)
    found = gguf.GGUFReader(tmp_path / "x.gguf").tensors
    assert len(found) == len(weights)
    assert planned.size == sum(tensor.n_bytes for tensor in found)
    names, fallen = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, 8), 0
    stored = {names.get_name(name, try_suffixes=(".weight",)): value for name, value in weights.items()}
    for tensor in found:
        values, kind = stored[tensor.name], form.removesuffix("_M")
        if values.ndim == 1:
            values, kind = values + np.float32(1), "F32"
        elif larger(form, tensor.name):
            kind = "Q6_K"
        if width == 64 and kind in FALLEN:
            kind, fallen = FALLEN[kind], fallen + 1
        assert tensor.tensor_type.name == kind, tensor.name
        expected = libgguf.quantize_rows(values, gguf.GGMLQuantizationType[kind])
        assert tensor.data.tobytes() == expected.tobytes(), tensor.name
    assert planned.fallbacks.total() == fallen


@pytest.mark.parametrize(("form", "most"), [("Q4_K_M", 0.1), ("Q5_K_M", 0.05), ("Q6_K", 0.025)])
def test_k_quants_undone_are_near(form: str, most: float) -> None:
    values = np.random.default_rng(2).normal(size=(4, 512)).astype(np.float32)
    kind = gguf_types.FORMS[form][0]
    undone = gguf.quants.dequantize(gguf_write.pack(values, kind), kind)
    assert 0 < np.abs(undone - values).mean() < most
    np.testing.assert_allclose(libgguf.dequantize_rows(gguf_write.pack(values, kind), kind), undone, atol=1e-6)


def test_llama_cpp_reads_it_and_says_what_transformers_says(home: Path, source: FinishedRun, tmp_path: Path) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    folder, _ = exported(home, "--to", "gguf", "--type", "F16")
    (file,) = folder.glob("*.gguf")
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.cpuparams.n_threads, settings.verbosity = str(file), 128, 1, 0
    server = xllamacpp.Server(settings)
    asked = {"prompt": "the b:", "max_tokens": 8, "temperature": 0}
    said = server.handle_completions(asked)["choices"][0]["text"]
    proof = json.loads((folder / "proof.json").read_text())
    assert said.strip(), proof
    forms.write_merged(tmp_path, source.base, source.tensors(), "float32", lambda *what: None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.base)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = tokenizer("the b:", return_tensors="pt").input_ids
    found = model.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
    assert said == tokenizer.decode(found, skip_special_tokens=True)
