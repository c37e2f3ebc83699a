"""Rows to two sides, training and held out, with nothing lost in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gemmalocal.data import shapes, sources
from gemmalocal.errors import DatasetError
from gemmalocal.recipe import DataSpec
from gemmalocal.records import Record, Rejected


@dataclass
class Dataset:
    """The two sides, and what was left out."""

    shape: str
    train: list[Record]
    held_out: list[Record]
    rejected: list[Rejected] = field(default_factory=list)
    duplicates: int = 0

    def notices(self) -> list[str]:
        """What a person should know about the rows, as sentences."""
        found = []
        if self.duplicates:
            found.append(f"{self.duplicates} duplicate rows left out")
        reasons = Counter(item.reason.split(":")[0] for item in self.rejected)
        for reason, count in reasons.most_common():
            first = next(item for item in self.rejected if item.reason.startswith(reason))
            found.append(f"{count} rows left out: the row {reason} (first: {first.source})")
        return found


def read(spec: DataSpec) -> Dataset:
    """Read all rows of a recipe's data section; raises `DatasetError` if none can be trained on."""
    dataset = Dataset("template" if spec.template else spec.shape, [], [])
    own_file = sources.held_out_file(spec.path)
    held_out_keys: set[str] = set()
    if own_file is not None:
        dataset.held_out = _records(str(own_file), spec, dataset, held_out_keys)
    records = _records(spec.path, spec, dataset, held_out_keys)
    if own_file is not None:
        dataset.train = records
    else:
        dataset.train, side = split(records, spec.split)
        dataset.held_out = side
    if not dataset.train:
        reason = f"{dataset.rejected[0].source} {dataset.rejected[0].reason}" if dataset.rejected else "it is empty"
        raise DatasetError(f"{spec.path} has no row that can be trained on: {reason}.", "Try: gemmalocal check RECIPE")
    return dataset


def split(records: list[Record], share: float) -> tuple[list[Record], list[Record]]:
    """Hold out a share of the records by their hash, so that a record never changes sides. At least one, if asked."""
    limit = int(share * 16**8)
    held_out = [record for record in records if int(record.key[:8], 16) < limit]
    if share and not held_out and len(records) > 1:
        held_out = [min(records, key=lambda record: record.key)]
    sources_held = {record.source for record in held_out}
    return [record for record in records if record.source not in sources_held], held_out


def _records(path: str, spec: DataSpec, dataset: Dataset, seen: set[str]) -> list[Record]:
    read_row: Callable[[str, shapes.Columns], Record] | None = None
    records = []
    for row in sources.rows(path):
        if isinstance(row, Rejected):
            dataset.rejected.append(row)
            continue
        source, columns = row
        if read_row is None:
            if dataset.shape == "auto":
                dataset.shape = shapes.detect(columns)
            read_row = shapes.reader(dataset.shape, spec.template)
        try:
            record = read_row(f"{Path(path).name}/{source}" if path.startswith("hf:") else source, columns)
        except shapes.Unusable as problem:
            dataset.rejected.append(Rejected(source, str(problem)))
            continue
        if record.key in seen:
            dataset.duplicates += 1
            continue
        seen.add(record.key)
        records.append(record)
    return records
