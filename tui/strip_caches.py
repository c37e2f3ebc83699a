"""Lines of a screen without the seven caches that Textual makes for each: most are never asked for one.

Making them is a twentieth of what drawing takes, and most of what a line weighs: 900 bytes. So each is made when it is
first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.segment import Segment
from textual.cache import FIFOCache
from textual.strip import Strip

SIZES = {
    "_divide_cache": 4,
    "_crop_cache": 16,
    "_style_cache": 16,
    "_filter_cache": 4,
    "_line_length_cache": 4,
    "_crop_extend_cache": 4,
    "_offsets_cache": 4,
}


def build() -> None:
    """From now on, in this process."""
    Strip.__init__ = _begun  # type: ignore[method-assign, assignment]
    Strip.__getattr__ = _made  # type: ignore[attr-defined]


def _begun(strip: Strip, segments: Iterable[Segment], cell_length: int | None = None) -> None:
    strip._segments = list(segments)
    strip._cell_length = cell_length
    strip._render_cache = strip._link_ids = strip._cell_count = None


def _made(strip: Strip, name: str) -> Any:
    """The cache that an empty slot is asked for."""
    if name not in SIZES:
        raise AttributeError(f"'Strip' object has no attribute '{name}'")
    cache: FIFOCache[Any, Any] = FIFOCache(SIZES[name])
    setattr(strip, name, cache)
    return cache
