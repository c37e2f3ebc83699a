"""bench --share: the machine, the versions and the figures in one line that a person can send."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import PurePath
from typing import Any

from gemmalocal import __version__
from gemmalocal.files.sizes import gigabytes
from gemmalocal.planning import hardware

PACKAGES = ("mlx", "mlx-lm", "torch", "transformers", "peft")


def line(figures: dict[str, Any], model: str, dtype: str) -> str:
    """Of `bench`'s figures; of a model's folder the name alone, since its path says who asks."""
    ours, stock = figures["ours"], figures["stock"]
    trained = [PurePath(model).name, f"dtype {dtype}", f"{ours['device']} {ours['limit_gflops']:.0f} GFLOP/s"]
    return " | ".join(
        (
            f"gemmalocal {__version__}",
            _machine(),
            ", ".join(_versions()),
            ", ".join(trained),
            f"{_measured('gemmalocal', ours)} (planned {gigabytes(ours['planned_bytes'], 2)})",
            _measured(stock["trainer"], stock),
            f"{figures['speed']:.2f} x the speed, {figures['memory']:.2f} of the memory",
        )
    )


def _machine() -> str:
    here = hardware.probe()
    parts = (here["model"], here["chip"], f"{here['cores']} cores", f"{gigabytes(here['memory'], 0)} GB")
    return ", ".join([*filter(None, parts), platform.platform()])


def _versions() -> list[str]:
    """Of Python and the packages that decide the figures, those that are installed."""
    named = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            named.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return named


def _measured(name: str, trainer: dict[str, Any]) -> str:
    return f"{name} {trainer['tokens_per_second']:.1f} tok/s, peak {gigabytes(trainer['peak_bytes'], 2)} GB"
