"""SmartArt: the texts of a diagram's points, from its data part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gemmalocal.documents import safe_xml

DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
DEEPEST = 30  # levels of a diagram


def parts(element: Any, owner: Any) -> Iterator[Any]:
    """The data parts of the diagrams below an element of a part."""
    for reference in element.iter(f"{DIAGRAM}relIds"):
        relation = reference.get(DATA, "")
        if relation in owner.rels and not owner.rels[relation].is_external:
            yield owner.rels[relation].target_part


def text(part: Any) -> str:
    """The texts of a diagram in its order, a line a point, with a step to the right a level."""
    root = safe_xml.parse(part.blob)
    points = {point.get("modelId"): point for point in root.iter(f"{DIAGRAM}pt")}
    below: dict[str, list[tuple[int, str]]] = {}
    for link in root.iter(f"{DIAGRAM}cxn"):
        if link.get("type", "parOf") == "parOf":
            order = link.get("srcOrd", "0")
            below.setdefault(link.get("srcId"), []).append((int(order) if order.isdigit() else 0, link.get("destId")))
    tops = [name for name, point in points.items() if point.get("type") == "doc"]
    lines: list[str] = []
    seen = set[str]()
    todo = [(name, -1) for name in reversed(tops)]
    while todo:
        name, depth = todo.pop()
        if name in seen or name not in points or depth > DEEPEST:
            continue
        seen.add(name)
        if words := _words(points[name]):
            lines.append("  " * max(depth, 0) + words)
        todo.extend((child, depth + 1) for _, child in sorted(below.get(name, ()), reverse=True))
    loose = (_words(point) for name, point in points.items() if name not in seen and _is_text(point))
    return "\n".join([*lines, *filter(None, loose)])


def _is_text(point: Any) -> bool:
    return point.get("type", "node") in ("node", "asst")


def _words(point: Any) -> str:
    paragraphs = ("".join(run.text or "" for run in line.iter(f"{DRAWING}t")) for line in point.iter(f"{DRAWING}p"))
    return " ".join(" ".join(paragraphs).split())
