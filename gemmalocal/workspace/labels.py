"""What a person says of a run: tags, a note. It is kept in `labels.json` of the run's folder."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gemmalocal.errors import GemmalocalError, RecipeError
from gemmalocal.files import atomic, safe_read

FILE = "labels.json"
TAGS, TAG, NOTE = 16, 40, 2000  # at most: how many, and characters of one, and of a note


class Labels(NamedTuple):
    """Tags in the order in which they were given, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


def read(run: Path) -> Labels:
    """What is said of a run; nothing where that is damaged."""
    with suppress(GemmalocalError):
        content = safe_read.json_object(run / FILE)
        tags, note = content.get("tags"), content.get("note")
        words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        return Labels(tuple(words[:TAGS]), note[:NOTE] if isinstance(note, str) else "")
    return Labels()


def changed_at(run: Path) -> float:
    """When they were last written, in seconds since the epoch; 0 if there are none."""
    return safe_read.changed(run / FILE)


def write(run: Path, labels: Labels) -> None:
    """Keep them."""
    atomic.write_text(run / FILE, json.dumps({"tags": labels.tags, "note": labels.note}, ensure_ascii=False) + "\n")


def tags_of(text: str) -> tuple[str, ...]:
    """Tags as they are typed: words with spaces or commas between them; each once. Raises `RecipeError`."""
    tags = tuple(dict.fromkeys(word.lstrip("#") for word in re.split(r"[\s,]+", text) if word.strip("#")))
    if len(tags) > TAGS or any(len(tag) > TAG for tag in tags):
        raise RecipeError(f"A run has at most {TAGS} tags of {TAG} letters.", "Put the rest into its note.")
    return tags
