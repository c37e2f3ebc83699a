"""A Modelfile for Ollama beside a GGUF: template, stops and parameters (https://docs.ollama.com/modelfile).

Ollama's templates are Go's (https://pkg.go.dev/text/template). Every literal in them is a quoted string, so that
nothing in a marker is taken for an action, white space counts as written, and no text ends the Modelfile's quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import TemplateRefused, Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.planning.published import Licence
from gemmalocal.records import Message

QUOTES = '"""'
SYSTEM, QUESTION, REPLY = "\ue0f0", "\ue0f1", "\ue0f2"  # private characters: no template has them, or changes them
OPENINGS = {"user": QUESTION, "assistant": REPLY}


@dataclass(frozen=True)
class TurnMarks:
    """The texts around the contents of a conversation; <bos> is not among them, since Ollama adds it."""

    before_system: str
    after_system: str  # up to the first question
    before_first: str  # question, where there is no system's text
    after_asked: str  # up to a reply that is there
    after_reply: str  # up to the next question
    ask: str  # after the last question: it opens the model's turn

    def filled(self, messages: Sequence[Message]) -> str:
        """The prompt that Ollama makes of messages that end with a question; `as_template` says the same in Go."""
        text, before = "", self.before_first
        for index, message in enumerate(messages):
            if message.role == "system":
                text, before = self.before_system + message.content, self.after_system
            elif message.role == "user":
                last = index == len(messages) - 1
                text += before + message.content + (self.ask if last else self.after_asked)
            else:
                text, before = text + message.content, self.after_reply
        return text

    def as_template(self) -> str:
        """The marks as a template in Go. An empty system's text is none; a later one is written as a question is."""
        return "\n".join(
            (
                f"{{{{- $before := {_quoted(self.before_first)} -}}}}",
                "{{- range $place, $message := .Messages -}}",
                '{{- if and (eq .Role "system") (eq $place 0) -}}',
                "{{- if .Content -}}",
                f"{{{{- {_quoted(self.before_system)} -}}}}{{{{- .Content -}}}}",
                f"{{{{- $before = {_quoted(self.after_system)} -}}}}",
                "{{- end -}}",
                '{{- else if eq .Role "assistant" -}}',
                f"{{{{- .Content -}}}}{{{{- $before = {_quoted(self.after_reply)} -}}}}",
                "{{- else -}}",
                "{{- $before -}}{{- .Content -}}",
                f"{{{{- if eq (len (slice $.Messages $place)) 1 -}}}}{{{{- {_quoted(self.ask)} -}}}}",
                f"{{{{- else -}}}}{{{{- {_quoted(self.after_asked)} -}}}}{{{{- end -}}}}",
                "{{- end -}}",
                "{{- end -}}",
            )
        )


def template(tokenizer: Tokenizer, layout: Layout) -> str:
    """Ollama's template that says what the chat template of a run's rows says; of other rows each prompt stands alone.

    What the chat template does to contents themselves, such as to strip white space, Go's language cannot say. Raises
    `ModelError` for a template that changes contents, or writes a turn differently later in a conversation.
    """
    if layout.form == "chat" or tokenizer.has_template:
        return turn_marks(tokenizer).as_template()
    return "\n".join(
        (
            '{{- if .System -}}{{- .System -}}{{- "\\n\\n" -}}{{- end -}}',
            "{{- range $place, $message := .Messages -}}",
            "{{- if eq (len (slice $.Messages $place)) 1 -}}{{- .Content -}}{{- end -}}",
            "{{- end -}}",
            f"{{{{- {_quoted(layout.between)} -}}}}",
        )
    )


def turn_marks(tokenizer: Tokenizer) -> TurnMarks:
    """Read off what the own template makes of conversations of private characters, whole marker by whole marker."""
    talk = _talk("user", "assistant", "user")
    try:
        before_first, after_question, after_reply, ask = _around(tokenizer, talk)
        before_system, after_system, *others = _around(tokenizer, [Message("system", SYSTEM), *talk])
        marks = TurnMarks(before_system, after_system, before_first, after_question, after_reply, ask)
        longer = _talk("user", "assistant", "user", "assistant", "user")
        same = others == [after_question, after_reply, ask] and all(
            marks.filled(messages) == _rendered(tokenizer, messages)
            for messages in (talk[:1], [Message("system", SYSTEM), *talk[:1]], longer)
        )
    except (TemplateRefused, ValueError) as problem:
        raise _inexpressible(str(problem)) from problem
    if not same:
        raise _inexpressible("it writes a turn in another way later in a conversation, or after a system's text")
    return marks


def _talk(*roles: str) -> list[Message]:
    """One turn of each role, no two contents alike."""
    return [Message(role, OPENINGS[role] * (index + 1)) for index, role in enumerate(roles)]


def _rendered(tokenizer: Tokenizer, messages: Sequence[Message]) -> str:
    return tokenizer.render(messages, ask=True).removeprefix(tokenizer.bos)


def _around(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[str]:
    """The texts around the contents of messages; raises `ValueError` where the template changes these."""
    pieces = re.split(f"({SYSTEM}+|{QUESTION}+|{REPLY}+)", _rendered(tokenizer, messages))
    if pieces[1::2] != [message.content for message in messages]:
        raise ValueError("it leaves contents out, changes them, or says them twice")
    return pieces[0::2]


def _inexpressible(reason: str) -> ModelError:
    return ModelError(
        f"The model's chat template cannot be written in Ollama's language: {reason}.",
        "Export it as gguf: the template itself is in the file.",
    )


def _quoted(text: str) -> str:
    """A text as Go writes it; with its quotes escaped, no three of them follow each other."""
    return json.dumps(text, ensure_ascii=False)


def modelfile(
    weights: str,
    template: str,
    tokenizer: Tokenizer,
    licence: Licence,
    parameters: Mapping[str, Any],
    adapter: str | None = None,
    renderer: str = "",
) -> str:
    """The Modelfile's text: weights, template, stop texts, `parameters` (Ollama's names to values), licence.

    `weights` is a GGUF's path (`./x.gguf` beside it) or a model's name in Ollama, `adapter` one's that lies over it.
    With a `renderer` Ollama writes conversations and reads calls by that in place of the template. Raises `ModelError`
    for a text that a Modelfile cannot quote.
    """
    stops = sorted(tokenizer.decode([end], special=True) for end in tokenizer.stop_ids)
    lines = [f"FROM {weights}", *([f"ADAPTER {adapter}"] if adapter else []), f"TEMPLATE {_long(template)}"]
    lines += [f"RENDERER {renderer}", f"PARSER {renderer}"] if renderer else []
    lines += [f"PARAMETER stop {_short(stop)}" for stop in stops if stop]
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    lines.append(f"LICENSE {_long(licence.notice)}")
    return "\n".join(lines) + "\n"


def _short(text: str) -> str:
    """A text that ends with its line."""
    return f'"{text}"' if '"' not in text and len(text.splitlines()) == 1 else _long(text)


def _long(text: str) -> str:
    """A text of any lines."""
    if QUOTES in text or text.endswith('"'):
        raise ModelError(
            f"A Modelfile cannot quote a text with {QUOTES} in it, or with a quote at its end: {text[:80]!r}.",
            "Export it as gguf, and write the Modelfile by hand.",
        )
    return f"{QUOTES}{text}{QUOTES}"
