"""Rows as they are trained, page by page, in a process that stays until it is told to end.

First comes what `check` says of them, without the memory and the time. Commands: page (side: train or held_out,
first, count), find (side, text, and lines: only of these of a file, by its name), again (they were changed: read them
anew), stay (somebody still looks), end. The spec is a recipe; one that names no objective shows rows as what they are:
pairs are one row each, with both answers.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Declined, Event, Finished, Found, Report, Rows
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.survey import kind_of_rows, page, survey
from gemmalocal.recipe.schema import Recipe

IDLE = 600.0  # seconds without a command after which it ends by itself
LOOK = 0.05  # seconds between two looks at the inbox
PAGE_ROWS = 64  # rows of a page


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Read the rows of the recipe `spec`, then answer."""
    recipe = Recipe.model_validate(spec)
    prepared, store = Prepared(), directory / "rows"
    use = kind_of_rows(recipe.data) if "objective" not in spec else None
    yield Report((yield from survey(recipe, prepared, store, use)))
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
                case "find":
                    yield _find(prepared, command)
                case "again":
                    prepared = Prepared(prepared.folder, prepared.tokenizer)
                    shutil.rmtree(store)
                    yield Report((yield from survey(recipe, prepared, store, use)))
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
    last = first + min(max(count, 0), PAGE_ROWS)
    return Rows(side, first, page(prepared, examples[first * examples.group : last * examples.group]))


def _find(prepared: Prepared, command: dict[str, Any]) -> Event:
    side, text, lines = command.get("side"), command.get("text"), command.get("lines")
    if side not in ("train", "held_out") or not isinstance(text, str) or not isinstance(lines, dict | None):
        return Declined("find", "what is found is of a side (train or held_out), with a text")
    examples = prepared.train if side == "train" else prepared.held_out
    wanted, tokenizer = text.casefold(), prepared.tokenizer
    assert tokenizer is not None
    allowed = None if lines is None else {f"{name}:{line}" for name in lines for line in lines[name]}
    group = examples.group
    places = [
        place // group
        for place, source in enumerate(examples.sources(len(examples)))
        if (allowed is None or Path(source).name in allowed)
        and (not wanted or wanted in tokenizer.decode(examples[place].ids.tolist(), special=True).casefold())
    ]
    places = sorted(set(places))
    return Found(side, text, places)
