"""What the figures of judged answers (`preference` in events) say to a person."""

from __future__ import annotations

from collections.abc import Mapping


def sentence(preference: Mapping[str, float] | None) -> str:
    """Such as "92 % right, margin 1.41, chosen +0.3, rejected -12.1"; "" for a run that imitates."""
    if not preference:
        return ""
    parts = [f"{100 * preference['accuracy']:.0f} % right"] if "accuracy" in preference else []
    parts += [f"margin {preference['margin']:.2f}"] if "margin" in preference else []
    parts += [f"{name} {preference[name]:+.1f}" for name in ("chosen", "rejected") if name in preference]
    return ", ".join(parts).replace("-0.0,", "+0.0,")
