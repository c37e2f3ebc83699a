"""What `import gemmalocal` takes over bare Python, and with its handles: medians of fresh processes, in turn.

python -m benchmarks.import_time [--rounds 21]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

CODES = {
    "bare Python": "pass",
    "import gemmalocal": "import gemmalocal",
    "and all that it hands on": "import gemmalocal\nfor name in gemmalocal.__all__: getattr(gemmalocal, name)",
}


def seconds(code: str) -> float:
    """Of one process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in CODES}
    for _ in range(rounds):
        for name, code in CODES.items():
            times[name].append(seconds(code))
    bare = statistics.median(times["bare Python"])
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name}: {1000 * median:.0f} ms, {1000 * (median - bare):.0f} over bare Python")


if __name__ == "__main__":
    main()
