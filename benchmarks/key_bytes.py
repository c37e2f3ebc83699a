"""What a key costs over SSH: bytes that the app sends for keys that change a little, a list, or a page.

    python -m benchmarks.key_bytes [--columns 80] [--lines 24] [--runs 200]

The app runs in a pseudo terminal with so many recorded runs, of four kinds in turn, and a dataset of 200 rows. Printed
for each key: bytes sent; those of the letters of all cells that become others, blanks among them; and what zlib (level
6, as `ssh -C` has it) makes of the same bytes after all that was sent before.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import zlib

DOWN, END, HOME, PAGE_DOWN, ESCAPE = "j", "\x1b[F", "\x1b[H", "\x1b[6~", "\x1b"
KEYS = (
    ("one row down", DOWN),
    ("one row down", DOWN),
    ("to the end", END),
    ("back", HOME),
    ("only running", "f"),
    ("only done", "f"),
    ("only stopped", "f"),
    ("only failed", "f"),
    ("all again", "f"),
    ("by name", "o"),
    ("by held-out loss", "o"),
    ("datasets", "2"),
    ("the rows of one", "\r"),
    ("a page of rows", PAGE_DOWN),
    ("a page of rows", PAGE_DOWN),
    ("home", ESCAPE),
)
SENTENCES = (
    "A bee makes {0} cells of wax",
    "In a cell of {0} lies honey from {1} flowers",
    "The queen has {1} daughters",
)


def rows() -> list[dict[str, str | int]]:
    """Two hundred rows, each of another length and another beginning."""
    texts = (
        ". ".join(SENTENCES[(number + at) % 3].format(number, 7 * number) for at in range(2 + number % 5))
        for number in range(200)
    )
    return [{"text": text, "source": "/papers/bees.md", "page": 1} for text in texts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--lines", type=int, default=24)
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["GEMMALOCAL_HOME"] = home
        from tests.tui.recorded import RUNS, prepared, record
        from tests.tui.terminal import Terminal, opened, pressed

        for number in range(asked.runs):
            record(f"run-{number:03}", RUNS[sorted(RUNS)[number % len(RUNS)]])
        prepared("bees", train=rows())
        shown, packed = Terminal(), zlib.compressobj(6)
        with opened(asked.columns, asked.lines) as (terminal, sent):
            shown.write(sent.decode())
            packed.compress(sent)
            packed.flush(zlib.Z_PARTIAL_FLUSH)
            for name, key in KEYS:
                before, sent = dict(shown.cells), pressed(terminal, key)
                shown.write(sent.decode())
                _, letters = shown.others(before)
                by_ssh = len(packed.compress(sent) + packed.flush(zlib.Z_PARTIAL_FLUSH))
                print(f"{name:18} {len(sent):6} bytes, letters {letters:5}, by ssh -C {by_ssh:5}")


if __name__ == "__main__":
    main()
