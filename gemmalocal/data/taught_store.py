"""What a teacher says of rows, on disk by their content: shards that are written once, and read where they lie.

A folder for each teacher, with `about.json` for people, and of each shard NAME.npy, (tokens,) with the fields of
`token_type`, and NAME.json, sealed: its rows by `row_key`, in order, each with its tokens, and the hash of the other
file. A shard's name is made of its rows, so that two processes that score the same rows write the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.files import atomic, hashes, safe_read
from gemmalocal.files.manifest import sha256

SHARD_TOKENS = 4096  # supervised tokens from which a shard is full
ABOUT = "about.json"
Numbers = NDArray[np.float64]


def token_type(keep: int) -> np.dtype[np.void]:
    """What is kept of a token: ids, likeliest first, their log-probabilities, and that of all others, in nats."""
    return np.dtype([("ids", "<u4", (keep,)), ("logp", "<f2", (keep,)), ("rest", "<f2")])


def row_key(example: Example) -> str:
    """A name for an example's ids and which of them are predicted."""
    predicted = np.packbits(example.weights[1:] > 0).tobytes()
    return hashlib.sha256(example.ids.astype("<i4").tobytes() + b"\x00" + predicted).hexdigest()[:32]


class Place(NamedTuple):
    """Where what is known of a row lies: its shard, and there from its token `start` up to `end`."""

    shard: str
    start: int
    end: int


class Shard(NamedTuple):
    """Rows that are scored together: places in a sequence of examples, and their keys."""

    places: list[int]
    keys: list[str]

    @property
    def name(self) -> str:
        """Of its files."""
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()[:32]


class TaughtStore:
    """What one teacher said of rows; `damage` names shards that were not whole, and are not there any more."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self.keep = folder, keep
        self._rows: dict[str, Place] = {}
        self._shards: dict[str, NDArray[np.void]] = {}
        self.damage: list[str] = []
        self.refresh()

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    def refresh(self) -> None:
        """Look for shards that others have written."""
        for file in sorted(safe_read.entries(self._folder)):
            if file.suffix == ".json" and file.name != ABOUT and file.stem not in self._shards:
                self._take(file.stem)

    def _take(self, name: str) -> None:
        """Take up a shard; one that is not whole is removed."""
        index, tokens = (self._folder / f"{name}{ending}" for ending in (".json", ".npy"))
        try:
            about, sealed = hashes.unseal(index.read_text(encoding="utf-8"))
            if not sealed or sha256(tokens) != about["hash"]:
                raise hashes.Damaged(hashes.CHANGED)
            values: NDArray[np.void] = np.load(tokens, mmap_mode="r", allow_pickle=False)
            if values.dtype != token_type(self.keep) or len(values) != sum(count for _, count in about["rows"]):
                raise hashes.Damaged(hashes.CHANGED)
        except (OSError, ValueError, KeyError, TypeError):
            self.damage.append(name)
            for file in (index, tokens):
                with suppress(OSError):
                    file.unlink()
            return
        self._shards[name] = values
        start = 0
        for key, count in about["rows"]:
            self._rows[key] = Place(name, start, start + count)
            start += count

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> NDArray[np.void]:
        """Of a row's predicted tokens, in order, (tokens,) with the fields of `token_type`."""
        place = self._rows[key]
        return self._shards[place.shard][place.start : place.end]

    def missing(self, shard: Shard) -> Shard:
        """Of the rows of a shard those that are not known."""
        left = [(place, key) for place, key in zip(*shard, strict=True) if key not in self._rows]
        return Shard([place for place, _ in left], [key for _, key in left])

    def add(self, shard: Shard, counts: Sequence[int], ids: NDArray[Any], logp: NDArray[Any], rest: Numbers) -> None:
        """Write what was said of a shard's rows, which have so many tokens each: ids and log-probabilities by token."""
        values = np.zeros(len(rest), token_type(self.keep))
        values["ids"], values["logp"] = ids, logp
        values["rest"] = np.maximum(rest, float(np.finfo(np.float16).min))
        buffer = io.BytesIO()
        np.save(buffer, values)
        content = buffer.getvalue()
        atomic.write_bytes(self._folder / f"{shard.name}.npy", content)
        about = {
            "hash": hashlib.sha256(content).hexdigest(),
            "rows": [[key, count] for key, count in zip(shard.keys, counts, strict=True)],
        }
        atomic.write_text(self._folder / f"{shard.name}.json", hashes.seal(about))  # last: now it is there
        self._take(shard.name)

    def describe(self, about: dict[str, Any]) -> None:
        """Keep for people, and for the next plan, whose words these are."""
        atomic.write_text(self._folder / ABOUT, json.dumps(about, indent=2))


def described(folder: Path) -> dict[str, Any]:
    """What `describe` kept; empty without it."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def shards(examples: Sequence[Example], keys: Sequence[str]) -> Iterator[Shard]:
    """Examples (each content once) in shards, in ascending length: the same for the same rows, in whatever order."""
    by_key = {
        key: (len(example.ids), key, place, int(np.count_nonzero(example.weights[1:])))
        for place, (key, example) in enumerate(zip(keys, examples, strict=True))
    }
    places: list[int] = []
    tokens = 0
    for _, _, place, predicted in sorted(by_key.values()):
        places.append(place)
        tokens += predicted
        if tokens >= SHARD_TOKENS:
            yield Shard(places, [keys[place] for place in places])
            places, tokens = [], 0
    if places:
        yield Shard(places, [keys[place] for place in places])
