"""The `gemmalocal` command: no words open the app, any word goes to the command line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gemmalocal.errors import GemmalocalError

if TYPE_CHECKING:
    from textual.app import App

COMPLETION = "_GEMMALOCAL_COMPLETE"  # set by a shell that asks how a line goes on
SERVED = "TEXTUAL_DRIVER"  # set by `textual serve`, which shows the app in a browser
SWITCH = 0.0005  # seconds that a thread may keep another from running; Python's own 5 ms are felt, at every frame


def main() -> None:
    """Entry point of the console script."""
    if len(sys.argv) > 1 or COMPLETION in os.environ:
        from gemmalocal.cli import main as command_line

        command_line()
    at_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if not at_terminal and SERVED not in os.environ:
        print("The app needs a terminal. What works without one: gemmalocal --help", file=sys.stderr)
        sys.exit(2)
    from tui.app import GemmalocalApp

    sys.setswitchinterval(SWITCH)
    sys.exit(_run(GemmalocalApp))


def _run(app: type[App[None]]) -> int:
    try:
        begun = app()
        begun.run()
    except (GemmalocalError, OSError, RuntimeError) as error:
        from gemmalocal.cli import failed

        return failed(error)
    return begun.return_code or 0


if __name__ == "__main__":
    main()
