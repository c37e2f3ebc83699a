"""A question with the answers of all voices beside each other; and where one differs from another's words."""

from __future__ import annotations

from difflib import SequenceMatcher

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from gemmalocal.jobs.plurals import counted
from gemmalocal.workspace.transcript import BOTH_BAD, TIE, Answer, Exchange

ENDS = {"end": "complete", "length": "cut off", "asked": "stopped", "idle": "called nothing"}
BETTER = "★ better"
VERDICTS = {TIE: "= all are good", BOTH_BAD: "= none is good"}


class ExchangeRow(Vertical):
    """One question across the screen, below it an answer in each of `voices` columns; handed an exchange by `show`."""

    DEFAULT_CSS = """
    ExchangeRow { height: auto; margin: 0 0 1 0; }
    ExchangeRow .asked { height: auto; padding: 0 1; color: $muted; }
    ExchangeRow .answers { height: auto; }
    ExchangeRow .said { width: 1fr; height: auto; padding: 0 1; border-left: solid $line; }
    ExchangeRow .said.first { border-left: none; }
    """

    def __init__(self, turn: int, voices: int) -> None:
        super().__init__()
        self.turn, self._voices = turn, voices
        self._shown: list[Content] = []

    def compose(self) -> ComposeResult:
        """The question, the answers."""
        yield Static(classes="asked")
        with Horizontal(classes="answers"):
            for voice in range(self._voices):
                yield Static(classes="said" if voice else "said first")

    def show(self, exchange: Exchange, marked: bool) -> None:
        """Draw it, with the words `marked` in which answers differ; only what is new is drawn again."""
        said = VERDICTS.get(exchange.verdict, "")
        asked = Content.assemble(("› ", "$primary"), exchange.asked.text, (f"   {said}" if said else "", "$warning"))
        answers = [answered(exchange, voice, marked) for voice in range(self._voices)]
        now = [asked, *answers]
        if len(self._shown) != len(now):
            self._shown = [Content()] * len(now)
        for place, (static, content) in enumerate(zip(self.query(Static).results(), now, strict=True)):
            if content != self._shown[place] or content.spans != self._shown[place].spans:
                static.update(content)
        self._shown = now


def answered(exchange: Exchange, voice: int, marked: bool) -> Content:
    """An answer with its figures, and whether it was found better."""
    answer, text = exchange.answers[voice], exchange.answers[voice].shown.strip()
    content = Content(text)
    if marked and len(exchange.answers) > 1 and exchange.whole:
        content = differing(text, exchange.answers[1 if voice == 0 else 0].shown.strip())
    best = (f"{BETTER} · ", "bold $good") if exchange.vote == voice else ""
    return Content.assemble(content, "\n" * bool(text), best, (figures(answer), "$muted"))


def figures(answer: Answer) -> str:
    """Tokens, speed, time to the first token and why it ended."""
    if answer.done is None:
        return f"{counted(answer.tokens, 'token')} …"
    done = answer.done
    end = ENDS.get(done.stopped, done.stopped)
    rate = [f"{done.rate:.1f} tok/s"] if done.tokens > 1 else []
    first = [f"first after {done.first:.2f} s"] if done.tokens else []  # a voice that called nothing says nothing
    return " · ".join([counted(done.tokens, "token"), *rate, *first, end])


def differing(text: str, other: str) -> Content:
    """`text` with those words bold and underlined that are not in `other` at their place."""
    ours, theirs = text.split(" "), other.split(" ")
    parts: list[Content] = []
    for kind, start, end, _, _ in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        words = " ".join(ours[start:end])
        if words:
            parts.append(Content(words) if kind == "equal" else Content.styled(words, "bold underline"))
    return Content(" ").join(parts)
