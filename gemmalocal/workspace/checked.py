"""What a dataset's report says of how its questions stood the checks, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def lines(quality: Mapping[str, Any]) -> Iterator[str]:
    """How many questions stand alone, agreed when asked again, and are known already; of those that were asked."""
    if "alone" in quality:
        yield f"{_of(quality, 'alone')} questions stand alone: they single out their passage"
    if "agreed" in quality:
        yield f"{_of(quality, 'agreed')} questions were answered the same when asked again"
    if "known" in quality:
        yield f"{_of(quality, 'known')} questions are answered right already by the model that is to be tuned"


def _of(quality: Mapping[str, Any], name: str) -> str:
    return f"{quality[name]:,} of {quality[f'{name}_asked']:,}"
