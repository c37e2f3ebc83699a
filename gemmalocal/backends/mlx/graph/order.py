"""In which order MLX computes what it is handed (`eval_impl` in its transforms.cpp)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from gemmalocal.backends.mlx.graph.operations import Operation

WIDTH = 20  # of the tape, where MLX_BFS_MAX_WIDTH says nothing


def order(
    wanted: Sequence[str], makers: Mapping[str, Operation], computed: AbstractSet[str], width: int
) -> list[Operation]:
    """What has to be computed for these arrays, and makes none of the `computed` ones, in that order.

    MLX lists it from the arrays down, breadth first, and goes deeper where the list grows wider than `width`.
    """
    edges = _edges(wanted, makers, computed)
    handover = Operation("Synchronize", tuple(wanted), ("",), 0)
    tape, begun, at = [handover], list[tuple[Operation, int]](), 0
    while edges and (at < len(tape) or begun):
        if at < len(tape):
            operation, start = tape[at], 0
            at += 1
        else:
            operation, start = begun.pop()
        for index in range(start, len(operation.inputs)):
            name = operation.inputs[index]
            if name in computed or name not in makers:
                continue
            if len(tape) - at >= width:
                begun.append((operation, index))
                break
            maker = makers[name]
            edges[maker.outputs[0]] -= 1
            if not edges[maker.outputs[0]]:
                del edges[maker.outputs[0]]
                tape.append(maker)
    return tape[:0:-1]


def _edges(wanted: Sequence[str], makers: Mapping[str, Operation], computed: AbstractSet[str]) -> dict[str, int]:
    """How often each operation's outputs are asked for, by the first one's name."""
    edges: dict[str, int] = {}
    waiting = [tuple(wanted)]
    while waiting:
        for name in waiting.pop():
            if name in computed or name not in makers:
                continue
            maker = makers[name]
            if maker.outputs[0] not in edges:
                waiting.append(maker.inputs)
            edges[maker.outputs[0]] = edges.get(maker.outputs[0], 0) + 1
    return edges
