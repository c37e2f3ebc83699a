"""A conversation with several voices at once, in a process of its own that takes commands until it is told to end.

Commands, beside what each may carry: ask (text, system, and sampling: temperature, top_p, top_k, seed, max_tokens, all
kept for the next), answer (answers: what tools answer, by voice, see `events.Asked`), regenerate (sampling; the seed
moves on), stop (the answers under way), clear, vote (turn; voice, or verdict: tie, bad), save, end (once all before it
is done). The spec has `voices` (see `load_chat_models`), `sampling`, `tools` that may be called (nothing is ever run),
and `idle`: seconds without a command after which the process ends by itself: no chat outlives its terminal for long.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.backends.protocol import Sampling
from gemmalocal.data.tokenizer import TemplateRefused
from gemmalocal.engine.generation import ChatModel, speak
from gemmalocal.files import atomic
from gemmalocal.jobs.events import (
    Asked,
    Cleared,
    Declined,
    Event,
    Finished,
    Notice,
    Replied,
    Reply,
    Report,
    Voices,
    Voted,
)
from gemmalocal.jobs.plurals import plural
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import tool_turns
from gemmalocal.pipelines.shared.beside_training import make_way
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.pipelines.shared.tool_turns import ToolAnswers
from gemmalocal.workspace import chats, transcript

IDLE = 1800.0  # seconds
LOOK = 0.05  # seconds between two looks at the inbox
TRANSCRIPT = "transcript"


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Load the voices and talk until told to end; raises `JobBusy` where a run is training on the same GPU."""
    make_way("a chat")
    voices = yield from load_chat_models(spec["voices"])
    sampling = changed_sampling(Sampling(), spec.get("sampling", {}))
    chat = Conversation(voices, directory, commands, sampling, spec.get("tools", ()))
    yield from chat.converse(float(spec.get("idle", IDLE)))


