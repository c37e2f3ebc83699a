"""Rows as they are trained, page by page, in a process that stays until it is told to end.

First comes what `check` says of them, without the memory and the time. Commands: page (side: train or held_out,
first, count), again (they were changed: read them anew), stay (somebody
still looks), end. The spec is a recipe.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Declined, Event, Finished, Report, Rows
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.survey import page, survey
from gemmalocal.recipe.schema import Recipe

IDLE = 600.0  # seconds without a command after which it ends by itself
LOOK = 0.05  # seconds between two looks at the inbox
PAGE_ROWS = 64  # rows of a page


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Read the rows of the recipe `spec`, then answer."""
    recipe = Recipe.model_validate(spec)
    prepared, store = Prepared(), directory / "rows"
    yield Report((yield from survey(recipe, prepared, store)))
    last_command = time.monotonic()
    while time.monotonic() - last_command < IDLE:
        new_commands = commands()
        if not new_commands:
            time.sleep(LOOK)
        for command in new_commands:
            last_command = time.monotonic()
            match command.get("do"):
                case "page":
                    yield _page(prepared, command)
                case "again":
                    prepared = Prepared(prepared.folder, prepared.tokenizer)
                    shutil.rmtree(store)
                    yield Report((yield from survey(recipe, prepared, store)))
                case "stay":
                    pass  # somebody is still looking
                case "end" | "stop":
                    yield Finished("done")
                    return
                case other:
                    yield Declined(str(other), f"there is no such command: '{other}'")
    yield Finished("done", f"nobody asked anything for {IDLE / 60:.0f} minutes")


def _page(prepared: Prepared, command: dict[str, Any]) -> Event:
    side, first, count = command.get("side"), command.get("first"), command.get("count")
    if side not in ("train", "held_out") or not isinstance(first, int) or not isinstance(count, int) or first < 0:
        return Declined("page", "a page is of a side (train or held_out), from a first row, of a count")
    examples = prepared.train if side == "train" else prepared.held_out
    return Rows(side, first, page(prepared, examples[first : first + min(max(count, 0), PAGE_ROWS)]))
