"""From what was handed over to the operations of one graph, each once."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import mlx.core as mx

from gemmalocal.backends.mlx.graph import printed
from gemmalocal.backends.mlx.graph.recording import Handover
from gemmalocal.backends.mlx.graph.stand_ins import KERNELS

# These share the memory of what goes in.
FREE = {
    "AsStrided", "Broadcast", "BroadcastAxes", "Copy", "CustomTransforms", "Depends", "ExpandDims", "Flatten", "Load",
    "Reshape", "Slice", "Split", "Squeeze", "StopGradient", "Transpose", "Unflatten", "View",
}  # fmt: skip
MARK = "Hadamard"  # an operation that no Gemma uses stands before each handover's
DOT_NODE = re.compile(r"^\{ \d+ \[label =\"(\w+)")
DOT_INPUT, DOT_OUTPUT = re.compile(r"^\"(\w+)\" -> \d+$"), re.compile(r"^\d+ -> \"(\w+)\"$")
PRINTED_ARRAY = re.compile(r"(\w+) \[\(([\d,]*)\), (\w+?)(\d*)\]")


class Operation(NamedTuple):
    """Its kind, the names of the arrays that go in and come out, and the number of the handover that brought it."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    handover: int

    @property
    def launches(self) -> int:
        """How many kernels a GPU runs for it."""
        if self.kind in FREE:
            return 0
        return len(self.inputs) if self.kind == "Concatenate" else 1


class Graph(NamedTuple):
    """Operations, those that others need first; where shapes are known, arrays' bytes and types, handovers' arrays."""

    operations: list[Operation]
    sizes: dict[str, int]
    types: dict[str, str]
    handed: list[list[str]]


def graph(handovers: Sequence[Handover], with_sizes: bool | None = None) -> Graph:
    """Of all handovers; sizes are not known everywhere (see `printed`)."""
    mark, arrays = mx.array([0.0, 0.0]), list[mx.array]()
    for handover in handovers:
        arrays += [mx.hadamard_transform(mark), *handover.arrays]
    if printed.available() if with_sizes is None else with_sizes:
        return _from_print(printed.printed(arrays), handovers)
    dot = io.StringIO()
    mx.export_to_dot(dot, arrays)
    return Graph(list(_numbered(_dot_nodes(dot.getvalue().splitlines()))), {}, {}, [])


def _from_print(lines: list[str], handovers: Sequence[Handover]) -> Graph:
    sizes, types = dict[str, int](), dict[str, str]()

    def names(text: str) -> tuple[str, ...]:
        parts = PRINTED_ARRAY.findall(text)
        for name, shape, kind, bits in parts:
            count = prod(int(length) for length in shape.split(",") if length)
            sizes[name] = count * (int(bits) // 8 if kind != "bool" else 1)
            types[name] = kind + bits
        return tuple(name for name, *_ in parts)

    names(lines[0])
    outputs = iter(names(lines[1]))
    handed = [[next(outputs) for _ in range(1 + len(handover.arrays))][1:] for handover in handovers]
    nodes: list[Node] = []
    for line in lines[2:]:
        before, _, after = line.rpartition(" -> ")
        nodes.append((before.split(" ", 1)[0], names(before), names(after)))
    return Graph(list(_numbered(nodes)), sizes, types, handed)


Node = tuple[str, tuple[str, ...], tuple[str, ...]]


def _dot_nodes(lines: Sequence[str]) -> list[Node]:
    """Kind, inputs and outputs of each node: its edges are written behind it."""
    nodes: list[tuple[str, list[str], list[str]]] = []
    for line in lines:
        if node := DOT_NODE.match(line):
            nodes.append((node[1], [], []))
        elif edge := DOT_INPUT.match(line):
            nodes[-1][1].append(edge[1])
        elif edge := DOT_OUTPUT.match(line):
            nodes[-1][2].append(edge[1])
    return [(kind, tuple(inputs), tuple(outputs)) for kind, inputs, outputs in nodes]


def _numbered(nodes: Sequence[Node]) -> Iterator[Operation]:
    number = -1
    for kind, inputs, outputs in nodes:
        if kind == MARK:
            number += 1
        else:
            yield Operation(KERNELS.get(kind, kind), inputs, outputs, number)
