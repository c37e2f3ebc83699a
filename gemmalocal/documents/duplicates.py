"""Near copies among many texts, found as they come: MinHash over shingles, looked up by locality."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.documents.lsh import BandIndex

SHINGLE = 6  # characters, blind to case, width and punctuation: no words are needed, so Chinese text works as well
# Of `likeness`. Texts on one matter by different hands reach 0.21, copied or lightly revised ones most often 0.4 and
# more (Clough and Stevenson's corpus); sections of one manual that only share phrases stay below.
THRESHOLD = 0.4
OF_RECORDS = 0.95  # rows of a table share their form: the names of columns, phrases, most of their values
WORD = re.compile(r"[^\W_]+")  # letters and digits, as `str.isalnum` has it
HASHES = 240  # two a band: texts that are alike to 0.4 share one of 120 bands in 99 % of cases


class NearDuplicates:
    """Tells for each of a stream of texts which earlier one it nearly repeats; keeps two kilobytes of each original."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._names: list[str] = []  # of the originals, in the order they came
        self._sizes = array("q")  # of their sets of shingles
        self._figures = array("Q")  # hashes of the numbers in them
        self._index = BandIndex(HASHES)

    def original(self, name: str, text: str, records: bool = False) -> str | None:
        """The name of the most alike earlier text, if it is at least as alike as the threshold; else remember this.

        Of `records`, which share their form, much more must be alike, and all numbers: they are what tells them apart.
        """
        new = _Sketched.of(text)
        near, alike = self._alike(new, records)
        if len(near):
            return self._names[int(near[int(alike.argmax())])]
        self._remember(name, new)
        return None

    def all_alike(self, name: str, text: str, records: bool = False) -> list[str]:
        """The names of all earlier texts that are as alike; this one is remembered in any case.

        One of the very shingles of an earlier text goes by that one's name from then on.
        """
        new = _Sketched.of(text)
        near, alike = self._alike(new, records)
        if not len(near) or alike.max() < 1:
            self._remember(name, new)
        return [self._names[int(index)] for index in near]

    def _alike(self, new: _Sketched, records: bool) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The numbers of the texts that are alike to the threshold, and how much they are; (texts,) both."""
        near = self._index.candidates(new.hashes)
        if records:
            near = near[np.frombuffer(self._figures, np.uint64)[near] == new.figures]
        if not len(near):
            return near, np.empty(0)
        sizes = np.frombuffer(self._sizes, np.int64)[near]
        alike = likeness(new.hashes, new.size, self._index.sketches[near], sizes)
        enough = alike >= (OF_RECORDS if records else self._threshold)
        return near[enough], alike[enough]

    def _remember(self, name: str, new: _Sketched) -> None:
        self._names.append(name)
        self._sizes.append(new.size)
        self._figures.append(new.figures)
        self._index.add(new.hashes)


class _Sketched(NamedTuple):
    """A text as it is compared: its hashes, (HASHES,), the size of its set of shingles, a hash of its numbers."""

    hashes: NDArray[np.uint32]
    size: int
    figures: int

    @classmethod
    def of(cls, text: str) -> _Sketched:
        from rensa import RMinHash

        own_shingles = shingles(text)
        sketch = RMinHash(HASHES, 0)
        sketch.update(list(own_shingles))
        return cls(np.array(sketch.digest(), np.uint32), len(own_shingles), _figures(text))


def likeness(
    new: NDArray[np.uint32], size: int, old: NDArray[np.uint32], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much of a new text each earlier one has: shared shingles by the new text's, estimated from their sketches.

    `new` is (HASHES,), `old` (texts, HASHES), the result (texts,). Where the earlier text is the longer one, by the
    geometric mean of both (Ochiai's coefficient): a text that was cut out of one twice as long is found, which
    Jaccard's likeness misses, a section with its line in a table of contents is not, which containment would take.
    """
    jaccard = np.count_nonzero(old == new, axis=1) / len(new)
    # |A & B| = J (|A| + |B|) / (1 + J), by the definition of Jaccard's likeness J.
    shared = jaccard * (size + sizes) / (1 + jaccard)
    return np.asarray(shared / np.sqrt(size * np.maximum(size, sizes)), np.float64)


def nearly_repeats(new: str, old: str, records: bool = False) -> bool:
    """Whether a text nearly repeats another, by their whole sets of shingles; `records` as in `NearDuplicates`."""
    if records and _figures(new) != _figures(old):
        return False
    left, right = shingles(new), shingles(old)
    alike = len(left & right) / math.sqrt(len(left) * max(len(left), len(right)))
    return alike >= (OF_RECORDS if records else THRESHOLD)


def shingles(text: str) -> set[str]:
    """Runs of `SHINGLE` characters of a text's words; of a shorter text itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(WORD.findall(folded))
    return {words[start : start + SHINGLE] for start in range(max(len(words) - SHINGLE + 1, 1))}


def _figures(text: str) -> int:
    """A 64-bit hash of the numbers in a text, in order."""
    digits = " ".join(re.findall(r"\d+", text)).encode()
    return int.from_bytes(hashlib.blake2b(digits, digest_size=8).digest(), "big")
