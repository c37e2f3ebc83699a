"""What a search costs: four trials, against as many steps in one run on the same rows.

    python -m benchmarks.search_cost [MODEL]

Both train by the quotes recipe, in workers of their own, and measure as many rows as often. Rows are read and weights
loaded before the clock starts. Prints one JSON object: seconds, and the largest resident memory of the worker in bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import chain
from typing import Any

import psutil

STEPS, LOOKS = 64, 7  # four trials of 8 steps, two of 16; the rows are measured before, and after each trial
COMMON = ("samples.prompts=[]", "train.save_every=1000")
OF_SEARCH = ("search.share=0.8", f"train.steps={STEPS * 5 // 4}")
OF_RUN = (f"train.steps={STEPS}", f"train.evaluate_every={STEPS // (LOOKS - 1) + 1}")
Event = dict[str, Any]


class Watch:
    """The largest resident memory of a process in bytes, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.peak, self._process, self._ended = 0, psutil.Process(pid), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            try:
                self.peak = max(self.peak, self._process.memory_info().rss)
            except psutil.Error:
                return

    def end(self) -> int:
        """Look no more, and end the process; gives the peak."""
        self._ended.set()
        self._thread.join()
        if self._process.is_running():
            self._process.kill()
        return self.peak


def measured(words: list[str], begins: Callable[[Event], bool], ends: Callable[[Event], bool]) -> tuple[float, int]:
    """Seconds between two events of a job, and the peak of its memory until the second, where the job is ended."""
    command = [sys.executable, "-m", "gemmalocal", *words, "--json"]
    start, watch = 0.0, None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            event = json.loads(line)
            if event["event"] == "started":
                watch = Watch(event["pid"])
            if begins(event):
                start = event["at"]
            if ends(event) and watch:
                return round(event["at"] - start, 1), watch.end()
    raise SystemExit("it ended too early")


def main() -> None:
    """Measure."""
    model = sys.argv[1] if len(sys.argv) > 1 else "gemma-3-270m-demo"

    def words(command: str, *values: str) -> list[str]:
        sets = [("--set", value) for value in (f"model={model}", *COMMON, *values)]
        return [command, "quotes", *chain(*sets)]

    search, search_peak = measured(
        words("tune", *OF_SEARCH),
        lambda event: event.get("name") == "planning the search",
        lambda event: event["event"] == "report" and "search" in event["data"],
    )
    run, run_peak = measured(
        words("train", *OF_RUN),
        lambda event: event.get("name") == "training",
        lambda event: event["event"] == "evaluated" and event["step"] == STEPS,
    )
    print(
        json.dumps(
            {
                "steps": STEPS,
                "search": {"seconds": search, "peak_bytes": search_peak},
                "run": {"seconds": run, "peak_bytes": run_peak},
                "time_by_run": round(search / run, 3),
                "memory_by_run": round(search_peak / run_peak, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
