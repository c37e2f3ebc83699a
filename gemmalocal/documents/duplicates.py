"""Near copies among many texts, found as they come: MinHash over shingles, looked up by locality."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, NamedTuple

SHINGLE = 6  # characters, blind to case, width and punctuation: no words are needed, so Chinese text works as well
# Of the cosine of two texts' sets of shingles (Ochiai's coefficient), which, unlike Jaccard's, also sees a short text
# that was cut out of one twice as long. Texts of one matter by different hands reach 0.21, cut or lightly revised
# copies most often 0.4 and more; sections of one manual that only share phrases stay below.
THRESHOLD = 0.4
HASHES, BANDS = 240, 120  # two hashes a band: texts that are alike to 0.4 share one of 120 in 99 % of cases


class _Text(NamedTuple):
    name: str
    sketch: Any
    size: int  # of its set of shingles


class NearDuplicates:
    """Tells for each of a stream of texts which earlier one it nearly repeats; keeps 240 numbers of each original."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from rensa import RMinHashLSH

        self._threshold = threshold
        self._originals: list[_Text] = []
        self._index = RMinHashLSH(threshold, HASHES, BANDS)

    def original(self, name: str, text: str) -> str | None:
        """The name of the most alike earlier text, if it is at least as alike as the threshold; else remember this."""
        new = _text(name, text)
        near = ((_cosine(new, self._originals[key]), key) for key in self._index.query(new.sketch))
        likeness, key = max(near, default=(0.0, -1))
        if likeness >= self._threshold:
            return self._originals[key].name
        self._index.insert(len(self._originals), new.sketch)
        self._originals.append(new)
        return None


def _text(name: str, text: str) -> _Text:
    from rensa import RMinHash

    found = shingles(text)
    sketch = RMinHash(HASHES, 0)
    sketch.update(list(found))
    return _Text(name, sketch, len(found))


def _cosine(one: _Text, other: _Text) -> float:
    """Shared shingles by the geometric mean of both sizes, from the estimated Jaccard likeness and the sizes."""
    jaccard = one.sketch.jaccard(other.sketch)
    return float(jaccard * (one.size + other.size) / (1 + jaccard) / math.sqrt(one.size * other.size))


def shingles(text: str) -> set[str]:
    """Runs of `SHINGLE` characters of a text's words; of a shorter text itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
    return {words[start : start + SHINGLE] for start in range(max(len(words) - SHINGLE + 1, 1))}
