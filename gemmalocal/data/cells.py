"""What stands in a row's cell, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from gemmalocal.documents.lines import kind

Columns = Mapping[str, Any]
MEDIA = {  # columns, and kinds of parts, that are no text, and what they are
    **dict.fromkeys(("image", "images", "image_url", "input_image", "pixel_values"), "images"),
    **dict.fromkeys(("audio", "audios", "input_audio", "audio_url"), "sound"),
    **dict.fromkeys(("video", "videos", "video_url", "input_video"), "video"),
}
YES, NO = ("true", "yes"), ("false", "no")


class UnusableRow(Exception):
    """A row that does not have the shape it should have; the message says why, as a verb's phrase."""


def is_missing(value: Any) -> bool:
    """Whether nothing stands in a cell: null, NaN, no text but white space, an empty list or object."""
    if isinstance(value, str):
        return not value.strip()
    return (
        value is None or (isinstance(value, float) and math.isnan(value)) or (_is_container(value) and not len(value))
    )


def as_text(value: Any) -> str | None:
    """A value as text: numbers as they were written, true and false as in JSON; None for what is no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, (int, float, Decimal, date)) else None


def text(columns: Columns, name: str) -> str:
    """The text in a column; raises `UnusableRow` if there is none."""
    value = columns.get(name)
    cell_text = value if isinstance(value, str) else as_text(value)
    if cell_text is None:
        if name not in columns:
            raise UnusableRow(f"has no '{name}': it has {names(columns)}")
        raise UnusableRow(f"has no text in '{name}': it is {'null' if is_missing(value) else kind(value)}")
    if not cell_text.strip():
        raise UnusableRow(f"has nothing in '{name}'")
    return cell_text


def content(columns: Columns, name: str) -> str:
    """The text in a column that may be a list of parts, as OpenAI and transformers write it; raises `UnusableRow`."""
    value = columns.get(name)
    if isinstance(value, dict) and "parts" in value:  # Google's way
        value = value["parts"]
    if not isinstance(value, list) or not value:
        return text(columns, name)
    joined = "".join(_part(part, name) for part in value)
    if not joined.strip():
        raise UnusableRow(f"has nothing in '{name}'")
    return joined


def is_parts(value: list[Any]) -> bool:
    """Whether a list holds parts of a content, as OpenAI and transformers write it."""
    return bool(value) and all(isinstance(part, dict) and "type" in part and "text" in part for part in value)


def _part(part: Any, name: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        part_type = str(part.get("type", ""))
        if part_type in MEDIA:
            raise UnusableRow(f"has {MEDIA[part_type]}, and only text can be trained on")
        if (part_text := as_text(part.get("text"))) is not None:
            return part_text
        no_media(part)
        raise UnusableRow(f"has a part that is not text in '{name}': it is of the type '{part_type}'")
    raise UnusableRow(f"has a part that is not text in '{name}': it is {kind(part)}")


def no_media(columns: Columns, named: bool = True) -> None:
    """Raise `UnusableRow` for a row with images, sound or video; `named`: also if it only names their files."""
    for name in columns.keys() & MEDIA.keys():
        value = columns[name]
        if not is_missing(value) and (named or not isinstance(value, str)):
            raise UnusableRow(f"has {MEDIA[name]}, and only text can be trained on")


def number(value: Any) -> float | None:
    """A number, or a word for one (true, no), that stands in a cell; None for anything else."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in YES or word in NO:
            return float(word in YES)
        try:
            value = float(word)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float, Decimal)) and math.isfinite(value) else None


def names(columns: Columns) -> str:
    """The names of a row's columns, for a sentence."""
    return ", ".join(list(map(str, columns))[:12])[:200] or "none"


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, dict, tuple, set, bytes))
