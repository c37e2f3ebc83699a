"""The `gemmalocal` command: no words open the app, any word goes to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script."""
    if len(sys.argv) > 1:
        from gemmalocal.cli import main as command_line

        command_line()
    from tui.app import GemmalocalApp

    GemmalocalApp().run()


if __name__ == "__main__":
    main()
