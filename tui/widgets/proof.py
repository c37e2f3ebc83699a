"""A proof that an export kept the tune, to read."""

from __future__ import annotations

from typing import Any

from textual.content import Content

from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.workspace.exports import LEAST

LABEL = 15  # cells


def table(proof: dict[str, Any]) -> Content:
    """Losses of base, run and export, how much of the tune was kept, what read it again, and the sample answers."""
    kept = proof["kept"]
    passed, least = proof["passed"], proof.get("least", LEAST)
    share = "the run gained nothing to keep" if kept is None else f"{100 * kept:.1f} % of the gain"
    base, tuned, exported = (loss_text(proof[key], 4) for key in ("base", "tuned", "exported"))
    parts: list[Any] = [
        ("proof".ljust(LABEL), "$muted"),
        ("PASSED" if passed else "FAILED", "bold $text-success" if passed else "bold $text-error"),
        f": at least {100 * least:.0f} % of the gain must be kept\n",
        *_row("held-out loss", f"base {base}   run {tuned}   export {exported}"),
        *_row("kept", share),
        *_row("token scores", f"{100 * proof['carried']:.1f} % of how the run changed them"),
        *_row("loaded from", proof["reader"]),
    ]
    answers = proof["answers"]
    same = sum(answer["tuned"] == answer["exported"] for answer in answers)
    parts += _row("sample answers", f"{same} of {len(answers)} are the same as the run's")
    for answer in answers:
        parts += [("\n› ", "$primary"), (_line(answer["prompt"]), "$muted"), "\n"]
        if answer["tuned"] == answer["exported"]:
            parts += _row("run, export", _line(answer["tuned"]))
        else:
            parts += [*_row("run", _line(answer["tuned"])), *_row("export", _line(answer["exported"]))]
    return Content.assemble(*parts)


def _row(label: str, words: str) -> list[Any]:
    return [(label.ljust(LABEL), "$muted"), words, "\n"]


def _line(text: str) -> str:
    return text.strip().replace("\n", " ⏎ ")
