"""What one voice has said so far, question by question; and where it differs from another's words."""

from __future__ import annotations

from difflib import SequenceMatcher

from textual.content import Content

from gemmalocal.workspace.transcript import Answer, Exchange

ENDS = {"end": "complete", "length": "cut off", "asked": "stopped"}


def column(exchanges: list[Exchange], voice: int, compared: int | None = None) -> Content:
    """The answers of a voice; words that the answer of the voice `compared` has not are marked."""
    parts: list[Content] = []
    for exchange in exchanges:
        answer = exchange.answers[voice]
        parts.append(Content.assemble(("› ", "$primary"), (exchange.asked.text, "$text-muted")))
        text = answer.text.strip()
        other = exchange.answers[compared] if compared is not None else None
        both_done = answer.done and other is not None and other.done
        parts.append(differing(text, other.text.strip()) if both_done and other is not None else Content(text))
        best = ("better · ", "bold $text-success") if exchange.vote == voice else ""
        parts.append(Content.assemble(best, (f"{figures(answer)}\n", "$text-muted")))
    return Content("\n").join(parts)


def figures(answer: Answer) -> str:
    """Tokens, speed, time to the first token and why it ended."""
    if answer.done is None:
        return f"{answer.tokens} tokens …"
    done = answer.done
    end = ENDS.get(done.stopped, done.stopped)
    return f"{done.tokens} tokens · {done.rate:.1f} tok/s · first after {done.first:.2f} s · {end}"


def differing(text: str, other: str) -> Content:
    """`text` with those words bold and underlined that are not in `other` at their place."""
    ours, theirs = text.split(" "), other.split(" ")
    parts: list[Content] = []
    for kind, start, end, _, _ in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        words = " ".join(ours[start:end])
        if words:
            parts.append(Content(words) if kind == "equal" else Content.styled(words, "bold underline"))
    return Content(" ").join(parts)
