"""Memory pressure and heat: macOS's calls through a library of the same ABI, Linux's file, and staying awake."""

from __future__ import annotations

import ctypes
import os
import time
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path
from types import SimpleNamespace

import pytest

from gemmalocal.planning import macos, pressure
from gemmalocal.planning.pressure import Level, Strain


def mac(level: int | None, heat: int | None) -> SimpleNamespace:
    """libSystem's three functions as C has them; None: this macOS does not know the name."""

    def sysctl(name: bytes, value: int, size: ctypes.Array[c_size_t], new: int, length: int) -> int:
        if name != macos.PRESSURE or level is None or size[0] < 4:
            return -1
        ctypes.cast(value, POINTER(c_int))[0] = level
        size[0] = 4
        return 0

    def register(name: bytes, token: ctypes.Array[c_int]) -> int:
        token[0] = 17
        return 0 if name == macos.THERMAL and heat is not None else 1

    def state(token: int, value: ctypes.Array[c_uint64]) -> int:
        value[0] = heat or 0
        return 0 if token == 17 else 2

    return SimpleNamespace(
        sysctlbyname=CFUNCTYPE(c_int, c_char_p, c_void_p, POINTER(c_size_t), c_void_p, c_size_t)(sysctl),
        notify_register_check=CFUNCTYPE(c_int, c_char_p, POINTER(c_int))(register),
        notify_get_state=CFUNCTYPE(c_int, c_int, POINTER(c_uint64))(state),
    )


@pytest.mark.parametrize(
    ("told", "heat", "level", "what"),
    [
        (1, 0, Level.NORMAL, None),
        (1, 1, Level.NORMAL, None),
        (2, 0, Level.WARN, "memory pressure"),
        (4, 2, Level.CRITICAL, "memory pressure"),
        (1, 2, Level.WARN, "heat"),
        (2, 3, Level.CRITICAL, "heat"),
        (1, 4, Level.CRITICAL, "heat"),
        (None, None, Level.NORMAL, None),
        (None, 2, Level.WARN, "heat"),
        (2, None, Level.WARN, "memory pressure"),
    ],
)
def test_macos_levels(told: int | None, heat: int | None, level: Level, what: str | None) -> None:
    probe = macos.Probe(mac(told, heat))
    for _ in range(2):  # the second time with the token of the first
        assert probe.memory_pressure() == told
        assert probe.thermal_pressure() == heat
    found = pressure.worst_reading(pressure.gauges("darwin", probe))
    assert found.level == level
    assert what is None or found.resource == what


def test_a_mac_says_what_it_is() -> None:
    def sysctl(name: bytes, value: int, size: ctypes.Array[c_size_t], new: int, length: int) -> int:
        if name != macos.CHIP or size[0] < 16:
            return -1
        ctypes.memmove(value, b"Apple M2 Pro\0", 13)
        return 0

    signature = CFUNCTYPE(c_int, c_char_p, c_void_p, POINTER(c_size_t), c_void_p, c_size_t)
    probe = macos.Probe(SimpleNamespace(sysctlbyname=signature(sysctl)))
    assert (probe.text(macos.CHIP), probe.text(macos.MODEL)) == ("Apple M2 Pro", None)


def test_a_system_without_the_calls_is_calm() -> None:
    probe = macos.Probe(SimpleNamespace())
    assert probe.text(macos.CHIP) is None
    assert pressure.worst_reading(pressure.gauges("darwin", probe)).level == Level.NORMAL
    assert pressure.worst_reading([]) == Strain(Level.NORMAL)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("some avg10=90.00 avg60=0 avg300=0 total=1\nfull avg10=9.99 avg60=0 avg300=0 total=1\n", Level.NORMAL),
        ("some avg10=90.00 avg60=0 avg300=0 total=1\nfull avg10=10.00 avg60=0 avg300=0 total=1\n", Level.WARN),
        ("some avg10=90.00 avg60=0 avg300=0 total=1\nfull avg10=55.10 avg60=0 avg300=0 total=1\n", Level.CRITICAL),
        ("nonsense", Level.NORMAL),
        ("full", Level.NORMAL),
        ("", Level.NORMAL),
    ],
)
def test_linux_stalls(tmp_path: Path, text: str, level: Level) -> None:
    path = tmp_path / "memory"
    path.write_text(text)
    assert pressure.stalls(path).level == level
    assert pressure.stalls(tmp_path / "none") == Strain(Level.NORMAL)


def test_caffeinate_runs_while_we_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "caffeinate"
    program.write_text(
        f'#!/bin/sh\necho "$@" $$ > {tmp_path}/asked.tmp\nmv {tmp_path}/asked.tmp {tmp_path}/asked\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with macos.awake("darwin"):
        end = time.monotonic() + 60
        while not (tmp_path / "asked").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        *asked, pid = (tmp_path / "asked").read_text().split()
        assert asked == ["-i", "-w", str(os.getpid())]
        os.kill(int(pid), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_without_caffeinate_or_off_macos_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with macos.awake("darwin"):
        pass
    with macos.awake("linux"):
        assert not list(tmp_path.iterdir())
