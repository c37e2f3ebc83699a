"""The headless command: a watcher of job directories that prints. stdout is data, stderr is narration."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from gemmalocal import __version__
from gemmalocal.cli import adapter, bench, chat, check, errands, export, models, prepare, publish, runs, serve, training
from gemmalocal.errors import INTERRUPTED, GemmalocalError

EPILOG = """Exit codes: 0 finished, 1 failed, 2 recipe, data or usage, 3 model or backend missing,
4 killed or out of memory, 130 interrupted. GEMMALOCAL_HOME moves the workspace."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def group() -> None:
    """Tune a Gemma on your own rows, on this machine, offline."""


COMMANDS = (
    *training.COMMANDS,
    check.check,
    *chat.COMMANDS,
    *prepare.COMMANDS,
    *runs.COMMANDS,
    *models.COMMANDS,
    export.export,
    *publish.COMMANDS,
    *serve.COMMANDS,
    *adapter.COMMANDS,
    *errands.COMMANDS,
    *bench.COMMANDS,
)
for command in COMMANDS:
    group.add_command(command)


def main() -> NoReturn:
    """Run the command line; every error is a sentence, a remedy and an exit code."""
    try:
        sys.exit(group.main(standalone_mode=False) or 0)
    except GemmalocalError as error:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error.message}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
        sys.exit(error.code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
