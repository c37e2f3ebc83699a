"""What computer this is, asked without importing any engine."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from gemmalocal.errors import ModelError
from gemmalocal.files.sizes import size
from gemmalocal.planning import macos


def probe() -> dict[str, Any]:
    """What this machine is: `system`, `model` (a Mac's), `chip`, logical `cores`, `memory`, `memory_free`, `python`.

    Memory is in bytes.
    """
    memory = psutil.virtual_memory()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "model": macos.Probe().text(macos.MODEL) or "",
        "chip": macos.Probe().text(macos.CHIP) or _chip(),
        "cores": psutil.cpu_count() or 1,
        "memory": memory.total,
        "memory_free": memory.available,
        "python": platform.python_version(),
    }


def room(path: Path) -> tuple[Path, int]:
    """The folder that exists at or above `path`, and the bytes that are free on its disk."""
    folder = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return folder, shutil.disk_usage(folder).free


def check_room(path: Path, needed: int, purpose: str, remedy: str) -> None:
    """Raise `ModelError` if the disk of `path`, which need not exist yet, has not `needed` bytes free.

    Its sentence begins with `purpose` ("The export takes about"), and `remedy` is its hint.
    """
    folder, free = room(path)
    if needed > free:
        raise ModelError(f"{purpose} {size(needed)}, and {folder} has {size(free)} free.", remedy)


def _chip() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, platform.processor())
    except OSError:
        return platform.processor() or platform.machine()
