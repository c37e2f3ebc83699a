"""A chat as it stands: its events folded into questions, answers and votes; as Markdown and as JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from gemmalocal.jobs.events import Asked, Cleared, Event, Replied, Reply, Voices, Voted
from gemmalocal.tool_calls.shown import with_calls

TIE, BOTH_BAD = "tie", "bad"  # what may be said of the answers where none is best: all are good, or none is


@dataclass
class Answer:
    """Of one voice; `done` once it is whole."""

    text: str = ""
    tokens: int = 0
    done: Replied | None = None

    @property
    def shown(self) -> str:
        """What it says, and below it what it calls."""
        return with_calls(self.text, self.done.calls if self.done else ())


@dataclass
class Exchange:
    """A question, an answer of each voice, and the voice that was found best, or what was said of all (`TIE`)."""

    asked: Asked
    answers: list[Answer]
    vote: int | None = None
    verdict: str = ""

    @property
    def whole(self) -> bool:
        """Whether all have answered."""
        return all(answer.done for answer in self.answers)


@dataclass
class Talk:
    """What is known of a chat; `fold` is the only one to change it. The voices remember exchanges from `begin` on."""

    names: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    begin: int = 0

    @property
    def remembered(self) -> list[Exchange]:
        """What the voices go on from."""
        return self.exchanges[self.begin :]

    @property
    def tally(self) -> list[int]:
        """Votes for each voice."""
        votes = [exchange.vote for exchange in self.exchanges]
        return [votes.count(voice) for voice in range(len(self.names))]


def fold(talk: Talk, event: Event) -> Talk:
    """Take in one event; those of other jobs change nothing."""
    match event:
        case Voices():
            talk.names, talk.forms = event.names, event.forms
        case Asked():
            if talk.exchanges and talk.exchanges[-1].asked.turn == event.turn:
                talk.exchanges.pop()
            talk.exchanges.append(Exchange(event, [Answer() for _ in talk.names]))
        case Reply():
            answer = talk.exchanges[-1].answers[event.voice]
            answer.text, answer.tokens = answer.text + event.text, event.tokens
        case Replied():
            talk.exchanges[-1].answers[event.voice] = Answer(event.text, event.tokens, event)
        case Voted():
            for exchange in talk.exchanges:
                if exchange.asked.turn == event.turn:
                    exchange.vote, exchange.verdict = event.voice, event.verdict
        case Cleared():
            talk.begin = len(talk.exchanges)
    return talk


def as_json(talk: Talk, exchange: Exchange) -> str:
    """One exchange as a line: the question, how it was drawn, and each voice's answer with its figures."""
    answers = []
    for name, answer in zip(talk.names, exchange.answers, strict=True):
        figures = asdict(answer.done) if answer.done else {"text": answer.text, "tokens": answer.tokens}
        kept = {key: it for key, it in figures.items() if key not in ("turn", "voice") and (it or key != "calls")}
        answers.append({"name": name, **kept})
    vote = None if exchange.vote is None else talk.names[exchange.vote]
    said = {"vote": vote, **({"verdict": exchange.verdict} if exchange.verdict else {})}
    asked = asdict(exchange.asked)
    tool_answers = {"tool_answers": asked.pop("answers")} if exchange.asked.answers else {}
    return json.dumps({**asked, **tool_answers, "answers": answers, **said}, ensure_ascii=False)


def as_json_lines(talk: Talk) -> str:
    """The whole chat."""
    return "".join(f"{as_json(talk, exchange)}\n" for exchange in talk.exchanges)


def as_markdown(talk: Talk) -> str:
    """The whole chat, to be read."""
    parts = [f"# {' and '.join(talk.names)}"]
    for place, exchange in enumerate(talk.exchanges):
        if place and place == talk.begin:
            parts.append("---")
        parts.append(f"## {exchange.asked.turn}. {_quoted(exchange.asked.text)}")
        if exchange.asked.system:
            parts.append(f"System: {_quoted(exchange.asked.system)}")
        for voice, (name, answer) in enumerate(zip(talk.names, exchange.answers, strict=True)):
            best = " (best)" if exchange.vote == voice else ""
            parts += [f"### {name}{best}", answer.shown.strip() or "(nothing)"]
    if any(talk.tally):
        votes = ", ".join(f"{name} {count}" for name, count in zip(talk.names, talk.tally, strict=True))
        parts += ["## Votes", votes]
    return "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())
