"""What macOS tells without root, and how it is kept awake. Everywhere else the answers are None.

MLX's wired limit is never set here: it is implicated in kernel panics (mlx#3186).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PRESSURE = b"kern.memorystatus_vm_pressure_level"
THERMAL = b"com.apple.system.thermalpressurelevel"
FRAMEWORK = "/System/Library/Frameworks/{0}.framework/{0}"
CHIP, MODEL = b"machdep.cpu.brand_string", b"hw.model"  # Apple M2 Pro; Mac14,10


class Probe:
    """Readings through libSystem: no child process, microseconds each. `library` is for tests."""

    def __init__(self, library: Any = None) -> None:
        self._library = library if library is not None else ctypes.CDLL(None)
        self._token: ctypes.c_int | None = None

    def text(self, name: bytes) -> str | None:
        """A text of the system's; None if it has not that name."""
        value = ctypes.create_string_buffer(256)
        size = ctypes.c_size_t(len(value))
        try:
            failed = self._library.sysctlbyname(name, value, ctypes.byref(size), None, ctypes.c_size_t(0))
        except AttributeError:
            return None
        return None if failed else value.value.decode(errors="replace")

    def memory_pressure(self) -> int | None:
        """1 normal, 2 warn, 4 critical; None if this system has no such figure."""
        value = ctypes.c_int(0)
        size = ctypes.c_size_t(ctypes.sizeof(value))
        try:
            failed = self._library.sysctlbyname(
                PRESSURE, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)
            )
        except AttributeError:
            return None
        return None if failed else value.value

    def thermal_pressure(self) -> int | None:
        """0 nominal, 1 moderate, 2 heavy, 3 trapping, 4 sleeping, as notify(3) has it; None if it has not."""
        state = ctypes.c_uint64(0)
        try:
            if self._token is None:
                token = ctypes.c_int(0)
                if self._library.notify_register_check(THERMAL, ctypes.byref(token)):
                    return None
                self._token = token
            failed = self._library.notify_get_state(self._token, ctypes.byref(state))
        except AttributeError:
            return None
        return None if failed else state.value


def metal_working_set(load: Callable[[str], Any] = ctypes.CDLL) -> int | None:
    """recommendedMaxWorkingSetSize of the default GPU in bytes, about three quarters of the memory; None without one.

    `load` opens a library, for tests.
    """
    try:
        load(FRAMEWORK.format("CoreGraphics"))  # without it, programs of the terminal are given no device
        metal, objc = load(FRAMEWORK.format("Metal")), load("/usr/lib/libobjc.dylib")
        metal.MTLCreateSystemDefaultDevice.restype = ctypes.c_void_p
        objc.sel_registerName.restype, objc.sel_registerName.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        objc.objc_msgSend.restype, objc.objc_msgSend.argtypes = ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_void_p]
        device = metal.MTLCreateSystemDefaultDevice()
        size = objc.objc_msgSend(device, objc.sel_registerName(b"recommendedMaxWorkingSetSize")) if device else 0
    except (OSError, AttributeError):
        return None
    return int(size) or None


@contextmanager
def awake(system: str = sys.platform) -> Iterator[None]:
    """Keep the system, not the display, from sleeping while this process is in the block, or dies in it.

    The display must be free to sleep: while it is on, macOS may kill long GPU work (mlx#3267).
    """
    process = None
    if system == "darwin":
        try:
            process = subprocess.Popen(
                ["caffeinate", "-i", "-w", str(os.getpid())], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except OSError as error:
            print(f"the machine is not kept awake: {error}", file=sys.stderr)
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait()
