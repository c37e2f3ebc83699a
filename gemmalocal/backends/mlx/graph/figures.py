"""The figures of one phase of a recording: launches and bytes by kind of operation, waits, the most in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gemmalocal.backends.mlx.graph.buffers import Buffers
from gemmalocal.backends.mlx.graph.live import Memory
from gemmalocal.backends.mlx.graph.operations import Graph, Operation, graph
from gemmalocal.backends.mlx.graph.order import WIDTH
from gemmalocal.backends.mlx.graph.recording import Handover

FUSED = "Compiled"


def figures(handovers: Sequence[Handover], phase: str, width: int = WIDTH) -> dict[str, Any]:
    """What the handovers of a phase asked for that none before them had; bytes are None where they are not known."""
    whole = graph(handovers)
    numbers = [number for number, handover in enumerate(handovers) if handover.phase == phase]
    counted = [operation for operation in whole.operations if operation.handover in numbers and operation.launches]
    brought = {operation.handover for operation in counted}
    return {
        "launches": sum(operation.launches for operation in counted),
        "waits": sum(handovers[n].overdue or (handovers[n].waits and n in brought) for n in numbers),
        "kinds": dict(_launches(counted).most_common()),
    } | _bytes(whole, counted, numbers, width)


def _launches(operations: Sequence[Operation]) -> Counter[str]:
    launches = Counter[str]()
    for operation in operations:
        launches[_kind(operation)] += operation.launches
    return launches


def _kind(operation: Operation) -> str:
    """All fused operations are of one kind."""
    return FUSED if operation.kind.startswith(FUSED) else operation.kind


def _bytes(whole: Graph, counted: Sequence[Operation], numbers: Sequence[int], width: int) -> dict[str, Any]:
    if not whole.sizes:
        return dict.fromkeys(("bytes_read", "bytes_written", "largest_live_bytes", "bytes_by_kind"))
    buffers, by_kind = Buffers(whole), Counter[str]()
    read = written = 0
    for operation in counted:
        read += buffers.read(operation)
        written += buffers.written(operation)
        by_kind[_kind(operation)] += buffers.read(operation) + buffers.written(operation)
    return {
        "bytes_read": read,
        "bytes_written": written,
        "largest_live_bytes": Memory(whole, width).largest(numbers[0], numbers[-1]),
        "bytes_by_kind": dict(by_kind.most_common()),
    }
