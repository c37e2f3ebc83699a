"""What is torch's own: its numbers by device, products in float16, quantized weights, packed rows, memory, faults."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from gemmalocal.backends import open_backend, peft_adapter
from gemmalocal.backends.torch import attention, device, fused_ops, lora, loss, multi_lora, train
from gemmalocal.backends.torch.errors import translated
from gemmalocal.backends.torch.frozen_linear import QUANTIZED, FrozenLinear, product
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.errors import ModelError, OutOfMemory, RecipeError
from gemmalocal.recipe import recipe_file
from tests.backends.truth import some_rows

(BATCH,) = plan(some_rows(), BatchShape(8, 10_000, 10_000))
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


def trainer(folder: Path, path: Path, *overrides: str) -> Any:
    recipe = recipe_file.load(str(path), [f"model={folder}", "lora.dropout=0", *overrides])
    return open_backend("torch").trainer(folder, recipe)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def slopes(found: torch.Tensor, of: list[torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad((found * normal(*found.shape)).sum(), of))


def near(found: list[torch.Tensor], wanted: list[torch.Tensor], tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * float(other.abs().max()))


@pytest.mark.parametrize(
    ("kind", "asked", "weights", "stream"),
    [
        ("cpu", "auto", F32, F32),
        ("mps", "auto", F32, F32),
        ("turing", "auto", F16, F32),  # T4, and V100 before it
        ("cuda", "auto", BF16, BF16),  # A100, L4
        ("cuda", "float16", F16, F32),
        ("turing", "float32", F32, F32),
        ("cpu", "bfloat16", BF16, F32),
        ("mps", "bfloat16", BF16, BF16),
    ],
)
def test_the_numbers_of_each_device(kind: str, asked: str, weights: torch.dtype, stream: torch.dtype) -> None:
    found = device.precision(device.DESCRIPTIONS[kind], asked)
    assert (found.weights, found.stream) == (weights, stream)
    assert found.why


def test_products_in_float16_stand_what_float16_does_not() -> None:
    x, matrix = normal(5, 64) * torch.tensor([[1e-9], [1.0], [1e6], [1e9], [0.0]]), normal(64, 32)
    assert not (x.half() @ matrix.half()).isfinite().all()
    found = product(x, matrix.half())
    assert found.dtype == F32
    error = (found - x @ matrix).abs().amax(1)
    assert (error <= 2e-3 * (x @ matrix).abs().amax(1)).all()


def loud(tiny: Path, folder: Path) -> Path:
    """The tiny Gemma with activations far beyond float16's 65,504 in its residual stream, as Gemma 3's are."""
    folder.mkdir()
    weights = load_file(tiny / "model.safetensors")
    for name in weights:
        if "post_attention_layernorm" in name or "post_feedforward_layernorm" in name:
            weights[name] = weights[name] + np.float32(1e5)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    return folder


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_a_loud_model_trains_in_half_like_in_float32(tiny: Path, recipe_path: Path, tmp_path: Path, half: str) -> None:
    folder, found = loud(tiny, tmp_path / "loud"), []
    for dtype in ("float32", half):
        made = trainer(folder, recipe_path, f"dtype={dtype}")
        losses = []
        for _ in range(4):
            made.accumulate([BATCH])
            losses.append(made.apply(3e-3))
        assert all(update.finite for update in losses)
        found.append([update.loss for update in losses])
    states = made._model.model(torch.arange(6, 30)[None], use_cache=False, output_hidden_states=True).hidden_states
    assert max(float(one.abs().max()) for one in states[:-1]) > 65_504
    assert {module.weight.dtype for module in made._model.modules() if isinstance(module, FrozenLinear)} == {
        getattr(torch, half)
    }
    np.testing.assert_allclose(found[1], found[0], rtol=1e-2)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_products_and_gradients(bits: int) -> None:
    weight, x = normal(96, 128), normal(7, 128).requires_grad_()
    layer = QUANTIZED[bits](weight)
    assert (layer.matrix() - weight).abs().max() < (0.6 if bits == 4 else 0.03)
    near([layer(x)], [x @ layer.matrix().T], 1e-6)
    near(slopes(layer(x), [x]), slopes(x @ layer.matrix().T, [x]), 1e-6)
    stored = sum(value.numel() * value.element_size() for value in layer.buffers())
    assert stored <= weight.numel() * bits / 8 + 4 * len(weight)


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_quantized_base_stays_and_the_adapter_learns(
    tiny: Path, recipe_path: Path, tmp_path: Path, bits: str, method: str
) -> None:
    made = trainer(tiny, recipe_path, f"quantize={bits}", f"method={method}")
    layers = [module for module in made._model.modules() if isinstance(module, QUANTIZED[int(bits[0])])]
    assert len(layers) == 14
    before = [layer.matrix().clone() for layer in layers]
    plain = trainer(tiny, recipe_path).evaluate([BATCH])[0]
    losses = []
    for _ in range(5):
        made.accumulate([BATCH])
        losses.append(made.apply(3e-3).loss)
    assert losses[0] * BATCH.supervised == pytest.approx(plain, rel=0.05)
    assert losses[-1] < losses[0]
    assert all(layer.matrix().equal(one) for layer, one in zip(layers, before, strict=True))
    made.save(tmp_path)
    again = trainer(tiny, recipe_path, f"quantize={bits}", f"method={method}")
    again.restore(tmp_path)
    assert again.evaluate([BATCH]) == made.evaluate([BATCH])


def test_a_small_stretch_is_not_lost_in_bfloat16(tmp_path: Path) -> None:
    """As many outputs change as with PEFT, or more, and by as much: a factor of 1.003 is 1 in bfloat16."""
    from peft import LoraConfig, get_peft_model

    weight, x = normal(512, 64).bfloat16(), normal(3, 64).bfloat16()
    linear = torch.nn.Linear(64, 512, bias=False, dtype=BF16).requires_grad_(False)
    linear.weight.copy_(weight)
    lora_a, no_b = normal(4, 64), np.zeros((512, 4), np.float32)
    ours = lora.DoraLinear(linear, 2.0, 0.0, lora_a)
    spoken = multi_lora.MultiLoraLinear(linear, 2, BF16, x.device)
    theirs = get_peft_model(
        torch.nn.Sequential(OrderedDict(linear=linear)), LoraConfig(r=4, use_dora=True, target_modules=["linear"])
    )
    (length,) = [parameter for name, parameter in theirs.named_parameters() if "magnitude" in name]
    outputs: list[list[torch.Tensor]] = []
    with torch.no_grad():
        for _ in range(2):
            spoken.add(1, peft_adapter.Part(lora_a.numpy(), no_b, ours.magnitude.numpy(), 2.0))
            spoken.select(torch.ones(3, dtype=torch.long))
            outputs.append([theirs(x), ours(x), spoken(x)])
            length.mul_(1.003)
            ours.magnitude.mul_(1.003)
    changed = [int((now != before).sum()) for before, now in zip(*outputs, strict=True)]
    ratios = [float((now.float() / before.float()).mean()) for before, now in zip(*outputs, strict=True)]
    assert changed[0] > x.shape[0] * 512 / 2
    assert min(changed[1:]) >= changed[0]
    assert ratios == pytest.approx([1.003] * 3, abs=3e-4)


def test_eight_bit_adamw_is_refused_where_there_is_none(
    tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device.DESCRIPTION, "mps")
    for backend in ("torch", "mlx"):
        recipe = recipe_file.load(str(recipe_path), ["train.optimizer=paged_adamw_8bit"])
        with pytest.raises(RecipeError, match=r"8bit|8-bit") as found:
            open_backend(backend).trainer(tiny, recipe)
        assert "adamw" in str(found.value.hint)


def test_another_engines_checkpoint_is_refused(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    open_backend("mlx").trainer(tiny, recipe_file.load(str(recipe_path))).save(tmp_path)
    with pytest.raises(ModelError, match="another engine"):
        trainer(tiny, recipe_path).restore(tmp_path)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_the_head_in_tiles_equals_plain_autodiff(softcap: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "TILE", 77)  # several tiles, the last one short
    monkeypatch.setattr(loss, "ROWS", 11)
    model: Any = torch.nn.Module()
    model.lm_head = torch.nn.Linear(16, 300, bias=False).requires_grad_(False)
    model.config = type("", (), {"final_logit_softcapping": softcap})
    hidden, ids = (3 * normal(40, 16)).requires_grad_(), torch.arange(40) * 7 % 300
    logits = model.lm_head(hidden)
    logits = softcap * torch.tanh(logits / softcap) if softcap else logits
    wanted = torch.nn.functional.cross_entropy(logits, ids, reduction="sum")
    found = loss.Head(model).loss(hidden.detach(), ids)
    assert float(found.nats.sum()) == pytest.approx(float(wanted), rel=1e-6)
    judged = loss.Head(model).loss(hidden.detach(), ids, gradient=False)
    assert judged.nats.equal(found.nats)
    assert judged.hidden_gradient is None
    assert found.hidden_gradient is not None
    near([found.hidden_gradient], list(torch.autograd.grad(wanted, hidden)), 1e-5)


def test_tiles_stand_large_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "TILE", 2)
    model: Any = torch.nn.Module()
    model.lm_head = torch.nn.Linear(1, 3, bias=False).requires_grad_(False)
    model.lm_head.weight.data = torch.tensor([[-1e4], [0.0], [1e4]])
    model.config = type("", (), {})
    value, slope = loss.Head(model).loss(torch.tensor([[1.0], [-1.0], [0.0]]), torch.tensor([2, 2, 1]))
    assert float(value.sum()) == pytest.approx(2e4 + np.log(3), rel=1e-6)
    assert slope is not None
    np.testing.assert_allclose(slope[:, 0], [0, -2e4, 0], atol=1e-2)


def test_norms_and_gated_blocks_equal_autodiff() -> None:
    x, gain = (5 * normal(4, 9, 32)).requires_grad_(), normal(32).requires_grad_()
    plain = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain
    found = fused_ops.rms_norm(x, gain, 1e-6)
    near([found, *slopes(found, [x, gain])], [plain, *slopes(plain, [x, gain])], 1e-5)
    gate, up = normal(6, 8).requires_grad_(), normal(6, 9)[:, :8].requires_grad_()
    wanted = torch.nn.functional.gelu(gate, approximate="tanh") * up
    ours = fused_ops.geglu(gate, up)
    near([ours, *slopes(ours, [gate, up])], [wanted, *slopes(wanted, [gate, up])], 1e-6)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 12, 7, 30])
def test_no_row_sees_another(window: int | None, softcap: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "CHUNK", 12)
    monkeypatch.setattr(attention, "LONG", 20)
    rows = [50, 1, 9, 31]
    total = sum(rows)
    queries, keys, values = (normal(1, heads, total, 16).requires_grad_() for heads in (4, 2, 2))
    found, _ = attention.attend(None, queries, keys, values, None, 0.25, window, softcap, rows)
    owner = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(rows))
    distance = torch.arange(total)[:, None] - torch.arange(total)
    seen = (owner[:, None] == owner) & (distance >= 0) & (distance < (window or total))
    scores = 0.25 * queries @ keys.repeat_interleave(2, 1).transpose(-1, -2)
    scores = softcap * torch.tanh(scores / softcap) if softcap else scores
    wanted = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ values.repeat_interleave(2, 1)
    given = [queries, keys, values]
    near([found, *slopes(found, given)], [wanted.transpose(1, 2), *slopes(wanted.transpose(1, 2), given)], 1e-5)


def test_long_answers_keep_within_the_window(tiny: Path, recipe_path: Path) -> None:
    """The tiny Gemma's window is 16 tokens; each id is the likeliest after a whole pass over those before it."""
    made, given = trainer(tiny, recipe_path), [2, *range(70, 90)]
    answer = list(made.stream(given, 12, set()))
    for place, token in enumerate(answer):
        ids = torch.tensor([[*given, *answer[:place]]])
        with torch.no_grad():
            assert int(made._model(input_ids=ids).logits[0, -1].argmax()) == token


