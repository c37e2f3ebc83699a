"""From a key to the frame that shows it, while a run is training on this machine.

    python -m tests.bench.key_to_paint [--keys 200] [--steps 100000]

The app runs in a pseudo terminal of 100 by 30 and shows a run of so many steps, to which ten events a second are
added, while as many processes as there are cores multiply matrices. `?` shows the help, and hides it again; the time is
from the key until a frame of some size was written.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Any

from gemmalocal.events import Evaluated, Event, Stage, Started, Step, encode
from tests.tui.recorded import hold, record

BUSY = "import numpy as np\na = np.ones((512, 512), np.float32)\nwhile True: a @ a"
EVENTS = 0.1  # seconds between two events
KEY = b"?"
FRAME = 400  # bytes: a panel of help is thousands, a new number some dozens


def past(steps: int) -> list[Event]:
    """A run that has made so many steps."""
    made: list[Event] = [Started("train", 1, 1), Stage("training"), Evaluated(0, 4.0, 900)]
    return made + [step(number, steps) for number in range(1, steps + 1)]


def step(number: int, steps: int) -> Step:
    """One of its steps."""
    return Step(number, 2 * steps, 2 + 2 * math.exp(-number / steps), 80, 1e-4, 2.5, 2.0, 1_300_000_000)


def quiet(descriptor: int, seconds: float) -> None:
    """Read what is drawn until so long nothing came."""
    while select.select([descriptor], [], [], seconds)[0]:
        os.read(descriptor, 65_536)


def answered(descriptor: int, key: bytes) -> float:
    """Seconds from a key to the frame that answers it."""
    while select.select([descriptor], [], [], 0)[0]:
        os.read(descriptor, 65_536)
    start = time.perf_counter()
    os.write(descriptor, key)
    drawn = 0
    while drawn < FRAME:
        if not select.select([descriptor], [], [], 5)[0]:
            raise TimeoutError("no frame came")
        drawn += len(os.read(descriptor, 65_536))
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"GEMMALOCAL_HOME": home, "PYTHONPATH": str(Path.cwd()), "TERM": "xterm-256color"}
        folder = record("long", past(asked.steps))
        child = hold(folder)
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
        ended = threading.Event()

        def grow() -> None:
            number = asked.steps
            with (folder / "events.jsonl").open("a") as file:
                while not ended.wait(EVENTS):
                    number += 1
                    file.write(encode(step(number, asked.steps), time.time()) + "\n")
                    file.flush()

        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        app = subprocess.Popen([sys.executable, "-m", "tui"], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        processes: list[subprocess.Popen[Any]] = [app, child, *busy]
        try:
            quiet(ours, 5)
            threading.Thread(target=grow, daemon=True).start()
            os.write(ours, b"\r")  # open the run
            quiet(ours, 0.05)
            time.sleep(3)
            times = []
            for _ in range(asked.keys):
                times.append(1000 * answered(ours, KEY))
                time.sleep(0.15)
        finally:
            ended.set()
            for process in processes:
                process.kill()
                process.wait()
    cuts = statistics.quantiles(times, n=20)
    print(f"key to paint: median {statistics.median(times):.1f} ms, p95 {cuts[-1]:.1f} ms, worst {max(times):.1f} ms")


if __name__ == "__main__":
    main()
