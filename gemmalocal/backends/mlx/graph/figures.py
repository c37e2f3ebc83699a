"""The figures of one phase of a recording: launches by kind of operation, and waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from gemmalocal.backends.mlx.graph.launches import Operation, operations
from gemmalocal.backends.mlx.graph.recording import Handover


def figures(handovers: Sequence[Handover], phase: str) -> dict[str, Any]:
    """What the handovers of a phase asked for that none before them had."""
    brought: dict[int, list[Operation]] = {}
    for operation in operations(handovers):
        brought.setdefault(operation.handover, []).append(operation)
    counted = {number: brought.get(number, []) for number, handover in enumerate(handovers) if handover.phase == phase}
    kinds = by_kind(list(chain.from_iterable(counted.values())))
    return {
        "launches": kinds.total(),
        "waits": sum(_waited(handovers[number], new) for number, new in counted.items()),
        "kinds": dict(kinds.most_common()),
    }


def by_kind(operations: Sequence[Operation]) -> Counter[str]:
    """Launches of each kind; all fused ones are one kind."""
    counts = Counter[str]()
    for operation in operations:
        counts["Compiled" if operation.kind.startswith("Compiled") else operation.kind] += operation.launches
    return +counts


def _waited(handover: Handover, new: Sequence[Operation]) -> bool:
    """Whether the program waited for the device: for what it asked for then, or before."""
    return handover.overdue or (handover.waits and any(operation.launches for operation in new))