class Conversation:
    """A chat with loaded models (voices): the transcript so far, and the commands still to be carried out."""

    def __init__(
        self,
        voices: list[ChatModel],
        directory: Path,
        commands: Commands,
        sampling: Sampling,
        tools: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._voices, self._directory, self._commands, self._sampling = voices, directory, commands, sampling
        self._tools = json.dumps(tools, ensure_ascii=False) if tools else ""
        self._system = ""
        self._waiting: deque[dict[str, Any]] = deque()
        self._talk = transcript.Talk()

    def converse(self, idle: float) -> Iterator[Event]:
        """Take commands until one says end, or none has come for `idle` seconds."""
        for event in self._events(idle):
            transcript.fold(self._talk, event)
            yield event

    def _events(self, idle: float) -> Iterator[Event]:
        yield Voices([voice.name for voice in self._voices], [voice.layout.form for voice in self._voices])
        if alone := [voice.name for voice in self._voices if voice.layout.form != "chat"]:
            yield Notice(f"{', '.join(alone)}: trained on no conversations, so every prompt stands alone")
        if self._tools and (deaf := [voice.name for voice in self._voices if not tool_turns.hears(voice)]):
            yield Notice(f"{', '.join(deaf)}: no tools can be told to it")
        last = time.monotonic()
        while time.monotonic() - last < idle:
            self._waiting.extend(self._commands())
            if not self._waiting:
                time.sleep(LOOK)
                continue
            command = self._waiting.popleft()
            if command.get("do") == "end":
                yield from self._finish("")
                return
            yield from self._execute(command)
            last = time.monotonic()
        yield from self._finish(f"nobody asked anything for {idle / 60:.0f} {plural(round(idle / 60), 'minute')}")

    def _finish(self, reason: str) -> Iterator[Event]:
        if self._talk.exchanges:
            yield from self._save()
        yield Finished("done", reason)

    def _execute(self, command: dict[str, Any]) -> Iterator[Event]:
        name = str(command.get("do"))
        try:
            match name:
                case "ask":
                    yield from self._ask(command)
                case "answer":
                    yield from self._answer(command)
                case "regenerate":
                    yield from self._regenerate(command)
                case "vote":
                    yield self._vote(command)
                    self._write_transcript()
                case "clear":
                    yield Cleared()
                case "save":
                    yield from self._save()
                case "stop":
                    pass  # nothing is under way
                case _:
                    raise ValueError(f"a chat knows no such command: '{name}'")
        except (ValueError, TemplateRefused) as problem:
            yield Declined(name, str(problem))

    def _ask(self, command: dict[str, Any]) -> Iterator[Event]:
        text, system = command.get("text"), command.get("system", self._system)
        if not isinstance(text, str) or not text.strip() or not isinstance(system, str):
            raise ValueError("there is no text to answer")
        self._sampling, self._system = changed_sampling(self._sampling, command), system
        yield from self._answers(len(self._talk.exchanges) + 1, text)

    def _regenerate(self, command: dict[str, Any]) -> Iterator[Event]:
        if not self._talk.remembered:
            raise ValueError("nothing was asked yet")
        question = self._talk.exchanges[-1].asked
        sampling = changed_sampling(self._sampling, command)
        if sampling == self._sampling and sampling.temperature == 0:
            raise ValueError("at temperature 0 the answer would be the same: raise the temperature")
        self._sampling = sampling._replace(seed=sampling.seed + (sampling.seed == self._sampling.seed))
        yield from self._answers(question.turn, question.text, question.answers)

    def _answer(self, command: dict[str, Any]) -> Iterator[Event]:
        """Go on from what tools answer to the calls of the last exchange."""
        if not self._talk.remembered:
            raise ValueError("no tool was called yet")
        last = self._talk.remembered[-1]
        answers = tool_turns.checked(command.get("answers"), last)
        yield from self._answers(last.asked.turn + 1, tool_turns.as_text(answers, last), answers)

    def _answers(self, turn: int, text: str, tool_answers: ToolAnswers = ()) -> Iterator[Event]:
        make_way("a chat")
        before = [exchange for exchange in self._talk.remembered if exchange.asked.turn != turn]
        asked = Asked(turn, text, self._system, self._sampling._asdict(), [list(of) for of in tool_answers])
        active = [index for index in range(len(self._voices)) if not tool_answers or tool_answers[index]]
        prompts = [
            self._voices[index].prompt_of(tool_turns.turns(before, asked, index), self._system, self._tools)
            for index in active
        ]
        yield asked
        for index in set(range(len(self._voices))).difference(active):
            yield Replied(turn, index, "", 0, 0.0, 0.0, "idle")
        voices = [self._voices[index] for index in active]
        takers = [tool_turns.CallTaker(voice, turn, bool(self._tools)) for voice in voices]
        for step in speak(voices, prompts, self._sampling, self._not_stopped):
            taker, voice = takers[step.voice], active[step.voice]
            if more := taker.take(step.text, bool(step.stopped)):
                yield Reply(turn, voice, more, step.tokens)
            if step.stopped:
                figures = round(step.seconds, 4), round(step.first_seconds, 4), step.stopped
                yield Replied(turn, voice, taker.text(step.answer), step.tokens, *figures, taker.calls)
        self._write_transcript()

    def _not_stopped(self) -> bool:
        """Whether nobody has asked to stop; other commands wait."""
        self._waiting.extend(self._commands())
        stops = [command for command in self._waiting if command.get("do") == "stop"]
        for stop in stops:
            self._waiting.remove(stop)
        return not stops

    def _vote(self, command: dict[str, Any]) -> Voted:
        exchanges = self._talk.exchanges
        voice, turn = command.get("voice"), command.get("turn", len(exchanges))
        if turn not in range(1, len(exchanges) + 1):
            raise ValueError("there is no answer to vote for")
        if voice is not None and voice not in range(len(self._voices)):
            raise ValueError(f"there is no answer {voice} to vote for: they are 0 to {len(self._voices) - 1}")
        verdict = command.get("verdict", "")
        if verdict not in ("", transcript.TIE, transcript.BOTH_BAD) or (verdict and voice is not None):
            raise ValueError("a vote is for one answer, or says tie or bad of all")
        return Voted(turn, voice, verdict)

    def _write_transcript(self) -> None:
        """Write the transcript: a line for each exchange."""
        atomic.write_text(self._directory / f"{TRANSCRIPT}.jsonl", transcript.as_json_lines(self._talk))

    def _save(self) -> Iterator[Event]:
        self._write_transcript()
        path = self._directory / f"{TRANSCRIPT}.md"
        atomic.write_text(path, transcript.as_markdown(self._talk))
        yield Report({"transcript": str(path), "lines": str(path.with_suffix(".jsonl")), "tally": self._talk.tally})


def changed_sampling(sampling: Sampling, command: dict[str, Any]) -> Sampling:
    """The sampling with what a command changes; raises `ValueError` for what is no number within its limits."""
    return sampling._replace(**chats.checked_settings(command))
