"""The app's first frame against a bare Textual app's with header, input, table and footer.

    python -m benchmarks.first_frame [--rounds 9]

Each round starts both in a pseudo terminal of 100 by 30, in turn, and takes the time from the start of the process to
the first frame with the name of the app; the ratio is of the medians. The workspace holds one finished run.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.tui.recorded import RUNS, record

BARE = """
from textual.app import App
from textual.widgets import DataTable, Footer, Header, Input
class Bare(App):
    TITLE = "gemmalocal"
    def compose(self):
        yield Header()
        yield Input()
        yield DataTable()
        yield Footer()
Bare().run()
"""
COMMANDS = {"bare": [sys.executable, "-c", BARE], "ours": [sys.executable, "-m", "tui"]}
NAME = b"gemmalocal"


def first_frame(command: list[str]) -> float:
    """Seconds until the name is on the screen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"}
    )
    os.close(theirs)
    drawn = b""
    try:
        while NAME not in drawn:
            if not select.select([ours], [], [], 30)[0]:
                raise TimeoutError("no frame came")
            drawn += os.read(ours, 65_536)
        return time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        os.environ["GEMMALOCAL_HOME"] = home
        record("quotes-1", RUNS["finished"])
        os.environ["PYTHONPATH"] = str(Path.cwd())
        for command in COMMANDS.values():
            first_frame(command)
        times: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                times[name].append(first_frame(command))
    middles = {name: statistics.median(found) for name, found in times.items()}
    for name, middle in middles.items():
        print(f"{name:<6}{1000 * middle:6.0f} ms (from {1000 * min(times[name]):.0f} to {1000 * max(times[name]):.0f})")
    print(f"ratio {middles['ours'] / middles['bare']:.2f}")


if __name__ == "__main__":
    main()
