"""The memory of what computes: asked of CUDA's driver and of Metal through libraries of the same ABI."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from types import SimpleNamespace
from typing import Any

import pytest

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.planning import device_memory, hardware, macos, memory, preview
from gemmalocal.planning.device_memory import Card
from gemmalocal.recipe import recipe_file

T4, L4 = Card(15_828_320_256, bfloat16=False), Card(23_674_814_464, bfloat16=True)


def driver(card: Card | None) -> SimpleNamespace:
    """CUDA's four functions as C has them."""

    def count(number: Any, ordinal: int) -> int:
        number[0] = 3
        return 0 if card and ordinal == 0 else 101  # CUDA_ERROR_INVALID_DEVICE

    def total(size: Any, number: int) -> int:
        size[0] = card.memory if card else 0
        return 0 if number == 3 else 101

    def attribute(value: Any, which: int, number: int) -> int:
        value[0] = 8 if card and card.bfloat16 else 7
        return 0 if (which, number) == (75, 3) else 1

    return SimpleNamespace(
        cuInit=CFUNCTYPE(c_int, c_int)(lambda flags: 0),
        cuDeviceGet=CFUNCTYPE(c_int, POINTER(c_int), c_int)(count),
        cuDeviceTotalMem_v2=CFUNCTYPE(c_int, POINTER(c_size_t), c_int)(total),
        cuDeviceGetAttribute=CFUNCTYPE(c_int, POINTER(c_int), c_int, c_int)(attribute),
    )


@pytest.mark.parametrize("card", [T4, L4, None])
def test_the_driver_tells_its_card(card: Card | None) -> None:
    assert device_memory.card_by(driver(card)) == card


def apples(working_set: int, device: int | None = 8) -> Callable[[str], SimpleNamespace]:
    """Opens the two frameworks and libobjc; a null device is what a Mac without a screen session may give."""

    def send(receiver: int, selector: int) -> int:
        return working_set if (receiver, selector) == (8, 5) else 0

    def selector(name: bytes) -> int:
        return 5 if name == b"recommendedMaxWorkingSetSize" else 6

    libraries = {
        "CoreGraphics": SimpleNamespace(),
        "Metal": SimpleNamespace(MTLCreateSystemDefaultDevice=CFUNCTYPE(c_void_p)(lambda: device)),
        "libobjc.dylib": SimpleNamespace(
            sel_registerName=CFUNCTYPE(c_void_p, c_char_p)(selector),
            objc_msgSend=CFUNCTYPE(c_uint64, c_void_p, c_void_p)(send),
        ),
    }
    return lambda path: libraries[path.rpartition("/")[2]]


def test_metal_recommends() -> None:
    assert macos.metal_working_set(apples(11_453_251_584)) == 11_453_251_584
    assert macos.metal_working_set(apples(11_453_251_584, device=None)) is None
    assert macos.metal_working_set(apples(0)) is None


def missing(path: str) -> ctypes.CDLL:
    raise OSError(path)


def test_no_metal_is_no_fault() -> None:
    assert macos.metal_working_set(missing) is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_engines_and_drivers_say_the_same(backend: str) -> None:
    assert open_backend(backend).device_memory() == device_memory.of_engine(backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", ["", "cpu", "gpu"])
def test_what_is_expected_of_an_engine_is_what_it_does(
    backend: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device_memory.MLX_PATH, path)
    assert open_backend(backend).memory_profile() == device_memory.profile_of(backend)


@pytest.mark.parametrize(
    ("system", "cuda_build", "path", "of", "by_gpu_path"),
    [
        ("Linux x86_64", False, "", "RAM", False),
        ("Linux x86_64", False, "gpu", "RAM", True),  # the CPU, by the GPU's path
        ("Linux x86_64", True, "", "the card's memory", True),
        ("Linux x86_64", True, "cpu", "RAM", False),
        ("Darwin arm64", False, "", "Metal's working set", True),
        ("Darwin arm64", False, "cpu", "RAM", False),
    ],
)
def test_the_path_of_mlx_is_expected_as_the_engine_takes_it(
    system: str, cuda_build: bool, path: str, of: str, by_gpu_path: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = hardware.probe() | {"system": system}
    monkeypatch.setattr(hardware, "probe", lambda: machine)
    monkeypatch.setattr(macos, "metal_working_set", lambda: 11_453_251_584)
    monkeypatch.setattr(device_memory, "card", lambda: L4 if system.startswith("Linux") else None)
    monkeypatch.setattr(device_memory, "_has_mlx_cuda", lambda: cuda_build)
    monkeypatch.setenv(device_memory.MLX_PATH, path)
    assert device_memory.of_engine("mlx").of == of
    assert device_memory.profile_of("mlx") == memory.profile("mlx", gpu_path=by_gpu_path)
    narrow = preview.outlook(recipe_file.load("quotes", ["backend=mlx"])).peak
    assert narrow is not None
    wide = preview.outlook(recipe_file.load("quotes", ["backend=mlx", "dtype=float32"])).peak
    assert wide is not None
    assert (narrow.weights < wide.weights) == (of != "RAM")  # bfloat16 is a GPU's own


def test_auto_is_mlx_where_its_cuda_build_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "card", lambda: L4)
    monkeypatch.setattr(device_memory, "_has_mlx_cuda", lambda: True)
    assert device_memory.engine_of("auto") == "torch"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert device_memory.engine_of("auto") == "mlx"
    assert device_memory.card_of("auto") == L4


def test_each_form_asks_for_the_device_of_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = hardware.probe() | {"memory": 16 * 2**30, "system": "Darwin arm64"}
    monkeypatch.setattr(hardware, "probe", lambda: machine)
    monkeypatch.setattr(macos, "metal_working_set", lambda: 11_453_251_584)
    assert device_memory.of_engine("auto") == device_memory.of_metal(11_453_251_584)
    machine["system"] = "Linux x86_64"
    monkeypatch.setattr(device_memory, "card", lambda: L4)
    found = {backend: device_memory.of_engine(backend).of for backend in ("auto", "torch", "mlx")}
    assert found == {"auto": "the card's memory", "torch": "the card's memory", "mlx": "RAM"}


def test_a_form_counts_as_the_card_will(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_file.load("t4-qlora", ["train.micro_batch=1", "train.checkpointing=false"])
    peaks = []
    for card in (T4, L4, None):
        monkeypatch.setattr(device_memory, "card", lambda card=card: card)
        outlook = preview.outlook(recipe)
        assert outlook.peak is not None
        assert outlook.memory.total == (card.memory if card else hardware.probe()["memory"])
        peaks.append(outlook.peak)
    on_t4, on_l4, on_cpu = peaks
    assert on_t4.weights == on_l4.weights < on_cpu.weights  # the embedding is in two bytes, or in four
    assert on_t4.activations > 1.9 * on_l4.activations  # float32 beside products in float16
    assert memory.ENGINES["torch"].slack > 1  # else the figures above were those of another engine