def test_memory_is_what_the_process_takes_and_gives_back() -> None:
    """In a process of its own: what other tests allocate and free would be counted too."""
    program = (
        "import torch; from gemmalocal.backends.torch.cpu_memory import Resident\n"
        "torch.ones(2); resident = Resident(); held = torch.ones(30_000_000); first = resident()\n"
        "assert first.active > 100e6, first\n"
        "del held\n"
        "assert resident().peak > 100e6, 'still the peak since the last look'\n"
        "assert resident().active < first.active - 100e6\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_what_torch_says_when_memory_is_short(error: Exception) -> None:
    with pytest.raises(OutOfMemory) as found, translated():
        raise error
    assert "\n" not in found.value.message
    assert found.value.hint
    with pytest.raises(RuntimeError, match="shapes"), translated():
        raise RuntimeError("shapes differ")


SHORT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("what", ["accumulate", "apply", "save", "restore", "load", "evaluate", "logits"])
def test_memory_may_be_short_in_whatever_a_trainer_does(
    what: str, tiny: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tiny, recipe_path)
    made.save(tmp_path)
    made.accumulate([BATCH])
    calls: dict[str, Any] = {"save": tmp_path, "restore": tmp_path, "load": tmp_path, "apply": 1e-3, "logits": [2, 70]}

    def short(*args: Any, **kwargs: Any) -> None:
        raise SHORT

    for owner, name in (
        (made._head, "loss"), (made._head, "logits"), (made._optimizer, "step"), (train, "save_file"),
        (train, "load_file"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, short)
    with pytest.raises(OutOfMemory, match="Tried to allocate"):
        getattr(made, what)(calls.get(what, [BATCH]))


def test_shapes_leave_room_for_a_whole_batch() -> None:
    """Rows are packed, so a plan puts rows of any length together until the limit."""
    shapes = replace(device.CPU_SHAPES, limit=10_000, overhead=10_000)
    assert len(plan(some_rows(), shapes)) == 1
