"""What comes back from a question that has an answer: plain values, which a notebook shows as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gemmalocal.api import pages


@dataclass(frozen=True)
class Check:
    """What a recipe would train on; `data` is all that was found out, as `gemmalocal check --json` prints it."""

    data: dict[str, Any] = field(repr=False)

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What is wrong or odd with the rows, by kind."""
        return list(self.data["problems"])

    @property
    def fits(self) -> bool:
        """Whether the memory at the peak is there; False where no row can be trained on."""
        return bool(self.data.get("memory", {}).get("fits", False))

    @property
    def memory(self) -> int | None:
        """Bytes at the peak."""
        total: int | None = self.data.get("memory", {}).get("total")
        return total

    @property
    def seconds(self) -> float | None:
        """How long it takes, if this machine has tuned this model before."""
        seconds: float | None = self.data.get("time", {}).get("seconds")
        return seconds

    @property
    def steps(self) -> int | None:
        """How many optimizer steps."""
        return self.data.get("steps")

    @property
    def rows(self) -> tuple[int, int]:
        """How many are trained on, and how many are held out."""
        counts = (self.data.get(side, {}).get("rows", 0) for side in ("train", "held_out"))
        train, held_out = counts
        return train, held_out

    def __repr__(self) -> str:
        return (
            f"Check(rows={self.rows}, steps={self.steps}, memory={self.memory}, fits={self.fits}, "
            f"problems={len(self.problems)})"
        )

    def _repr_html_(self) -> str:
        return pages.of_check(self.rows, self.steps, self.memory, self.fits, self.problems)


@dataclass(frozen=True)
class Report:
    """Whether a run helped; `data` are all figures, as `gemmalocal report --json` prints them."""

    data: dict[str, Any] = field(repr=False)
    page: Path  # HTML, with nothing outside it

    @property
    def verdict(self) -> str:
        """helps, no difference, hurts; or helps but forgets, no difference but forgets, hurts and forgets."""
        return str(self.data["verdict"])

    @property
    def sentence(self) -> str:
        """The verdict and what it comes from."""
        return str(self.data["sentence"])

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return pages.of_report(self.verdict, self.sentence, self.page)


@dataclass(frozen=True)
class Exported:
    """An export and its proof; `data` is all of that, as in its proof.json."""

    data: dict[str, Any] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return Path(self.data["path"])

    @property
    def kept(self) -> float | None:
        """The share of the gain in held-out loss that it kept; None if there was none to keep."""
        kept = self.data["kept"]
        return None if kept is None else float(kept)

    @property
    def passed(self) -> bool:
        """Whether it kept enough of it."""
        return bool(self.data["passed"])

    def __repr__(self) -> str:
        return f"Exported({str(self.folder)!r}, kept={self.kept}, passed={self.passed})"

    def _repr_html_(self) -> str:
        return pages.of_export(self.folder, self.kept, self.passed)


@dataclass(frozen=True)
class Model:
    """A model that is on this disk, or can be downloaded; `size` in bytes, `place` empty if it is not here.

    `trains` is yes, checkpointing (if activations are computed again), no, import (a GGUF, first) or unknown.
    """

    name: str
    place: str
    size: int
    trains: str
    licence: str
    gated: bool

    @classmethod
    def of_entry(cls, entry: dict[str, Any]) -> Self:
        """One that a job has listed."""
        names = ("name", "size", "licence", "gated")
        return cls(place=entry["place"] or "", trains=entry["train"], **{name: entry[name] for name in names})
