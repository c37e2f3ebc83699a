"""Which arrays of a graph share memory, and what an operation reads and writes of it."""

from __future__ import annotations

from gemmalocal.backends.mlx.graph.operations import FREE, Graph, Operation
from gemmalocal.backends.mlx.graph.stand_ins import KERNELS

CHOSEN = {"Gather", "GatherAxis"}  # read of the first input only what they give out
IN_PLACE = {"SliceUpdate", "DynamicSliceUpdate"}  # write into the first input no more than the second
VIEWS_OF_ALL = {"Broadcast", "BroadcastAxes"}  # each number is read once, however often it appears


class Buffers:
    """The memory of a graph's arrays; sizes are in bytes."""

    def __init__(self, graph: Graph) -> None:
        self._sizes = graph.sizes
        self._makers = {name: operation for operation in graph.operations for name in operation.outputs}
        self._sources: dict[str, str] = {}  # of arrays that share the memory of another
        for operation in graph.operations:
            if operation.kind in FREE or operation.kind in IN_PLACE:
                self._sources |= _shared(operation)

    def root(self, name: str) -> str:
        """The array whose memory it is."""
        while name in self._sources:
            name = self._sources[name]
        return name

    def size(self, name: str) -> int:
        """Of the whole array."""
        return self._sizes[name]

    def inputs(self, operation: Operation) -> list[str]:
        """What a kernel reads. A stand-in's other inputs lie in front of it, as dependencies."""
        maker = self._makers.get(operation.inputs[0]) if operation.inputs else None
        if operation.kind in KERNELS.values() and maker and maker.kind == "Depends":
            return [*maker.inputs, *operation.inputs[1:]]
        return list(operation.inputs)

    def read(self, operation: Operation) -> int:
        """How much a kernel reads."""
        inputs = self.inputs(operation)
        if operation.kind in CHOSEN:
            return self._sizes[operation.outputs[0]] + sum(map(self._visible, inputs[1:]))
        if operation.kind in IN_PLACE:
            return sum(map(self._visible, inputs[1:]))
        return sum(map(self._visible, inputs))

    def written(self, operation: Operation) -> int:
        """How much it writes."""
        if operation.kind in IN_PLACE:
            return self._sizes[operation.inputs[1]]
        return sum(self._sizes[name] for name in operation.outputs)

    def _visible(self, name: str) -> int:
        """What there is to read of a view: at most what it shows, and what it is a view of."""
        maker = self._makers.get(name)
        if maker is None or maker.kind not in FREE or not maker.inputs:
            return self._sizes[name]
        source = self._visible(self._sources[name])
        return source if maker.kind in VIEWS_OF_ALL else min(source, self._sizes[name])


def _shared(operation: Operation) -> dict[str, str]:
    """From each output to the input whose memory it has."""
    inputs, outputs = operation.inputs, operation.outputs
    if operation.kind == "CustomTransforms":  # arguments, then what was made of them
        inputs = inputs[-len(outputs) :]
    elif operation.kind != "Depends":
        inputs = inputs[:1] * len(outputs)
    return dict(zip(outputs, inputs, strict=False))
