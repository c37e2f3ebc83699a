"""The headless command: a watcher of job directories that prints. stdout is data, stderr is narration."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from gemmalocal import __version__
from gemmalocal.cli.command_groups import Grouped
from gemmalocal.cli.output import flush, note, open_streams, styled
from gemmalocal.errors import INTERRUPTED, GemmalocalError, OutputLost, OutputUnwanted, UsageFault
from gemmalocal.files import system_errors

EPILOG = """Without a command, gemmalocal opens the app. Help for a command: gemmalocal COMMAND --help

Exit codes: 0 finished, 1 failed, 2 recipe, data or usage, 3 model or backend missing (of report: the run hurts),
4 killed or out of memory, 130 interrupted.

GEMMALOCAL_HOME names the folder of the workspace."""


@click.group(cls=Grouped, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def group() -> None:
    """Tune a Gemma on your own rows, on this machine, offline."""


def main() -> NoReturn:
    """Run the command line; every error is a sentence, a remedy and an exit code."""
    open_streams()
    code = _run() if (problem := undecodable(sys.argv[1:])) is None else failed(problem)
    flush()
    sys.exit(code)


def undecodable(words: Sequence[str]) -> GemmalocalError | None:
    """What to say of an argument whose bytes are no UTF-8: it could be printed, sent and written nowhere."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            return UsageFault(
                f"An argument is not UTF-8 text: {shown[:200]}",
                "Type it in a terminal that uses UTF-8. If it names a file, rename the file, or name its folder.",
            )
    return None


def _run() -> int:
    try:
        return int(group.main(standalone_mode=False, prog_name="gemmalocal") or 0)
    except click.ClickException as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OutputUnwanted as error:
        return error.code
    except (GemmalocalError, OSError, RuntimeError) as error:
        return failed(error)


def failed(fault: Exception) -> int:
    """Tell an error, ours or the system's; its exit code. Raises another as it is."""
    error = system_errors.explained(fault)
    if error is None:
        raise fault
    with suppress(OutputLost):  # then nobody can be told
        note(styled("Error:", fg="red", bold=True), f" {error.message}")
        if error.hint:
            note(error.hint)
    return error.code


def _misused(error: click.ClickException) -> int:
    """What click says of it, which repeats what was given."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    with suppress(OutputLost):
        if context is not None:
            note(f"{context.get_usage()}\nTry '{context.command_path} -h' for help.\n")
        note(f"Error: {error.format_message()}")
    return error.exit_code
