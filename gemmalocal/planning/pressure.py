"""How strained this machine is, in memory and heat: what the training loop pauses or stops for.

macOS tells both without root. Linux tells memory stalls (https://docs.kernel.org/accounting/psi.html); its heat is not
read. A gauge that is missing counts as normal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from gemmalocal.planning import macos

STALLS = Path("/proc/pressure/memory")
# Share of the last ten seconds, in percent, in which every process waited for memory. systemd-oomd kills at 60.
STALL_WARN, STALL_CRITICAL = 10.0, 40.0


class Level(IntEnum):
    """Pause at WARN, save and stop at CRITICAL."""

    NORMAL, WARN, CRITICAL = 0, 1, 2


@dataclass(frozen=True)
class Strain:
    """A reading: `resource` is strained, and the `remedy`."""

    level: Level
    resource: str = ""
    remedy: str = ""


Gauge = Callable[[], Strain]


def gauges(system: str = sys.platform, probe: macos.Probe | None = None) -> list[Gauge]:
    """The gauges of a system (as `sys.platform` names it), by default this one: memory, and heat on macOS."""
    if system != "darwin":
        return [stalls]
    mac = probe or macos.Probe()
    return [lambda: memory(mac.memory_pressure()), lambda: heat(mac.thermal_pressure())]


def worst_reading(readings: Sequence[Gauge]) -> Strain:
    """The reading of the gauge with the highest level, of several the first; normal without any."""
    return max((gauge() for gauge in readings), key=lambda strain: strain.level, default=Strain(Level.NORMAL))


def memory(level: int | None) -> Strain:
    """The strain by macOS's `kern.memorystatus_vm_pressure_level`: 1 normal, 2 warn, 4 critical; None is normal."""
    return _memory({2: Level.WARN, 4: Level.CRITICAL}.get(level or 0, Level.NORMAL))


def heat(level: int | None) -> Strain:
    """The strain by macOS's thermal pressure: 0 nominal, 1 moderate, 2 heavy, 3 trapping, 4 sleeping.

    Heavy is a warning, what is beyond is critical; None is normal.
    """
    reached = Level.CRITICAL if (level or 0) >= 3 else Level.WARN if level == 2 else Level.NORMAL
    return Strain(reached, "heat", "Let the machine cool down")


def stalls(path: Path | None = None) -> Strain:
    """The strain by Linux's stall information: the share of the last ten seconds in which all processes waited.

    Normal where the kernel gives none. `path` is for tests.
    """
    try:
        lines = (path or STALLS).read_text(encoding="ascii").splitlines()
        words = next(line for line in lines if line.startswith("full")).split()
        share = float(words[1].removeprefix("avg10="))
    except (OSError, ValueError, StopIteration, IndexError):
        return Strain(Level.NORMAL)
    return _memory(Level.CRITICAL if share >= STALL_CRITICAL else Level.WARN if share >= STALL_WARN else Level.NORMAL)


def _memory(level: Level) -> Strain:
    return Strain(level, "memory pressure", "Close other programs")
