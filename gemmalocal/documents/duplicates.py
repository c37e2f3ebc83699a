"""Near copies among many texts, found as they come: MinHash over shingles, looked up by locality."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, NamedTuple

SHINGLE = 6  # characters, blind to case, width and punctuation: no words are needed, so Chinese text works as well
# Of `likeness`. Texts on one matter by different hands reach 0.21, copied or lightly revised ones most often 0.4 and
# more (Clough and Stevenson's corpus); sections of one manual that only share phrases stay below.
THRESHOLD = 0.4
OF_RECORDS = 0.95  # rows of a table share their form: the names of columns, phrases, most of their values
HASHES, BANDS = 240, 120  # two hashes a band: texts that are alike to 0.4 share one of 120 in 99 % of cases


class Text(NamedTuple):
    """What is kept of one: numbers in place of its shingles."""

    name: str
    sketch: Any
    size: int  # of its set of shingles


class NearDuplicates:
    """Tells for each of a stream of texts which earlier one it nearly repeats; keeps 240 numbers of each original."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from rensa import RMinHashLSH

        self._threshold = threshold
        self._originals: list[Text] = []
        self._index = RMinHashLSH(threshold, HASHES, BANDS)

    def original(self, name: str, text: str, threshold: float | None = None) -> str | None:
        """The name of the most alike earlier text, if it is at least as alike as the threshold; else remember this.

        A `threshold` that is given goes before the one for all.
        """
        new = _text(name, text)
        near = ((likeness(new, self._originals[key]), key) for key in self._index.query(new.sketch))
        best, key = max(near, default=(0.0, -1))
        if best >= (threshold or self._threshold):
            return self._originals[key].name
        self._index.insert(len(self._originals), new.sketch)
        self._originals.append(new)
        return None


def _text(name: str, text: str) -> Text:
    from rensa import RMinHash

    found = shingles(text)
    sketch = RMinHash(HASHES, 0)
    sketch.update(list(found))
    return Text(name, sketch, len(found))


def likeness(new: Text, old: Text) -> float:
    """How much of a new text an earlier one has: shared shingles by the new text's, estimated from both sketches.

    Where the earlier text is the longer one, by the geometric mean of both (Ochiai's coefficient): a text that was cut
    out of one twice as long is found, which Jaccard's likeness misses, a section with its line in a table of contents
    is not, which containment would take.
    """
    jaccard = new.sketch.jaccard(old.sketch)
    shared = jaccard * (new.size + old.size) / (1 + jaccard)
    return float(shared / math.sqrt(new.size * max(new.size, old.size)))


def shingles(text: str) -> set[str]:
    """Runs of `SHINGLE` characters of a text's words; of a shorter text itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
    return {words[start : start + SHINGLE] for start in range(max(len(words) - SHINGLE + 1, 1))}
