"""A drawn hundred of the thousand faults of `make faults`, in a process that has used no engine yet: it forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="an attempt is a fork, which macOS forbids its frameworks")
def test_a_drawn_hundred_come_out_as_they_should() -> None:
    command = [sys.executable, "-m", "tests.faults", "--count", "100", "--seed", "13", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
