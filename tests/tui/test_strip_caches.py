"""Lines of a screen are as Textual makes them, but for caches that nothing has asked for."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import pytest
from rich.segment import Segment
from textual import strip
from textual.cache import FIFOCache
from textual.strip import Strip

from tui import strip_caches

strip_caches.build()  # as the app does


def textuals_own() -> Any:
    """The class as it is before anybody changes it."""
    spec = importlib.util.spec_from_file_location("strip_of_textual", inspect.getfile(strip))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Strip


def test_every_slot_is_what_it_would_be() -> None:
    segments = [Segment("the "), Segment("lamp")]
    theirs, ours = textuals_own()(segments, 8), Strip(segments, 8)
    for slot in Strip.__slots__:
        wanted, found = getattr(theirs, slot), getattr(ours, slot)
        if isinstance(wanted, FIFOCache):
            assert (type(found), found._maxsize, len(found)) == (FIFOCache, wanted._maxsize, 0)
            assert getattr(ours, slot) is found  # it is made once
        else:
            assert found == wanted


def test_a_line_keeps_what_it_was_asked() -> None:
    line = Strip([Segment("the "), Segment("lamp")])
    assert line.crop(2, 6) is line.crop(2, 6)
    assert line.crop(2, 6).text == "e la"
    assert [part.text for part in line.divide([3, 8])] == ["the", " lamp"]
    with pytest.raises(AttributeError, match="no attribute 'color'"):
        _ = line.color  # type: ignore[attr-defined]
