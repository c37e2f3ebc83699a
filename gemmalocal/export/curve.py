"""The losses of a run as a picture: SVG, drawn by hand, since a library would bring a whole plotting system."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gemmalocal.jobs.history import JobState

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 56, 16, 16, 40
MOST = 400  # points of a line
CurvePoint = tuple[float, float]


def curve(state: JobState) -> str:
    """Training and held-out loss by step; empty if there is nothing to draw."""
    train_points = _thin([(step.step, step.loss) for step in state.steps if math.isfinite(step.loss)])
    held_out_points = [
        (float(evaluation.step), evaluation.loss) for evaluation in state.evaluations if math.isfinite(evaluation.loss)
    ]
    if not train_points:
        return ""
    points = [*train_points, *held_out_points]
    last, low, high = (
        max(x for x, _ in points),
        min(y for _, y in points),
        max(y for _, y in points),
    )
    span = (high - low) or 1.0

    def at(point: CurvePoint) -> str:
        x = LEFT + point[0] / (last or 1) * (WIDTH - LEFT - RIGHT)
        return f"{x:.1f},{TOP + (high - point[1]) / span * (HEIGHT - TOP - BOTTOM):.1f}"

    lines = [_line(map(at, train_points), "#9aa0a6", 1), _line(map(at, held_out_points), "#1a73e8", 2)]
    dots = [
        f'<circle cx="{place.split(",")[0]}" cy="{place.split(",")[1]}" r="3" fill="#1a73e8"/>'
        for place in map(at, held_out_points)
    ]
    marks = [
        _text(LEFT - 8, TOP + 4 + fraction * (HEIGHT - TOP - BOTTOM), f"{high - fraction * span:.2f}")
        for fraction in (0, 0.5, 1)
    ]
    marks += [
        _text(WIDTH - RIGHT, HEIGHT - 12, f"step {last:.0f}"),
        _text(LEFT + 150, HEIGHT - 12, "grey: training loss"),
    ]
    marks += [_text(LEFT + 320, HEIGHT - 12, "blue: held-out loss")]
    body = "\n".join([*lines, *dots, *marks])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _line(points: Iterable[str], colour: str, width: int) -> str:
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="end" fill="#3c4043">{text}</text>'


def _thin(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Means of neighbours, so that there are at most `MOST`."""
    size = -(-len(points) // MOST)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]
