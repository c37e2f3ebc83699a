"""Rows that are allowed and yet look like a mistake. Few rules: each has spoiled somebody's run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from gemmalocal.data import tool_lint
from gemmalocal.data.examples import Example, RecordExamples
from gemmalocal.data.findings import Findings
from gemmalocal.data.tokenizer import MARK
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Record

FEW = 2  # supervised tokens: a word and the end of the turn
ROOM = 0.9  # of max_length: a longer prompt leaves its reply little room
SAME, ENOUGH = 0.2, 20  # the share of rows whose reply is the same, among so many rows or more
COUNTERS, COMPARED = 64, 500  # replies that are counted at once, and their characters that are compared
AROUND = 30  # characters shown on each side of what was found
SPACELESS = 0x0E00  # from Thai on, scripts put no spaces between words

PLACEHOLDERS = {"nan", "none", "null", "n/a", "undefined", "todo", "-", "...", "…"}
TEXT_RULES = {
    "has a replacement character, from text that was once decoded wrongly": re.compile("\ufffd"),
    "has a control character": re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "has HTML in its text": re.compile(
        r"</?(?:p|br|div|span|a|b|i|em|strong|ul|ol|li|table|tr|td|h[1-6]|img|font|script)\b[^<>]*>"
        r"|&(?:amp|lt|gt|quot|nbsp|#\d+);",
        re.IGNORECASE,
    ),
}
FOREIGN = re.compile(  # marks of templates that the model's tokenizer does not know
    r"</?(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>|<\|?(?:turn|channel)\|?>|<\|[a-z_]+\|>|\[/?INST\]"
)
NUMBER = re.compile(r"\d+")
KINDS = 40  # of control tokens that are told apart


class Lint:
    """Looks at each record with its examples; counts what is odd into `findings`."""

    def __init__(
        self,
        findings: Findings,
        max_length: int,
        in_turns: bool = True,
        control: frozenset[str] = frozenset(),
        positions: int | None = None,
    ) -> None:
        """`in_turns` is whether the model's template, or the rows beside them, put single exchanges in turns.

        `control` are the texts that the tokenizer reads as control tokens, `positions` how many tokens the model reads.
        """
        self._findings, self._max_length, self._in_turns = findings, max_length, in_turns
        self._control, self._positions = control, positions
        others = sorted(token for token in control if not MARK.fullmatch(token) and token.strip())
        self._mark = re.compile("|".join([MARK.pattern, *map(re.escape, others)]))
        self._seen_tokens = set[str]()  # control tokens that were told
        self._rows = 0
        self._replies = Counter[str]()
        self._first: dict[str, str] = {}  # the source of each of these

    def __call__(self, record: Record, examples: RecordExamples) -> None:
        """Look at one record."""
        if not any(isinstance(example, Example) for example in examples):
            return  # it is left out already
        self._rows += 1
        seam = () if self._in_turns else _seam(record)
        for kind, example in (
            *self._marks(record),
            *_text(record),
            *_reply(record),
            *tool_lint.problems(record),
            *seam,
            *self._room(record, examples[:1] if record.rejected else examples),
        ):
            self._findings.warn(kind, record.source, example)
        if record.reply:
            self._count(record)

    def close(self) -> None:
        """Say what only all rows together show."""
        for reply, count in self._replies.items():
            if self._rows >= ENOUGH and count > SAME * self._rows:
                kind = f"has the same reply as more than {100 * SAME:.0f} % of the rows"
                self._findings.warn(kind, self._first[reply], reply, count)

    def _marks(self, record: Record) -> Iterator[tuple[str, str]]:
        """Each kind of control token in a row, and marks of other models' templates."""
        text = _full_text(record)
        seen_kinds = set[str]()
        for match in self._mark.finditer(text):
            if match[0] in self._control:
                kind = self._token(match[0])
            elif FOREIGN.fullmatch(match[0]):
                kind = "has a chat template's own mark in its text"
            else:
                continue
            if kind not in seen_kinds:
                seen_kinds.add(kind)
                yield kind, _excerpt(text, match)

    def _token(self, token: str) -> str:
        """The kind of a control token: each has its own, but for numbers in them, and for the last of many."""
        name = NUMBER.sub("0", token)
        if len(self._seen_tokens) == KINDS and name not in self._seen_tokens:
            return "has other control tokens in its text"
        self._seen_tokens.add(name)
        return f"has the control token {token if name == token else NUMBER.sub('N', token)} in its text"

    def _room(self, record: Record, examples: RecordExamples) -> Iterator[tuple[str, str]]:
        for example in examples:
            if isinstance(example, Example):
                if self._positions is not None and len(example.ids) > self._positions:
                    yield (
                        f"is longer than the {self._positions} positions of the model",
                        counted(len(example.ids), "token"),
                    )
                prompt = len(example.ids) - example.supervised
                if example.cut and record.messages and prompt > ROOM * self._max_length:
                    yield "has a prompt that leaves its reply little room", f"{prompt} of {self._max_length} tokens"
                elif example.supervised < FEW:
                    yield f"teaches fewer than {FEW} tokens", record.reply[:80]

    def _count(self, record: Record) -> None:
        """Frequent replies in constant memory (Misra and Gries, 1982): counts are low by 1/64 of the rows at most."""
        reply = record.reply[:COMPARED]
        if reply in self._replies or len(self._replies) < COUNTERS:
            self._replies[reply] += 1
            self._first.setdefault(reply, record.source)
        else:
            self._replies = +Counter({frequent: count - 1 for frequent, count in self._replies.items()})
            self._first = {frequent: self._first[frequent] for frequent in self._replies}


def _text(record: Record) -> Iterator[tuple[str, str]]:
    text = _full_text(record)
    for kind, pattern in TEXT_RULES.items():
        if match := pattern.search(text):
            yield kind, _excerpt(text, match)


def _full_text(record: Record) -> str:
    return record.text or "\n".join(message.content for message in record.messages + record.rejected)


def _excerpt(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - AROUND) : match.end() + AROUND]


def _reply(record: Record) -> Iterator[tuple[str, str]]:
    reply = record.reply.strip()
    if not reply:
        return
    if reply.lower() in PLACEHOLDERS:
        yield "has a placeholder for a reply", reply
    question = next(message.content for message in reversed(record.messages) if message.role == "user")
    if reply == question.strip():
        yield "has a reply that only repeats the prompt", reply[:80]


def _seam(record: Record) -> Iterator[tuple[str, str]]:
    """A prompt and a completion that a model without a chat template reads as one word."""
    if not record.is_exchange or record.between:
        return
    prompt, completion = (message.content for message in record.messages)
    ends = prompt[-1:] + completion[:1]
    if len(ends) == 2 and all(not mark.isspace() and ord(mark) < SPACELESS for mark in ends):
        example = f"{prompt[-AROUND:]}{completion[:AROUND]}"
        yield "has no space or line end between its prompt and its reply (the model has no chat template)", example
