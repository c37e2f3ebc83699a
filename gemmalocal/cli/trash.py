"""trash: what was deleted, back again, or away for ever."""

from __future__ import annotations

import sys
import time

import click

from gemmalocal.cli.output import note, say, say_json
from gemmalocal.files.sizes import size
from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.terminal_text import on_line
from gemmalocal.workspace import trash as deleted

NAME = 40  # cells at most


@click.group()
def trash() -> None:
    """See what was deleted, and take it back.

    Runs and datasets that are deleted in the app stay in the trash for 30 days.
    """


@trash.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print each as one JSON object.")
def list_(as_json: bool) -> None:
    """List what is in the trash, the newest first."""
    entries = deleted.entries()
    if as_json:
        for entry in entries:
            about = {"name": entry.name, "kind": entry.kind, "deleted": entry.at, "days_left": entry.days_left}
            say_json({**about, "bytes": entry.bytes, "from": str(entry.origin), "path": str(entry.place)})
    elif not entries:
        note("The trash is empty.")
    else:
        for entry in entries:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.at))
            left = f"{counted(entry.days_left, 'day')} left"
            say(f"{on_line(entry.name, NAME):<24} {entry.kind:<8} {size(entry.bytes):>9}  deleted {when}  {left}")
        note("Take one back: gemmalocal trash restore NAME")


@trash.command()
@click.argument("name")
def restore(name: str) -> None:
    """Put a run or a dataset back where it was.

    NAME is what it was called. Of several of one name, the newest comes back.
    """
    entry = deleted.find(name)
    say(str(deleted.restore(entry)))


@trash.command()
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def empty(name: str | None, yes: bool) -> None:
    """Remove what is in the trash from the disk, for ever.

    NAME removes only that one.
    """
    entries = [deleted.find(name)] if name else deleted.entries()
    if not entries:
        note("The trash is empty.")
        return
    count = size(sum(entry.bytes for entry in entries))
    what = on_line(entries[0].name, NAME) if len(entries) == 1 else f"{len(entries):,} runs and datasets"
    if not yes:
        note(f"Remove {what} ({count}) for ever? Write yes, or anything else to keep it.")
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            note("Nothing was removed.")
            return
    for entry in entries:
        deleted.remove(entry)
    note(f"Removed: {what}, {count}.")


COMMANDS = (trash,)
