"""A proof that an export kept the tune, to read."""

from __future__ import annotations

from typing import Any

from textual.content import Content

from gemmalocal.workspace.exports import LEAST

LABEL = 14  # cells


def table(proof: dict[str, Any]) -> Content:
    """Losses of base, run and export, what was kept and carried, who read it again, and the greedy texts."""
    kept = proof["kept"]
    passed, least = proof["passed"], proof.get("least", LEAST)
    share = "there was no gain to keep" if kept is None else f"{100 * kept:.1f} % of the gain"
    parts: list[Any] = [
        ("proof".ljust(LABEL), "$text-muted"),
        ("PASSED" if passed else "FAILED", "bold $text-success" if passed else "bold $text-error"),
        f", at least {100 * least:.0f} % must be kept\n",
        *_row("held-out loss", f"base {proof['base']:.4f}   run {proof['tuned']:.4f}   export {proof['exported']:.4f}"),
        *_row("kept", share),
        *_row("carried", f"{100 * proof['carried']:.1f} % of the shift of logits"),
        *_row("read again", proof["reader"]),
    ]
    answers = proof["answers"]
    same = sum(answer["tuned"] == answer["exported"] for answer in answers)
    parts += _row("greedy texts", f"{same} of {len(answers)} are the same")
    for answer in answers:
        parts += [("\n› ", "$accent"), (_line(answer["prompt"]), "$text-muted"), "\n"]
        if answer["tuned"] == answer["exported"]:
            parts += _row("run, export", _line(answer["tuned"]))
        else:
            parts += [*_row("run", _line(answer["tuned"])), *_row("export", _line(answer["exported"]))]
    return Content.assemble(*parts)


def _row(label: str, words: str) -> list[Any]:
    return [(label.ljust(LABEL), "$text-muted"), words, "\n"]


def _line(text: str) -> str:
    return text.strip().replace("\n", " ⏎ ")
