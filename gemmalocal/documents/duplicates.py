"""Near copies among many texts, found as they come: MinHash over shingles, looked up by locality."""

from __future__ import annotations

import unicodedata
from typing import Any

SHINGLE = 5  # characters, blind to case, width and punctuation: no words are needed, so Chinese text works as well
THRESHOLD = 0.4  # of the Jaccard likeness of shingles: unrelated texts reach 0.15, revised and copied ones 0.3 to 0.9
HASHES, BANDS = 240, 80  # three hashes a band: texts that are alike to 0.4 share one of 80 in 99 % of cases


class NearDuplicates:
    """Tells for each of a stream of texts which earlier one it nearly repeats; keeps 240 numbers of each original."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from rensa import RMinHashLSH

        self._threshold = threshold
        self._originals: dict[int, tuple[str, Any]] = {}
        self._index = RMinHashLSH(threshold, HASHES, BANDS)

    def original(self, name: str, text: str) -> str | None:
        """The name of the most alike earlier text, if it is at least as alike as the threshold; else remember this."""
        sketch = _sketch(text)
        near = ((sketch.jaccard(self._originals[key][1]), key) for key in self._index.query(sketch))
        likeness, key = max(near, default=(0.0, -1))
        if likeness >= self._threshold:
            return self._originals[key][0]
        key = len(self._originals)
        self._originals[key] = name, sketch
        self._index.insert(key, sketch)
        return None


def _sketch(text: str) -> Any:
    from rensa import RMinHash

    sketch = RMinHash(HASHES, 0)
    sketch.update(list(shingles(text)))
    return sketch


def shingles(text: str) -> set[str]:
    """Runs of `SHINGLE` characters of a text's words; of a shorter text itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
    return {words[start : start + SHINGLE] for start in range(max(len(words) - SHINGLE + 1, 1))}
