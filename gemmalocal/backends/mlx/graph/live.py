"""How much is in memory at most while a graph is computed."""

from __future__ import annotations

from collections import Counter

from gemmalocal.backends.mlx.graph.buffers import Buffers
from gemmalocal.backends.mlx.graph.operations import FREE, Graph, Operation
from gemmalocal.backends.mlx.graph.order import order

# These write where nothing else lies; others take the memory of an input of that size that nobody needs any more.
APART = {
    "AddMM", "Arange", "ArgReduce", "Concatenate", "Full", "Gather", "GatherAxis", "GatherMM", "GatherQMM", "LogSumExp",
    "Matmul", "Max", "Min", "QuantizedMatmul", "RandomBits", "ScaledDotProductAttention", "Sum",
}  # fmt: skip


class Memory:
    """What is allocated while the handovers of a graph are computed, one after the other; weights are not."""

    def __init__(self, graph: Graph, width: int) -> None:
        self._graph, self._width, self._buffers = graph, width, Buffers(graph)
        self._makers = {name: operation for operation in graph.operations for name in operation.outputs}
        self._uses = Counter[str]()  # to come, of each array's memory
        for operation in graph.operations:
            if operation.kind not in FREE:
                self._uses.update(self._roots(operation))
        self._computed: set[str] = set()
        self._held: dict[str, int] = {}  # bytes
        self._now = self._highest = 0

    def largest(self, first: int, last: int) -> int:
        """Bytes at most from handover `first` to `last`, above what was there before them."""
        before = 0
        for number, names in enumerate(self._graph.handed[: last + 1]):
            if number == first:
                before = self._highest = self._now
            for operation in order(names, self._makers, self._computed, self._width):
                self._computed.update(operation.outputs)
                if operation.kind not in FREE:
                    self._compute(operation)
            for name in [name for name in self._held if not self._uses[name]]:
                self._drop(name)
        return self._highest - before

    def _roots(self, operation: Operation) -> set[str]:
        return {self._buffers.root(name) for name in self._buffers.inputs(operation)}

    def _compute(self, operation: Operation) -> None:
        roots = self._roots(operation)
        self._uses.subtract(roots)
        unneeded = [name for name in sorted(roots) if name in self._held and not self._uses[name]]
        for output in operation.outputs:
            if self._buffers.root(output) != output:  # written in place
                continue
            size = self._buffers.size(output)
            given = [name for name in unneeded if self._held[name] == size and operation.kind not in APART]
            for name in given[:1]:
                unneeded.remove(name)
                self._drop(name)
            self._held[output] = size
            self._now += size
        self._highest = max(self._highest, self._now)
        for name in unneeded:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._now -= self._held.pop(name)
