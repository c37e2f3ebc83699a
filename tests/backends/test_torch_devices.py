"""What torch does on each kind of device, tried on the CPU by the device's description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Sampling
from gemmalocal.backends.torch import attention, device
from gemmalocal.backends.torch.train import OPTIMIZER
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.errors import BackendUnavailable
from gemmalocal.recipe import recipe_file
from tests.backends.truth import some_rows

PARTS = plan(some_rows(), BatchShape(8, 10_000, 10_000))
LORA, DORA, FULL = ["method=lora"], ["method=dora"], ["method=full"]


class Poorer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses on the CPU what a device described by `traits` has not."""

    def __init__(self, traits: device.DeviceTraits) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._traits, self.seen = traits, set[torch.dtype]()

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        assert not kwargs.get("non_blocking"), f"{call} reads memory that may be gone"
        output = call(*args, **kwargs)
        for value in torch.utils._pytree.tree_leaves(output):
            if isinstance(value, torch.Tensor):
                self.seen.add(value.dtype)
                assert self._traits.float64 or value.dtype != torch.float64, f"{call} makes float64"
        return output


def trainer(folder: Path, path: Path, overrides: list[str]) -> Any:
    return open_backend("torch").trainer(folder, recipe_file.load(str(path), overrides))


def recipe_for(path: Path, overrides: list[str]) -> Path:
    if "method=full" in overrides:
        path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("lora")))
    return path


def stepped(made: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        made.accumulate(PARTS)
        losses.append(made.apply(3e-3).loss)
    return losses


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [("mps", LORA), ("mps", DORA), ("mps", FULL), ("cuda", DORA), ("cuda", FULL), ("turing", DORA)],
    ids=["mps-lora", "mps-dora", "mps-full", "cuda-dora", "cuda-full", "turing-dora"],
)
def test_each_device_trains_saves_goes_on_and_answers(
    kind: str, overrides: list[str], tiny: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device.DESCRIPTION, kind)
    with Poorer(device.traits()) as poorer:
        _train_save_go_on_and_answer(overrides, tiny, recipe_path, tmp_path)
    dtype = device.traits().autocast if overrides == FULL else device.here("auto").weights
    assert (dtype or torch.float32) in poorer.seen


def _train_save_go_on_and_answer(overrides: list[str], tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    path = recipe_for(recipe_path, overrides)
    made = trainer(tiny, path, overrides)
    first, last = stepped(made, 2)
    assert last < first
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    again = trainer(tiny, path, overrides)
    again.restore(tmp_path / "saved")
    assert again.evaluate(PARTS) == made.evaluate(PARTS)
    assert list(again.stream([2, 70, 71], 4, set())) == list(made.stream([2, 70, 71], 4, set()))
    assert np.isfinite(again.logits([2, 70, 71])).all()
    assert stepped(again, 1) == stepped(made, 1)
    if overrides != FULL:
        generator = open_backend("torch").generator(tiny, [tmp_path / "saved"])
        assert len(list(generator.stream([[2, 70, 71], [2, 80]], [0, 1], Sampling(max_tokens=3), set()))) == 3


@pytest.mark.parametrize("kind", device.DESCRIPTIONS)
def test_losses_are_those_of_the_cpu(kind: str, tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []
    for each in ("cpu", kind):
        monkeypatch.setenv(device.DESCRIPTION, each)
        losses.append(stepped(trainer(tiny, recipe_path, ["lora.dropout=0"]), 2))
    tolerance = 1e-6 if device.here("auto").weights == torch.float32 else 5e-3
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)


def test_copies_are_waited_for_where_memory_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in device.DESCRIPTIONS:
        monkeypatch.setenv(device.DESCRIPTION, kind)
        with Poorer(device.traits()) as poorer:
            device.placed(np.arange(5), torch.device("meta"))
        assert torch.int64 in poorer.seen


def test_keys_that_heads_share_are_attended_to_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    query, key, value = (
        torch.randn(1, heads, 40, 16, generator=random).bfloat16().requires_grad_() for heads in (4, 2, 2)
    )
    results = []
    for kind in ("cpu", "cuda"):
        monkeypatch.setenv(device.DESCRIPTION, kind)
        (output, _), given = attention.attend(None, query, key, value, row_lengths=[30, 10]), [query, key, value]
        results.append([output, *torch.autograd.grad(output.float().square().sum(), given)])
        assert attention._reads_shared_keys(query, key, value) == (kind == "cuda")
        assert not attention._reads_shared_keys(query.float(), key.float(), value.float())
    for expanded, shared in zip(*results, strict=True):
        torch.testing.assert_close(shared, expanded, rtol=0.03, atol=0.03)


def test_a_description_that_nobody_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device.DESCRIPTION, "tpu")
    with pytest.raises(BackendUnavailable, match="tpu") as found:
        device.traits()
    assert "mps" in str(found.value.hint)


def test_who_looks_is_told_that_a_description_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device.DESCRIPTION, "mps")
    assert device.probe()["device"] == "CPU, as if it were mps (GEMMALOCAL_TORCH_TRAITS)"


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "adafactor", "paged_adamw_8bit"])
def test_the_state_of_each_optimizer_comes_back(optimizer: str, tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    overrides = [f"train.optimizer={optimizer}", "lora.rank=32"]  # large enough for bitsandbytes to keep in 8 bits
    made = trainer(tiny, recipe_path, overrides)
    stepped(made, 1)
    made.save(tmp_path)
    saved = load_file(tmp_path / OPTIMIZER)
    again = trainer(tiny, recipe_path, overrides)
    stepped(again, 1)  # it has a state already, which is replaced
    again.restore(tmp_path)
    assert stepped(again, 1) == stepped(made, 1)
    if optimizer == "adamw":
        assert {state["step"].device.type for state in again._optimizer.state.values()} == {"cpu"}
    if optimizer == "paged_adamw_8bit":
        assert torch.uint8 in {value.dtype for value in saved.values()}
        assert not any("qmap" in name for name in saved)
        states = again._optimizer.state.values()
        assert len({state["qmap1"].data_ptr() for state in states if "qmap1" in state}) == 1


def test_the_state_that_bitsandbytes_made_is_filled_not_replaced(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    """On a card it is paged memory; a tensor of ours in its place would never leave the card."""
    made = trainer(tiny, recipe_path, ["train.optimizer=paged_adamw_8bit", "lora.rank=32"])
    stepped(made, 1)
    made.save(tmp_path)
    before = {id(state): state["state1"].data_ptr() for state in made._optimizer.state.values()}
    stepped(made, 1)
    made.restore(tmp_path)
    assert {id(state): state["state1"].data_ptr() for state in made._optimizer.state.values()} == before
