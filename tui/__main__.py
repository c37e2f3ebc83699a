"""The `gemmalocal` command: no words open the app, any word goes to the command line."""

from __future__ import annotations

import sys

SWITCH = 0.0005  # seconds that a thread may keep another from running; Python's own 5 ms are felt, at every frame


def main() -> None:
    """Entry point of the console script."""
    if len(sys.argv) > 1:
        from gemmalocal.cli import main as command_line

        command_line()
    from tui.app import GemmalocalApp

    sys.setswitchinterval(SWITCH)
    GemmalocalApp().run()


if __name__ == "__main__":
    main()
