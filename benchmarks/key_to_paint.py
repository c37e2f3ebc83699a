"""From a key to the frame that shows it, while a run is training on this machine.

    python -m benchmarks.key_to_paint [--keys 100] [--steps 100000]

The app runs in a pseudo terminal of 100 by 30 and shows a run of so many steps, to which ten events a second are
added, while a process multiplies matrices on all cores, standing back as a run does. The time is from a key until what
it alone brings was written: a dialog over the chart, and a letter in a field.
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

from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Evaluated, Event, Stage, Started, Step
from tests.tui.recorded import hold, record

BUSY = """
import numpy as np
from gemmalocal.worker import stand_back
stand_back()
a = np.ones((512, 512), np.float32)
while True: a @ a
"""
EVENTS = 0.1  # seconds between two events
DIALOG, ASKED, NO, AWAY = b"\x0b", b"Yes, ", b"n", b"\x1b"  # what opens it, what it says, and what closes it
PAUSE, TOO_LONG = 0.25, 5.0  # seconds between two keys, and until a frame
LETTER = b"Z"  # in no word of the screen, and in no command to the terminal
BACKSPACE = b"\x7f"


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


def answered(descriptor: int, key: bytes, mark: bytes) -> float:
    """Milliseconds from a key to the frame with what it brings."""
    while select.select([descriptor], [], [], 0)[0]:
        os.read(descriptor, 65_536)
    start = time.perf_counter()
    os.write(descriptor, key)
    drawn = b""
    while mark not in drawn:  # other frames come all the time
        if time.perf_counter() - start > TOO_LONG or not select.select([descriptor], [], [], TOO_LONG)[0]:
            raise TimeoutError(f"{key!r} brought no {mark!r}, but {drawn[-2000:]!r}")
        drawn += os.read(descriptor, 65_536)
    return 1000 * (time.perf_counter() - start)


def again_and_again(descriptor: int, keys: int, key: bytes, mark: bytes, back: bytes) -> list[float]:
    """Milliseconds of each of so many keys, between which another one takes it back."""
    milliseconds = []
    for _ in range(keys):
        milliseconds.append(answered(descriptor, key, mark))
        os.write(descriptor, back)
        time.sleep(PAUSE)
    return milliseconds


def dialogs(descriptor: int, keys: int) -> list[float]:
    """Over the chart of the run."""
    return again_and_again(descriptor, keys, DIALOG, ASKED, NO)


def letters(descriptor: int, keys: int) -> list[float]:
    """In the field that home searches by; each is taken away again, since a field full of it would change no cell."""
    os.write(descriptor, AWAY)
    time.sleep(1)
    os.write(descriptor, b"/" + LETTER)  # from now on no run is listed, whatever else is written
    time.sleep(1)
    return again_and_again(descriptor, keys, LETTER, LETTER, BACKSPACE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--steps", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"GEMMALOCAL_HOME": home, "PYTHONPATH": str(Path.cwd()), "TERM": "xterm-256color"}
        folder = record("long", past(asked.steps))
        child = hold(folder)
        busy = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
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
        processes: list[subprocess.Popen[Any]] = [app, child, busy]
        try:
            quiet(ours, 5)
            threading.Thread(target=grow, daemon=True).start()
            os.write(ours, b"\r")  # open the run
            quiet(ours, 0.05)
            time.sleep(3)
            times = {"dialog": dialogs(ours, asked.keys), "letter": letters(ours, asked.keys)}
        finally:
            ended.set()
            for process in processes:
                process.kill()
                process.wait()
    for name, of_keys in times.items():
        p95, worst = statistics.quantiles(of_keys, n=20)[-1], max(of_keys)
        print(f"{name} to paint: median {statistics.median(of_keys):.1f} ms, p95 {p95:.1f} ms, worst {worst:.1f} ms")


if __name__ == "__main__":
    main()
