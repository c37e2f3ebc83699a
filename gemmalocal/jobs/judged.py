"""What the figures of judged answers, or beside a teacher (`preference` in events), say to a person."""

from __future__ import annotations

from collections.abc import Mapping


def sentence(preference: Mapping[str, float] | None) -> str:
    """Such as "92 % right, margin 1.41, chosen +0.3, rejected -12.1"; "" for a run that imitates.

    Of one with a teacher such as "84 % as its teacher, KL 0.131, rows 2.31".
    """
    if not preference:
        return ""
    if "kl" in preference:
        agreement = f"{100 * preference['agreement']:.0f} % as its teacher" if "agreement" in preference else ""
        rows = f"rows {preference['cross_entropy']:.2f}" if "cross_entropy" in preference else ""
        return ", ".join(filter(None, [agreement, f"KL {preference['kl']:.3f}", rows]))
    parts = [f"{100 * preference['accuracy']:.0f} % right"] if "accuracy" in preference else []
    parts += [f"margin {preference['margin']:.2f}"] if "margin" in preference else []
    parts += [f"{name} {preference[name]:+.1f}" for name in ("chosen", "rejected") if name in preference]
    return ", ".join(parts).replace("-0.0,", "+0.0,")
