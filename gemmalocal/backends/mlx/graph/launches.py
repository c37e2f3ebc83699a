"""From what was handed over to operations in the order in which a GPU would be given them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx

from gemmalocal.backends.mlx.graph.recording import Handover
from gemmalocal.backends.mlx.graph.stand_ins import KERNELS

# These share the memory of what goes in.
FREE = {
    "AsStrided", "Broadcast", "BroadcastAxes", "Copy", "CustomTransforms", "Depends", "ExpandDims", "Flatten", "Load",
    "Reshape", "Slice", "Split", "Squeeze", "StopGradient", "Transpose", "Unflatten", "View",
}  # fmt: skip
NODE = re.compile(r"^\{ (\d+) \[label =\"(\w+)\"")
MARK = "Hadamard"  # an operation that no Gemma uses stands before each handover's


class Operation(NamedTuple):
    """One of a graph: its kind, how many launches it takes, and the number of the handover that brought it."""

    kind: str
    launches: int
    handover: int


def operations(handovers: Sequence[Handover]) -> list[Operation]:
    """Each operation once, with the handover that asked for it first."""
    arrays, mark = list[mx.array](), mx.array([0.0, 0.0])
    for handover in handovers:
        arrays += [mx.hadamard_transform(mark), *handover.arrays]
    dot = io.StringIO()
    mx.export_to_dot(dot, arrays)
    return _parsed(dot.getvalue().splitlines())


def _parsed(lines: list[str]) -> list[Operation]:
    number, found = -1, list[Operation]()
    for index, line in enumerate(lines):
        node = NODE.match(line)
        if node and node[2] == MARK:
            number += 1
        elif node:
            inputs = 0
            while lines[index + 1 + inputs].endswith(f"-> {node[1]}"):
                inputs += 1
            kind = KERNELS.get(node[2], node[2])
            found.append(Operation(kind, launches(kind, inputs), number))
    return found


def launches(kind: str, inputs: int) -> int:
    """How many kernels a GPU runs for an operation."""
    if kind in FREE:
        return 0
    return inputs if kind == "Concatenate" else 1
